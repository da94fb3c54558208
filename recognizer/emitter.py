"""The one emitter of a process: stamps events, hands their lines to a sink, counts what is lost.

Standard library only. `recognizer.emit` is the door for those who instrument a service.
"""

import contextlib
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from time import time_ns
from typing import Any, Final

from recognizer.batch import MOST, join_lines
from recognizer.encode import as_text, encode
from recognizer.limits import SCHEMA_VERSION
from recognizer.paths import parent, visible
from recognizer.sinks import Sink, say

_RUN_BYTES: Final = 8
_MAX_HEADS: Final = 64
_LONGEST_HEADED_TYPE: Final = 64
"""A head holds the event type whole; a longer one may have to be cut, which its line must tell."""


class _Unconfigured:
    """Before `configure`: events are lost, which is said once."""

    def __init__(self) -> None:
        self._said = False

    def write(self, _lines: bytes, _count: int = 1) -> int:
        if not self._said:
            self._said = True
            say("events are lost: call recognizer.emit.configure(sink=…) first; sink=None switches them off")
        return 0

    def after_fork(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""


class _Held(threading.local):
    """A thread's lines that are kept back until the end of its `Emitter.together` block, None outside of one.

    ``told``: which of them tell of earlier losses (their index and the count).
    """

    lines: list[bytes] | None = None
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
        self._stamped = frozenset({*self._common, "timestamp", "event_id", "dropped_before"})
        self._heads: dict[str, bytes] = {}
        self._many_stamped = self._stamped - {"event_type", "timestamp"}
        many = {name: value for name, value in self._common.items() if name in self._many_stamped}
        self._many_head = encode({**many, "dropped_before": 0})[: -len(b"}\n")] + b","

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
        sink, dropped, fault = self.sink, 0, None
        if sink is None:
            return
        try:
            if "file_path" in fields and "file_dir" not in fields:
                path = fields["file_path"]
                if type(path) is str and (folder := path.rpartition("/")[0]):
                    fields["file_dir"] = folder
                else:
                    fields |= path_fields(path)
            head = self._heads.get(event_type)
            if head is not None and not self.dropped and self._stamped.isdisjoint(fields):
                # What all events of a type have in common is encoded once; a number and the time make them differ.
                fields["timestamp"] = time_ns() // 1_000_000
                line = head + b'%d",' % self._next() + encode(fields)[1:]
            else:
                dropped = self._take_losses()
                line = self._stamp(event_type, fields, dropped)
            held = self._held.lines
            if held is not None:
                held.append(line)
                return
            if sink.write(line):
                return
        except Exception as caught:  # noqa: BLE001 - nothing may reach the service: it is said and counted
            fault = caught
        try:
            self.lose(dropped + 1, fault)
        except RecursionError:
            self.dropped += dropped + 1  # the service's stack is full: no room even for taking a lock

    def _stamp(self, event_type: str, fields: dict[str, Any], dropped: int) -> bytes:
        """The line of an event that brings stamps of its own, tells of losses, or is the first of its type."""
        common = {**self._common, "event_type": event_type}
        if event_type not in self._heads and len(event_type) <= _LONGEST_HEADED_TYPE and len(self._heads) < _MAX_HEADS:
            self._heads[event_type] = self._head({**common, "dropped_before": 0})
        own = {"event_id": f"{self._run}{self._next()}", "timestamp": time_ns() // 1_000_000}
        return encode({**common, **own, **fields, "event_type": event_type, "dropped_before": dropped})

    def _head(self, stamps: dict[str, Any]) -> bytes:
        """The beginning of a line up to the number in its event_id: ``{"host":"a",…,"event_id":"run-``."""
        return encode({**stamps, "event_id": self._run})[: -len(b'"}\n')]

    def emit_block(self, events: list[dict[str, Any]], *, reasons_known: bool = False) -> bool:
        """Write many events (`MOST` at most), each with its ``event_type``, in one go. Never raises.

        False when that can't be: nothing was written, and they must be told one by one. Events that bring no time are
        stamped with the same one; `file_dir` is left to the reader. ``reasons_known``: no ``input_error`` lacks one.
        """
        if self.sink is None:
            return True
        if self.dropped:
            return False  # one by one, the first of them tells of the losses
        lines = self._joined(events, reasons_known=reasons_known)
        if lines is None:
            return False
        held = self._held.lines
        if held is not None:
            held.extend(lines.splitlines(keepends=True))
        else:
            self._hand_over(lines, len(events))
        return True

    def emit_all(self, events: list[dict[str, Any]]) -> None:
        """Write many events, each with its ``event_type`` and nothing left to find out, in one write. Never raises."""
        for start in range(0, len(events), MOST):
            part = events[start : start + MOST]
            if not self.emit_block(part, reasons_known=True):
                with self.together():
                    for event in part:
                        self.emit(event.pop("event_type"), event)

    def _joined(self, events: list[dict[str, Any]], *, reasons_known: bool) -> bytes | None:
        batch_id = f"{self._run}{self._next()}"
        try:
            return join_lines(events, self._many_head, self._many_stamped, batch_id, reasons_known=reasons_known)
        except Exception:  # noqa: BLE001 - something is no event: one by one it is found, told and counted alone
            return None

    def _hand_over(self, lines: bytes, count: int, told: tuple[tuple[int, int], ...] = ()) -> None:
        """Write so many lines; those not taken are lost, and so is what they had to tell of earlier losses."""
        taken, fault = 0, None
        try:
            if self.sink is not None:
                taken = self.sink.write(lines, count)
        except Exception as caught:  # noqa: BLE001 - nothing may reach the service: it is said and counted
            fault = caught
        if taken < count:
            self.lose(count - taken + sum(dropped for index, dropped in told if index >= taken), fault)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """The events of this thread in the block go out at its end, in one write: several cost less so.

        Blocks may nest; the outermost counts. A process that dies in between loses them.
        """
        if self._held.lines is not None:
            yield
            return
        self._held.lines = []
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        """Write what was held; a forked child holds nothing of its parent's."""
        lines, told = self._held.lines, self._held.told
        self._held.lines, self._held.told = None, ()
        if lines:
            self._hand_over(b"".join(lines), len(lines), told)

    def _take_losses(self) -> int:
        """What the event that is being made tells of losses."""
        if not self.dropped:
            return 0
        with self._lock:
            dropped, self.dropped = self.dropped, 0
        if self._held.lines is not None:
            self._held.told = (*self._held.told, (len(self._held.lines), dropped))
        return dropped

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
