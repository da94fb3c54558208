"""How unusual the newest values of series are, seen on several time scales at once, without looking ahead.

Eight measures of strangeness, each turned into a surprise (`detectors.stats.surprise`) within its own past:

- the shape of the last blocks against all earlier ones on three time scales (`detectors.stats.shapes`);
- the distance from what is usual at this time of the day and of the week (`detectors.stats.season`);
- the newest block's mean against all earlier ones;
- the distance from the median of the past;
- the distance of the single value from its running mean, in running standard deviations (EWMA control chart).

The mean over shapes and seasons by rank alone is the ``surprise`` that `detectors.stats.gate` turns into alarms. The
mean over all eight, reaching beyond the record, is the ``raw`` score: comparable across series, unbounded, and what
`detectors.stats.tail` calibrates. The time scales are parts of the warm-up, the only length that must be chosen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.stats.packing import Sheets, Singles, slide
from detectors.stats.scales import (
    ALARMING,
    CYCLES,
    LEVEL,
    MEAN,
    MEASURES,
    MEDIAN,
    ORIGIN,
    SEEN,
    SINGLE,
    VARIANCE,
    Size,
    plan,
)
from detectors.stats.season import Bins
from detectors.stats.series import Floats
from detectors.stats.shapes import Rows
from detectors.stats.single import LARGEST, RATE, Single
from detectors.stats.surprise import Flags

FEW: Final = 6
"""Fewer series are scored one by one: that is faster then."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one value per series: ``raw`` and ``surprise`` as the module says.

    usual, error  what was expected at this time, and the mean absolute error of that: by the day or the week if proven
    learned       how many values had been seen, this one included
    """

    raw: Floats
    surprise: Floats
    usual: Floats
    error: Floats
    learned: Floats


class Scorers:
    """Several series, side by side. `observe` scores their newest values, `learn` takes them into what is usual."""

    __slots__ = ("_bins", "_due", "_offsets", "_plan", "_sheets", "_singles")

    def __init__(self, size: Size, series: int = 1) -> None:
        """As many new ones."""
        self._plan = plan(size)
        self._sheets = Sheets.empty(self._plan.places, series)
        self._due: Flags = np.zeros((0, MEASURES), np.bool_)
        self._bins: Bins = np.zeros((0, len(CYCLES)), np.intp)
        self._offsets: Floats = np.zeros(0)
        self._singles: list[Single] = []

    def load(self, row: int, data: bytes) -> None:
        """The series goes on as the one whose state is ``data`` (`packed`); ValueError if that is not of this size."""
        self._singles.clear()
        self._sheets.load(row, data)

    def packed(self, row: int) -> bytes:
        """The state of a series; one of the same size that loads it goes on exactly."""
        return self._sheets.packed(row)

    def forget(self, row: int) -> None:
        """The series is a new one."""
        self._singles.clear()
        self._sheets.clear(row)

    def observe(self, times_s: Floats, values: Floats) -> Scores:
        """The scores of the next values (finite) of the first series, measured at ``times_s`` (seconds since 1970 UTC).

        There may be fewer values than series: those at the end wait.
        """
        if len(values) < FEW:
            while len(self._singles) < len(values):
                self._singles.append(Single(self._plan, self._sheets.row(len(self._singles))))
            told = [one.observe(*point) for one, point in zip(self._singles, _pairs(times_s, values), strict=False)]
            return Scores(*np.array(told).T)
        self._singles.clear()
        return self._observe(times_s, values)

    def _observe(self, times_s: Floats, values: Floats) -> Scores:
        plan, sheets = self._plan, self._sheets.first(len(values))
        head = sheets.numbers[:, plan.head]
        values = np.clip(values, -LARGEST, LARGEST)
        np.copyto(head[:, ORIGIN], values, where=head[:, SEEN] == 0.0)
        offsets = self._offsets = values - head[:, ORIGIN]
        head[:, SEEN] += 1.0
        slide(sheets.singles[:, plan.recent], offsets)
        self._due = head[:, SEEN, None] % plan.turns == 0.0
        self._bins = plan.seasons.bins(times_s)
        levels = plan.seasons.levels(sheets, self._bins)
        self._measure(sheets, offsets, levels)
        told = plan.past.of(sheets, sheets.numbers[:, plan.distances])
        for place, found in zip((plan.ranks, plan.beyond), told, strict=True):
            np.copyto(sheets.numbers[:, place], found, where=self._due)
        usual, error = plan.seasons.usual(sheets, levels)
        return Scores(
            raw=np.add.reduce(sheets.numbers[:, plan.beyond], axis=1) / MEASURES,
            surprise=np.add.reduce(sheets.numbers[:, plan.ranks][:, :ALARMING], axis=1) / ALARMING,
            usual=usual + head[:, ORIGIN],
            error=error,
            learned=head[:, SEEN].copy(),
        )

    def learn(self, taken: Flags, strange: Flags) -> None:
        """Take the values that were observed last into what is usual: those that are ``taken``.

        strange  whether how strange they were is taken into what that is like
        """
        if len(taken) < FEW:
            for one, is_taken, is_strange in zip(self._singles, taken.tolist(), strange.tolist(), strict=False):
                if is_taken:
                    one.learn(strange=is_strange)
        else:
            self._learn(taken, strange)

    def _learn(self, taken: Flags, strange: Flags) -> None:
        plan, sheets = self._plan, self._sheets.first(len(taken))
        rows = np.flatnonzero(taken)
        head = sheets.numbers[:, plan.head]
        recent = sheets.singles[:, plan.recent]
        for blocks in plan.blocks:
            ended = taken & (head[:, SEEN] % blocks.step == 0.0)
            if ended.any():
                blocks.add(sheets, _some(ended), recent)
                if blocks is plan.blocks[2]:
                    head[ended, MEDIAN] = blocks.median(sheets, _some(ended))
        offsets = self._offsets[rows]
        plan.seasons.learn(sheets, rows, self._bins[rows], offsets)
        change = offsets - head[rows, MEAN]
        head[rows, MEAN] += RATE * change
        head[rows, VARIANCE] = (1.0 - RATE) * (head[rows, VARIANCE] + RATE * change * change)
        told = self._due & (taken & strange & (head[:, SEEN] > plan.start))[:, None]
        plan.past.add(sheets, sheets.numbers[:, plan.distances], told)

    def learned(self, row: int) -> int:
        """How many values of a series it has seen."""
        return int(self._sheets.numbers[row, SEEN])

    def record(self, row: int) -> float:
        """The raw score of a value that is a new record by every measure, and no more than that."""
        return float(np.mean(np.log10(self._plan.past.counts(self._sheets)[row] + 1.0)))

    def newest(self, row: int) -> Sequence[float]:
        """The newest values of a series, those of the longest shape, oldest first."""
        head = self._sheets.numbers[row, self._plan.head]
        recent = self._sheets.singles[row, self._plan.recent]
        known = recent[max(len(recent) - int(head[SEEN]), 0) :].astype(np.float64) + head[ORIGIN]
        found: list[float] = known.tolist()
        return found

    def _measure(self, sheets: Sheets, offsets: Floats, levels: Floats) -> None:
        plan, due = self._plan, self._due
        found, head = sheets.numbers[:, plan.distances], sheets.numbers[:, plan.head]
        recent = sheets.singles[:, plan.recent]
        for place, blocks, length in plan.shapes:
            if due[:, place].any():
                rows = _some(due[:, place])
                found[rows, place] = blocks.distances(sheets, rows, length, recent)
        for number, newest in enumerate(plan.residuals):
            residuals = sheets.singles[:, newest]
            slide(residuals, offsets - levels[:, number])
            found[:, len(plan.blocks) + number] = np.abs(_mean(residuals, head[:, SEEN]))
        found[:, LEVEL] = np.abs(_mean(recent[:, -plan.level_room :], head[:, SEEN]) - head[:, MEDIAN])
        change = np.abs(offsets - head[:, MEAN])
        deviation = np.maximum(np.sqrt(head[:, VARIANCE]), np.maximum(change / LARGEST, 1.0 / LARGEST))
        found[:, SINGLE] = np.minimum(change / deviation, LARGEST)


def _some(flags: Flags) -> Rows:
    """The rows that are meant."""
    return slice(None) if flags.all() else np.flatnonzero(flags)


def _mean(values: Singles, seen: Floats) -> Floats:
    """Of the newest values, of which there are no more than were ``seen``; the others are 0."""
    width = values.shape[1]
    found: Floats = np.add.reduce(values, axis=1, dtype=np.float64) / np.minimum(seen, width)
    return found


def _pairs(times_s: Floats, values: Floats) -> Iterator[tuple[float, float]]:
    return zip(times_s.tolist(), values.tolist(), strict=True)
