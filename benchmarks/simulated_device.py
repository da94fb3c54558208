"""A device that is a clock: every batch takes its time, one after the other as on a GPU, whatever the processor does.

The lane's code is the real one; in place of a network stands whatever the model holds, asked at once by the processor,
and its answers may be read only when the clock says so. Memory on the device is memory of its own, batches are padded
and pictures are scaled on the device, as with CUDA.
"""

import threading
import time
from typing import Final

from torch import Tensor

from recognizer.device.driver import CpuDriver, Moments, Step, Timeline, moments

PICTURE_BYTES: Final = 1024 * 1024


class SimulatedDriver(CpuDriver):
    """``batch_seconds``: how long a batch takes. ``late``: how often somebody had to wait for an answer."""

    name = "simulated"
    exact = False

    def __init__(self, batch_seconds: float, largest_picture_bytes: int = PICTURE_BYTES) -> None:
        self.batch_seconds = batch_seconds
        self.largest_picture_bytes = largest_picture_bytes
        self.late = 0
        self._free_at = 0.0
        self._lock = threading.Lock()

    def twin(self, host: Tensor) -> Tensor:
        return host.clone()

    def timeline(self) -> Timeline:
        return SimulatedTimeline(self)

    def due(self) -> float:
        """When a batch that is asked for now is answered, seconds of the monotonic clock."""
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + self.batch_seconds
            return self._free_at


class SimulatedTimeline:
    """Steps by the schedule of the device: preparing takes no time there."""

    def __init__(self, device: SimulatedDriver) -> None:
        self._device = device
        self._pause = threading.Event()
        self._seconds = [0.0] * len(Step)

    def record(self, step: Step) -> None:
        if step is Step.ANSWERED:
            self._seconds[step] = self._device.due()
            self._seconds[Step.PREPARED] = self._seconds[step] - self._device.batch_seconds
            self._seconds[Step.STARTED] = self._seconds[Step.PREPARED]
        elif step in {Step.BEGAN, Step.COPIED}:
            self._seconds[step] = time.monotonic()

    def wait(self) -> None:
        remaining = self._seconds[Step.ANSWERED] - time.monotonic()
        if remaining > 0:
            self._device.late += 1
            self._pause.wait(remaining)

    def moments(self) -> Moments:
        wall = time.time() - time.monotonic()
        return moments(
            lambda begin, end: (self._seconds[end] - self._seconds[begin]) * 1_000,
            lambda step: (self._seconds[step] + wall) * 1_000,
        )
