"""Numbers in one piece of memory: what is counted in double precision, what there is much of in single precision.

A `Sheet` holds the state of one series; its parts only know their places in it, so that they are made once for all
series, and a state is read and written as a whole: what a value does not touch costs nothing.
"""

import struct
import zlib
from array import array
from typing import Final

import numpy as np

_LAYOUT: Final = -3
"""Names the layout; it stands before the checksum, with which a state begins."""

_HEAD: Final = struct.Struct("=iI")
_DOUBLE, _SINGLE = 8, 4


class Places:
    """Hands out places on a `Sheet`, in order."""

    def __init__(self) -> None:
        self.numbers_given = 0
        self.singles_given = 0

    def numbers(self, count: int) -> int:
        """Where the next ``count`` doubles begin."""
        begin = self.numbers_given
        self.numbers_given = begin + count
        return begin

    def singles(self, count: int) -> int:
        """Where the next ``count`` singles begin."""
        begin = self.singles_given
        self.singles_given = begin + count
        return begin


class Sheet:
    """All that `Places` has handed out, 0 or as in ``data``: ``numbers`` and ``singles`` are views, ``array`` is the
    singles once more, for numpy."""

    __slots__ = ("_data", "array", "numbers", "singles")

    def __init__(self, places: Places, data: bytes | None = None) -> None:
        """ValueError if ``data`` is not what `packed` made of a sheet with these places."""
        split = _HEAD.size + _DOUBLE * places.numbers_given
        whole = split + _SINGLE * places.singles_given
        self._data = bytearray(whole) if data is None else bytearray(data)
        if len(self._data) != whole:
            raise ValueError("packed numbers of another size")
        view = memoryview(self._data)
        if data is not None and _HEAD.unpack_from(data) != (_LAYOUT, zlib.crc32(view[_HEAD.size :])):
            raise ValueError("packed numbers of another layout, or damaged ones")
        self.numbers: memoryview[float] = view[_HEAD.size : split].cast("d")
        self.singles: memoryview[float] = view[split:].cast("f")
        self.array = np.frombuffer(self._data, np.float32, offset=split)

    def packed(self) -> bytes:
        _HEAD.pack_into(self._data, 0, _LAYOUT, zlib.crc32(memoryview(self._data)[_HEAD.size :]))
        return bytes(self._data)


def slide(values: "memoryview[float]", begin: int, end: int, value: float) -> None:
    """Of the values from ``begin`` to ``end`` the oldest goes, ``value`` comes last."""
    values[begin : end - 1] = values[begin + 1 : end]
    values[end - 1] = value


def insert(values: "memoryview[float]", place: int, end: int, value: float) -> None:
    """At ``place``; what is from there to ``end`` moves on."""
    values[place + 1 : end + 1] = values[place:end]
    values[place] = value


def halve(values: "memoryview[float]", begin: int, length: int) -> int:
    """Keeps every second one of ``length`` values; how many those are."""
    kept = array("f", values[begin : begin + length : 2].tolist())
    values[begin : begin + len(kept)] = memoryview(kept)
    return len(kept)
