"""Decoding in processes of their own: a decoder that crashes, hangs or eats the memory ends its process, not ours.

    with DecodeWorkers(2, quarantine=Path("/var/lib/wumu/quarantine")) as workers:
        picture = read(path, limits, access, workers.decode)

A worker that dies (SIGSEGV, the kernel's out-of-memory killer) is replaced, and the file is tried once more, for the
death may have been an accident; the second time it goes to quarantine. One that takes too long is killed at once.
Costs a copy of the bytes there and of the pixels back.
"""

import logging
import queue
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from recognizer.decode import Picture
from recognizer.decode_wire import picture_of, receive, request, send
from recognizer.fault import InputFault
from recognizer.inspect import Limits
from recognizer.quarantine import Quarantine, Record
from recognizer.reasons import InputReason

_log = logging.getLogger(__name__)

TIME_LIMIT_SECONDS: Final = 10.0
START_SECONDS: Final = 60.0
"""Loading OpenCV takes half a second, on a busy machine a multiple of that."""
ATTEMPTS: Final = 2


class WorkerFailed(RuntimeError):
    """No worker can be started: not a picture's fault. The message says what to do."""


class _Died(Exception):
    """The worker is gone; the text says how."""


class _Child:
    """One worker process and the socket to it."""

    def __init__(self, decoder: str, memory_bytes: int) -> None:
        ours, theirs = socket.socketpair()
        self.channel = ours
        command = [sys.executable, "-m", "recognizer.decode_child", str(theirs.fileno()), decoder, str(memory_bytes)]
        with theirs:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))
        try:
            receive(ours, time.monotonic() + START_SECONDS)
        except (OSError, EOFError) as fault:
            how = self.end()
            raise WorkerFailed(
                f"a decode worker with {decoder} does not start: it {how}; run `{' '.join(command[:3])}` to see why"
            ) from fault

    def decode(self, data: bytes, name: str, limits: Limits, time_limit: float) -> tuple[bytes, bytearray]:
        """The answer's frame. Raises _Died, or TimeoutError."""
        self.channel.settimeout(time_limit)
        until = time.monotonic() + time_limit
        try:
            send(self.channel, request(name, limits), memoryview(data))
            return receive(self.channel, until)
        except TimeoutError:
            self._process.kill()
            raise
        except (OSError, EOFError) as fault:
            raise _Died(self.end()) from fault

    def end(self) -> str:
        """Make sure that it is gone; how it went."""
        self.channel.close()
        try:
            status = self._process.wait(1.0)  # it ends by itself once the socket is closed
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "was killed"
        if status >= 0:
            return f"ended with status {status}"
        name = signal.Signals(-status).name
        return f"died of {name}" + (" (out of memory?)" if -status == signal.SIGKILL else "")


class DecodeWorkers:
    """A fixed number of decode processes, shared by any number of threads."""

    def __init__(
        self,
        count: int = 1,
        *,
        decoder: str = "recognizer.decode:decode",
        time_limit_seconds: float = TIME_LIMIT_SECONDS,
        memory_bytes: int = 0,
        quarantine: Path | None = None,
    ) -> None:
        """``decoder``: module and function with the signature of `recognizer.decode.decode`, imported by the workers.

        ``memory_bytes``: limit of a worker's address space, 0 for none. Raises WorkerFailed, or OSError where the
        quarantine folder can't be made.
        """
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self._decoder = decoder
        self._time_limit = time_limit_seconds
        self._memory_bytes = memory_bytes
        self._quarantine = Quarantine(quarantine)
        self.deaths = 0
        """Workers that had to be replaced so far."""
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        self._count = count
        first = self._start()
        for child in (first, *[None] * (count - 1)):  # the others start when they are needed
            self._free.put(child)

    def _start(self) -> _Child:
        return _Child(self._decoder, self._memory_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers, each after what it is doing."""
        for _ in range(self._count):
            child = self._free.get()
            if child is not None:
                child.end()

    def decode(self, data: bytes, name: str, limits: Limits, path_issues: tuple[InputReason, ...] = ()) -> Picture:
        """As `recognizer.decode.decode`; a file that kills or stalls its decoder is an `InputFault` too."""
        if (known := self._quarantine.find(data)) is not None:
            raise InputFault(known.reason, f"{known.message}; it is in quarantine")
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._decode_once(data, name, limits, path_issues)
            except _Died as death:
                self.deaths += 1
                if attempt == ATTEMPTS:
                    record = Record(InputReason.IMAGE_DECODER_DIED, f"the decoder {death} on this file")
                    raise self._condemn(data, name, record) from death
            except TimeoutError as late:
                self.deaths += 1
                message = f"the decoder took more than {self._time_limit:g} s for this file"
                raise self._condemn(data, name, Record(InputReason.IMAGE_DECODER_STALLED, message)) from late
        raise AssertionError("the last attempt answers or raises")

    def _decode_once(self, data: bytes, name: str, limits: Limits, path_issues: tuple[InputReason, ...]) -> Picture:
        child = self._free.get()
        healthy = False
        try:
            child = child or self._start()
            head, body = child.decode(data, name, limits, self._time_limit)
            healthy = True
            return picture_of(head, body, path_issues)
        except (msgspec.DecodeError, ValueError, TypeError, KeyError) as fault:
            healthy = False
            raise _Died(f"answered nonsense ({type(fault).__name__})") from fault
        finally:
            if child is not None and not healthy:
                child.end()
            self._free.put(child if healthy else None)

    def _condemn(self, data: bytes, name: str, record: Record) -> InputFault:
        try:
            self._quarantine.add(data, name, record)
        except OSError as fault:
            _log.warning("the quarantine can't be written: %s", fault)
        return InputFault(record.reason, record.message)
