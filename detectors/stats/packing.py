"""Numbers of many series in two arrays: what is counted in double precision, what there is much of in single precision.

`Sheets` holds the state of series that are judged together, one row each; parts of a state only know their places in a
row. A row is read and written as a whole.
"""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats

Singles = NDArray[np.float32]

_LAYOUT: Final = -4
"""Names the layout; it stands before the checksum, with which a state begins."""

_HEAD: Final = struct.Struct("=iI")


class Places:
    """Hands out places in a row of `Sheets`, in order."""

    def __init__(self) -> None:
        self.numbers_given = 0
        self.singles_given = 0

    def numbers(self, count: int) -> slice:
        """Where the next ``count`` doubles are."""
        begin = self.numbers_given
        self.numbers_given = begin + count
        return slice(begin, begin + count)

    def singles(self, count: int) -> slice:
        """Where the next ``count`` singles are."""
        begin = self.singles_given
        self.singles_given = begin + count
        return slice(begin, begin + count)


class Row:
    """One series of `Sheets` for plain Python: the same memory; ``array`` is the singles once more, for numpy."""

    __slots__ = ("array", "numbers", "singles")

    def __init__(self, numbers: Floats, singles: Singles) -> None:
        self.numbers: memoryview[float] = numbers.data.cast("B").cast("d")
        self.singles: memoryview[float] = singles.data.cast("B").cast("f")
        self.array = singles


class Sheets:
    """``numbers`` and ``singles`` of several series, the series first."""

    __slots__ = ("numbers", "singles")

    def __init__(self, numbers: Floats, singles: Singles) -> None:
        self.numbers = numbers
        self.singles = singles

    @classmethod
    def empty(cls, places: Places, rows: int) -> "Sheets":
        """All that ``places`` has handed out, 0."""
        return cls(np.zeros((rows, places.numbers_given)), np.zeros((rows, places.singles_given), np.float32))

    def first(self, rows: int) -> "Sheets":
        """The first rows; they share their memory."""
        return Sheets(self.numbers[:rows], self.singles[:rows])

    def row(self, row: int) -> Row:
        return Row(self.numbers[row], self.singles[row])

    def clear(self, row: int) -> None:
        self.numbers[row] = 0.0
        self.singles[row] = 0.0

    def load(self, row: int, data: bytes) -> None:
        """ValueError if ``data`` is not what `packed` made of a row with these places."""
        split = _HEAD.size + self.numbers.itemsize * self.numbers.shape[1]
        if len(data) != split + self.singles.itemsize * self.singles.shape[1]:
            raise ValueError("packed numbers of another size")
        if _HEAD.unpack_from(data) != (_LAYOUT, zlib.crc32(memoryview(data)[_HEAD.size :])):
            raise ValueError("packed numbers of another layout, or damaged ones")
        self.numbers[row] = np.frombuffer(data, np.float64, self.numbers.shape[1], _HEAD.size)
        self.singles[row] = np.frombuffer(data, np.float32, offset=split)

    def packed(self, row: int) -> bytes:
        body: bytes = self.numbers[row].tobytes() + self.singles[row].tobytes()
        return _HEAD.pack(_LAYOUT, zlib.crc32(body)) + body


def push(values: "memoryview[float]", place: slice, newest: float) -> None:
    """Of the values at ``place`` the first goes, ``newest`` comes last."""
    begin, end = place.start, place.stop
    values[begin : end - 1] = values[begin + 1 : end]
    values[end - 1] = newest


def slide(rows: Singles, newest: Floats) -> None:
    """`push` in every row."""
    rows[:, :-1] = rows[:, 1:]
    rows[:, -1] = newest
