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
from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.stats.packing import Packer, Unpacker
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
_ALARMING = 5
_RATE = 0.05
_MOST = 10**12


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


class Scorer:
    """One series. `observe` scores the newest value, `learn` takes it into what is usual; leave out what is not."""

    def __init__(self, size: Size) -> None:
        steps = [max(1, size.warm_up // part) for part in (_FINE, _MIDDLE, _COARSE)]
        self._blocks = tuple(Blocks(step, size.blocks) for step in steps)
        fine, middle, coarse = (max(1, step // 2) for step in steps)
        self._turns = (fine, middle, coarse, 1, 1, middle, 1, 1)
        self._due: list[int] = []
        self._smooth = (steps[1], steps[2])
        self._level_room = max(1, size.warm_up // _LEVEL_PART)
        longest = (length * step for length, step in zip(_LENGTHS, steps, strict=True))
        self._room = max(self._level_room, *longest)
        self._recent = array("f")
        self._seasons = (Season(DAY_S, 48, 0.2), Season(WEEK_S, 168, 0.3))
        self._residuals = (array("f"), array("f"))
        self._past = tuple(Surprise(size.ranks) for _ in range(_MEASURES))
        self._distances = [0.0] * _MEASURES
        self._ranks = [0.0] * _MEASURES
        self._beyond = [0.0] * _MEASURES
        self._start = max(1, size.warm_up // _START_PART)
        self._seen = 0
        self._origin = 0.0
        self._median = 0.0
        self._mean = 0.0
        self._variance = 0.0

    def observe(self, time_s: float, value: float) -> Scores:
        """The scores of the next value (finite), measured at ``time_s`` (seconds since 1970 UTC)."""
        value = min(max(value, -LARGEST), LARGEST)
        if not self._seen:
            self._origin = value
        offset = value - self._origin
        _slide(self._recent, offset, self._room)
        self._seen += 1
        self._due = [place for place, turn in enumerate(self._turns) if self._seen % turn == 0]
        self._measure(time_s, offset)
        for place in self._due:
            self._ranks[place], self._beyond[place] = self._past[place].of(self._distances[place])
        return Scores(math.fsum(self._beyond) / _MEASURES, math.fsum(self._ranks[:_ALARMING]) / _ALARMING)

    def learn(self, time_s: float, value: float, *, strangeness: bool = True) -> None:
        """Take the value that was observed last into what is usual, and how strange it was into what that is like."""
        offset = min(max(value, -LARGEST), LARGEST) - self._origin
        for blocks in self._blocks:
            if self._seen % blocks.step == 0:
                blocks.add(sum(self._recent[-blocks.step :]) / blocks.step)
        if self._seen % self._blocks[2].step == 0:
            self._median = float(np.median(self._blocks[2].past()))
        for season in self._seasons:
            season.learn(time_s, offset)
        change = offset - self._mean
        self._mean += _RATE * change
        self._variance = (1.0 - _RATE) * (self._variance + _RATE * change * change)
        if strangeness and self._seen > self._start:
            for place in self._due:
                self._past[place].add(self._distances[place])

    def _measure(self, time_s: float, offset: float) -> None:
        found = self._distances
        for place in self._due:
            if place < len(self._blocks):
                found[place] = self._blocks[place].distance(_LENGTHS[place], self._recent)
            elif place == _NEWEST:
                found[place] = self._blocks[1].distance(1, self._recent)
        seasonal = zip(self._seasons, self._residuals, self._smooth, strict=True)
        for place, (season, residuals, room) in enumerate(seasonal, start=len(self._blocks)):
            _slide(residuals, offset - season.level(time_s), room)
            newest = residuals[-room:]
            found[place] = abs(sum(newest)) / len(newest)
        newest = self._recent[-self._level_room :]
        found[_LEVEL] = abs(sum(newest) / len(newest) - self._median)
        change = abs(offset - self._mean)
        found[_SINGLE] = min(change / max(math.sqrt(self._variance), change / LARGEST, 1.0 / LARGEST), LARGEST)

    @property
    def learned(self) -> int:
        """How many values it has seen."""
        return self._seen

    def usual(self, time_s: float) -> tuple[float, float]:
        """What is expected at this time, and the mean absolute error of that: by the day or the week if proven."""
        told = [season.usual(time_s) for season in self._seasons if season.proven]
        centre, error = min(told, key=lambda one: one[1]) if told else self._seasons[0].usual(time_s)
        return centre + self._origin, error

    def newest(self, count: int) -> list[float]:
        """The newest values, at most ``count`` and at most those of the longest shape, oldest first."""
        return [offset + self._origin for offset in self._recent[-min(count, self._room) :]]

    def packed(self) -> bytes:
        """Its state; `unpacked` makes the same scorer of it."""
        packer = Packer()
        packer.numbers(self._seen, self._origin, self._median, self._mean, self._variance)
        for held in zip(self._distances, self._ranks, self._beyond, strict=True):
            packer.numbers(*held)
        for values, room in self._windows():
            packer.singles(values[-room:])
        for part in self._parts():
            part.pack(packer)
        return packer.packed()

    @classmethod
    def unpacked(cls, size: Size, data: bytes) -> "Scorer":
        """ValueError if ``data`` is not the state of a scorer of this size."""
        scorer, unpacker = cls(size), Unpacker(data)
        scorer._seen = unpacker.whole(_MOST)
        scorer._origin, scorer._median, scorer._mean, variance = unpacker.numbers(4)
        scorer._variance = max(variance, 0.0)
        held = unpacker.numbers(3 * _MEASURES).tolist()
        scorer._distances, scorer._ranks, scorer._beyond = (held[place::3] for place in range(3))
        for values, room in scorer._windows():
            values.extend(unpacker.singles(room))
        for part in scorer._parts():
            part.unpack(unpacker)
        unpacker.finish()
        return scorer

    def _windows(self) -> "tuple[tuple[array[float], int], ...]":
        return ((self._recent, self._room), *zip(self._residuals, self._smooth, strict=True))

    def _parts(self) -> tuple[Blocks | Season | Surprise, ...]:
        return (*self._blocks, *self._seasons, *self._past)


def _slide(values: "array[float]", value: float, room: int) -> None:
    """Append; at least the newest ``room`` stay."""
    if len(values) >= 4 * room:
        del values[: len(values) - room]
    values.append(value)
