"""How unusual the newest value of a series is, seen on several time scales at once, without looking ahead.

Eight measures of strangeness, each turned into a surprise (`detectors.stats.surprise`) within its own past:

- the shape of the last blocks against all earlier ones on three time scales (`detectors.stats.shapes`);
- the newest block's mean against all earlier ones;
- the distance from what is usual at this time of the day and of the week (`detectors.stats.season`);
- the distance from the median of the past;
- the distance of the single value from its running mean, in running standard deviations (EWMA control chart).

The mean over shapes and seasons by rank alone is the ``surprise`` that `detectors.stats.gate` turns into alarms. The
mean over all eight, reaching beyond the record, is the ``raw`` score: comparable across series, unbounded, and what
`detectors.stats.tail` calibrates. The time scales are parts of the warm-up, the only length that must be chosen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from detectors.stats.packing import Sheet, slide, whole
from detectors.stats.season import DAY_S, WEEK_S, Season
from detectors.stats.shapes import Blocks
from detectors.stats.surprise import Surprise

LARGEST: Final = 1e30
"""Values are cut to this, so that squares stay finite and distances fit single precision."""

_FINE, _MIDDLE, _COARSE = 208, 104, 52
_LEVEL_PART = 26
_START_PART = 13
_LENGTHS = (12, 8, 4)
"""How many blocks a shape has, on the fine, the middle and the coarse time scale."""

_NEWEST, _LEVEL, _SINGLE = 5, 6, 7
"""The places of the last measures, after three shapes and two seasons."""

_MEASURES = 8
_DAY_BINS, _WEEK_BINS = 48, 168
_DAY_RATE, _WEEK_RATE = 0.2, 0.3
_ALARMING = 5
_RATE = 0.05
_MOST = 10**12
_LARGEST_VARIANCE = 10**62
_SEEN, _ORIGIN, _MEDIAN, _MEAN, _VARIANCE = range(5)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is remembered: ``blocks`` per time scale, ``ranks`` twice per measure.

    warm_up  how many values are one warm-up: the time scales are parts of it
    """

    warm_up: int
    blocks: int = 500
    ranks: int = 500


@dataclass(frozen=True, slots=True)
class Scores:
    """``raw`` and ``surprise`` as the module says."""

    raw: float
    surprise: float


@dataclass(frozen=True, slots=True)
class _Plan:
    """What follows from a `Size`: lengths in values, and how many numbers the state has.

    steps       of the blocks on the three time scales
    turns       every how many values a measure is taken
    smooth      over how many values the distances from day and week are averaged
    level_room  how many values are the level
    room        how many values are remembered one by one
    start       after how many values the strangeness of values is learned
    """

    steps: tuple[int, int, int]
    turns: tuple[int, ...]
    smooth: tuple[int, int]
    level_room: int
    room: int
    start: int
    numbers: int
    singles: int


