"""The dead letters of the logs: lines that are no events, and events that the store refused.

Ingest keeps both in its quarantine; Elasticsearch's store keeps whole what the cluster refused before the place in the
log moves on, so a letter may stand in either or in both. Here they are one list, and a letter can be tried again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from daemon.ingest.quarantine import LINE_LIMIT_BYTES, read_quarantine
from daemon.store.elastic.files import DEAD_LETTERS_FILE, read_dead_letters
from recognizer.decode_lines import MAX_ID_CHARACTERS, decode, decode_batch
from recognizer.events import Event, Malformed, MalformedReason, fields
from rules.model import IngestConfig

QUARANTINE = "quarantine"
"""The folder of the quarantine in the state folder."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A line that was put aside.

    id          of a refused event it follows from the event, of any other line from its place and text
    at_ms       when it was put aside; 0 where that is not known
    file        where it stood, and ``offset`` at which byte, None where that is not known
    line        as much of it as was kept of its ``length`` bytes
    """

    id: str
    at_ms: int
    file: str
    offset: int | None
    reason: MalformedReason
    detail: str
    hint: str
    line: bytes
    length: int

    @property
    def whole(self) -> bool:
        return len(self.line) == self.length

    def text(self) -> str:
        """The line as text; bytes that are no UTF-8 as ``xNN`` with a backslash."""
        return self.line.decode("utf-8", "backslashreplace")

    def is_open(self, replayed_ms: int | None) -> bool:
        """Whether it still waits. One that was put aside anew after its replay does."""
        return replayed_ms is None or self.at_ms > replayed_ms


def letters(state_dir: Path) -> Iterator[Letter]:
    """All that are kept, oldest first and those of unknown time last. One that was put aside again comes again."""
    seen: set[str] = set()
    for entry in read_quarantine(state_dir / QUARANTINE):
        refused = entry.reason is MalformedReason.REFUSED_BY_STORE
        place = b"" if refused else f"{entry.identity}\0{entry.offset}\0".encode()
        letter = Letter(
            _digest(place + entry.line), entry.at_ms, entry.file, entry.offset, entry.reason, entry.detail, entry.hint,
            entry.line, entry.length,
        )  # fmt: skip
        seen.add(letter.id)
        yield letter
    for malformed, file in read_dead_letters(state_dir / DEAD_LETTERS_FILE):
        line = malformed.line
        letter_id = _digest(line[:LINE_LIMIT_BYTES])
        if letter_id not in seen or len(line) > LINE_LIMIT_BYTES:  # here the whole line was kept, there its beginning
            seen.add(letter_id)
            yield Letter(letter_id, 0, file, None, malformed.reason, malformed.detail, malformed.hint, line, len(line))


def revived(letter: Letter, mended: str | None, config: IngestConfig, now_ms: int) -> tuple[Event, bytes] | Malformed:
    """The event of the letter, or of the line that somebody mended, with its canonical line; or why it is none yet.

    An event without a name of its own is called by the letter's id, so that it is stored once however often it is
    tried and whatever was mended.
    """
    if mended is None and not letter.whole:
        detail = f"only the first {len(letter.line)} of its {letter.length} bytes were kept"
        return Malformed(letter.line, letter.reason, detail, "mend it: give the whole line with --mended")
    line = letter.line if mended is None else mended.encode("utf-8", "backslashreplace")
    event = decode(line)
    if isinstance(event, Malformed):
        return event
    nameless = not event.event_id or len(event.event_id) > MAX_ID_CHARACTERS
    if nameless or mended is not None:  # else it stays as it is: refused again, it must be the same letter
        event.event_id = letter.id if nameless else event.event_id
        line = msgspec.json.encode(fields(event))
    decoded = decode_batch([line], now_ms=now_ms, max_age_ms=config.max_age_ms, max_future_ms=config.max_future_ms)
    return decoded.malformed[0] if decoded.malformed else (decoded.events[0], decoded.lines[0])


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=12).hexdigest()
