"""The one emitter of a process: stamps events, hands their lines to a sink, counts what is lost.

Standard library only. `recognizer.emit` is the door for those who instrument a service.
"""

import itertools
import os
import socket
import threading
import time
from typing import Any, Final

from recognizer.encode import as_text, encode
from recognizer.limits import SCHEMA_VERSION
from recognizer.paths import parent, visible
from recognizer.sinks import Sink, say

_RUN_BYTES: Final = 8


class _Unconfigured:
    """Before `configure`: events are lost, which is said once."""

    def __init__(self) -> None:
        self._said = False

    def write(self, _line: bytes) -> bool:
        if not self._said:
            self._said = True
            say("events are lost: call recognizer.emit.configure(sink=…) first; sink=None switches them off")
        return False

    def after_fork(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is held."""


class Emitter:
    """Stamps events and hands their lines to a sink: one for the whole process, made by `configure`."""

    def __init__(self, sink: Sink | None, model_name: str | None = None, host: str | None = None) -> None:
        self.sink = sink
        self.dropped = 0
        self._host = host if host is not None else socket.gethostname()
        self._model_name = model_name
        self._complaints: set[str] = set()
        self._renew()

    def _renew(self) -> None:
        """A run id and a lock of this process alone: event_ids stay unique, and no lock is held by a lost thread."""
        self._lock = threading.RLock()
        self._run = os.urandom(_RUN_BYTES).hex()
        self._next = itertools.count(1).__next__
        self._common: dict[str, Any] = {"host": self._host, "pid": os.getpid(), "schema_version": SCHEMA_VERSION}
        if self._model_name is not None:
            self._common["model_name"] = self._model_name

    def after_fork(self) -> None:
        """Begin anew in a child process. What the parent had lost is the parent's to tell."""
        self.dropped = 0
        self._renew()
        if self.sink is not None:
            self.sink.after_fork()

    def emit(self, event_type: str, fields: dict[str, Any]) -> None:
        """Write one event; ``fields`` win over what is stamped. Never raises."""
        if self.sink is None:
            return
        dropped, fault = 0, None
        try:
            if self.dropped:
                with self._lock:
                    dropped, self.dropped = self.dropped, 0
            event = {
                "timestamp": time.time_ns() // 1_000_000,
                "event_type": event_type,
                "event_id": f"{self._run}-{self._next()}",
                "dropped_before": dropped,
                **self._common,
                **fields,
            }
            if "file_path" in event and "file_dir" not in event:
                event |= path_fields(event["file_path"])
            if self.sink.write(encode(event)):
                return
        except Exception as caught:  # noqa: BLE001 - nothing may reach the service: it is said and counted
            fault = caught
        try:
            self.lose(dropped + 1, fault)
        except RecursionError:
            self.dropped += dropped + 1  # the service's stack is full: no room even for taking a lock

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


_emitter = Emitter(_Unconfigured())


def configure(sink: Sink | None, model_name: str | None = None, host: str | None = None) -> None:
    """Say once, at start, where events go. ``sink=None`` switches them off; ``host`` is the machine's name by default.

    The sink that was in use is closed; events lost before are told by the first one that is written.
    """
    global _emitter
    before, _emitter = _emitter, Emitter(sink, model_name, host)
    _emitter.dropped = before.dropped
    if before.sink is not None and before.sink is not sink:
        before.sink.close()


def emitter() -> Emitter:
    """The emitter in use."""
    return _emitter


def _after_fork() -> None:
    _emitter.after_fork()


os.register_at_fork(after_in_child=_after_fork)
