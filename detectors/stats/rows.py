"""Many series' numbers as rows of one matrix, and each row as text that a JSON value can hold."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Layout:
    """Where in a row which array lies: names with their shapes, one after the other."""

    shapes: Mapping[str, tuple[int, ...]]
    width: int = field(init=False)
    _spans: dict[str, tuple[int, int]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        spans: dict[str, tuple[int, int]] = {}
        end = 0
        for name, shape in self.shapes.items():
            start, end = end, end + int(np.prod(shape, dtype=np.int64))
            spans[name] = (start, end)
        object.__setattr__(self, "_spans", spans)
        object.__setattr__(self, "width", end)

    def split(self, rows: Rows) -> dict[str, Floats]:
        """Every array as float64, the series first."""
        return {
            name: rows[:, start:end].astype(np.float64).reshape(len(rows), *self.shapes[name])
            for name, (start, end) in self._spans.items()
        }

    def join(self, arrays: Mapping[str, Floats]) -> Rows:
        """The inverse of `split`: rounded to float32, so that it makes no difference when a state is stored."""
        count = len(next(iter(arrays.values())))
        rows = np.empty((count, self.width), np.float32)
        for name, (start, end) in self._spans.items():
            rows[:, start:end] = arrays[name].reshape(count, end - start)
        return rows


def to_text(row: NDArray[np.generic]) -> str:
    """The bytes of an array as base64."""
    return binascii.b2a_base64(row.tobytes(), newline=False).decode("ascii")


def from_text(text: str, width: int, dtype: type[np.generic]) -> NDArray[np.generic] | None:
    """The array that `to_text` was given; None for a text that is not base64 of ``width`` numbers of that type."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != width * np.dtype(dtype).itemsize:
        return None
    return np.frombuffer(raw, dtype)
