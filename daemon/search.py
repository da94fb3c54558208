"""What `wumu search` asks the store, and what it shows of the answer. Pure."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from detectors.condition import Condition, Wildcard, any_of
from recognizer.events import Event
from recognizer.search import normal
from recognizer.sound import CHINESE, letters, spoken

MAX_TERMS = 32
OUTCOMES = ("top1_label", "top1_score", "reason", "status", "http_status")


def condition(terms: Iterable[str]) -> Condition:
    """Events whose path holds one of the terms, as it is written or as it sounds.

    The recognizer's own events are found by ``path_tokens`` and ``path_pinyin``; those of a foreign service, which
    have neither, by their ``file_path``: there the term must stand as it was typed, in lower, upper or mixed case.
    """
    return any_of(*dict.fromkeys(part for term in terms for part in _parts(term)))


def _parts(term: str) -> Iterator[Condition]:
    for spelling in _spellings(term):
        yield Wildcard("file_path", f"*{spelling}*")
    word = letters(normal(term))
    if not word:
        return
    yield Wildcard("path_tokens", f"*{word}*")
    if CHINESE.search(word):
        # 百灵 also finds bailing.png
        for sound in sorted(spoken(word)):
            yield Wildcard("path_tokens", f"*{sound}*")
    else:
        yield Wildcard("path_pinyin", f"*{word}*")


def _spellings(term: str) -> Iterator[str]:
    forms = (term, term.lower(), term.upper(), term.capitalize(), term.title())
    yield from dict.fromkeys(unicodedata.normalize(form, one) for one in forms for form in ("NFC", "NFD") if one)


def with_synonyms(query: str, groups: Iterable[Sequence[str]]) -> list[str]:
    """The query and the words that mean the same: at most MAX_TERMS."""
    wanted = letters(normal(query))
    found = {query: None}
    for group in groups:
        if any(letters(normal(word)) == wanted for word in group):
            found |= dict.fromkeys(group)
    return list(found)[:MAX_TERMS]


def synonym_groups(text: str) -> list[tuple[str, ...]]:
    """The groups of a synonym file: one a line, words separated by commas; ``#`` begins a comment.

    Raises ValueError that names the line where a group has fewer than two words.
    """
    groups = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        words = tuple(word for one in line.partition("#")[0].replace("，", ",").split(",") if (word := one.strip()))
        if len(words) == 1:
            raise ValueError(f"line {number}: {words[0]} has no synonym; write the words of a group on one line: a, b")
        if words:
            groups.append(words)
    return groups


def pictures(found: Iterable[Event], told: Iterable[Event], limit: int) -> list[dict[str, Any]]:
    """One entry a path, the one seen last first: when, how often, and how it ended the last time.

    ``found``: the events that match, newest first. ``told``: all events of their requests, newest first.
    """
    outcomes: dict[str, dict[str, Any]] = {}
    for event in told:
        if event.request_id is not None:
            known = outcomes.setdefault(event.request_id, {})
            known.update({name: value for name, value in _outcome(event) if name not in known})
    by_path: dict[str, list[Event]] = {}
    for event in found:
        if event.file_path is not None:
            by_path.setdefault(event.file_path, []).append(event)
    return [_picture(path, events, outcomes) for path, events in list(by_path.items())[:limit]]


def _picture(path: str, events: list[Event], outcomes: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    last = events[0]
    requests = dict.fromkeys(event.request_id for event in events if event.request_id is not None)
    outcome = next((outcomes[request] for request in requests if request in outcomes), dict(_outcome(last)))
    return {
        "file_path": path,
        "timestamp": last.timestamp,
        "host": last.host,
        "requests": len(requests) or len(events),
        "request_id": last.request_id,
        **outcome,
    }


def _outcome(event: Event) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name in OUTCOMES if (value := getattr(event, name)) is not None)
