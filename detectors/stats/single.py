"""One series' values one by one: what `detectors.stats.scorer` does for many series at once, but for rounding.

numpy takes as long for a handful of numbers as plain Python takes for the whole of a series' newest value. So the few
series of a small rule, and those that have more buckets to be judged than the others, go this way. Few
single-precision numbers are summed in plain Python for the same reason.
"""

import math
from typing import Final

import numpy as np

from detectors.stats.packing import Row, push
from detectors.stats.scales import ALARMING, LEVEL, MEAN, MEASURES, MEDIAN, ORIGIN, SEEN, SINGLE, VARIANCE, Plan

LARGEST: Final = 1e30
"""Values are cut to this, so that squares stay finite and distances fit single precision."""

RATE: Final = 0.05
"""Of the running mean and variance."""


class Single:
    """The series whose state is ``row``; a value is observed, and then it is learned or it is not."""

    __slots__ = ("_bins", "_due", "_offset", "_plan", "_row", "_space")

    def __init__(self, plan: Plan, row: Row) -> None:
        self._plan = plan
        self._row = row
        self._due: list[int] = []
        self._bins: list[int] = []
        self._offset = 0.0
        self._space = np.empty(max(length * blocks.room for _, blocks, length in plan.shapes))

    def observe(self, time_s: float, value: float) -> tuple[float, float, float, float, float]:
        """`Scores` of the next value."""
        plan, row = self._plan, self._row
        numbers, value = row.numbers, min(max(value, -LARGEST), LARGEST)
        if not numbers[SEEN]:
            numbers[ORIGIN] = value
        offset = self._offset = value - numbers[ORIGIN]
        seen = numbers[SEEN] = numbers[SEEN] + 1.0
        push(row.singles, plan.recent, offset)
        self._due = [place for place, turn in enumerate(plan.every) if turn == 1.0 or seen % turn == 0.0]
        self._bins = plan.seasons.bins_of_one(time_s)
        levels = plan.seasons.levels_of_one(row, self._bins)
        self._measure(levels)
        ranks, beyond, distances = plan.ranks.start, plan.beyond.start, plan.distances.start
        for place in self._due:
            numbers[ranks + place], numbers[beyond + place] = plan.past.one_of(row, place, numbers[distances + place])
        usual, error = plan.seasons.usual_for_one(row, levels)
        return (
            math.fsum(numbers[beyond : beyond + MEASURES].tolist()) / MEASURES,
            math.fsum(numbers[ranks : ranks + ALARMING].tolist()) / ALARMING,
            usual + numbers[ORIGIN],
            error,
            seen,
        )

    def learn(self, *, strange: bool) -> None:
        """Take in the value that was observed last."""
        plan, row, offset = self._plan, self._row, self._offset
        numbers = row.numbers
        seen = numbers[SEEN]
        end = plan.recent.stop
        for blocks in plan.blocks:
            if blocks.step == 1:
                blocks.add_one(row, offset)
            elif seen % blocks.step == 0.0:
                blocks.add_one(row, sum(row.singles[end - blocks.step : end]) / blocks.step)
        if seen % plan.blocks[2].step == 0.0:
            numbers[MEDIAN] = plan.blocks[2].median_of_one(row)
        plan.seasons.learn_one(row, self._bins, offset)
        change = offset - numbers[MEAN]
        numbers[MEAN] += RATE * change
        numbers[VARIANCE] = (1.0 - RATE) * (numbers[VARIANCE] + RATE * change * change)
        if strange and seen > plan.start:
            for place in self._due:
                plan.past.add_one(row, place, numbers[plan.distances.start + place])

    def _measure(self, levels: list[float]) -> None:
        plan, row, offset = self._plan, self._row, self._offset
        numbers, found, seen = row.numbers, plan.distances.start, row.numbers[SEEN]
        recent = row.array[plan.recent]
        for place, blocks, length in plan.shapes:
            if place in self._due:
                numbers[found + place] = blocks.distance(row, length, recent, self._space)
        for number, (newest, level) in enumerate(zip(plan.residuals, levels, strict=True), len(plan.blocks)):
            push(row.singles, newest, offset - level)
            numbers[found + number] = abs(_mean(row.singles[newest], seen))
        newest_level = row.singles[plan.recent.stop - plan.level_room : plan.recent.stop]
        numbers[found + LEVEL] = abs(_mean(newest_level, seen) - numbers[MEDIAN])
        change = abs(offset - numbers[MEAN])
        deviation = max(math.sqrt(numbers[VARIANCE]), change / LARGEST, 1.0 / LARGEST)
        numbers[found + SINGLE] = min(change / deviation, LARGEST)


def _mean(values: "memoryview[float]", seen: float) -> float:
    """Of the newest values, of which there are no more than were ``seen``; the others are 0."""
    return sum(values) / min(seen, len(values))
