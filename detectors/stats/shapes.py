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

from detectors.stats.packing import Packer, Unpacker
from detectors.stats.series import Floats

NEIGHBOURS: Final = 3


class Blocks:
    """Means of consecutive blocks of ``step`` values; the newest ``room`` of them are kept, oldest first."""

    __slots__ = ("_end", "_means", "room", "step")

    def __init__(self, step: int, room: int) -> None:
        self.step = step
        self.room = room
        self._means: Floats = np.zeros(4 * room)
        self._end = 0

    def add(self, mean: float) -> None:
        """Take in one block's mean, rounded to single precision so that packing loses nothing."""
        if self._end == len(self._means):
            self._means[: self.room] = self._means[-self.room :]
            self._end = self.room
        self._means[self._end] = np.float32(mean)
        self._end += 1

    def past(self, left_out: int = 0) -> Floats:
        """All but the newest ``left_out`` of them; a view that the next block may change."""
        return self._means[max(self._end - self.room, 0) : max(self._end - left_out, 0)]

    def distance(self, length: int, recent: Sequence[float]) -> float:
        """Of the vector of the newest ``length`` blocks of ``recent``; 0 while there is nothing to compare it with."""
        past, step = self.past(length), self.step
        if len(past) - length + 1 < NEIGHBOURS or len(recent) < length * step:
            return 0.0
        newest = [sum(recent[start : start + step]) / step for start in range(-length * step, -step, step)]
        newest.append(sum(recent[-step:]) / step)
        apart = _windows(past, length) - np.array(newest)[:, None]
        apart *= apart
        square: Floats = apart.sum(axis=0)
        square.partition(NEIGHBOURS - 1)
        return sum(map(math.sqrt, square[:NEIGHBOURS].tolist())) / NEIGHBOURS

    def pack(self, packer: Packer) -> None:
        packer.singles(self.past().astype(np.float32))

    def unpack(self, unpacker: Unpacker) -> None:
        means = unpacker.singles(self.room)
        self._end = len(means)
        self._means[: self._end] = means


def _windows(values: Floats, length: int) -> Floats:
    """All runs of ``length`` neighbours as columns that share the memory of ``values`` (contiguous)."""
    shape = (length, len(values) - length + 1)
    return np.ndarray(shape, np.float64, values, strides=(8, 8))
