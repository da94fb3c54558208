"""Which way of running a network is fastest on this device and still gives the answers of float32, by trying.

Half precision is taken only where it agrees: the same best label, and its score within `TOLERANCE`, for the canary and
for every picture of a batch made of it. A picture that float32 itself hardly decides (its two best scores lie within
the tolerance) may fall either way; the canary may not.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recognizer.decode import read
from recognizer.device.driver import Driver
from recognizer.device.lane import asker
from recognizer.device.plan import SAFE, Layout, Measurement, Mode, Plan, Precision, choose
from recognizer.device.program import Program, compiled, program, variant
from recognizer.fault import InputFault
from recognizer.formats.base import Graph, first_line
from recognizer.infer import Answer, Reader
from recognizer.manifest import ScoreKind
from recognizer.model import Model
from recognizer.preprocess import Normalization, images_of, levels

SECONDS: Final = 2.0
"""For measuring, all plans together; making them ready is not counted."""
TOLERANCE: Final = 0.02
"""Of a score, which lies between 0 and 1. bfloat16 has eight bits: a logit of 10 moves by some hundredths."""
_LOGIT_SHARE: Final = 0.03
"""Of the best output, where outputs are no scores (`ScoreKind.LOGIT`)."""
_LEAST_ROUNDS, _MOST_ROUNDS = 3, 50
_SEED = 20_240_521


@dataclass(frozen=True, slots=True)
class Trial:
    """What every plan is tried with. ``canaries``: how many of the first pictures must be answered as by float32."""

    levels: Tensor
    canaries: int


def trial(model: Model, size: int, device: torch.device) -> Trial:
    """A full batch: the canary where the model has one, and pictures like it, or else smooth noise. Seeded."""
    spec = model.manifest.preprocessing
    random = torch.Generator().manual_seed(_SEED)
    coarse = torch.rand(size, 3, 8, 8, generator=random)
    smooth = functional.interpolate(coarse, (spec.height, spec.width), mode="bicubic").clamp(0, 1) * 255
    canary = model.manifest.canary
    if canary is not None:
        pixels = np.ascontiguousarray(read(model.folder / canary.file).pixels)
        known = levels(images_of(pixels), spec).float()
        shares = torch.rand(size, 1, 1, 1, generator=random) * 0.5  # the canary under a veil, each time another one
        shares[0] = 0
        smooth = known * (1 - shares) + smooth * shares
    return Trial(smooth.round().to(torch.uint8).to(device), int(canary is not None))


def plans(model: Model, driver: Driver) -> tuple[Plan, ...]:
    """What is tried. A finished graph (ONNX, TorchScript, .pt2) is run as it is: its numbers are its own."""
    if isinstance(model.network, Graph):
        return (SAFE,)
    mode = Mode.GRAPH if driver.graphs else Mode.EAGER
    return tuple(Plan(precision, layout, mode) for precision in Precision for layout in Layout)


def autotune(
    model: Model, driver: Driver, size: int, *, compiling: bool = False, seconds: float = SECONDS
) -> tuple[Plan, tuple[Measurement, ...]]:
    """The plan for full batches of ``size``, and all that was measured for it. Raises what float32 itself raises.

    ``compiling``: the best precision is compiled too, in both layouts, which takes minutes for a large network.
    """
    found = measured(model, driver, size, plans(model, driver), seconds)
    if compiling and not isinstance(model.network, Graph):
        best = choose(found)
        tried = [Plan(best.precision, layout, Mode.COMPILED) for layout in Layout]
        found += measured(model, driver, size, tried, seconds)
    return choose(found), tuple(found)


def measured(
    model: Model, driver: Driver, size: int, wanted: Sequence[Plan], seconds: float = SECONDS
) -> list[Measurement]:
    """How long full batches of ``size`` take by each of the plans, or why a plan can't be used."""
    with torch.inference_mode():
        found = _Bench(model, driver, trial(model, size, driver.device)).measure(wanted, seconds)
    driver.settle()
    return found


class _Bench:
    """One model on one device with one trial batch."""

    def __init__(self, model: Model, driver: Driver, tried: Trial) -> None:
        self._model, self._driver, self._trial = model, driver, tried
        self._reader = Reader(model.labels, model.manifest.score)
        self._normalization = Normalization(model.manifest.preprocessing, driver.device)
        self._reference = self._answers(self._program(SAFE)(tried.levels))

    def measure(self, wanted: Sequence[Plan], seconds: float) -> list[Measurement]:
        """Every plan in turns, so that a disturbance meets them all; the median of each."""
        ready: dict[Plan, Callable[[], Tensor]] = {}
        faults: list[Measurement] = []
        for plan in wanted:
            for possible in _or_eager(plan):
                rows, fault = self._prepared(possible)
                if rows is not None:
                    ready[possible] = rows
                    break
                faults.append(Measurement(possible, 0.0, fault))
        times: dict[Plan, list[float]] = {plan: [] for plan in ready}
        until = time.monotonic() + seconds
        for turn in range(_MOST_ROUNDS):
            for plan, rows in ready.items():
                times[plan].append(self._driver.milliseconds(rows))
            if turn + 1 >= _LEAST_ROUNDS and time.monotonic() >= until:
                break
        return [Measurement(plan, round(statistics.median(each), 4)) for plan, each in times.items()] + faults

    def _prepared(self, plan: Plan) -> tuple[Callable[[], Tensor] | None, str]:
        """The calculation, run once, or why the plan can't be used."""
        try:
            chosen, tried = self._program(plan), self._trial.levels
            rows = asker(lambda: chosen(tried), self._driver, plan)
            found = self._answers(rows())
        except Exception as error:  # noqa: BLE001 - whatever it is, this plan is not for this network
            return None, first_line(error)
        fault = disagreement(self._reference, found, self._trial.canaries, self._reader.kind)
        return (None, fault) if fault else (rows, "")

    def _program(self, plan: Plan) -> Program:
        network = variant(self._model.network, plan)
        rows = program(network, self._normalization, self._model.manifest.score, len(self._model.labels))
        return compiled(rows) if plan.mode is Mode.COMPILED else rows

    def _answers(self, rows: Tensor) -> list[Answer | InputFault]:
        found = rows.tolist()
        return [self._reader.read(row, len(found), 0.0)[0] for row in found]


def _or_eager(plan: Plan) -> Iterator[Plan]:
    """A network that can't be captured as a graph may still be fast in half precision."""
    yield plan
    if plan.mode is Mode.GRAPH:
        yield Plan(plan.precision, plan.layout, Mode.EAGER)


def disagreement(
    reference: list[Answer | InputFault], found: list[Answer | InputFault], canaries: int, kind: ScoreKind
) -> str:
    """Why answers can't take the place of the ``reference``; empty when they can. The first ``canaries`` are strict."""
    for index, (right, here) in enumerate(zip(reference, found, strict=True)):
        if isinstance(right, InputFault):  # float32 has no answer either
            continue
        picture = "the canary" if index < canaries else f"picture {index}"
        if isinstance(here, InputFault):
            return f"{picture}: {here.message}"
        tolerance = _LOGIT_SHARE * abs(right.scores[0]) if kind is ScoreKind.LOGIT else TOLERANCE
        if not abs(here.scores[0] - right.scores[0]) <= tolerance:
            return f"{picture} scores {here.scores[0]:.4f}, by float32 {right.scores[0]:.4f}"
        if here.labels[0] != right.labels[0] and (index < canaries or right.margin > tolerance):
            return f"{picture} is called {here.labels[0]!r}, by float32 {right.labels[0]!r}"
    return ""
