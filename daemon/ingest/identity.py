"""Content identity: a log file is known by how it begins, so it is found again under any name and inode.

The identity covers the first 1,024 consumed bytes. While fewer have been consumed it covers exactly these, so each
short identity is a plain fact ("this very content has been read") and stays true whatever the file becomes later.
"""

import hashlib
import re
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass

from daemon.store.base import Checkpoint

HEAD_BYTES = 1024
_DIGEST_BYTES = 16
_LINE_END = re.compile(rb"[\n\0]")


@dataclass(frozen=True, slots=True)
class Head:
    """The consumed beginning of a file.

    start   where the content begins: after the NUL bytes that a writer without O_APPEND leaves when its file was cut
    data    the first consumed bytes from there on, at most HEAD_BYTES
    """

    start: int = 0
    data: bytes = b""

    @property
    def full(self) -> bool:
        return len(self.data) >= HEAD_BYTES

    def identity(self) -> str:
        return _identity(self.start, self.data)

    def origin(self) -> str:
        """Identity of the first line alone: the same from the first read on, for the names of what the file holds."""
        return _identity(self.start, _LINE_END.split(self.data, maxsplit=1)[0])

    def grown(self, consumed: bytes) -> "Head":
        """The head after ``consumed`` followed it."""
        if self.full:
            return self
        return Head(self.start, (self.data + consumed[:HEAD_BYTES])[:HEAD_BYTES])


def _identity(start: int, data: bytes) -> str:
    digest = hashlib.blake2b(data, digest_size=_DIGEST_BYTES, salt=start.to_bytes(8, "big"))
    return f"{len(data)}-{digest.hexdigest()}"


class Consumed:
    """What has been read of every content seen so far: the checkpoints, searchable by how a file begins."""

    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        self._offsets: dict[str, int] = {}
        self._lengths: list[int] = []
        for checkpoint in checkpoints:
            length = checkpoint.identity.split("-", 1)[0]
            if length.isdigit():
                self._put(checkpoint.identity, int(length), checkpoint.offset)

    def record(self, head: Head, offset: int) -> None:
        """Everything before ``offset`` of the content that begins like this has been stored."""
        self._put(head.identity(), len(head.data), offset)

    def find(self, start: int, begin: bytes) -> tuple[Head, int] | None:
        """The longest known head that a file beginning with ``begin`` continues, and how far it has been read."""
        for length in reversed(self._lengths):
            if 0 < length <= len(begin):
                head = Head(start, begin[:length])
                offset = self._offsets.get(head.identity())
                if offset is not None:
                    return head, offset
        return None

    def _put(self, identity: str, length: int, offset: int) -> None:
        if length not in self._lengths:
            insort(self._lengths, length)
        self._offsets[identity] = offset
