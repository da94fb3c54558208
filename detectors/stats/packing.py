"""Numbers as bytes: what is counted in double precision, what there is much of in single precision."""

import math
from array import array
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

Singles = NDArray[np.float32]

_HEAD: Final = 8


class Packer:
    """Collects the state of several parts, in the order in which `Unpacker` gives it back."""

    __slots__ = ("_numbers", "_singles")

    def __init__(self) -> None:
        self._numbers = array("d", [0.0])
        self._singles: list[bytes] = []

    def numbers(self, *values: float) -> Self:
        self._numbers.extend(values)
        return self

    def singles(self, values: "array[float] | Singles") -> Self:
        """Values that single precision holds exactly, any number of them."""
        self._numbers.append(len(values))
        self._singles.append(values.tobytes())
        return self

    def packed(self) -> bytes:
        self._numbers[0] = len(self._numbers)
        return self._numbers.tobytes() + b"".join(self._singles)


class Unpacker:
    """Reads what a `Packer` wrote. Whatever does not fit raises ValueError."""

    __slots__ = ("_at", "_data", "_from", "_numbers")

    def __init__(self, data: bytes) -> None:
        self._numbers = array("d")
        if len(data) < _HEAD:
            raise ValueError("no packed numbers")
        self._numbers.frombytes(data[:_HEAD])
        count = self._numbers[0]
        if not 1 <= count <= len(data) / _HEAD:
            raise ValueError("packed numbers are cut off")
        self._numbers.frombytes(data[_HEAD : int(count) * _HEAD])
        self._data = data
        self._at = 1
        self._from = int(count) * _HEAD

    def number(self) -> float:
        if self._at >= len(self._numbers):
            raise ValueError("packed numbers are missing")
        value = self._numbers[self._at]
        self._at += 1
        if not math.isfinite(value):
            raise ValueError("a packed number is not finite")
        return value

    def whole(self, most: int) -> int:
        """A whole number from 0 to ``most``."""
        value = self.number()
        if not 0 <= value <= most:
            raise ValueError(f"a packed number is not between 0 and {most}")
        return int(value)

    def singles(self, most: int) -> "array[float]":
        length = self.whole(most)
        values = array("f")
        values.frombytes(self._data[self._from : self._from + 4 * length])
        if len(values) != length or not math.isfinite(sum(values)):
            raise ValueError("packed values are cut off or not finite")
        self._from += 4 * length
        return values

    def finish(self) -> None:
        """ValueError unless everything was read."""
        if self._at != len(self._numbers) or self._from != len(self._data):
            raise ValueError("there is more than was packed")
