"""Log lines to events: fast where a line keeps the contract, forgiving where it does not, never an exception.

A line that our own instrumentation wrote passes through byte for byte. Any other line that can be understood is
written anew in canonical form: what it lacked is derived, what was odd about it is counted as a `Note`.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from hashlib import blake2b
from operator import attrgetter
from typing import Final, TypeGuard

import msgspec

from recognizer import lenient
from recognizer.events import MAX_LINE_BYTES, Event, Malformed, MalformedReason, Note, fields
from recognizer.lenient import Refusal, shown
from recognizer.paths import inspect, issue_names, parent, visible
from recognizer.reasons import EventType, InputReason

MAX_ID_CHARACTERS: Final = 128
"""Of four bytes each they fit Elasticsearch's limit of 512 bytes for an _id."""
MAX_TYPE_CHARACTERS: Final = 64

_EVENT_TYPE: Final = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
# plain strings: comparing with a StrEnum's member costs several times as much, and this is done for every line
_INPUT_ERROR: Final = EventType.INPUT_ERROR.value
_EVENT_TYPES: Final = frozenset(one.value for one in EventType)
_REASONS: Final = frozenset(one.value for one in InputReason)
_DECODER: Final = msgspec.json.Decoder(Event)
_ENCODER: Final = msgspec.json.Encoder()
_EXTRA, _TIMESTAMP, _EVENT_ID = map(attrgetter, ("extra", "timestamp", "event_id"))
_KIND, _PLACE = attrgetter("event_type", "reason"), attrgetter("file_path", "file_dir")
_MILLISECONDS: Final = range(10**11, 10**14)
"""The years 1973 to 5138: a timestamp outside is taken for another unit (see recognizer.lenient)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What became of a batch of lines.

    events, lines        the good ones, same length and order; ``lines`` are canonical JSON, without newline
    malformed            the others; ``malformed_offsets`` are the bytes at which they begin in their source
    notes                how often what had to be mended
    """

    events: list[Event] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    malformed_offsets: list[int] = field(default_factory=list)
    notes: Counter[Note] = field(default_factory=Counter)


def decode(line: bytes) -> Event | Malformed:
    """One line as it stands: mended where it must be, nothing derived, no bounds on its time."""
    try:
        event = _strict(line)
        if event is None or not _is_plain(event):
            event = _lenient(line, Counter())
        _check_type(event)
    except Refusal as refusal:
        return Malformed(line, refusal.reason, refusal.detail, refusal.hint)
    return event


def decode_batch(
    lines: Sequence[bytes],
    *,
    now_ms: int,
    max_age_ms: int,
    max_future_ms: int,
    identity: str = "",
    offset: int = 0,
) -> Decoded:
    """Consecutive lines of one source, split at newlines; blank ones are passed over.

    ``identity`` names the source and ``offset`` is the byte at which its first line begins: the same line at the same
    place gets the same event_id for ever. An event older than ``max_age_ms`` or more than ``max_future_ms`` ahead of
    ``now_ms`` is malformed.
    """
    window = _Window(now_ms, now_ms - max_age_ms, now_ms + max_future_ms)
    earliest_ms, latest_ms = max(window.earliest_ms, _MILLISECONDS.start), min(window.latest_ms, _MILLISECONDS.stop - 1)
    events = _strict_all(lines)
    if _are_all_good(events, earliest_ms, latest_ms):
        return Decoded(list(events), list(lines))
    decoded, clean_paths = Decoded(), set[str | None]([None])
    for line, event in zip(lines, events, strict=True):
        if (
            event is not None
            and earliest_ms <= event.timestamp <= latest_ms
            and event.event_type in _EVENT_TYPES
            and (event.event_type != _INPUT_ERROR or event.reason in _REASONS)
            and not event.extra
            and event.event_id
            and len(event.event_id) <= MAX_ID_CHARACTERS
            and (event.file_dir is not None or event.file_path is None)
            and (event.file_path in clean_paths or _has_path_issues(event, clean_paths))
        ):
            decoded.events.append(event)
            decoded.lines.append(line)
        elif line.strip():
            _mend(line, event, decoded, window, (identity, offset))
        offset += len(line) + 1
    return decoded


