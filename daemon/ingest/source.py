"""One log file that is being read: where we are in it, and its next block of complete lines."""

import logging
from dataclasses import dataclass

from daemon.ingest.content import Content, after_nuls
from daemon.ingest.identity import HEAD_BYTES, Head
from recognizer.events import MAX_LINE_BYTES
from recognizer.paths import visible

logger = logging.getLogger(__name__)

BLOCK_BYTES = 2 * 1024 * 1024
"""Read at once. More than MAX_LINE_BYTES, so that a line within the limit always fits."""
_BYTES_A_LINE = 1024
"""More than most lines have: few lines need no large block."""
KEPT_OF_LONG_LINE_BYTES = 4096
_SEARCH_BYTES = 64 * 1024 * 1024
"""How far one pass looks for the end of a line that is too long."""
_NUL_RUN = b"\0" * 4096


class Replaced(Exception):
    """The file no longer begins with what was read from it: it was cut to nothing, rewritten, or its inode reused."""


@dataclass(frozen=True, slots=True)
class Block:
    """Complete lines of a file.

    start, end   their place, bytes; everything before ``end`` is consumed once the block is stored
    lines        without newline; may be empty strings
    length       of a line that is too long, bytes, otherwise 0; ``lines`` then holds only its beginning
    head         how the file begins, once the block is consumed
    """

    start: int
    end: int
    lines: list[bytes]
    head: Head
    length: int = 0


class Source:
    """A file, known by its content, and the place up to which it has been stored.

    Nothing is remembered between two reads but the place: the file itself is the buffer.

    offset        bytes stored; a place where a line begins
    size          bytes, and ``modified_ns`` its time of change, as last seen on disk
    changed_at    when either changed last, monotonic seconds
    superseded    its name is that of a rotated file, or it has none any more
    waiting       nothing to read until the file changes
    ended         read to its very end, a last line without newline included
    """

    def __init__(self, path: str, content: Content, head: Head, offset: int) -> None:
        self.path = path
        self.content: Content | None = content
        self.fixed = content.fixed
        self.head = head
        self.offset = offset
        self.size = 0
        self.modified_ns = -1
        self.changed_at = 0.0
        self.superseded = False
        self.waiting = False
        self.ended = False
        self._searched_to = 0
        self._searching = False

    def read(self, batch_lines: int, *, to_the_end: bool = False) -> Block | None:
        """The next complete lines, at most about ``batch_lines``, or None while there is none.

        A last line without newline is left until it has one, or taken as it is with ``to_the_end``. NUL bytes end a
        line: JSON never holds one, so a line torn by a power loss does not spoil the whole line that follows it.
        Raises Replaced, OSError, Unreadable.
        """
        content = self.content
        if content is None:
            return None
        if not content.fixed and content.size() < self.offset:
            self._shrunk(content)
        self._searching = False
        raw = b"" if content.fixed else content.read_at(self.offset, min(BLOCK_BYTES, batch_lines * _BYTES_A_LINE))
        if b"\n" not in raw:
            raw = content.read_at(self.offset, BLOCK_BYTES)
        if raw[:1] == b"\0":
            raw = self._pass_nuls(content)
        block = self._cut(content, raw, batch_lines, to_the_end=to_the_end) if raw else None
        # Looked at after reading: had the file been cut before, its beginning would be another one by now.
        self.verify()
        self.waiting = block is None and not self._searching
        return block

    def verify(self) -> None:
        """Raise Replaced unless the file still begins with what was consumed of it."""
        content = self.content
        if content is None or content.fixed:
            return
        if self.head.data:
            if content.read_at(self.head.start, len(self.head.data)) != self.head.data:
                raise Replaced
        elif content.size() < self.offset:
            raise Replaced

    def advance(self, block: Block) -> None:
        """The block has been stored."""
        self.offset = block.end
        self.head = block.head

    def lag_bytes(self) -> int:
        """Bytes written and not yet stored; 0 for a compressed file, whose length is not known."""
        return 0 if self.fixed else max(0, self.size - self.offset)

    def close(self) -> None:
        if self.content is not None:
            self.content.close()
            self.content = None

    def content_size(self) -> int:
        """Bytes in the open file now; as many as last seen when it is closed."""
        return self.size if self.content is None else self.content.size()

    def extent(self) -> int:
        """How far the content is known to reach, bytes."""
        return self.offset if self.fixed else max(self.offset, self.content_size())

    def _shrunk(self, content: Content) -> None:
        """The end of the file is gone, as after a power loss, but its beginning stands: go on where it ends now."""
        self.verify()
        size = content.size()
        logger.warning(
            "%s was cut from at least %d to %d bytes: going on from its new end",
            visible(self.path), self.offset, size,
        )  # fmt: skip
        self.offset = size

    def _pass_nuls(self, content: Content) -> bytes:
        """Step over the NULs that stand where a line should begin, unless nothing follows them yet."""
        position = after_nuls(content, self.offset)
        if position is None:
            return b""
        if self.head.data:
            self.head = self.head.grown(bytes(min(HEAD_BYTES, position - self.offset)))
        else:
            self.head = Head(position)
        self.offset = position
        return content.read_at(position, BLOCK_BYTES)

    def _cut(self, content: Content, raw: bytes, batch_lines: int, *, to_the_end: bool) -> Block | None:
        cut = raw.rfind(b"\n") + 1
        if cut:
            return self._lines(raw[:cut] if b"\0" in raw else raw, batch_lines)
        nul = raw.find(b"\0")
        if 0 < nul <= MAX_LINE_BYTES and (following := after_nuls(content, self.offset + nul)) is not None:
            return self._block([raw[:nul]], raw, following)
        if len(raw) > MAX_LINE_BYTES:
            return self._too_long(content, raw, to_the_end=to_the_end)
        if to_the_end:
            return self._block([raw.rstrip(b"\0")], raw, self.offset + len(raw))
        return None

    def _lines(self, data: bytes, batch_lines: int) -> Block:
        run = data.find(_NUL_RUN)
        if run >= 0:
            data = data[: run + 1]
        lines = data.replace(b"\0", b"\n").split(b"\n", batch_lines)
        rest = lines.pop()
        return self._block(lines, data, self.offset + len(data) - len(rest))

    def _too_long(self, content: Content, raw: bytes, *, to_the_end: bool) -> Block | None:
        """Find the end of a line beyond the limit without keeping it in memory."""
        position = max(self._searched_to, self.offset + len(raw))
        limit = position + _SEARCH_BYTES
        while position < limit:
            piece = content.read_at(position, BLOCK_BYTES)
            end = piece.find(b"\n")
            if end >= 0 or (not piece and to_the_end):
                position += end + 1 if end >= 0 else 0
                length = position - self.offset - (end >= 0)
                return self._block([raw[:KEPT_OF_LONG_LINE_BYTES]], raw, position, length=length)
            if not piece:
                break
            position += len(piece)
        self._searching = position >= limit
        self._searched_to = position
        return None

    def _block(self, lines: list[bytes], raw: bytes, end: int, *, length: int = 0) -> Block:
        head = self.head.grown(raw[: min(HEAD_BYTES, end - self.offset)])
        return Block(self.offset, end, lines, head, length)
