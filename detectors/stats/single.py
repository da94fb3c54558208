"""One series' values one by one: what `detectors.stats.scorer` does for many series at once, but for rounding.

numpy takes as long for a handful of numbers as plain Python takes for the whole of a series' newest value. So the few
series of a small rule, and those that have more buckets to be judged than the others, go this way. Few
single-precision numbers are summed in plain Python for the same reason.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from detectors.stats.packing import Row, Sheets, push
from detectors.stats.scales import ALARMING, LEVEL, MEAN, MEASURES, MEDIAN, NEWEST, ORIGIN, SEEN, SINGLE, VARIANCE, Plan
from detectors.stats.trail import Shape, Trail

LARGEST: Final = 1e30
"""Values are cut to this, so that squares stay finite and distances fit single precision."""

RATE: Final = 0.05
"""Of the running mean and variance."""


class Score(NamedTuple):
    """Of one value, as `detectors.stats.scorer.Scores`."""

    raw: float
    surprise: float
    usual: float
    error: float
    learned: float


class Single:
    """The series whose state is ``row``; a value is observed, and then it is learned or it is not.

    It goes on from the state as it was when this was made: nobody else may change that meanwhile.
    """

    __slots__ = (
        "_course",
        "_doubles",
        "_due",
        "_offset",
        "_pasts",
        "_plan",
        "_row",
        "_shapes",
        "_trails",
    )

    def __init__(self, plan: Plan, row: Row) -> None:
        self._plan = plan
        self._row = row
        recent = row.array[plan.recent].astype(np.float64)
        self._doubles: memoryview[float] = recent.data.cast("B").cast("d")
        self._trails = tuple(Trail(blocks, row) for blocks in plan.blocks)
        space = np.empty(max(length * blocks.room for _, blocks, length in plan.shapes))
        # the last shape is one block: `Trail.apart` tells that
        self._shapes = tuple(
            (place, plan.every[place], Shape(trail, length, recent, space))
            for trail, (place, _, length) in zip(self._trails, plan.shapes[:-1], strict=True)
        )
        self._course = plan.seasons.course(row)
        self._pasts = tuple(plan.past.past(row, measure) for measure in range(MEASURES))
        self._due: list[int] = []
        self._offset = 0.0

    @classmethod
    def new(cls, plan: Plan) -> "Single":
        """A new series, with a state of its own."""
        return cls(plan, Sheets.empty(plan.places, 1).row(0))

    def observe(self, time_s: float, value: float) -> Score:
        """Of the next value (finite), measured at ``time_s`` (seconds since 1970 UTC)."""
        plan, numbers = self._plan, self._row.numbers
        value = min(max(value, -LARGEST), LARGEST)
        if not numbers[SEEN]:
            numbers[ORIGIN] = value
        origin = numbers[ORIGIN]
        offset = self._offset = value - origin
        seen = numbers[SEEN] = numbers[SEEN] + 1.0
        push(self._row.singles, plan.recent, offset)
        doubles = self._doubles
        doubles[:-1] = doubles[1:]
        doubles[-1] = self._row.singles[plan.recent.stop - 1]
        levels = self._course.levels(time_s)
        self._measure(seen, levels)
        ranks, beyond, distances = plan.ranks.start, plan.beyond.start, plan.distances.start
        for place in self._due:
            numbers[ranks + place], numbers[beyond + place] = self._pasts[place].of(numbers[distances + place])
        usual, error = self._course.usual(levels)
        return Score(
            math.fsum(numbers[beyond : beyond + MEASURES].tolist()) / MEASURES,
            math.fsum(numbers[ranks : ranks + ALARMING].tolist()) / ALARMING,
            usual + origin,
            error,
            seen,
        )

    def learn(self, *, strange: bool) -> None:
        """Take in the value that was observed last; ``strange``: how strange it was is learned too."""
        plan, offset, numbers = self._plan, self._offset, self._row.numbers
        seen = numbers[SEEN]
        for trail in self._trails:
            step = trail.blocks.step
            if seen % step == 0.0:
                trail.add(sum(self._doubles[-step:]) / step)
        coarse = self._trails[2]
        if seen % coarse.blocks.step == 0.0:
            numbers[MEDIAN] = coarse.median()
        self._course.learn(offset)
        change = offset - numbers[MEAN]
        numbers[MEAN] += RATE * change
        numbers[VARIANCE] = (1.0 - RATE) * (numbers[VARIANCE] + RATE * change * change)
        if strange and seen > plan.start:
            distances = plan.distances.start
            for place in self._due:
                self._pasts[place].add(numbers[distances + place])

    def _measure(self, seen: float, levels: list[float]) -> None:
        """The distances that are due, and which they are."""
        plan, offset, row = self._plan, self._offset, self._row
        numbers, singles, found = row.numbers, row.singles, plan.distances.start
        due = self._due = [LEVEL, SINGLE]
        for place, turn, shape in self._shapes:
            if turn == 1 or seen % turn == 0.0:
                numbers[found + place] = shape.distance()
                due.append(place)
        if seen % plan.every[NEWEST] == 0.0:
            middle = self._trails[1]
            numbers[found + NEWEST] = middle.apart(sum(self._doubles[-middle.blocks.step :]) / middle.blocks.step)
            due.append(NEWEST)
        for number, (newest, level) in enumerate(zip(plan.residuals, levels, strict=True), len(plan.blocks)):
            push(singles, newest, offset - level)
            numbers[found + number] = abs(_mean(singles[newest], seen))
            due.append(number)
        numbers[found + LEVEL] = abs(_mean(self._doubles[-plan.level_room :], seen) - numbers[MEDIAN])
        change = abs(offset - numbers[MEAN])
        deviation = max(math.sqrt(numbers[VARIANCE]), change / LARGEST, 1.0 / LARGEST)
        numbers[found + SINGLE] = min(change / deviation, LARGEST)


def _mean(values: "memoryview[float]", seen: float) -> float:
    """Of the newest values, of which there are no more than were ``seen``; the others are 0."""
    return sum(values) / min(seen, len(values))
