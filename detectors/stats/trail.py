"""Blocks of one series, for plain Python: what `detectors.stats.shapes` does for many series at once, but for rounding.

What the state holds in single precision is kept here in double precision and in order as well, and goes on from value
to value instead of being made for each: a few numbers change, and numpy takes longer to make an array than to fill it.
Nothing here has to be remembered: all of it follows from the state.
"""

from bisect import bisect_left, insort
from math import sqrt

import numpy as np

from detectors.stats.packing import Row, push
from detectors.stats.series import Floats
from detectors.stats.shapes import NEIGHBOURS, Blocks


class Trail:
    """The `Blocks` of the series whose state is ``row``, and the same means in double precision, as an array."""

    __slots__ = ("_doubles", "_ordered", "_place", "_row", "blocks", "kept", "means")

    def __init__(self, blocks: Blocks, row: Row) -> None:
        self.blocks = blocks
        self._row = row
        self._place = blocks.means
        self.kept = int(row.numbers[blocks.kept.start])
        self.means: Floats = row.array[blocks.means].astype(np.float64)
        self._doubles: memoryview[float] = self.means.data.cast("B").cast("d")
        self._ordered: list[float] | None = None

    def add(self, mean: float) -> None:
        """As `Blocks.add`: one block's mean, rounded to single precision."""
        row, doubles, ordered = self._row, self._doubles, self._ordered
        push(row.singles, self._place, mean)
        rounded = row.singles[self._place.stop - 1]
        if ordered is not None:
            if self.kept == self.blocks.room:
                del ordered[bisect_left(ordered, doubles[0])]
            insort(ordered, rounded)
        doubles[:-1] = doubles[1:]
        doubles[-1] = rounded
        self.kept = min(self.kept + 1, self.blocks.room)
        row.numbers[self.blocks.kept.start] = self.kept

    def median(self) -> float:
        """As `Blocks.median`."""
        ordered = self._in_order()
        return (ordered[(self.kept - 1) // 2] + ordered[self.kept // 2]) / 2.0

    def apart(self, value: float) -> float:
        """As `Blocks.distances` for one block alone."""
        if self.kept - 1 < NEIGHBOURS:
            return 0.0
        ordered = self._in_order()
        place = bisect_left(ordered, value)
        near = sorted([abs(one - value) for one in ordered[max(place - NEIGHBOURS - 1, 0) : place + NEIGHBOURS + 1]])
        # the newest block is no part of the past yet
        newest = abs(self._doubles[-1] - value)
        if newest <= near[NEIGHBOURS]:
            near.remove(newest)
        return (near[0] + near[1] + near[2]) / NEIGHBOURS

    def _in_order(self) -> list[float]:
        """The means by size; from the first question on they are kept so."""
        if self._ordered is None:
            self._ordered = sorted(self._doubles[self.blocks.room - self.kept :])
        return self._ordered


class Shape:
    """The newest ``length`` blocks of a series as they are now, against those of its ``trail``.

    recent  the newest values, oldest first: they change, this array stays
    space   at least ``length * room`` numbers that may be overwritten
    """

    __slots__ = ("_apart", "_length", "_newest", "_past", "_space", "_step", "_trail")

    def __init__(self, trail: Trail, length: int, recent: Floats, space: Floats) -> None:
        self._trail = trail
        self._length = length
        self._step = trail.blocks.step
        self._newest = recent[-length * self._step :].reshape(length, self._step)
        self._space = space
        self._past = self._apart = np.empty((length, 0))

    def distance(self) -> float:
        """As `Blocks.distances`."""
        length = self._length
        windows = self._trail.kept - 2 * length + 1
        if windows < NEIGHBOURS:
            return 0.0
        if windows != self._past.shape[1]:
            self._compare(windows)
        newest = np.add.reduce(self._newest, axis=1, keepdims=True)
        newest /= self._step
        apart = self._apart
        np.subtract(self._past, newest, apart)
        np.multiply(apart, apart, apart)
        square: Floats = np.add.reduce(apart, axis=0)
        square.partition(NEIGHBOURS - 1)
        return sum(map(sqrt, square[:NEIGHBOURS].tolist())) / NEIGHBOURS

    def _compare(self, windows: int) -> None:
        """With this many runs of neighbouring blocks, the newest of which ends before the newest shape began."""
        length, end = self._length, self._trail.blocks.room - self._length
        past = self._trail.means[end - windows - length + 1 : end]
        self._past = np.ndarray((length, windows), np.float64, past, strides=(8, 8))
        self._apart = self._space[: length * windows].reshape(length, windows)
