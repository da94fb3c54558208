"""How often chance alone gives a score: the upper tail of a stream of scores, learned as it comes.

Scores of neighbouring buckets depend on each other, and one disturbance raises several of them. So what counts are the
peaks of blocks of neighbours, and of those only the highest are kept. Above the lowest kept peak the excesses follow a
generalised Pareto law (Pickands 1975, Balkema and de Haan 1974; for streams: Siffer et al., "Anomaly Detection in
Streams with Extreme Value Theory", KDD 2017). Its shape and scale are not estimated and then believed: the answer is
averaged over all that fit the peaks, weighted by how well they do (the posterior predictive law). So few peaks make a
rare score look less rare, which is what keeps a promise that reaches beyond what has been seen.

A score that raised an alarm is to be learned with `Tail.learn_alarm`, which cuts it: it counts, so that alarms that
come too often raise the height at which they begin, but a real incident does not teach that its size is usual.
"""

import math
from bisect import bisect_left, insort
from typing import Annotated, Final

import msgspec
import numpy as np

from detectors.stats.series import Floats

BLOCK: Final = 5
"""Neighbours that are one block: disturbances this close together are one."""

PEAKS: Final = 48
"""Peaks that are kept of a generation."""

LARGEST: Final = 1e12
"""Scores are cut to this."""

_LEAST_SEEN = 120
_FURTHEST = 150.0
"""A mean time between alarms this many times longer than what was seen can still be promised."""

_GENERATION = 20_000
"""Scores after which a new generation of peaks begins; the one before it is kept beside it."""

_CAUTION = 1.75
"""The law is fitted to what was not taken for an incident; chance is thought to be this much more frequent."""

_COUNTED = 3
"""So many peaks are evidence of their own; one or two may have been incidents."""

_MODEST = 10.0
"""Nine of ten false alarms are by scores that chance reaches at least once in so many promised intervals."""

_LEAST_SCALE = 0.05
_SHAPES: Floats = np.array([0.0, 0.08, 0.16, 0.24, 0.32, 0.4, 0.5, 0.65])[:, None]
_SHAPE_SPREAD = 0.25
_SCALES: Floats = np.exp(np.linspace(-1.0, 1.0, 17))[None, :]
_LOG_PRIOR: Floats = -0.5 * (_SHAPES / _SHAPE_SPREAD) ** 2 + np.zeros_like(_SCALES)

_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_Score = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]
_Peaks = Annotated[list[_Score], msgspec.Meta(max_length=PEAKS)]


class Peaks(msgspec.Struct, array_like=True, gc=False):
    """One generation: how many ``blocks`` were seen, and their highest peaks, ascending."""

    blocks: _Count = 0
    highest: _Peaks = []

    def add(self, peak: float) -> None:
        self.blocks += 1
        if len(self.highest) < PEAKS:
            insort(self.highest, peak)
        elif peak > self.highest[0]:
            del self.highest[0]
            insort(self.highest, peak)


