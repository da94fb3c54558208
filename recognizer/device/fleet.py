"""Several devices at once: one process each, all of them writing to one log, their results in the order of the paths.

    with Fleet(("cuda:0", "cuda:1"), Job(model=folder, log=log)) as fleet:
        for result in fleet.recognize(paths): …

Blocks of paths are dealt in turns. A process that dies costs the pictures it had, each with its reason; the others go
on.
"""

import contextlib
import itertools
import multiprocessing
import os
import queue
import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

import torch

from recognizer.decode import PathInput
from recognizer.device.fleet_child import serve
from recognizer.emit import recognition
from recognizer.fault import InputFault
from recognizer.job import Job
from recognizer.manifest import ModelError, ModelFault
from recognizer.reasons import InputReason
from recognizer.result import Result

BLOCKS_AHEAD: Final = 6
"""Blocks a process holds at a time: the pipeline reads up to four batches ahead before its first answer."""
_END_SECONDS: Final = 30.0


def devices(wanted: str) -> tuple[str, ...]:
    """The devices that a word names: ``all`` GPUs of the machine, several by commas, or one."""
    if wanted != "all":
        return tuple(one.strip() for one in wanted.split(","))
    count = torch.cuda.device_count()
    if count == 0:
        raise ModelError(ModelFault.DEVICE_UNAVAILABLE, "this machine has no CUDA device", hint="use auto or cpu")
    return tuple(f"cuda:{index}" for index in range(count))


class _Member:
    """One process and its device."""

    def __init__(self, device: str, job: Job) -> None:
        context = multiprocessing.get_context("spawn")  # a forked process can't use CUDA
        self.device = device
        self.channel, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, job, device), daemon=False)
        self._process.start()
        theirs.close()
        self.alive = True
        self._blocks: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        # Sent by a thread of its own: the process may be busy sending results, which are read only in their turn.
        self._sender = threading.Thread(target=self._send, name=f"wumu-fleet-{device}", daemon=True)
        self._sender.start()

    def _send(self) -> None:
        while True:
            block = self._blocks.get()
            try:
                self.channel.send(block)
            except OSError:  # it died, which whoever reads its results finds out
                return
            if block is None:
                return

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid or 0

    def give(self, block: list[str] | None) -> None:
        self._blocks.put(block)

    def receive(self) -> Any:
        """What it says next; raises EOFError when it is gone and ModelError when it says so."""
        try:
            said = self.channel.recv()
        except (EOFError, OSError) as gone:
            self.alive = False
            raise EOFError from gone
        if isinstance(said, tuple):
            code, message, hint = said
            raise ModelError(ModelFault(code), message, hint=hint)
        return said

    def end(self) -> str:
        """Makes sure that it is gone; how it went."""
        self.give(None)
        with socket.socket(fileno=os.dup(self.channel.fileno())) as line, contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)  # whoever still reads or writes there is told now
        self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._sender.join()
        self.channel.close()
        status = self._process.exitcode
        return f"the process of {self.device} ended with status {status}"


class Fleet:
    """A process for each device. Raises `ModelError` when one of them can't load the model."""

    def __init__(self, names: Sequence[str], job: Job) -> None:
        self._job = job
        self._members: list[_Member] = []
        self.model_name = ""
        try:
            for name in names:
                self._members.append(_Member(name, job))
            for member in self._members:
                self.model_name = self._greeting(member)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def processes(self) -> tuple[int, ...]:
        """Their ids, in the order of the devices."""
        return tuple(member.pid for member in self._members)

    def _greeting(self, member: _Member) -> str:
        try:
            return str(member.receive())
        except EOFError as gone:
            message = f"{member.end()} before it could load the model"
            self._members.remove(member)
            hint = f"try it alone to see why: wumu recognize --device {member.device}"
            raise ModelError(ModelFault.DEVICE_UNAVAILABLE, message, hint=hint) from gone

    def recognize(self, paths: Iterable[PathInput]) -> Iterator[Result]:
        """One result for each path, in their order. To be called once: the processes end with the list."""
        source = iter(paths)
        dealt: deque[tuple[_Member, list[str]]] = deque()
        turns = itertools.cycle(self._members)
        held = dict.fromkeys(self._members, 0)
        done = False
        while dealt or not done:
            while not done and (member := self._free(turns, held)) is not None:
                block = [os.fsdecode(one) for one in itertools.islice(source, self._job.batch_size)]
                if not block:
                    done = True
                    for one in self._members:
                        one.give(None)
                    break
                member.give(block)
                held[member] += 1
                dealt.append((member, block))
            if dealt:
                member, block = dealt.popleft()
                held[member] -= 1
                yield from self._results(member, block)

    def _free(self, turns: "Iterator[_Member]", held: dict[_Member, int]) -> _Member | None:
        """The next in turn that may be given more; raises when no process is left."""
        if not any(member.alive for member in self._members):
            message = "every process of the fleet has ended"
            raise ModelError(ModelFault.DEVICE_UNAVAILABLE, message, hint="see nvidia-smi and the kernel's log")
        for member in itertools.islice(turns, len(self._members)):
            if member.alive:
                return member if held[member] < BLOCKS_AHEAD else None
        return None

    def _results(self, member: _Member, block: list[str]) -> Iterator[Result]:
        for index in range(len(block)):
            try:
                if not member.alive:
                    raise EOFError
                yield member.receive()
            except EOFError:
                yield from (self._lost(member, path) for path in block[index:])
                return

    def _lost(self, member: _Member, path: str) -> Result:
        """A picture whose process died with it, after its event."""
        fault = InputFault(InputReason.MODEL_DEVICE_LOST, f"the process of {member.device} ended before it answered")
        told = recognition(path, model_name=self.model_name)
        told.input_start()
        told.input_error(fault)
        return Result(
            file_path=path,
            request_id=told.request_id,
            model_name=self.model_name,
            reason=fault.reason,
            message=fault.message,
        )

    def close(self) -> None:
        """Ends the processes, each after what it is doing."""
        for member in self._members:
            member.end()
        self._members.clear()
