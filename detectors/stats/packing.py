"""Numbers in one piece of memory: what is counted in double precision, what there is much of in single precision.

The parts of a state work on views of it, so a state is read and written as a whole, and what a value does not touch
costs nothing.
"""

from array import array
from typing import Final

import numpy as np

_LAYOUT: Final = -2.0
"""The first number: names the layout. Earlier ones began with a number above zero."""

_DOUBLE, _SINGLE = 8, 4


class Sheet:
    """``numbers`` doubles and ``singles`` singles, all 0 or as in ``data``; handed out in order as views."""

    __slots__ = ("_data", "_numbers", "_numbers_given", "_singles", "_singles_given")

    def __init__(self, numbers: int, singles: int, data: bytes | None = None) -> None:
        """ValueError if ``data`` is not what `packed` made of a sheet of this size."""
        split = _DOUBLE * (1 + numbers)
        whole = split + _SINGLE * singles
        self._data = bytearray(whole) if data is None else bytearray(data)
        if len(self._data) != whole:
            raise ValueError("packed numbers of another size")
        self._numbers = memoryview(self._data)[:split].cast("d")
        self._singles = memoryview(self._data)[split:].cast("f")
        if data is None:
            self._numbers[0] = _LAYOUT
        elif self._numbers[0] != _LAYOUT:
            raise ValueError("packed numbers of another layout")
        elif not (np.isfinite(self._numbers).all() and np.isfinite(self._singles).all()):
            raise ValueError("a packed number is not finite")
        self._numbers_given = 1
        self._singles_given = 0

    def numbers(self, count: int) -> "memoryview[float]":
        """The next ``count`` doubles."""
        begin = self._numbers_given
        self._numbers_given = begin + count
        return self._numbers[begin : begin + count]

    def singles(self, count: int) -> "memoryview[float]":
        """The next ``count`` singles."""
        begin = self._singles_given
        self._singles_given = begin + count
        return self._singles[begin : begin + count]

    def packed(self) -> bytes:
        return bytes(self._data)


def whole(value: float, most: int) -> int:
    """A packed count from 0 to ``most``; ValueError if it is none."""
    if not 0 <= value <= most:
        raise ValueError(f"a packed number is not between 0 and {most}")
    return int(value)


def slide(values: "memoryview[float]", value: float) -> None:
    """The oldest goes, ``value`` comes last."""
    values[:-1] = values[1:]
    values[-1] = value


def insert(values: "memoryview[float]", length: int, place: int, value: float) -> None:
    """Into the first ``length`` of ``values``, which has room for one more."""
    values[place + 1 : length + 1] = values[place:length]
    values[place] = value


def halve(values: "memoryview[float]", length: int) -> int:
    """Keeps every second one of the first ``length``; how many those are."""
    kept = array("f", values[:length:2].tolist())
    values[: len(kept)] = memoryview(kept)
    return len(kept)
