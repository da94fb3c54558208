"""The one emitter of a process: stamps events, hands their lines to a sink, counts what is lost.

Standard library only. `recognizer.emit` is the door for those who instrument a service.
"""

import contextlib
import itertools
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from time import time_ns
from typing import Any, Final

from recognizer.batch import join_lines
from recognizer.encode import as_text, encode
from recognizer.limits import SCHEMA_VERSION
from recognizer.paths import parent, visible
from recognizer.sinks import FileSink, MemorySink, Sink, say

_RUN_BYTES: Final = 8
_MAX_HEADS: Final = 64


class _Unconfigured:
    """Before `configure`: events are lost, which is said once."""

    def __init__(self) -> None:
        self._said = False

    def write(self, _line: bytes) -> bool:
        if not self._said:
            self._said = True
            say("events are lost: call recognizer.emit.configure(sink=…) first; sink=None switches them off")
        return False

    def write_lines(self, lines: Sequence[bytes]) -> int:
        return int(self.write(b"".join(lines)))

    def after_fork(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""


class _Held(threading.local):
    """What keeps a thread's lines back until the end of its `Emitter.together` block, None outside of one.

    ``told``: which of them tell of earlier losses (their index and the count).
    """

    sink: MemorySink | None = None
    told: tuple[tuple[int, int], ...] = ()


class Emitter:
    """Stamps events and hands their lines to a sink; ``sink`` None switches it off."""

    def __init__(self) -> None:
        self.dropped = 0
        self._complaints: set[str] = set()
        self.sink: Sink | None = _Unconfigured()
        self._model_name: str | None = None
        self._host = socket.gethostname()
        self._renew()

    def configure(self, sink: Sink | None, model_name: str | None, host: str | None) -> None:
        """Take another sink, and close the one before. Its losses are told by the first event that is written."""
        before, self.sink = self.sink, sink
        self._model_name = model_name
        self._host = host if host is not None else socket.gethostname()
        self._renew()
        if before is not None and before is not sink:
            before.close()

    def _renew(self) -> None:
        """A run id and a lock of this process alone: event_ids stay unique, and no lock is held by a lost thread."""
        self._lock = threading.RLock()
        self._held = _Held()
        self._run = os.urandom(_RUN_BYTES).hex() + "-"
        self._next = itertools.count(1).__next__
        self._common: dict[str, Any] = {
            "event_type": None,
            "host": self._host,
            "pid": os.getpid(),
            "schema_version": SCHEMA_VERSION,
        }
        if self._model_name is not None:
            self._common["model_name"] = self._model_name
        self._heads: dict[str, bytes] = {}

    def after_fork(self) -> None:
        """Begin anew in a child process. What the parent had lost is the parent's to tell."""
        self.dropped = 0
        self._renew()
        if self.sink is not None:
            self.sink.after_fork()

    def emit(self, event_type: str, fields: dict[str, Any]) -> None:
        """Write one event; ``fields`` become the emitter's own and win over what it stamps. Never raises.

        This is the hot path: in one piece, because each call would cost as much as several of its lines.
        """
        if self.sink is None:
            return
        dropped, fault = 0, None
        try:
            if self.dropped:
                dropped = self._take_losses()
            path = fields.get("file_path")
            if path is not None and "file_dir" not in fields:
                if type(path) is str and (cut := path.rfind("/")) > 0:
                    fields["file_dir"] = path[:cut]
                else:
                    fields |= path_fields(path)
            if "timestamp" not in fields:
                fields["timestamp"] = time_ns() // 1_000_000
            if "event_id" not in fields:
                fields["event_id"] = f"{self._run}{self._next()}"
            fields["dropped_before"] = dropped
            if fields.keys().isdisjoint(self._common):
                # What all events of a type have in common is encoded once.
                line = (self._heads.get(event_type) or self._head(event_type)) + encode(fields)[1:]
            else:
                line = encode({**self._common, **fields, "event_type": event_type})
            if (self._held.sink or self.sink).write(line):
                return
        except Exception as caught:  # noqa: BLE001 - nothing may reach the service: it is said and counted
            fault = caught
        try:
            self.lose(dropped + 1, fault)
        except RecursionError:
            self.dropped += dropped + 1  # the service's stack is full: no room even for taking a lock

    def emit_block(self, events: list[dict[str, Any]]) -> bool:
        """Write many events (`MOST` at most), each with its ``event_type``, in one go. Never raises.

        False when that can't be: nothing was written, and they must be told one by one. Events that bring no time are
        stamped with the same one; `file_dir` is left to the reader.
        """
        if self.sink is None:
            return True
        if self.dropped or self._held.sink is not None:
            return False  # one by one an event tells of the losses, and where it stands among those held back
        block = self._joined(events)
        if block is None:
            return False
        taken, fault = 0, None
        try:
            if isinstance(self.sink, FileSink):
                taken = self.sink.write_block(block, len(events))
            else:
                taken = self.sink.write_lines(block.splitlines(keepends=True))
        except Exception as caught:  # noqa: BLE001 - nothing may reach the service: it is said and counted
            fault = caught
        if taken < len(events):
            self.lose(len(events) - taken, fault)
        return True

    def _joined(self, events: list[dict[str, Any]]) -> bytes | None:
        stamps = {name: value for name, value in self._common.items() if name != "event_type"}
        stamps |= {"dropped_before": 0, "event_id": f"{self._run}{self._next()}."}
        try:
            return join_lines(events, encode(stamps)[: -len('"}\n')], frozenset(stamps), time_ns() // 1_000_000)
        except Exception:  # noqa: BLE001 - something is no event: one by one it is found, told and counted alone
            return None

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """The events of this thread in the block go out at its end, in one write: several cost less so.

        Blocks may nest; the outermost counts. A process that dies in between loses them.
        """
        if self._held.sink is not None:
            yield
            return
        self._held.sink = MemorySink()
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        """Write what was held; a forked child holds nothing of its parent's."""
        kept, told = self._held.sink, self._held.told
        self._held.sink, self._held.told = None, ()
        if kept is None or not kept.lines:
            return
        lines = kept.lines
        taken, fault = 0, None
        try:
            if self.sink is not None:
                taken = self.sink.write_lines(lines)
        except Exception as caught:  # noqa: BLE001 - nothing may reach the service: it is said and counted
            fault = caught
        if taken < len(lines):
            self.lose(len(lines) - taken + sum(dropped for index, dropped in told if index >= taken), fault)

    def _take_losses(self) -> int:
        """What the event that is being made tells of losses."""
        with self._lock:
            dropped, self.dropped = self.dropped, 0
        if self._held.sink is not None:
            self._held.told = (*self._held.told, (len(self._held.sink.lines), dropped))
        return dropped

    def _head(self, event_type: str) -> bytes:
        head = encode({**self._common, "event_type": event_type})[: -len(b"}\n")] + b","
        if len(self._heads) < _MAX_HEADS:
            self._heads[event_type] = head
        return head

    def lose(self, count: int, fault: Exception | None = None) -> None:
        """Count events that could not be written; each kind of fault of ours or of a sink is said once."""
        if fault is not None and (kind := type(fault).__name__) not in self._complaints:
            self._complaints.add(kind)
            say(f"an event was lost: {visible(as_text(fault))}")
        with self._lock:
            self.dropped += count


def path_fields(path: object) -> dict[str, Any]:
    """``file_path`` as text and ``file_dir``; bytes and path objects are what the file system makes of them."""
    if type(path) is not str:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return {"file_path": path}
        path = os.fsdecode(path)
    return {"file_path": path, "file_dir": parent(path)}


EMITTER: Final = Emitter()
"""The one of this process."""

os.register_at_fork(after_in_child=EMITTER.after_fork)
