"""What has changed in blocks of scores, since when, and whether it is more than the series does by itself."""

import enum
from dataclasses import dataclass

import numpy as np

from detectors.stats.blocks import Blocks
from detectors.stats.level import WIDTHS, usual_levels
from detectors.stats.robust import change_start
from detectors.stats.series import Floats

RECENT_BLOCKS = 240
HELD_BLOCKS = 3
_CLEAR = 4.0
_LEAST_SCALE = 0.1
_LEAST_SIZE = 0.01
_TINY = 1e-12


class Way(enum.StrEnum):
    """How scores have drifted."""

    SINKS = "sinks"
    SHARPENS = "sharpens"
    WIDENS = "widens"


class Measure(enum.StrEnum):
    """By what a drift is told: the mean score, the doubt (1 - score, averaged as logit) or the standard deviation."""

    MEAN = "mean"
    DOUBT = "doubt"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True)
class Aspect:
    """A way to drift: ``sign`` is +1 where its measure rises."""

    way: Way
    measure: Measure
    sign: float


ASPECTS = (
    Aspect(Way.SINKS, Measure.MEAN, -1.0),
    Aspect(Way.SHARPENS, Measure.MEAN, 1.0),
    Aspect(Way.WIDENS, Measure.SPREAD, 1.0),
    Aspect(Way.SHARPENS, Measure.DOUBT, -1.0),
)
"""In the order in which they are looked for: what sinks usually widens too, and is told as sinking; scores near 1 that
widen bring less doubt too, as those that come still nearer to 1 weigh most, and are told as widening."""


@dataclass(frozen=True, slots=True)
class Change:
    """Since which bucket, from which usual level to which, and what size a relative change of 1 has."""

    aspect: Aspect
    since: int
    usual: float
    size: float
    level: float

    @property
    def depth(self) -> float:
        """The relative change in the aspect's direction."""
        return self.aspect.sign * (self.level - self.usual) / self.size


def measured(blocks: Blocks, measure: Measure) -> Floats:
    """One value per block; NaN where the store told no histogram."""
    match measure:
        case Measure.MEAN:
            values = blocks["mean"]
        case Measure.SPREAD:
            values = blocks["spread"]
        case Measure.DOUBT:
            return 1.0 / (1.0 + np.exp(np.clip(blocks["logit"].astype(np.float64), -50, 50)))
    return values.astype(np.float64)


def level(blocks: Blocks, measure: Measure) -> float | None:
    """The mean of a measure over blocks, weighted by scores; None if it is unknown."""
    values, events = measured(blocks, measure), np.abs(blocks["events"].astype(np.float64))
    known = np.isfinite(values)
    return float(values[known] @ events[known] / events[known].sum()) if known.any() else None


def change(known: Blocks, aspect: Aspect, least: float) -> Change | None:
    """The change the newest of ``known`` show, if it has the size ``least`` and stands out from the past."""
    values = measured(known, aspect.measure)
    if not np.isfinite(values).all():
        known, values = known[np.isfinite(values)], values[np.isfinite(values)]
    if len(known) < 2:
        return None
    events = known["events"].astype(np.float64)
    centre = float(np.median(values))
    recent = max(len(known) - RECENT_BLOCKS, 0)
    room = _size(centre, known, aspect.measure) * least / 2
    begin = recent + change_start((aspect.sign * (values[recent:] - centre) - room) * events[recent:])
    usual = float(np.median(values[:begin])) if begin else centre
    newest = float(values[begin:] @ events[begin:] / events[begin:].sum())
    found = Change(aspect, int(known["bucket"][begin]), usual, _size(usual, known, aspect.measure), newest)
    return found if found.depth >= least and _stands_out(values, events, begin, found, least) else None


def _size(usual: float, blocks: Blocks, measure: Measure) -> float:
    """What a change is measured by: the usual level; a spread is not told by less than a hundredth of the mean."""
    least = _LEAST_SIZE * abs(float(np.median(blocks["mean"]))) if measure is Measure.SPREAD else 0.0
    return max(abs(usual), least, _TINY)


def _stands_out(values: Floats, events: Floats, begin: int, found: Change, least: float) -> bool:
    """Whether the newest blocks are further out than such stretches have been before.

    Blocks of a model that wanders by itself are not exchangeable, and the test takes a long wave for a change. What
    stretches of the same length used to do tells the two apart.
    """
    sign = found.aspect.sign
    changed = max(len(values) - begin, WIDTHS[0])
    usual = usual_levels(sign * values[:begin], events[:begin], found.size * least * _LEAST_SCALE)
    fitting = [one for one in usual if one.width <= changed]
    if not fitting:
        return False
    widest = fitting[-1]
    weights = events[-widest.width :]
    newest = widest.level((sign * values[-widest.width :]).tolist(), weights.tolist())
    return newest - widest.centre >= _CLEAR * widest.noise(float(weights.sum()))
