"""Which remedy page belongs to a finding, filled in with the events' own values."""

import posixpath
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from detectors.condition import And, AnyCharacter, Condition, Exists, all_of, fields_of
from detectors.finding import Finding, Reason
from detectors.keys import key_condition
from recognizer.events import Event
from recognizer.paths import clean, inspect, visible
from recognizer.reasons import EventType, InputReason
from rules.kql import to_kql
from rules.model import Language
from rules.path_facts import cleaned_exists, path_facts
from rules.remedy_pages import fill, page
from rules.shell import quote

TEXT_LIMIT = 300
"""Characters of an event's value that a sentence shows; commands always carry the whole value."""
COMMAND_LIMIT = 8_192

_PATHS = frozenset({"path", "cleaned", "found", "misnamed", "renamed", "meant", "dir"})

_INPUT_REASONS: frozenset[str] = frozenset(InputReason)
_KNOWN_CAUSES = _INPUT_REASONS - {InputReason.UNSPECIFIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A filled-in remedy: text that is safe to show and a command that is safe to paste (values shell-quoted).

    ``reason`` names the page (an InputReason or a Reason). ``checked`` says what was verified about the concrete
    case, for example that a file exists at the cleaned path; empty when nothing could be checked.
    """

    reason: str
    language: Language
    title: str
    cause: str
    steps: tuple[str, ...]
    command: str | None
    verify: str | None
    checked: tuple[str, ...] = ()


def choose(
    finding: Finding,
    samples: Sequence[Event],
    language: Language,
    exists: Callable[[str], bool | None] = lambda _: None,
) -> Remedy:
    """The remedy for a finding: the page of what the bad events have in common, else of the finding itself.

    The cause is the value the finding names (an error streak's reason) or the most frequent reason of ``samples``;
    a foreign service's error without a reason is explained by its path where that is at fault. ``exists`` answers
    whether a file is there, None where it can't be known; it is asked only where no event tells.
    """
    reason, event = _cause(finding, samples)
    template = page(reason, language)
    values = _values(finding, event, exists)
    shown = {name: visible(value, TEXT_LIMIT) for name, value in values.items()}
    quoted = {name: word for name, value in values.items() if (word := quote(_argument(name, value))) is not None}
    lines = [line for template_line in template.command if (line := fill(template_line, quoted)) is not None]
    command = "\n".join(lines)
    return Remedy(
        reason=reason,
        language=language,
        title=template.title,
        cause=template.cause,
        steps=tuple(step for text in template.steps if (step := fill(text, shown)) is not None),
        command=command if command and len(command) <= COMMAND_LIMIT else None,
        verify=fill(template.verify, shown),
        checked=path_facts(event, language, exists) if event is not None else (),
    )


def _cause(finding: Finding, samples: Sequence[Event]) -> tuple[str, Event | None]:
    """The reason whose page helps most, and an event that shows it."""
    reasons = [_reason_of(event, finding) for event in samples]
    named = finding.details.get("value")
    known = Counter(reason for reason in reasons if reason is not None)
    if isinstance(named, str) and named in _KNOWN_CAUSES:
        cause = named
    elif known:
        cause = known.most_common(1)[0][0]
    else:
        unspecified = any(event.reason == InputReason.UNSPECIFIED for event in samples)
        return InputReason.UNSPECIFIED if unspecified else finding.reason, samples[0] if samples else None
    witness = next((event for event, reason in zip(samples, reasons, strict=True) if reason == cause), None)
    return cause, witness if witness is not None else (samples[0] if samples else None)


def _reason_of(event: Event, finding: Finding) -> str | None:
    if event.reason in _KNOWN_CAUSES:
        return event.reason
    asked = fields_of(finding.evidence.bad)
    if "dropped_before" in asked and event.dropped_before:
        return InputReason.EVENT_GAP
    if "tensor_issues" in asked:
        return next((issue for issue in event.tensor_issues or () if issue in _INPUT_REASONS), None)
    if event.event_type == EventType.INPUT_ERROR or finding.reason is Reason.UNSAFE_PATH:
        named = next((issue for issue in event.path_issues or () if issue in _INPUT_REASONS), None)
        if named is not None:
            return named
        if event.file_path is not None and (issues := inspect(event.file_path)):
            return issues[0].reason
    return None


def _values(finding: Finding, event: Event | None, exists: Callable[[str], bool | None]) -> dict[str, str]:
    """What the placeholders stand for, as far as it is known."""
    key = dict(finding.key)
    found: dict[str, str | None] = {
        "host": key.get("host"),
        "model": key.get("model_name"),
        "dir": key.get("file_dir"),
        "where": _where(finding),
    }
    if event is not None:
        path = event.file_path
        # the event's own path_cleaned is not trusted: whoever can forge a log line would choose the target of a rename
        cleaned = clean(path) if path is not None else None
        there = cleaned is not None and cleaned != path and bool(cleaned_exists(event, cleaned, exists))
        movable = path is not None and cleaned is not None and not there and _stays(path, cleaned)
        found |= {
            "path": path,
            "cleaned": cleaned,
            "found": cleaned if there else None,
            "misnamed": None if there else path,
            "renamed": cleaned if movable else None,
            "meant": event.path_suggested,
            "dir": (posixpath.dirname(path) if path else None) or event.file_dir or found["dir"],
            "host": found["host"] or event.host,
            "model": found["model"] or event.model_name,
            "request": event.request_id,
        }
    return {name: value for name, value in found.items() if value}


def _stays(path: str, cleaned: str) -> bool:
    """Whether a rename stays where the file is: ``..%2f`` becomes ``../`` and a quoted path may become absolute."""
    climbs = ".." in cleaned.split("/") and ".." not in path.split("/")
    return cleaned != path and not climbs and cleaned.startswith("/") == path.startswith("/")


def _argument(name: str, value: str) -> str:
    """A relative path begins with ``./``: one that begins with a dash must not be taken for an option of `find`."""
    return value if name not in _PATHS or value.startswith("/") else f"./{value}"


def _where(finding: Finding) -> str | None:
    """KQL for the bad events, or None where KQL has no words for them."""
    condition = all_of(_without_characters(finding.evidence.bad), key_condition(finding.key))
    text = to_kql(condition)
    return None if text == "*" or len(text) > COMMAND_LIMIT // 2 else text


def _without_characters(condition: Condition) -> Condition:
    """KQL can't ask for a range of characters: that part is left out, which finds more, never less."""
    match condition:
        case AnyCharacter(field, _):
            return Exists(field)
        case And(parts):
            return all_of(*map(_without_characters, parts))
        case _:
            return condition
