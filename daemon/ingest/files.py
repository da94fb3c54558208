"""The files being read, and the decision what a file that turns up is: new, the continuation of one, or a copy."""

import logging
import resource
from collections.abc import Iterator

from daemon.ingest.content import Content, Plain, Unreadable, after_nuls, open_content
from daemon.ingest.discover import Found
from daemon.ingest.identity import HEAD_BYTES, Consumed, Head
from daemon.ingest.source import Source
from daemon.store.base import Checkpoint
from recognizer.paths import visible

logger = logging.getLogger(__name__)

Inode = tuple[int, int]

_SHARE_OF_DESCRIPTORS = 2
"""Ingest takes half of the process's file descriptors at most and leaves the rest to everybody else."""
_LINE_ENDS = (b"\n", b"\0")
_GZIP_SIZE_MODULUS = 2**32


def shown(path: str) -> str:
    """A path as a message and a checkpoint may hold it: valid text, nothing invisible."""
    return visible(path, 512)


class Files:
    """Sources by inode. What has been read of each content is in ``consumed``, whatever its inode or name."""

    def __init__(self, consumed: Consumed, *, open_limit: int | None = None) -> None:
        self.consumed = consumed
        self._sources: dict[Inode, Source] = {}
        self._copies: set[Inode] = set()
        soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._open_limit = open_limit or soft_limit // _SHARE_OF_DESCRIPTORS

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources.values())

    def open_count(self) -> int:
        return sum(source.content is not None for source in self)

    def order(self, found: list[Found]) -> list[tuple[Inode, Found | None]]:
        """What to look at, one after the other: files without a name any more, the known, the unknown; oldest first.

        The known go first, so that a copy of one is recognised as such.
        """
        seen = {file.inode for file in found}
        gone: list[tuple[Inode, Found | None]] = [(inode, None) for inode in self._sources if inode not in seen]
        known = [(file.inode, file) for file in found if file.inode in self._sources]
        unknown = [(file.inode, file) for file in found if file.inode not in self._sources]
        self._copies &= seen
        return [*gone, *known, *unknown]

    def source(self, inode: Inode, found: Found | None, now_s: float) -> Source | None:
        """The source behind an inode, open where there may be something to read; None where there is none.

        Raises OSError and Unreadable when the file can't be read.
        """
        source = self._sources.get(inode)
        if source is None:
            source = self._adopt(found, now_s) if found is not None else None
            if source is None:
                return None
            self._sources[inode] = source
        size, modified_ns = (source.content_size(), 0) if found is None else (found.size, found.modified_ns)
        if (size, modified_ns) != (source.size, source.modified_ns):
            source.size, source.modified_ns, source.changed_at = size, modified_ns, now_s
            source.waiting = source.ended = False
        source.superseded = found is None or found.rotated
        source.path = source.path if found is None else found.path
        if source.content is None and (found is None or not source.waiting):
            source.content = None if found is None else open_content(found.path, inode)
            if source.content is None:
                self.forget(inode)
                return None
        return source

    def forget(self, inode: Inode) -> None:
        """Stop reading a file; what has been consumed of its content stays known."""
        source = self._sources.pop(inode, None)
        if source is not None:
            source.close()

    def rest(self, source: Source) -> None:
        """After its turn: give the descriptor back for good, or until the next turn where there are too few for all."""
        if source.content is not None and (source.ended or len(self._sources) > self._open_limit):
            source.close()

    def past(self, found: Found) -> Checkpoint | None:
        """The checkpoint that declares a whole file as read: it was rotated before we were first asked to look."""
        content = open_content(found.path, found.inode)
        if content is None:
            return None
        try:
            start, begin = _beginning(content)
            size = content.size() if begin else 0
        finally:
            content.close()
        if not begin:
            return None
        head = Head(start, begin)
        self.consumed.record(head, size)
        return Checkpoint(head.identity(), shown(found.path), size)

    def _adopt(self, found: Found, now_s: float) -> Source | None:
        content = open_content(found.path, found.inode)
        if content is None:
            return None
        source = None
        try:
            start, begin = _beginning(content)
            original = self._original(begin, content.size())
            if original is not None:
                self._tell_copy(found, content, original, begin)
                return None
            source = self._continued(found, content, start, begin)
            if source is not None:
                source.size, source.modified_ns, source.changed_at = found.size, found.modified_ns, now_s
        finally:
            if source is None:
                content.close()
        return source

    def _continued(self, found: Found, content: Content, start: int, begin: bytes) -> Source | None:
        known = self.consumed.find(start, begin)
        if known is None:
            return Source(found.path, content, Head(), 0)
        head, offset = known
        size = content.size()
        if content.fixed:
            source = Source(found.path, content, head, offset)
            source.ended = source.waiting = size == offset % _GZIP_SIZE_MODULUS
            return source
        if size < offset:
            if found.rotated:
                return None  # a shorter copy of what was read, or one that is still being written
            logger.warning(
                "%s is shorter (%d bytes) than what was read of it (%d bytes): going on from its end",
                shown(found.path), size, offset,
            )  # fmt: skip
            return Source(found.path, content, head, size)
        if size > offset > 0 and content.read_at(offset - 1, 1) not in _LINE_ENDS:
            logger.warning(
                "%s changed below byte %d, where reading had stopped: reading it again from the beginning; events that "
                "are stored already are recognised by their event_id",
                shown(found.path), offset,
            )  # fmt: skip
            return Source(found.path, content, Head(), 0)
        return Source(found.path, content, head, offset)

    def _tell_copy(self, found: Found, content: Content, original: Source, begin: bytes) -> None:
        """Say that a file is taken for a copy. Raises Unreadable for one that only begins as another does: it can't be
        told from a copy after a restart, so it can't be read."""
        if len(begin) < HEAD_BYTES or found.inode in self._copies:
            return
        if not content.fixed and isinstance(original.content, Plain):
            place = content.size() - HEAD_BYTES
            if content.read_at(place, HEAD_BYTES) != original.content.read_at(place, HEAD_BYTES):
                raise Unreadable(
                    f"it begins with the same {HEAD_BYTES} bytes as {shown(original.path)} and goes on differently",
                    hint="let every log file begin with a line of its own, for example one with the time",
                )
        self._copies.add(found.inode)
        logger.info("%s is a copy of %s: it is not read twice", shown(found.path), shown(original.path))

    def _original(self, begin: bytes, size: int) -> Source | None:
        """The source whose file begins like this one and is no shorter: while it lives, the other is a copy of it."""
        if not begin:
            return None
        for source in self:
            if size > source.extent():
                continue
            consumed = source.head.data
            if consumed.startswith(begin):
                return source
            if consumed and begin.startswith(consumed) and source.content is not None:
                present = source.content.read_at(source.head.start, HEAD_BYTES)
                if present.startswith(begin):
                    return source
        return None


def _beginning(content: Content) -> tuple[int, bytes]:
    """Where the content begins, and its first HEAD_BYTES."""
    begin = content.read_at(0, HEAD_BYTES)
    if begin[:1] != b"\0":
        return 0, begin
    start = after_nuls(content, 0)
    return (0, b"") if start is None else (start, content.read_at(start, HEAD_BYTES))
