"""Numbers as bytes: what is counted in double precision, what there is much of in single precision."""

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

    __slots__ = ("_at", "_numbers", "_read", "_singles")

    def __init__(self, data: bytes) -> None:
        head = np.frombuffer(data, np.float64, 1)[0] if len(data) >= _HEAD else 0.0
        if not 1 <= head <= len(data) / _HEAD or len(data) % 4:
            raise ValueError("packed numbers are missing")
        split = int(head) * _HEAD
        if not (np.isfinite(np.frombuffer(data[:split])).all() and np.isfinite(_single(data[split:])).all()):
            raise ValueError("a packed number is not finite")
        self._numbers = array("d", data[:split])
        self._singles = array("f", data[split:])
        self._at = 1
        self._read = 0

    def numbers(self, count: int) -> "array[float]":
        found = self._numbers[self._at : self._at + count]
        if len(found) != count:
            raise ValueError("packed numbers are missing")
        self._at += count
        return found

    def whole(self, most: int) -> int:
        """A whole number from 0 to ``most``."""
        value = self.numbers(1)[0]
        if not 0 <= value <= most:
            raise ValueError(f"a packed number is not between 0 and {most}")
        return int(value)

    def singles(self, most: int) -> "array[float]":
        """As many values as were packed, at most ``most``."""
        length = self.numbers(1)[0]
        begin = self._read
        if not 0 <= length <= min(most, len(self._singles) - begin):
            raise ValueError("packed values are cut off")
        self._read = begin + int(length)
        return self._singles[begin : self._read]

    def finish(self) -> None:
        """ValueError unless everything was read."""
        if self._at != len(self._numbers) or self._read != len(self._singles):
            raise ValueError("there is more than was packed")


def _single(data: bytes) -> Singles:
    return np.frombuffer(data, np.float32)
