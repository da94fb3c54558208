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

from detectors.stats.packing import Places, Sheet, slide
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
_SEEN, _ORIGIN, _MEDIAN, _MEAN, _VARIANCE, _DISTANCES = range(6)
_RANKS, _BEYOND = _DISTANCES + _MEASURES, _DISTANCES + 2 * _MEASURES
_HEAD = _DISTANCES + 3 * _MEASURES


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
    """What follows from a `Size`: lengths in values, and the parts of a state with their places.

    turns       every how many values a measure is taken
    level_room  how many values are the level
    room        how many values are remembered one by one
    residuals   where the distances from day and week lie that are averaged, begin and end
    start       after how many values the strangeness of values is learned
    """

    places: Places
    turns: tuple[int, ...]
    level_room: int
    room: int
    residuals: tuple[tuple[int, int], ...]
    blocks: tuple[Blocks, ...]
    seasons: tuple[Season, ...]
    past: tuple[Surprise, ...]
    start: int


@cache
def _plan(size: Size) -> _Plan:
    steps = [max(1, size.warm_up // part) for part in (_FINE, _MIDDLE, _COARSE)]
    halves = [max(1, step // 2) for step in steps]
    level_room = max(1, size.warm_up // _LEVEL_PART)
    room = max(level_room, *(length * step for length, step in zip(_LENGTHS, steps, strict=True)))
    places = Places()
    places.numbers(_HEAD)
    places.singles(room)
    begins = [places.singles(step) for step in steps[1:]]
    blocks = tuple(Blocks(step, size.blocks, places) for step in steps)
    seasons = (Season(DAY_S, _DAY_BINS, _DAY_RATE, places), Season(WEEK_S, _WEEK_BINS, _WEEK_RATE, places))
    past = tuple(Surprise(size.ranks, places) for _ in range(_MEASURES))
    return _Plan(
        places=places,
        turns=(*halves, 1, 1, halves[1], 1, 1),
        level_room=level_room,
        room=room,
        residuals=tuple((begin, begin + step) for begin, step in zip(begins, steps[1:], strict=True)),
        blocks=blocks,
        seasons=seasons,
        past=past,
        start=max(1, size.warm_up // _START_PART),
    )


class Scorer:
    """One series. `observe` scores the newest value, `learn` takes it into what is usual; leave out what is not."""

    __slots__ = ("_due", "_newest", "_plan", "_sheet")

    def __init__(self, size: Size, data: bytes | None = None) -> None:
        """A new one, or what ``data`` (`packed`) was; ValueError if that is not the state of a scorer of this size."""
        plan = self._plan = _plan(size)
        self._sheet = Sheet(plan.places, data)
        self._due: list[int] = []
        self._newest = self._known(0, plan.room)

    def observe(self, time_s: float, value: float) -> Scores:
        """The scores of the next value (finite), measured at ``time_s`` (seconds since 1970 UTC)."""
        value = min(max(value, -LARGEST), LARGEST)
        plan, sheet = self._plan, self._sheet
        numbers = sheet.numbers
        if not numbers[_SEEN]:
            numbers[_ORIGIN] = value
        offset = value - numbers[_ORIGIN]
        slide(sheet.singles, 0, plan.room, offset)
        seen = numbers[_SEEN] = numbers[_SEEN] + 1.0
        self._newest = self._known(0, plan.room)
        self._due = [place for place, turn in enumerate(plan.turns) if turn == 1 or seen % turn == 0.0]
        self._measure(time_s, offset)
        for place in self._due:
            told = plan.past[place].of(sheet, numbers[_DISTANCES + place])
            numbers[_RANKS + place], numbers[_BEYOND + place] = told
        ranks, beyond = numbers[_RANKS : _RANKS + _ALARMING].tolist(), numbers[_BEYOND:_HEAD].tolist()
        return Scores(math.fsum(beyond) / _MEASURES, math.fsum(ranks) / _ALARMING)

    def learn(self, time_s: float, value: float, *, strangeness: bool = True) -> None:
        """Take the value that was observed last into what is usual, and how strange it was into what that is like."""
        plan, sheet = self._plan, self._sheet
        numbers = sheet.numbers
        seen, origin, _, mean, variance = numbers[:_DISTANCES].tolist()
        offset = min(max(value, -LARGEST), LARGEST) - origin
        for blocks in plan.blocks:
            if seen % blocks.step == 0.0:
                blocks.add(sheet, sum(self._newest[-blocks.step :]) / blocks.step)
        if seen % plan.blocks[2].step == 0.0:
            numbers[_MEDIAN] = plan.blocks[2].median(sheet)
        for season in plan.seasons:
            season.learn(sheet, time_s, offset)
        change = offset - mean
        numbers[_MEAN] = mean + _RATE * change
        numbers[_VARIANCE] = (1.0 - _RATE) * (variance + _RATE * change * change)
        if strangeness and seen > plan.start:
            for place in self._due:
                plan.past[place].add(sheet, numbers[_DISTANCES + place])

    def _measure(self, time_s: float, offset: float) -> None:
        plan, sheet, recent = self._plan, self._sheet, self._newest
        found = sheet.numbers
        _, _, median, mean, variance = found[:_DISTANCES].tolist()
        for place in self._due:
            if place < len(plan.blocks):
                found[_DISTANCES + place] = plan.blocks[place].distance(sheet, _LENGTHS[place], recent)
            elif place == _NEWEST:
                found[_DISTANCES + place] = plan.blocks[1].distance(sheet, 1, recent)
        for place, (season, (begin, end)) in enumerate(
            zip(plan.seasons, plan.residuals, strict=True), _DISTANCES + len(plan.blocks)
        ):
            slide(sheet.singles, begin, end, offset - season.level(sheet, time_s))
            found[place] = abs(_mean(self._known(begin, end)))
        found[_DISTANCES + _LEVEL] = abs(_mean(recent[-plan.level_room :]) - median)
        change = abs(offset - mean)
        single = change / max(math.sqrt(variance), change / LARGEST, 1.0 / LARGEST)
        found[_DISTANCES + _SINGLE] = min(single, LARGEST)

    @property
    def learned(self) -> int:
        """How many values it has seen."""
        return int(self._sheet.numbers[_SEEN])

    def usual(self, time_s: float) -> tuple[float, float]:
        """What is expected at this time, and the mean absolute error of that: by the day or the week if proven."""
        sheet, seasons = self._sheet, self._plan.seasons
        told = [season.usual(sheet, time_s) for season in seasons if season.proven(sheet)]
        centre, error = min(told, key=lambda one: one[1]) if told else seasons[0].usual(sheet, time_s)
        return centre + sheet.numbers[_ORIGIN], error

    def newest(self, count: int) -> list[float]:
        """The newest values, at most ``count`` and at most those of the longest shape, oldest first."""
        return [offset + self._sheet.numbers[_ORIGIN] for offset in self._newest[-count:]]

    def packed(self) -> bytes:
        """Its state; a scorer of the same size that is made of it goes on exactly."""
        return self._sheet.packed()

    def _known(self, begin: int, end: int) -> Sequence[float]:
        """Those of the singles that have been filled, oldest first."""
        seen = int(self._sheet.numbers[_SEEN])
        return self._sheet.singles[max(end - seen, begin) : end].tolist()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
