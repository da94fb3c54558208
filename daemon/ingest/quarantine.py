"""Where lines go that are no events: one JSON file a day, bounded in size and age, with the place of each line."""

import base64
import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.errors import WumuError
from daemon.ingest.source import KEPT_OF_LONG_LINE_BYTES
from detectors.duration import DAY_MS
from recognizer.events import Malformed, MalformedReason
from recognizer.paths import visible

_log = logging.getLogger(__name__)

DAY_LIMIT_BYTES = 16 * 1024 * 1024
KEEP_DAYS = 30
LINE_LIMIT_BYTES = 64 * 1024
"""Kept of a line: far more than an event has, so that what is kept can be replayed as it was."""
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640


LineKey = tuple[str, int, bytes]
"""What makes a quarantined line one and the same: the content it stands in, where, and what it says."""


class QuarantineError(WumuError):
    """The quarantine can't be written, so the lines stay where they are."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A malformed line and where it stands: ``offset`` bytes into the file whose content begins with ``identity``."""

    file: str
    identity: str
    offset: int
    malformed: Malformed
    length: int

    def kept(self) -> bytes:
        """As much of the line as is kept: of one that is too long for an event, only what shows whose it is."""
        too_long = self.malformed.reason is MalformedReason.LINE_TOO_LONG
        return self.malformed.line[: KEPT_OF_LONG_LINE_BYTES if too_long else LINE_LIMIT_BYTES]

    def key(self) -> LineKey:
        return self.identity, self.offset, self.kept()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A line read back from the quarantine. ``line`` holds at most LINE_LIMIT_BYTES of its ``length`` bytes."""

    at_ms: int
    file: str
    identity: str
    offset: int
    reason: MalformedReason
    detail: str
    hint: str
    line: bytes
    length: int


class Quarantine:
    """Appends to today's file. One writer; readers may look at any time with `read_quarantine`."""

    def __init__(self, folder: Path, *, day_limit_bytes: int = DAY_LIMIT_BYTES, keep_days: int = KEEP_DAYS) -> None:
        self._folder = folder
        self._day_limit_bytes = day_limit_bytes
        self._keep_days = keep_days
        self._day = ""

    def put(self, misfits: Sequence[Misfit], now_ms: int) -> int:
        """Write the lines to disk for good; how many did not fit under the day's limit and were only counted.

        Raises QuarantineError when the disk does not take them.
        """
        if not misfits:
            return 0
        path = _file_of(self._folder, now_ms)
        try:
            if path.stem != self._day:
                self._begin_day(path, now_ms)
            return self._append(path, misfits, now_ms)
        except OSError as error:
            raise QuarantineError(
                f"can't write malformed lines to {visible(str(path))}: {error.strerror}",
                hint="make room or grant write access; the log files are not read past these lines until then",
            ) from error

    def _begin_day(self, path: Path, now_ms: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
        expire_quarantine(self._folder, now_ms - self._keep_days * DAY_MS)
        self._day = path.stem

    def _append(self, path: Path, misfits: Sequence[Misfit], now_ms: int) -> int:
        fresh = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, _FILE_MODE)
        with os.fdopen(descriptor, "ab") as file:
            size = os.fstat(descriptor).st_size
            # A crash may have left half a line: end it, so that it spoils nothing.
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            text, left_out = _render(misfits, now_ms, self._day_limit_bytes - size)
            file.write(b"\n" + text if torn else text)
            file.flush()
            os.fsync(descriptor)
        if fresh:
            _sync_folder(self._folder)
        return left_out


def expire_quarantine(folder: Path, before_ms: int) -> None:
    """Remove the files of the days that ended before that time. What can't be removed is said."""
    oldest = _file_of(folder, before_ms).name
    for old in folder.glob("????-??-??.jsonl"):
        try:
            if old.name < oldest:
                old.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("old malformed lines can't be removed: %s: %s", visible(str(old)), error.strerror)


def read_quarantine(folder: Path, *, day: str | None = None) -> Iterator[Quarantined]:
    """The quarantined lines, oldest first, of one day (``YYYY-MM-DD``, UTC) or of all days.

    A line that a crash made us write twice is told once: the same bytes at the same place of the same content, under
    whatever name.
    """
    seen: set[tuple[str, int, bytes]] = set()
    for record in _records(folder, day):
        if "reason" not in record:
            continue
        entry = _parsed(record)
        key = (entry.identity, entry.offset, hashlib.blake2b(entry.line, digest_size=16).digest())
        if key not in seen:
            seen.add(key)
            yield entry


def not_kept(folder: Path, *, day: str | None = None) -> Counter[MalformedReason]:
    """How many malformed lines were counted but not kept, because the day's file was full."""
    total: Counter[MalformedReason] = Counter()
    for record in _records(folder, day):
        for reason, count in record.get("not_kept", {}).items():
            total[MalformedReason(reason)] += count
    return total


def _file_of(folder: Path, now_ms: int) -> Path:
    return folder / f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y-%m-%d}.jsonl"


def _render(misfits: Sequence[Misfit], now_ms: int, room: int) -> tuple[bytes, int]:
    """The lines that fit, and one record that counts those that don't."""
    lines: list[bytes] = []
    left_out: Counter[MalformedReason] = Counter()
    for misfit in misfits:
        line = json.dumps(_record(misfit, now_ms), ensure_ascii=True).encode() + b"\n"
        if not left_out and len(line) <= room:
            room -= len(line)
            lines.append(line)
        else:
            left_out[misfit.malformed.reason] += 1
    if left_out:
        lines.append(json.dumps({"at_ms": now_ms, "not_kept": left_out}).encode() + b"\n")
    return b"".join(lines), left_out.total()


def _record(misfit: Misfit, now_ms: int) -> dict[str, Any]:
    malformed = misfit.malformed
    line = misfit.kept()
    record: dict[str, Any] = {
        "at_ms": now_ms,
        "file": misfit.file,
        "identity": misfit.identity,
        "offset": misfit.offset,
        "reason": malformed.reason,
        "detail": malformed.detail,
        "hint": malformed.hint,
        "length": misfit.length,
    }
    try:
        record["line"] = line.decode()
    except UnicodeDecodeError:
        record["line_base64"] = base64.b64encode(line).decode()
    return record


def _parsed(record: dict[str, Any]) -> Quarantined:
    text = record.get("line")
    return Quarantined(
        at_ms=record["at_ms"],
        file=record["file"],
        identity=record["identity"],
        offset=record["offset"],
        reason=MalformedReason(record["reason"]),
        detail=record["detail"],
        hint=record["hint"],
        line=base64.b64decode(record["line_base64"]) if text is None else text.encode(),
        length=record["length"],
    )


def _records(folder: Path, day: str | None) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(f"{day or '????-??-??'}.jsonl")):
        with path.open("rb") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue  # half a line, left by a crash while it was written; it was written again after that


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
