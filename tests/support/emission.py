"""What the tests of the instrumentation share: an emitter that writes to memory, forked children, waiting."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from recognizer.emit import configure, log_event
from recognizer.sinks import MemorySink

PATIENCE_SECONDS = 30.0


Kind = TypeVar("Kind", bound=MemorySink)


@contextmanager
def emitting_to(sink: Kind) -> Iterator[Kind]:
    """Events go to the sink, with a known model and host; what other tests have lost is told and forgotten first."""
    configure(sink, model_name="resnest101", host="gpu-01")
    log_event("settle")
    sink.lines.clear()
    yield sink
    configure(None)


def types(sink: MemorySink) -> list[str]:
    return [event["event_type"] for event in sink.events]


def rotated(folder: Path) -> list[Path]:
    """The log files of a folder, without the lock file of their rotation."""
    return [part for part in folder.iterdir() if part.suffix != ".lock"]


def until(happens: Callable[[], bool], every: Callable[[], object] = lambda: None) -> None:
    """Poll for something that another thread, process or the passing of real time brings about."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not happens():
        assert time.monotonic() < deadline, "did not happen in time"
        every()
        pause.wait(0.01)


def in_child(work: Callable[[], object]) -> int:
    """Fork, do the work in the child, and answer with its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended_well(pids: list[int]) -> bool:
    """Wait for all children; whether each of them did its work."""
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    return not any(codes)
