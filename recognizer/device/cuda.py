"""A GPU of NVIDIA's: copies on one stream, calculations on another, times by events that are read afterwards.

The host never waits for the device but in `CudaTimeline.wait`, for a batch behind which the next one is queued already.
Everything names its device: a thread that only touched the first GPU would leave half a gigabyte of context on it.
"""

import gc
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor

from recognizer.device.clock import WINDOW_MS, DeviceClock
from recognizer.device.driver import Moments, Step, Timeline, moments

_cuda: Any = torch.cuda  # half of what is used of it has no types
_Event = Any

PICTURE_BYTES: Final = 2 * 1024 * 1024
"""836 × 836 pixels; larger pictures come down to size in the thread that decoded them."""
_WARM_UPS: Final = 3
"""Before a capture, as torch's manual asks for: libraries choose their kernels and workspaces then."""


class _Epoch:
    """Wall time of events: the device's clock is read against a base event, which is renewed before it grows old.

    Distances from an event are told in float32: after an hour they would be a quarter of a millisecond wrong.
    """

    def __init__(self, stream: Any) -> None:
        self.device: torch.device = stream.device
        self._stream = stream
        self._lock = threading.Lock()
        self._clock = DeviceClock()
        self._base = _cuda.Event(enable_timing=True)
        self._base.record(stream)
        stream.synchronize()
        self._base_ms = 0.0
        self._clock.observe(0.0, time.time_ns() / 1e6)
        self._next: _Event | None = None
        self._renewed = time.monotonic()

    def base(self) -> tuple[_Event, float]:
        """The event against which a batch that begins now is read, and when it was, device milliseconds."""
        with self._lock:
            if self._next is not None and self._next.query():
                self._base_ms += self._base.elapsed_time(self._next)
                self._base, self._next = self._next, None
            elif self._next is None and (time.monotonic() - self._renewed) * 1_000 >= WINDOW_MS:
                self._next = _cuda.Event(enable_timing=True)
                self._next.record(self._stream)
                self._renewed = time.monotonic()
            return self._base, self._base_ms

    def seen(self, device_ms: float) -> None:
        """What happened at ``device_ms`` is known now."""
        with self._lock:
            self._clock.observe(device_ms, time.time_ns() / 1e6)

    def wall_ms(self, device_ms: float) -> float:
        with self._lock:
            return self._clock.wall_ms(device_ms)


class CudaTimeline:
    """One event a step. The last one is waited for without spinning, so that a processor stays free to decode."""

    def __init__(self, epoch: _Epoch) -> None:
        self._epoch = epoch
        self.events = [_cuda.Event(enable_timing=True, blocking=step is Step.ANSWERED) for step in Step]
        self._base, self._base_ms = epoch.base()

    def record(self, step: Step) -> None:
        if step is Step.BEGAN:
            self._base, self._base_ms = self._epoch.base()
        self.events[step].record()

    def wait(self) -> None:
        last = self.events[Step.ANSWERED]
        with _cuda.device(self._epoch.device):
            if not last.query():
                last.synchronize()
            self._epoch.seen(self._device_ms(Step.ANSWERED))

    def moments(self) -> Moments:
        return moments(
            lambda begin, end: self.events[begin].elapsed_time(self.events[end]),
            lambda step: self._epoch.wall_ms(self._device_ms(step)),
        )

    def _device_ms(self, step: Step) -> float:
        return self._base_ms + float(self._base.elapsed_time(self.events[step]))


class CudaDriver:
    """One GPU of this process."""

    graphs = True
    exact = False
    largest_picture_bytes = PICTURE_BYTES

    def __init__(self, device: torch.device) -> None:
        self.device = torch.device("cuda", _cuda.current_device() if device.index is None else device.index)
        self.name: str = _cuda.get_device_name(self.device)
        with _cuda.device(self.device):
            self._copies = _cuda.Stream(self.device)
            self._calculations = _cuda.Stream(self.device)
            self._epoch = _Epoch(self._calculations)
            # a pool that nobody holds can't be used again once the last graph in it is gone
            self._pool = _cuda.MemPool()

    def host(self, *shape: int, dtype: torch.dtype) -> Tensor:
        with _cuda.device(self.device):
            return torch.empty(shape, dtype=dtype, pin_memory=True)

    def twin(self, host: Tensor) -> Tensor:
        memory = torch.empty(host.shape, dtype=host.dtype, device=self.device)
        for stream in (self._copies, self._calculations):  # who gives it back early must not get it while it is used
            memory.record_stream(stream)
        return memory

    def timeline(self) -> Timeline:
        with _cuda.device(self.device):
            return CudaTimeline(self._epoch)

    @contextmanager
    def copying(self) -> Iterator[None]:
        with _cuda.stream(self._copies):
            yield

    @contextmanager
    def computing(self, timeline: Timeline) -> Iterator[None]:
        if not isinstance(timeline, CudaTimeline):
            raise TypeError(f"a timeline of this device was expected, not {type(timeline).__name__}")
        with _cuda.stream(self._calculations), torch.inference_mode():
            self._calculations.wait_event(timeline.events[Step.COPIED])
            yield

    def capture(self, rows: Callable[[], Tensor]) -> Callable[[], Tensor]:
        _cuda.synchronize(self.device)
        with _cuda.stream(self._calculations), torch.inference_mode(), _kernels_by_trial():
            for _ in range(_WARM_UPS):
                rows()
            self._calculations.synchronize()
            with _no_waiting():
                rows()
            self._calculations.synchronize()
            graph = _cuda.CUDAGraph()
            # other threads may use the device meanwhile: only this one's calls are part of the graph
            with _cuda.graph(graph, self._pool.id, self._calculations, capture_error_mode="thread_local"):
                answer = rows()
        _cuda.synchronize(self.device)

        def replay() -> Tensor:
            graph.replay()
            return answer

        return replay

    def milliseconds(self, rows: Callable[[], Tensor]) -> float:
        begin, end = (_cuda.Event(enable_timing=True) for _ in range(2))
        with _cuda.stream(self._calculations), torch.inference_mode():
            begin.record()
            rows()
            end.record()
        end.synchronize()
        return float(begin.elapsed_time(end))

    def settle(self) -> None:
        _cuda.synchronize(self.device)
        gc.collect()  # a failed batch may hold memory in a cycle of its traceback
        _cuda.empty_cache()


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Raises RuntimeError where the host would wait for the device, which no graph can hold.

    Found out before the capture: one that fails leaves the stream and torch's memory pools in a state of their own.
    """
    before = _cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode")  # that it is a prototype, once a process
        _cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        _cuda.set_sync_debug_mode(before)


@contextmanager
def _kernels_by_trial() -> Iterator[None]:
    """cuDNN tries its kernels for each shape and keeps the fastest: worth it where shapes are fixed."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