def _are_all_good(events: Sequence[Event | None], earliest_ms: int, latest_ms: int) -> TypeGuard[Sequence[Event]]:
    """Whether nothing of a batch has to be mended, asked of all at once by loops inside of the interpreter."""
    if not events or None in events or any(map(_EXTRA, events)):
        return False
    times, ids = list(map(_TIMESTAMP, events)), list(map(_EVENT_ID, events))
    if min(times) < earliest_ms or max(times) > latest_ms or not all(ids) or max(map(len, ids)) > MAX_ID_CHARACTERS:
        return False
    kinds, places = set(map(_KIND, events)), set(map(_PLACE, events))
    if not all(kind in _EVENT_TYPES and (kind != _INPUT_ERROR or reason in _REASONS) for kind, reason in kinds):
        return False
    if not all(folder is not None or path is None for path, folder in places):
        return False
    odd = {path for path, _ in places if path is not None and inspect(path)}
    return not odd or all(event.path_issues is not None for event in events if event and event.file_path in odd)


def _strict_all(lines: Sequence[bytes]) -> Sequence[Event | None]:
    """The events of lines that keep the contract: in one go if all do, else line by line."""
    chunk = b"\n".join(lines)
    # Where every line ends in } and the next begins with {, no object can reach over the end of a line.
    whole = chunk.startswith(b"{") and chunk.endswith(b"}") and chunk.count(b"}\n{") == len(lines) - 1
    if whole and max(map(len, lines)) <= MAX_LINE_BYTES and not _has_nul(chunk):
        try:
            events = _DECODER.decode_lines(chunk)
        except (ValueError, RecursionError):
            events = []  # one of them is at fault: line by line it shows which
        if len(events) == len(lines):
            return events
    return [_strict(line) for line in lines]


def _strict(line: bytes) -> Event | None:
    """The event of a line that keeps the contract to the letter, else None."""
    if len(line) > MAX_LINE_BYTES or not line.startswith(b"{") or not line.endswith(b"}") or _has_nul(line):
        return None
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError):
        # msgspec's errors and UnicodeDecodeError are ValueErrors; the lenient reading finds out what is wrong
        return None


def _has_nul(text: bytes) -> bool:
    # a search for one byte is many times faster than one for six, and backslashes are rare
    return b"\\" in text and b"\\u0000" in text


def _is_plain(event: Event) -> bool:
    """Whether the types say all: no field called extra, no reason outside the vocabulary."""
    return not event.extra and (event.event_type != _INPUT_ERROR or event.reason in _REASONS)


def _has_path_issues(event: Event, clean_paths: set[str | None]) -> bool:
    """Whether the faults of the path are named, or there are none: such paths are remembered."""
    if event.path_issues is None:
        if inspect(event.file_path):
            return False
        clean_paths.add(event.file_path)
    return True


@dataclass(frozen=True, slots=True)
class _Window:
    now_ms: int
    earliest_ms: int
    latest_ms: int


def _mend(line: bytes, event: Event | None, decoded: Decoded, window: _Window, place: tuple[str, int]) -> None:
    notes: Counter[Note] | None = None
    try:
        if event is None or event.timestamp not in _MILLISECONDS or not _is_plain(event):
            event = _lenient(line, notes := Counter())
        if notes:
            event.event_issues = _issues(event.event_issues or [], notes) or None
        _check_type(event)
        _check_time(event, window)
        normalise(event, f"{place[0]}\0{place[1]}\0".encode("utf-8", "backslashreplace") + line)
        canonical = _ENCODER.encode(fields(event) if event.extra else event)
        _check_size(canonical)
    except Refusal as refusal:
        decoded.malformed.append(Malformed(line, refusal.reason, refusal.detail, refusal.hint))
        decoded.malformed_offsets.append(place[1])
        return
    decoded.events.append(event)
    decoded.lines.append(canonical)
    if notes:
        decoded.notes.update(notes)


