"""Batches on their way into the database: safe on disk at once, folded into the table many at a time.

DuckDB compresses and writes whole groups of 122,880 rows; fed with a few thousand events at a time it writes each of
them several times over. So a batch goes to a journal first: its lines, then a trailer with its checkpoint. A batch
without its trailer was never accepted. The database knows the generation of the last journal that was folded into
it, so each is folded once, whenever the process dies.

A batch that would overfill a journal is parted: its first part fills the group and is marked as continued, the rest
with the checkpoint begins the next journal. A first part whose rest is missing was never accepted either.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from daemon.errors import StoreUnavailable
from daemon.store.base import Checkpoint
from recognizer.events import Event

FULL_BYTES = 64 * 1024 * 1024
"""A journal of this size is full, however few its events."""

_INFIX = ".journal-"
_TRAILER = b'{"#batch":'


class _Trailer(msgspec.Struct, rename={"checkpoint": "#batch"}):
    """The last line of a batch or of its first part."""

    checkpoint: Checkpoint | None
    continued: bool = False


def journal_line(event: Event, line: bytes) -> bytes:
    """The event as one line whose keys are the table's columns: its own, unless it has fields of unknown name.

    Those become one text: DuckDB would round their large numbers. Raises ValueError, TypeError or RecursionError
    where the event holds what JSON has no word for.
    """
    if not event.extra:
        return line
    known = msgspec.json.encode(msgspec.structs.replace(event, extra={}))
    text = msgspec.json.encode(msgspec.json.encode(event.extra).decode())
    return known[:-1] + b',"extra":' + text + b"}"


class Journal:
    """A file of batches of one ``generation``; without ``database`` it lies in memory, without a name.

    events        how many it holds
    longest_line  bytes
    checkpoints   the newest of each source, by identity
    """

    def __init__(self, database: Path | None, generation: int) -> None:
        self.generation = generation
        self.events = 0
        self.longest_line = 0
        self.checkpoints: dict[str, Checkpoint] = {}
        self._size = 0
        self._before = (0, 0)
        self._file = database.with_name(f"{database.name}{_INFIX}{generation}") if database is not None else None
        try:
            self._descriptor = _opened(self._file)
        except OSError as error:
            raise _unwritable(str(self._file), error) from error

    @property
    def path(self) -> str:
        """Where DuckDB can read it."""
        return str(self._file) if self._file is not None else f"/proc/self/fd/{self._descriptor}"

    def is_full(self, events: int) -> bool:
        """Whether it holds so many events, or as many bytes as a journal may."""
        return self.events >= events or self._size >= FULL_BYTES

    def append(self, lines: Sequence[bytes], checkpoint: Checkpoint | None, *, continued: bool = False) -> None:
        """Accepts a batch: it survives whatever happens to the process; if ``continued``, once the next journal has
        its rest. Raises StoreUnavailable, and accepts nothing, when it can't be written."""
        data = b"\n".join([*lines, msgspec.json.encode(_Trailer(checkpoint, continued)), b""])
        try:
            _write(self._descriptor, data, self._size)
        except OSError as error:
            self._cut()
            raise _unwritable(self.path, error) from error
        self._note(len(data), lines, checkpoint)

    def retract(self) -> None:
        """Takes the last append back."""
        self._size, self.events = self._before
        self._cut()

    def recover(self, *, continues: bool) -> bool:
        """Takes up what an earlier process left: every accepted batch; what was cut short is cut off.

        ``continues`` says whether the next journal begins with the rest of a batch. Whether this one holds a batch.
        """
        size = 0
        lines: list[bytes] = []
        trailer = None
        for line in self.lines():
            size += len(line)
            if is_trailer(line) and line.endswith(b"}\n"):
                trailer = msgspec.json.decode(line, type=_Trailer)
                self._note(size, lines, trailer.checkpoint)
                size, lines = 0, []
            else:
                lines.append(line)
        if trailer is not None and trailer.continued and not continues:
            self.retract()
        self._cut()
        return self._size > 0

    def lines(self) -> Iterator[bytes]:
        """What was written, trailers included."""
        with Path(self.path).open("rb") as file:
            yield from file

    def close(self, *, keep: bool) -> None:
        """Lets it go; ``keep`` leaves the file to the next process."""
        if self._file is not None and not keep:
            self._file.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _cut(self) -> None:
        with contextlib.suppress(OSError):  # the next append overwrites what is left
            os.ftruncate(self._descriptor, self._size)

    def _note(self, size: int, lines: Sequence[bytes], checkpoint: Checkpoint | None) -> None:
        self._before = self._size, self.events
        self._size += size
        self.events += len(lines)
        self.longest_line = max(self.longest_line, max(map(len, lines), default=0))
        if checkpoint is not None:
            self.checkpoints[checkpoint.identity] = checkpoint


def is_trailer(line: bytes) -> bool:
    """Whether the line of a journal ends a batch instead of being an event."""
    return line.startswith(_TRAILER)


def recovered(database: Path | None, folded: int) -> list[Journal]:
    """The journals that an earlier process left beside its database, oldest first, ready to be folded.

    Those up to the generation ``folded`` are in the database already: they are removed.
    """
    journals = [Journal(database, generation) for generation in _leftovers(database)]
    for journal in journals:
        if journal.generation <= folded:
            journal.close(keep=False)
    left = [journal for journal in journals if journal.generation > folded]
    continues = False
    for journal in reversed(left):
        continues = journal.recover(continues=continues)
    return left


def _leftovers(database: Path | None) -> list[int]:
    if database is None:
        return []
    names = (path.name.removeprefix(database.name + _INFIX) for path in database.parent.glob("*" + _INFIX + "*"))
    return sorted(int(name) for name in names if name.isdecimal())


def _opened(file: Path | None) -> int:
    if file is None:
        return os.memfd_create("wumu-journal", os.MFD_CLOEXEC)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # so that the file's name, too, survives a power cut
    finally:
        os.close(folder)
    return descriptor


def _write(descriptor: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
    os.fdatasync(descriptor)


def _unwritable(path: str, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path} can't be written: {error.strerror}", hint="free disk space or correct the folder's permissions"
    )
