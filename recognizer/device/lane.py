"""The way of pictures through a device: batches are submitted ahead, answers are fetched when they are needed.

    lane = open_lane(model)
    handle = lane.submit([lane.stage(picture.pixels) for picture in pictures])
    …                                # build what belongs to the batch before
    for judged in handle.result(): …

One code for a processor and a GPU: what differs is the driver's. On a GPU `submit` queues the work and comes back;
while the device works on one batch, the next is copied, and the host tells of the one before.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from recognizer.device.driver import Driver, Moments, Step
from recognizer.device.plan import SAFE, Mode, Plan, bucket_of, buckets
from recognizer.device.program import compiled, program
from recognizer.device.staging import Packed, Staged, in_order, pack, stage, unpack
from recognizer.fault import InputFault
from recognizer.infer import Answer, Reader, as_fault, as_lost, columns
from recognizer.inspect import Pixels
from recognizer.model import Model
from recognizer.preprocess import Normalization
from recognizer.reasons import InputReason
from recognizer.tensor_facts import TensorFacts, from_row, measure

DEPTH: Final = 3
"""Batches under way: one that is copied, one that is worked on, one whose answers are read."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one input: the network's answer or the reason why there is none, and the input's figures.

    ``facts`` is None where the device was lost before it could tell. ``moments`` are those of its batch.
    """

    answer: Answer | InputFault
    facts: TensorFacts | None
    moments: Moments


class _Part(Protocol):
    def result(self) -> list[Judged]: ...


@dataclass(frozen=True, slots=True)
class _Done:
    """What failed before it reached the device."""

    judged: list[Judged]

    def result(self) -> list[Judged]:
        return self.judged


class Handle:
    """A submitted batch. ``result()`` waits until it is answered; as often as one likes, from any thread."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts

    def result(self) -> list[Judged]:
        """In the order of the batch. Never raises for what a picture, the network or the device does."""
        return [one for part in self._parts for one in part.result()]


class _Slot:
    """The memory of one batch on its way, and the batch that holds it."""

    def __init__(self, driver: Driver, slab_bytes: int, rows: int, numbers: int) -> None:
        self.slab = driver.host(slab_bytes, dtype=torch.uint8)
        self.view = self.slab.numpy()
        self.copy = driver.twin(self.slab)
        self.answers = driver.host(rows, numbers, dtype=torch.float32)
        self.timeline = driver.timeline()
        self.holder: _Flight | None = None


class _Flight:
    """A batch that the device works on, until its answers are taken from the slot's memory.

    ``lose`` hears of a device that was lost meanwhile.
    """

    def __init__(self, slot: _Slot, packed: Packed, reader: Reader, lose: Callable[[InputFault], None]) -> None:
        self._slot, self._packed, self._reader, self._lose = slot, packed, reader, lose
        self._lock = threading.Lock()
        self._judged: list[Judged] | None = None

    def result(self) -> list[Judged]:
        with self._lock:
            if self._judged is None:
                self._judged = self._harvest()
            return self._judged

    def _harvest(self) -> list[Judged]:
        count = len(self._packed.order)
        try:
            self._slot.timeline.wait()
            moments = self._slot.timeline.moments()
        except RuntimeError as error:  # a fault of the device comes up where it is first waited for
            fault = as_lost(error)
            self._lose(fault)
            return [Judged(fault, None, _now())] * count
        rows = in_order(self._packed, self._slot.answers[:count].tolist())
        read = (self._reader.read(row, count, moments.infer_ms) for row in rows)
        return [Judged(answer, facts, moments) for answer, facts in read]


