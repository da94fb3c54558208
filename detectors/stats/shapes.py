"""How unlike anything in the recent past the last few blocks of a series are: nearest neighbours of its shape.

The last ``length * step`` values are averaged in ``length`` blocks of ``step``, and this short vector is compared with
the same vectors of the past (KNN-CAD: Burnaev and Ishimtsev 2016, but without normalising: the level is part of the
shape). The distance is the mean Euclidean distance of the three nearest ones. Vectors that overlap the newest are left
out, or a slow change would find itself.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.stats.packing import Places, Sheets, Singles, slide
from detectors.stats.series import Floats

NEIGHBOURS: Final = 3

Rows = NDArray[np.intp] | slice
"""Which rows of `Sheets` are meant; a slice where it is all of them, which is faster."""


class Blocks:
    """Means of consecutive blocks of ``step`` values; the newest ``room`` of them are kept, the newest last.

    They serve several series; `detectors.stats.trail` serves one.
    """

    __slots__ = ("kept", "means", "room", "step")

    def __init__(self, step: int, room: int, places: Places) -> None:
        self.step = step
        self.room = room
        self.kept = places.numbers(1)
        self.means = places.singles(room)

    def add(self, sheets: Sheets, rows: Rows, recent: Singles) -> None:
        """Take in the block that the last values of ``recent`` are, of ``rows``, rounded to single precision."""
        means = sheets.singles[rows, self.means]
        slide(means, _mean_of(recent[rows, -self.step :]))
        sheets.singles[rows, self.means] = means
        sheets.numbers[rows, self.kept] = np.minimum(sheets.numbers[rows, self.kept] + 1.0, self.room)

    def median(self, sheets: Sheets, rows: Rows) -> Floats:
        """Of all of them; there must be one in each row."""
        kept = sheets.numbers[rows, self.kept].astype(np.intp)
        means = sheets.singles[rows, self.means].astype(np.float64)
        means[np.arange(self.room) < self.room - kept] = np.inf
        means.sort(axis=1)
        found: Floats = (np.take_along_axis(means, (kept - 1) // 2, 1) + np.take_along_axis(means, kept // 2, 1)) / 2.0
        return found[:, 0]

    def distances(self, sheets: Sheets, rows: Rows, length: int, recent: Singles) -> Floats:
        """Of the vector of the newest ``length`` blocks of ``recent``; 0 while there is nothing to compare it with."""
        newest = recent[rows, -length * self.step :].astype(np.float64)
        if self.step > 1:
            newest = np.add.reduce(newest.reshape(-1, length, self.step), axis=2) / self.step
        known = sheets.numbers[rows, self.kept][:, 0] - length
        means = sheets.singles[rows, self.means][:, : self.room - length].astype(np.float64)
        apart = _windows(means, length) - newest[:, :, None]
        apart *= apart
        square: Floats = np.add.reduce(apart, axis=1)
        if known.min() < self.room - length:
            square[np.arange(square.shape[1]) < (self.room - length - known)[:, None]] = np.inf
        square.partition(NEIGHBOURS - 1, axis=1)
        found: Floats = np.add.reduce(np.sqrt(square[:, :NEIGHBOURS]), axis=1) / NEIGHBOURS
        found[known - length + 1 < NEIGHBOURS] = 0.0
        return found


def _mean_of(values: Singles) -> Floats:
    found: Floats = np.add.reduce(values, axis=1, dtype=np.float64) / values.shape[1]
    return found


def _windows(values: Floats, length: int) -> Floats:
    """All runs of ``length`` neighbours of a row as columns that share the memory of ``values`` (contiguous)."""
    rows, room = values.shape
    return np.ndarray((rows, length, room - length + 1), np.float64, values, strides=(8 * room, 8, 8))