class Tail(msgspec.Struct, array_like=True, gc=False):
    """The upper tail of a stream of scores (at least 0, in units in which 0.05 is next to nothing).

    Mutable, JSON by msgspec. ``top`` is the highest score of the block that is open, ``filled`` how many it has.
    """

    now: Peaks = msgspec.field(default_factory=Peaks)
    before: Peaks = msgspec.field(default_factory=Peaks)
    top: _Score = 0.0
    filled: Annotated[int, msgspec.Meta(ge=0, lt=BLOCK)] = 0

    @property
    def seen(self) -> int:
        """How many scores of the last two generations it knows."""
        return (self.now.blocks + self.before.blocks) * BLOCK + self.filled

    def learn_alarm(self, score: float, interval: float) -> None:
        """Take in a score that raised an alarm, where one alarm in ``interval`` scores is promised."""
        self.learn(min(score, self.height(_MODEST * interval)))

    def learn(self, score: float) -> None:
        """Take in one score."""
        self.top = max(self.top, min(score, LARGEST))
        self.filled += 1
        if self.filled < BLOCK:
            return
        self.now.add(self.top)
        self.top, self.filled = 0.0, 0
        if self.now.blocks * BLOCK >= _GENERATION:
            self.before, self.now = self.now, Peaks()

    def interval(self, score: float, least: float = 0.0) -> float:
        """The mean number of scores between two disturbances that reach ``score`` by chance.

        0 below the tail, and where what was seen already shows that it is less than ``least``: that is found out fast.
        """
        blocks, peaks = self._known()
        if not peaks or score <= peaks[0]:
            return 0.0
        reached = len(peaks) - bisect_left(peaks, score)
        if reached >= _COUNTED and BLOCK * (blocks + 1) < least * reached:
            return 0.0
        return BLOCK / max(float(self._share(np.array([score]), blocks, peaks)[0]), 1.0 / LARGEST)

    def height(self, interval: float) -> float:
        """The score that chance reaches once in ``interval`` scores."""
        blocks, peaks = self._known()
        if not peaks:
            return LARGEST
        reach = max(peaks[-1] - peaks[0], _LEAST_SCALE)
        low, high = peaks[0], peaks[0] + reach
        share = BLOCK / interval
        while self._share(np.array([high]), blocks, peaks)[0] > share and high < LARGEST:
            low, high = high, high + 2.0 * (high - peaks[0])
        for _ in range(3):
            grid = np.linspace(low, high, 17)
            step = int(np.searchsorted(-self._share(grid, blocks, peaks), -share))
            low, high = float(grid[max(step - 1, 0)]), float(grid[min(step, 16)])
        return min(high, LARGEST)

    def _known(self) -> tuple[int, list[float]]:
        """Blocks and peaks of both generations, above what either has kept completely."""
        if not self.before.blocks:
            return self.now.blocks, self.now.highest
        merged = sorted(self.before.highest + self.now.highest)
        return self.now.blocks + self.before.blocks, merged[-PEAKS:]

    @staticmethod
    def _share(scores: Floats, blocks: int, peaks: list[float]) -> Floats:
        """The share of blocks whose peak reaches each of ``scores`` (above the lowest kept peak).

        By the law, with caution; where several peaks did reach the score, at least the share of those.
        """
        excess = np.array(peaks[1:]) - peaks[0]
        count = len(excess)
        if not count:
            return np.ones_like(scores)
        scale = max(float(excess.mean()), _LEAST_SCALE) * (1.0 - _SHAPES) * _SCALES
        fit = _log_survival(excess, scale)
        log_weight = _LOG_PRIOR + (fit * (1.0 + _SHAPES[:, :, None])).sum(axis=2) - count * np.log(scale)
        weight = np.exp(log_weight - log_weight.max())
        survival = np.exp(_log_survival(scores - peaks[0], scale))
        beyond: Floats = np.tensordot(weight / weight.sum(), survival, 2)
        reached = count - np.searchsorted(excess, scores - peaks[0])
        seen = np.where(reached >= _COUNTED, reached / (blocks + 1), 0.0)
        return np.clip(_CAUTION * beyond * (count + 1) / (blocks + 1), seen, 1.0)


def _log_survival(excess: Floats, scale: Floats) -> Floats:
    """The logarithm of the share that exceeds ``excess`` under every shape and scale (last axis: the excesses)."""
    ratio = np.maximum(excess, 0.0) / scale[:, :, None]
    shape = np.maximum(_SHAPES, 1e-9)[:, :, None]
    survival: Floats = -np.log1p(shape * ratio) / shape
    return survival


def needed(interval: float) -> int:
    """How many scores must have been seen before a mean time of ``interval`` scores between alarms can be promised."""
    return max(_LEAST_SEEN, math.ceil(interval / _FURTHEST))
