"""What a lane needs of a device: memory, the order of its work, and when each step of it was done.

A processor does every step at once, so all of this is nearly nothing; `recognizer.device.cuda` is the other driver.
"""

import enum
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Step(enum.IntEnum):
    """What is recorded of a batch, in the order in which it happens.

    BEGAN, COPIED       its copy to the device
    STARTED, PREPARED   bringing its pictures to the network's size, which begins when the batch before is done
    ANSWERED            the network's answers are in the host's memory
    """

    BEGAN = 0
    COPIED = 1
    STARTED = 2
    PREPARED = 3
    ANSWERED = 4


@dataclass(frozen=True, slots=True)
class Moments:
    """When a batch was ready and answered, wall time in milliseconds since 1970, and what both took, milliseconds.

    What it waited for batches before it is in neither.
    """

    prepared_at: float
    prepare_ms: float
    answered_at: float
    infer_ms: float


class Timeline(Protocol):
    """The steps of one batch; used again for a later one."""

    def record(self, step: Step) -> None:
        """The step is done when everything that was asked for before it is."""

    def wait(self) -> None:
        """Until ANSWERED is done; another thread may go on meanwhile."""

    def moments(self) -> Moments:
        """After `wait`."""


class Driver(Protocol):
    """One device."""

    @property
    def device(self) -> torch.device:
        """Where its tensors lie."""

    @property
    def name(self) -> str:
        """What the maker calls it."""

    @property
    def graphs(self) -> bool:
        """Whether all operations of a batch can be started at once."""

    @property
    def exact(self) -> bool:
        """Whether every size of a batch is as fast as another; else batches are padded to known sizes."""

    @property
    def largest_picture_bytes(self) -> int:
        """Pictures up to this are brought to size by the device; 0 where that is left to the decoding threads."""

    def host(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """Memory of the host which the device can read and write while the host does something else."""

    def twin(self, host: Tensor) -> Tensor:
        """Memory of the device for a copy of ``host``; the same memory where no copy is needed."""

    def timeline(self) -> Timeline:
        """For one batch at a time."""

    def copying(self) -> AbstractContextManager[None]:
        """The block's copies to the device."""

    def computing(self, timeline: Timeline) -> AbstractContextManager[None]:
        """The block's calculations, after the copies that ``timeline`` has recorded."""

    def capture(self, rows: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """The same calculation, started at once; it works on the same memory each time."""

    def milliseconds(self, rows: Callable[[], Tensor]) -> float:
        """How long a calculation takes, waited for."""

    def settle(self) -> None:
        """Until nothing is under way; what is left of a failed batch is freed."""


class CpuTimeline:
    """Everything is done when it is recorded."""

    def __init__(self) -> None:
        self._seconds = [0.0] * len(Step)
        self._wall_ms = [0.0] * len(Step)

    def record(self, step: Step) -> None:
        self._seconds[step] = time.perf_counter()
        self._wall_ms[step] = time.time_ns() / 1e6

    def wait(self) -> None:
        """Nothing is under way."""

    def moments(self) -> Moments:
        return moments(self._between, self._wall_ms.__getitem__)

    def _between(self, begin: Step, end: Step) -> float:
        return (self._seconds[end] - self._seconds[begin]) * 1_000


def moments(between: Callable[[Step, Step], float], wall_ms: Callable[[Step], float]) -> Moments:
    """From a device's own figures: milliseconds between two steps, and the wall time of one."""
    return Moments(
        prepared_at=wall_ms(Step.PREPARED),
        prepare_ms=between(Step.BEGAN, Step.COPIED) + between(Step.STARTED, Step.PREPARED),
        answered_at=wall_ms(Step.ANSWERED),
        infer_ms=between(Step.PREPARED, Step.ANSWERED),
    )


class CpuDriver:
    """The processor."""

    device = torch.device("cpu")
    name = "cpu"
    graphs = False
    exact = True
    largest_picture_bytes = 0

    def host(self, *shape: int, dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype)

    def twin(self, host: Tensor) -> Tensor:
        return host

    def timeline(self) -> Timeline:
        return CpuTimeline()

    def copying(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def computing(self, timeline: Timeline) -> Iterator[None]:  # noqa: ARG002 - nothing is waited for
        with torch.inference_mode():
            yield

    def capture(self, rows: Callable[[], Tensor]) -> Callable[[], Tensor]:
        return rows

    def milliseconds(self, rows: Callable[[], Tensor]) -> float:
        started = time.perf_counter()
        rows()
        return (time.perf_counter() - started) * 1_000

    def settle(self) -> None:
        """Nothing is under way."""
