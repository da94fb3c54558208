"""Rows of one size, oldest first, of which few are written anew after each tick.

Most rows of a series' past stay as they are from tick to tick; they are kept as text that is written as it was read.
The newest ones stand beside it, until there are `SETTLE` of them.
"""

from detectors.memory import Packed

SETTLE = 60
"""So many rows are written anew, at most; with them the others, once."""


class Record:
    """The rows of one series; ``size`` bytes each."""

    __slots__ = ("_begin", "_data", "_new", "_settled", "_size")

    def __init__(self, size: int, settled: Packed, newest: bytes = b"", skipped: int = 0) -> None:
        """As `kept` told them."""
        self._size, self._settled = size, settled
        self._new = len(settled.data)
        self._data = settled.data + newest
        self._begin = skipped * size

    @staticmethod
    def check(size: int, settled: Packed, newest: bytes, skipped: int) -> None:
        """Raises ValueError for what `kept` can't have told."""
        old = len(settled.data)
        if old % size or len(newest) % size or skipped * size > old + len(newest):
            raise ValueError("rows of another size")

    @property
    def rows(self) -> memoryview:
        """All of them, one after the other."""
        return memoryview(self._data)[self._begin :]

    def __len__(self) -> int:
        return (len(self._data) - self._begin) // self._size

    def append(self, row: bytes) -> None:
        self._data += row
        if len(self._data) - self._new >= SETTLE * self._size:
            self.replace(self._data[self._begin :])

    def forget(self, rows: int) -> None:
        """The oldest."""
        self._begin += rows * self._size

    def replace(self, rows: bytes) -> None:
        """Only these are left."""
        self._data, self._begin, self._new, self._settled = rows, 0, len(rows), Packed(rows)

    def kept(self) -> tuple[Packed, bytes, int]:
        """What has settled, the rows after it, and how many of all these have been forgotten."""
        return self._settled, self._data[self._new :], self._begin // self._size