class Lane:
    """A model on a device. Safe to share between threads.

    ``largest`` is the size of a full batch; larger ones go through in pieces. `open_lane` chooses driver and plan.
    ``model.network`` must be as the plan wants it (`recognizer.device.program.variant`).
    """

    def __init__(self, model: Model, driver: Driver, plan: Plan = SAFE, *, largest: int, depth: int = DEPTH) -> None:
        self.model, self.plan = model, plan
        self._driver = driver
        self._spec = model.manifest.preprocessing
        self._largest, self._bearable = largest, largest
        self._buckets: Sequence[int] = range(1, largest + 1) if driver.exact else buckets(largest)
        self._reader = Reader(model.labels, model.manifest.score)
        self._normalization = Normalization(self._spec, driver.device)
        self._program = program(model.network, self._normalization, model.manifest.score, len(model.labels))
        side = self._spec.height * self._spec.width * 3
        slab_bytes = largest * max(side, driver.largest_picture_bytes)
        blank = torch.zeros(largest, 3, self._spec.height, self._spec.width, dtype=torch.uint8)
        self._levels = driver.twin(blank)
        self._levels.copy_(blank)
        self._slots = [_Slot(driver, slab_bytes, largest, columns(len(model.labels))) for _ in range(depth)]
        self._turn = 0
        self._lock = threading.Lock()
        self._ask: dict[int, Callable[[], Tensor]] = {}
        self._lost: InputFault | None = None

    @property
    def lost(self) -> bool:
        """Whether the device is gone for this process: every further picture is answered with that. Start it anew."""
        return self._lost is not None

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes that batches are padded to; of a device that takes every size the largest alone."""
        return (self._largest,) if self._driver.exact else tuple(self._buckets)

    @property
    def device_name(self) -> str:
        """What the device's maker calls it."""
        return self._driver.name

    def warm(self) -> None:
        """Runs every size of a batch once, so that none of them is slow when it comes: libraries choose kernels then.

        Raises what the network raises.
        """
        with self._lock:
            self._driver.settle()  # the network may still be on its way to the device
            for size in reversed(self._buckets):  # smaller ones then find their memory in that of the largest
                self._driver.milliseconds(self._asker(size))
            self._driver.settle()

    def stage(self, pixels: Pixels) -> Staged:
        """A decoded picture, RGB (height, width, 3), as `submit` takes it: to be called by whoever decoded it."""
        return stage(pixels, self._spec, self._driver.largest_picture_bytes)

    def submit(self, batch: Sequence[Staged]) -> Handle:
        """Sends a batch on its way. At most ``depth`` batches are: one more waits for the oldest.

        Never raises for what a picture or the network does; of a failing batch each half is tried on its own, so that
        one bad picture fails alone. After an out-of-memory smaller batches are sent from then on.
        """
        with self._lock:
            parts: list[_Part] = []
            for start in range(0, len(batch), limit := self._bearable):
                parts += self._send(batch[start : start + limit])
            return Handle(parts)

    def _lose(self, fault: InputFault) -> None:
        if fault.reason is InputReason.MODEL_DEVICE_LOST:
            self._lost = fault

    def _send(self, batch: Sequence[Staged]) -> list[_Part]:
        if self._lost is not None:
            return [_Done([Judged(self._lost, None, _now())] * len(batch))]
        slot = self._slots[self._turn]
        if slot.holder is not None:
            slot.holder.result()
            slot.holder = None
        try:
            slot.holder = self._launch(slot, batch)
        except Exception as error:  # noqa: BLE001 - a network may raise anything; it becomes the pictures' reason
            fault = as_fault(error)
        else:
            self._turn = (self._turn + 1) % len(self._slots)
            return [slot.holder]
        # Out of the handler, where the traceback no longer keeps the failed batch's memory.
        fault = self._settled(fault)
        if fault.reason is InputReason.MODEL_OUT_OF_MEMORY:
            self._bearable = max(1, len(batch) // 2)
        if len(batch) == 1 or fault.reason is InputReason.MODEL_OUTPUT_INVALID:
            return [_Done([Judged(fault, self._facts(one, slot, fault), _now()) for one in batch])]
        middle = len(batch) // 2
        return self._send(batch[:middle]) + self._send(batch[middle:])

    def _settled(self, fault: InputFault) -> InputFault:
        """The fault, once nothing of the failed batch is under way; or that of a device that was lost meanwhile."""
        if fault.reason is not InputReason.MODEL_DEVICE_LOST:
            try:
                self._driver.settle()
            except RuntimeError as error:
                fault = as_lost(error)
        self._lose(fault)
        return fault

    def _launch(self, slot: _Slot, batch: Sequence[Staged]) -> _Flight:
        packed = pack(batch, slot.view)
        count, line = len(batch), slot.timeline
        with self._driver.copying():
            line.record(Step.BEGAN)
            if slot.copy is not slot.slab:
                slot.copy[: packed.size].copy_(slot.slab[: packed.size], non_blocking=True)
            line.record(Step.COPIED)
        with self._driver.computing(line):
            line.record(Step.STARTED)
            unpack(packed, slot.copy, self._levels, self._spec)
            line.record(Step.PREPARED)
            rows = self._asker(bucket_of(count, self._buckets))()
            slot.answers[:count].copy_(rows[:count], non_blocking=True)
            line.record(Step.ANSWERED)
        return _Flight(slot, packed, self._reader, self._lose)

    def _asker(self, size: int) -> Callable[[], Tensor]:
        """Asks about the first ``size`` rows of the levels."""
        if (known := self._ask.get(size)) is not None:
            return known
        full = self.plan.mode is Mode.COMPILED and size == self._largest
        chosen, levels = compiled(self._program) if full else self._program, self._levels[:size]
        self._ask[size] = asker(lambda: chosen(levels), self._driver, self.plan)
        return self._ask[size]

    def _facts(self, one: Staged, slot: _Slot, fault: InputFault) -> TensorFacts | None:
        """The figures of an input that the network failed on: they may say why."""
        if fault.reason is InputReason.MODEL_DEVICE_LOST:
            return None
        packed = pack([one], slot.view)
        try:
            with torch.inference_mode():
                unpack(packed, slot.slab[: packed.size].to(self._driver.device), self._levels, self._spec)
                return from_row(measure(self._normalization(self._levels[:1]))[0].tolist())
        except RuntimeError as error:  # the device has no memory for this either, or is gone by now
            self._lose(as_fault(error))
            return None


def asker(rows: Callable[[], Tensor], driver: Driver, plan: Plan) -> Callable[[], Tensor]:
    """A calculation as the plan starts it."""
    return rows if plan.mode is Mode.EAGER else _Captured(rows, driver.capture(rows))


@dataclass(frozen=True, slots=True)
class _Captured:
    """A graph knows addresses, not tensors: with ``rows`` the weights that it reads live as long as it does."""

    rows: Callable[[], Tensor]
    replay: Callable[[], Tensor]

    def __call__(self) -> Tensor:
        return self.replay()


def _now() -> Moments:
    now = time.time_ns() / 1e6
    return Moments(now, 0.0, now, 0.0)
