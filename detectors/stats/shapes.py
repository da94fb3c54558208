"""How unlike anything in the recent past the last few blocks of a series are: nearest neighbours of its shape.

The last ``length * step`` values are averaged in ``length`` blocks of ``step``, and this short vector is compared with
the same vectors of the past (KNN-CAD: Burnaev and Ishimtsev 2016, but without normalising: the level is part of the
shape). The distance is the mean Euclidean distance of the three nearest ones. Vectors that overlap the newest are left
out, or a slow change would find itself.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from detectors.stats.packing import Places, Sheet, slide
from detectors.stats.series import Floats

NEIGHBOURS: Final = 3


class Blocks:
    """Means of consecutive blocks of ``step`` values; the newest ``room`` of them are kept, oldest first."""

    __slots__ = ("_kept", "_means", "room", "step")

    def __init__(self, step: int, room: int, places: Places) -> None:
        self.step = step
        self.room = room
        self._kept = places.numbers(1)
        self._means = places.singles(room)

    def add(self, sheet: Sheet, mean: float) -> None:
        """Take in one block's mean, rounded to single precision."""
        kept = int(sheet.numbers[self._kept])
        if kept == self.room:
            slide(sheet.singles, self._means, self._means + kept, mean)
        else:
            sheet.singles[self._means + kept] = mean
            sheet.numbers[self._kept] = kept + 1

    def median(self, sheet: Sheet) -> float:
        """Of all of them; there must be one."""
        kept = int(sheet.numbers[self._kept])
        ordered = np.sort(sheet.array[self._means : self._means + kept])
        return (float(ordered[(kept - 1) // 2]) + float(ordered[kept // 2])) / 2.0

    def distance(self, sheet: Sheet, length: int, recent: Sequence[float]) -> float:
        """Of the vector of the newest ``length`` blocks of ``recent``; 0 while there is nothing to compare it with."""
        known, step = int(sheet.numbers[self._kept]) - length, self.step
        if known - length + 1 < NEIGHBOURS or len(recent) < length * step:
            return 0.0
        newest = np.array(recent[-length * step :])
        if step > 1:
            newest = np.add.reduce(newest.reshape(length, step), axis=1) / step
        means = sheet.array[self._means : self._means + known].astype(np.float64)
        apart = _windows(means, length) - newest[:, None]
        apart *= apart
        square: Floats = np.add.reduce(apart, axis=0)
        square.partition(NEIGHBOURS - 1)
        return sum(map(math.sqrt, square[:NEIGHBOURS].tolist())) / NEIGHBOURS


def _windows(values: Floats, length: int) -> Floats:
    """All runs of ``length`` neighbours as columns that share the memory of ``values`` (contiguous)."""
    shape = (length, len(values) - length + 1)
    return np.ndarray(shape, np.float64, values, strides=(8, 8))
