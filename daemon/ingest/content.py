"""The bytes of a log file, plain or gzip, read at any place without moving the writer's position."""

import errno
import gzip
import os
import stat
import zlib
from typing import Protocol

from daemon.errors import WumuError

_GZIP_MAGIC = b"\x1f\x8b"
_NUL_PROBE_BYTES = 64 * 1024


class Unreadable(WumuError):
    """A file that can't be read now; the others go on."""


class Content(Protocol):
    """What a source reads from. ``fixed`` content never changes (a compressed file)."""

    fixed: bool

    def read_at(self, offset: int, size: int) -> bytes:
        """At most ``size`` bytes; fewer only at the end."""
        ...

    def size(self) -> int:
        """Bytes there are now (of a compressed file: modulo 2**32, as it says itself)."""
        ...

    def linked(self) -> bool:
        """Whether the file still has a name anywhere."""
        ...

    def close(self) -> None: ...


class Plain:
    """An open regular file."""

    fixed = False

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def linked(self) -> bool:
        return os.fstat(self._descriptor).st_nlink > 0

    def next_data(self, offset: int) -> int:
        """The next place at or after ``offset`` that is not in a hole of a sparse file; its size if there is none."""
        try:
            return os.lseek(self._descriptor, offset, os.SEEK_DATA)
        except OSError as error:
            # ENXIO: nothing but a hole follows. Anything else: this file system knows no holes, so read on.
            return self.size() if error.errno == errno.ENXIO else offset

    def close(self) -> None:
        os.close(self._descriptor)


class Gzip:
    """A compressed rotated file. Reading forward is cheap, reading back starts again from the beginning."""

    fixed = True

    def __init__(self, descriptor: int) -> None:
        self._raw = os.fdopen(descriptor, "rb")
        self._stream = gzip.GzipFile(fileobj=self._raw, mode="rb")

    def read_at(self, offset: int, size: int) -> bytes:
        try:
            self._stream.seek(offset)
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Unreadable(
                f"it is not a complete gzip file ({error})",
                hint="it is read once it is whole; if no program is writing it any more, restore it from a copy",
            ) from error

    def size(self) -> int:
        trailer = os.pread(self._raw.fileno(), 4, max(0, os.fstat(self._raw.fileno()).st_size - 4))
        return int.from_bytes(trailer, "little")

    def linked(self) -> bool:
        return os.fstat(self._raw.fileno()).st_nlink > 0

    def close(self) -> None:
        self._stream.close()
        self._raw.close()


def open_content(path: str, inode: tuple[int, int]) -> Content | None:
    """Open the file that was found under ``path``; None when something else stands there by now.

    Raises OSError when it can't be opened. Never blocks, not even where a pipe took the file's place.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        status = os.fstat(descriptor)
        same = stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) == inode
        compressed = same and os.pread(descriptor, len(_GZIP_MAGIC), 0) == _GZIP_MAGIC
    except OSError:
        os.close(descriptor)
        raise
    if not same:
        os.close(descriptor)
        return None
    return Gzip(descriptor) if compressed else Plain(descriptor)


def after_nuls(content: Content, offset: int) -> int | None:
    """The first byte at or after ``offset`` that is not NUL, or None when only NULs follow up to the end.

    A power loss and a writer without O_APPEND leave such runs; as holes they may be far larger than the disk.
    """
    while True:
        if isinstance(content, Plain):
            offset = content.next_data(offset)
        block = content.read_at(offset, _NUL_PROBE_BYTES)
        if not block:
            return None
        zeros = len(block) - len(block.lstrip(b"\0"))
        offset += zeros
        if zeros < len(block):
            return offset