@cache
def _plan(size: Size) -> _Plan:
    fine, middle, coarse = steps = tuple(max(1, size.warm_up // part) for part in (_FINE, _MIDDLE, _COARSE))
    halves = [max(1, step // 2) for step in steps]
    level_room = max(1, size.warm_up // _LEVEL_PART)
    room = max(level_room, *(length * step for length, step in zip(_LENGTHS, steps, strict=True)))
    parts = [(_VARIANCE + 1 + 3 * _MEASURES, room + middle + coarse)]
    parts += [(1, size.blocks)] * len(steps)
    parts += [Season.room(_DAY_BINS), Season.room(_WEEK_BINS)]
    parts += [Surprise.room(size.ranks)] * _MEASURES
    return _Plan(
        steps=(fine, middle, coarse),
        turns=(*halves, 1, 1, halves[1], 1, 1),
        smooth=(middle, coarse),
        level_room=level_room,
        room=room,
        start=max(1, size.warm_up // _START_PART),
        numbers=sum(numbers for numbers, _ in parts),
        singles=sum(singles for _, singles in parts),
    )


class Scorer:
    """One series. `observe` scores the newest value, `learn` takes it into what is usual; leave out what is not."""

    __slots__ = (
        "_beyond",
        "_blocks",
        "_distances",
        "_due",
        "_newest",
        "_past",
        "_plan",
        "_ranks",
        "_recent",
        "_residuals",
        "_seasons",
        "_sheet",
        "_state",
    )

    def __init__(self, size: Size, data: bytes | None = None) -> None:
        """A new one, or what ``data`` (`packed`) was; ValueError if that is not the state of a scorer of this size."""
        plan = self._plan = _plan(size)
        sheet = self._sheet = Sheet(plan.numbers, plan.singles, data)
        self._state = sheet.numbers(_VARIANCE + 1)
        self._distances, self._ranks, self._beyond = (sheet.numbers(_MEASURES) for _ in range(3))
        self._recent = sheet.singles(plan.room)
        self._residuals = (sheet.singles(plan.smooth[0]), sheet.singles(plan.smooth[1]))
        self._blocks = tuple(Blocks(step, size.blocks, sheet) for step in plan.steps)
        self._seasons = (
            Season(DAY_S, _DAY_BINS, _DAY_RATE, sheet),
            Season(WEEK_S, _WEEK_BINS, _WEEK_RATE, sheet),
        )
        self._past = tuple(Surprise(size.ranks, sheet) for _ in range(_MEASURES))
        self._due: list[int] = []
        self._newest = self._known(self._recent)
        whole(self._state[_SEEN], _MOST)
        whole(self._state[_VARIANCE], _LARGEST_VARIANCE)

    def observe(self, time_s: float, value: float) -> Scores:
        """The scores of the next value (finite), measured at ``time_s`` (seconds since 1970 UTC)."""
        value = min(max(value, -LARGEST), LARGEST)
        state = self._state
        if not state[_SEEN]:
            state[_ORIGIN] = value
        offset = value - state[_ORIGIN]
        slide(self._recent, offset)
        seen = state[_SEEN] = state[_SEEN] + 1.0
        self._newest = self._known(self._recent)
        self._due = [place for place, turn in enumerate(self._plan.turns) if seen % turn == 0.0]
        self._measure(time_s, offset)
        for place in self._due:
            self._ranks[place], self._beyond[place] = self._past[place].of(self._distances[place])
        ranks, beyond = self._ranks[:_ALARMING].tolist(), self._beyond.tolist()
        return Scores(math.fsum(beyond) / _MEASURES, math.fsum(ranks) / _ALARMING)

    def learn(self, time_s: float, value: float, *, strangeness: bool = True) -> None:
        """Take the value that was observed last into what is usual, and how strange it was into what that is like."""
        state = self._state
        seen, origin, _, mean, variance = state.tolist()
        offset = min(max(value, -LARGEST), LARGEST) - origin
        for blocks in self._blocks:
            if seen % blocks.step == 0.0:
                blocks.add(sum(self._newest[-blocks.step :]) / blocks.step)
        if seen % self._blocks[2].step == 0.0:
            state[_MEDIAN] = self._blocks[2].median()
        for season in self._seasons:
            season.learn(time_s, offset)
        change = offset - mean
        state[_MEAN] = mean + _RATE * change
        state[_VARIANCE] = (1.0 - _RATE) * (variance + _RATE * change * change)
        if strangeness and seen > self._plan.start:
            distances = self._distances.tolist()
            for place in self._due:
                self._past[place].add(distances[place])

    def _measure(self, time_s: float, offset: float) -> None:
        found, recent = self._distances, self._newest
        _, _, median, mean, variance = self._state.tolist()
        for place in self._due:
            if place < len(self._blocks):
                found[place] = self._blocks[place].distance(_LENGTHS[place], recent)
            elif place == _NEWEST:
                found[place] = self._blocks[1].distance(1, recent)
        for place, (season, residuals) in enumerate(
            zip(self._seasons, self._residuals, strict=True), len(self._blocks)
        ):
            slide(residuals, offset - season.level(time_s))
            found[place] = abs(_mean(self._known(residuals)))
        found[_LEVEL] = abs(_mean(recent[-self._plan.level_room :]) - median)
        change = abs(offset - mean)
        found[_SINGLE] = min(change / max(math.sqrt(variance), change / LARGEST, 1.0 / LARGEST), LARGEST)

    @property
    def learned(self) -> int:
        """How many values it has seen."""
        return int(self._state[_SEEN])

    def usual(self, time_s: float) -> tuple[float, float]:
        """What is expected at this time, and the mean absolute error of that: by the day or the week if proven."""
        told = [season.usual(time_s) for season in self._seasons if season.proven]
        centre, error = min(told, key=lambda one: one[1]) if told else self._seasons[0].usual(time_s)
        return centre + self._state[_ORIGIN], error

    def newest(self, count: int) -> list[float]:
        """The newest values, at most ``count`` and at most those of the longest shape, oldest first."""
        return [offset + self._state[_ORIGIN] for offset in self._newest[-count:]]

    def packed(self) -> bytes:
        """Its state; a scorer of the same size that is made of it goes on exactly."""
        return self._sheet.packed()

    def _known(self, values: "memoryview[float]") -> Sequence[float]:
        """Those that have been filled, oldest first."""
        return values.tolist()[max(len(values) - int(self._state[_SEEN]), 0) :]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
