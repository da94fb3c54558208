"""Where events go: a rotating file, standard output, memory. Standard library only.

A sink never raises: ``write`` answers how many lines were taken, the emitter counts the others. A sink that begins to
lose lines says so once on standard error, and once more when it works again.
"""

import contextlib
import errno
import fcntl
import json
import os
import sys
import threading
import time
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, Final, Protocol

_RETRY_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_LOOK_SECONDS: Final = 0.5
_FILE_MODE: Final = 0o640
_STDERR: Final = 2


class Sink(Protocol):
    """What `recognizer.emit.configure` takes."""

    def write(self, lines: bytes, count: int = 1) -> int:
        """Take ``count`` lines, each with its newline, in as few writes as it can. Never raises.

        How many of them, from the first on, were taken whole: the others are lost.
        """
        ...

    def after_fork(self) -> None:
        """Called in a child process before its first event: locks of the parent mean nothing here."""
        ...

    def close(self) -> None: ...


def say(text: str) -> None:
    """One line on standard error, past every buffer and logging handler; a closed one is the caller's choice."""
    try:
        os.write(_STDERR, f"wumu: {text}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        return


class MemorySink:
    """Keeps lines in memory: for the tests of whoever instruments a service."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events so far, as their reader will see them."""
        return [json.loads(line) for line in self.lines]

    def write(self, lines: bytes, count: int = 1) -> int:
        self.lines.extend(lines.splitlines(keepends=True))
        return count

    def after_fork(self) -> None:
        """A list needs no lock."""

    def close(self) -> None:
        """Nothing is held."""


class _Descriptor:
    """An open file to write whole lines to: the lock, the back-off and the torn line that both kinds share."""

    def __init__(self, name: str) -> None:
        self._name = name
        # Reentrant: a signal handler that logs may interrupt a write of its own thread.
        self._lock = threading.RLock()
        self._fd = -1
        self._closed = False
        self._torn = False
        self._failures = 0
        self._retry_at = 0.0
        self._steady_until = 0.0

    def after_fork(self) -> None:
        self._lock = threading.RLock()

    def close(self) -> None:
        """Let go of the file. Lines that come later are lost and counted."""
        with self._lock:
            self._closed = True
            self._steady_until = 0.0
            fd, self._fd = self._fd, -1
            if fd >= 0:
                with contextlib.suppress(OSError):  # closed under us: what had to happen has happened
                    os.close(fd)

    def _put(self, lines: bytes, now: float) -> int:
        """Write in one call, and answer how many bytes were taken; a torn line is closed off first, so that it spoils
        no other."""
        data = b"\n" + lines if self._torn else lines
        try:
            written = os.write(self._fd, data)
        except OSError as fault:
            self._failed(fault, now)
            return 0
        if written < len(data):
            self._short(data, written, now)
            return max(0, written - (len(data) - len(lines)))
        self._torn = False
        if self._failures:
            self._failures = 0
            say(f"events are written again: {self._name}")
        return len(lines)

    def _short(self, data: bytes, written: int, now: float) -> None:
        if written:
            self._torn = data[written - 1 : written] != b"\n"
        self._failed(OSError(errno.ENOSPC, "only a part of a line was taken: no space left"), now)

    def _failed(self, fault: OSError, now: float) -> None:
        if fault.errno == errno.EBADF:
            self._fd = -1  # the service closed it under us (daemonising does): it is no longer ours to close
        if not self._failures:
            say(f"events are lost (and counted): {self._name}: {fault.strerror or fault}; trying again on its own")
        self._steady_until = 0.0
        self._retry_at = now + _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1

    def _resting(self, now: float) -> bool:
        """Whether it is no use to try: closed for good, or too soon after a failure."""
        return self._closed or (self._failures > 0 and now < self._retry_at)


class StdoutSink(_Descriptor):
    """Standard output, for containers whose runtime collects it.

    A pipe takes lines up to 4 KiB in one piece; longer ones of several processes may mix. A full pipe with a slow
    reader makes the writer wait, unless it was opened non-blocking: then the line is lost and counted.
    """

    def __init__(self) -> None:
        super().__init__("standard output")
        self._fd = os.dup(sys.__stdout__.fileno() if sys.__stdout__ is not None else 1)

    def write(self, lines: bytes, count: int = 1) -> int:
        """One by one: a pipe promises to keep only short writes together."""
        if count > 1:
            return sum(1 for _ in takewhile(self.write, lines.splitlines(keepends=True)))
        now = time.monotonic()
        with self._lock:
            return int(not self._resting(now) and self._fd >= 0 and self._put(lines, now) == len(lines))


class FileSink(_Descriptor):
    """A file of JSON lines that rotates by rename: ``events.jsonl``, ``events.jsonl.1`` … up to ``keep`` old ones.

    path        the file; its folder is made when missing
    max_bytes   rotate when the file has grown beyond this; 0 leaves rotation to others (logrotate)
    keep        how many rotated files stay

    Every line goes out in one appending write: lines of several processes on the same file never mix, and what was
    written survives the death of the process (kill -9; for power loss the file system decides). A file that was
    renamed, truncated or deleted by someone else is noticed within a second and opened anew.
    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int = 100 * 1024 * 1024, keep: int = 5) -> None:
        if max_bytes < 0 or keep < 1:
            raise ValueError(f"max_bytes must be 0 or more and keep at least 1, not {max_bytes} and {keep}")
        self._path = Path(os.fspath(path)).absolute()
        super().__init__(str(self._path))
        self._max_bytes = max_bytes or sys.maxsize
        self._keep = keep
        self._identity = (0, 0)
        self._size = 0
        self._rotate_beyond = self._max_bytes

    def write(self, lines: bytes, count: int = 1) -> int:
        now = time.monotonic()
        if now < self._steady_until:
            # The usual case takes no lock: an appending write is whole by itself, and the number of the descriptor
            # stays the same when the file behind it is changed.
            try:
                taken = os.write(self._fd, lines)
            except OSError as fault:
                with self._lock:
                    self._failed(fault, now)
                return 0
            self._size += taken
            if taken == len(lines):
                if self._size >= self._rotate_beyond:
                    with self._lock:
                        self._rotate()
                return count
            with self._lock:
                self._short(lines, taken, now)
        else:
            with self._lock:
                taken = self._write_looking(lines, now)
        return count if taken == len(lines) else lines.count(b"\n", 0, taken)

    def _write_looking(self, lines: bytes, now: float) -> int:
        """How many bytes were taken. Sees to the file first: twice a second, and as long as something is wrong."""
        if self._resting(now):
            return 0
        try:
            self._look()
        except OSError as fault:
            self._failed(fault, now)
            return 0
        taken = self._put(lines, now)
        self._size += taken
        if taken == len(lines):
            self._steady_until = now + _LOOK_SECONDS
            if self._size >= self._rotate_beyond:
                self._rotate()
        return taken

    def _look(self) -> None:
        """Open the file, unless the open one is still the one at its path."""
        if self._fd >= 0 and self._is_current():
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        fd = os.open(self._path, flags, _FILE_MODE)
        status = os.fstat(fd)
        if self._fd >= 0:
            fd_before, fd = fd, os.dup2(fd, self._fd, inheritable=False)
            os.close(fd_before)
        self._fd, self._identity, self._size = fd, _identity(status), status.st_size
        self._rotate_beyond = self._max_bytes
        # Another writer may have died, or run out of space, in the middle of its last line.
        self._torn = status.st_size > 0 and os.pread(fd, 1, status.st_size - 1) not in {b"\n", b""}

    def _is_current(self) -> bool:
        """Whether the open file is the one at the path; takes note how far other processes have filled it."""
        try:
            mine = _identity(os.fstat(self._fd))
        except OSError:
            mine = None
        if mine != self._identity:
            self._fd = -1  # the service closed it, perhaps opened something else under its number: not ours any more
            return False
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        self._size = there.st_size
        return _identity(there) == mine

    def _rotate(self) -> None:
        """Rename under a lock file: of several processes one does it, the others find the new file."""
        self._steady_until = 0.0
        try:
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                status = self._path.stat()
                if _identity(status) == self._identity and status.st_size >= self._max_bytes:
                    self._shift()
            finally:
                os.close(lock)
        except (BlockingIOError, FileNotFoundError):
            return  # another process is at it: the next write looks for the new file
        except OSError as fault:
            # The events are safe in the file that has grown too long; only its rotation must wait.
            say(f"cannot rotate {self._name}: {fault.strerror or fault}; writing on into the same file")
            self._rotate_beyond = self._size + self._max_bytes

    def _shift(self) -> None:
        names = [self._path, *(Path(f"{self._path}.{n}") for n in range(1, self._keep + 1))]
        for newer, older in reversed(list(pairwise(names))):
            if newer.exists():
                newer.rename(older)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