_ISSUES: Final[Mapping[Note, InputReason]] = {
    **dict.fromkeys(
        (Note.TIMESTAMP_SECONDS, Note.TIMESTAMP_MICROSECONDS, Note.TIMESTAMP_NANOSECONDS, Note.TIMESTAMP_TEXT),
        InputReason.EVENT_TIMESTAMP_UNIT,
    ),
    **dict.fromkeys(
        (Note.BYTE_ORDER_MARK, Note.LONE_SURROGATE, Note.NUL_CHARACTER, Note.NOT_FINITE, Note.DUPLICATE_KEY),
        InputReason.EVENT_LINE_ILLEGAL,
    ),
}
"""What a rule can ask for. The other notes tell of values in another type than the contract's, which harms nobody."""


def _issues(known: list[str], notes: Counter[Note]) -> list[str]:
    return list(dict.fromkeys([*known, *(_ISSUES[note].value for note in notes if note in _ISSUES)]))


def _lenient(line: bytes, notes: Counter[Note]) -> Event:
    _check_size(line)
    known, extra = lenient.coerce(lenient.parse(line, notes), notes)
    for name in ("timestamp", "event_type"):
        if name not in known:
            detail = f"{name} is missing; the line has {_names(known, extra)}"
            hint = "every event needs timestamp (integer milliseconds) and event_type"
            raise Refusal(MalformedReason.MISSING_FIELD, detail, hint)
    event = Event(**known, extra=extra)
    if event.reason is not None and event.event_type == _INPUT_ERROR and event.reason not in _REASONS:
        notes[Note.UNKNOWN_REASON] += 1
        event.extra["reason_given"], event.reason = event.reason, InputReason.UNSPECIFIED.value
    return event


def _names(known: Mapping[str, object], extra: Mapping[str, object]) -> str:
    names = ", ".join([*known, *extra])
    return f"only {visible(names, lenient.SHOWN_CHARACTERS)}" if names else "no fields"


def normalise(event: Event, origin: bytes) -> None:
    """Fills in what can be derived: event_id from ``origin`` (where the line stood and what it was), the folder and
    the faults of the path, and the reason of an ``input_error`` that states none."""
    if not event.event_id or len(event.event_id) > MAX_ID_CHARACTERS:
        event.event_id = blake2b(origin, digest_size=16).hexdigest()
    if event.file_path is not None:
        event.file_dir = event.file_dir if event.file_dir is not None else parent(event.file_path)
        event.path_issues = event.path_issues or issue_names(event.file_path) or None
    if event.event_type == _INPUT_ERROR and event.reason is None:
        event.reason = event.path_issues[0] if event.path_issues else InputReason.UNSPECIFIED.value


def _check_size(line: bytes) -> None:
    if len(line) > MAX_LINE_BYTES:
        begin = shown(line[:40].decode("utf-8", "replace"))
        detail = f"the line has {len(line)} bytes, {MAX_LINE_BYTES} are allowed; it begins {begin}"
        hint = "an event holds no pictures or tensors: log their shape and their path"
        raise Refusal(MalformedReason.LINE_TOO_LONG, detail, hint)


def _check_type(event: Event) -> None:
    if event.event_type in _EVENT_TYPES:
        return
    if len(event.event_type) > MAX_TYPE_CHARACTERS or not _EVENT_TYPE.fullmatch(event.event_type):
        near = get_close_matches(event.event_type[:MAX_TYPE_CHARACTERS].lower(), list(EventType), n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise Refusal(
            MalformedReason.UNKNOWN_EVENT_TYPE,
            f"event_type is {shown(event.event_type)}, which is no lower_snake_case word",
            f"use one of {', '.join(EventType)}{meant}",
        )


def _check_time(event: Event, window: _Window) -> None:
    if window.earliest_ms <= event.timestamp <= window.latest_ms:
        return
    away = timedelta(seconds=round(abs(event.timestamp - window.now_ms) / 1_000))
    if event.timestamp > window.latest_ms:
        detail = f"timestamp {event.timestamp} lies {away} ahead of this machine's clock"
        hint = f"compare the clocks of {shown(event.host or 'the writer')} and of this machine (timedatectl)"
        raise Refusal(MalformedReason.TIMESTAMP_FUTURE, detail, hint)
    detail = f"timestamp {event.timestamp} lies {away} back, further than max_age allows"
    hint = "write integer milliseconds since 1970 UTC; to load old logs raise max_age (under ingest) and retention"
    raise Refusal(MalformedReason.TIMESTAMP_PAST, detail, hint)
