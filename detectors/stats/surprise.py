"""How surprising a value is within its own past: its conformal rank, on a scale that all series share.

The rank needs no law of the values: of m exchangeable values the newest is among the j largest with probability
j / (m + 1), whatever they are (conformal anomaly detection, Laxhammar and Falkman 2011). The surprise is minus the
decimal logarithm of that, so 2 means one in a hundred. Beyond the largest value ever seen a rank says no more; there
every factor of ten over the record adds one, so that surprises stay comparable and can be ordered.
"""

import math
from array import array
from bisect import bisect_left, insort
from typing import Final

from detectors.stats.packing import Packer, Unpacker

LEAST_VALUES: Final = 30
"""With fewer values to compare with, nothing is surprising."""

_LARGEST_FACTOR = 1e6
_MOST = 10**12


class Surprise:
    """The past of a stream of values (0 to 1e30), in bounded room and single precision.

    The ``top`` largest values are kept exactly. Of the others every ``stride``-th stands for its neighbours; when they
    are more than ``top`` again, every second one goes and the rest stand for twice as many.
    """

    __slots__ = ("body", "count", "highest", "stride", "top")

    def __init__(self, top: int) -> None:
        self.top = top
        self.count = 0
        self.stride = 1
        self.highest = array("f")
        self.body = array("f")

    def of(self, value: float) -> tuple[float, float]:
        """The surprise of ``value`` by rank alone, and with what it is beyond the record."""
        if self.count < LEAST_VALUES:
            return 0.0, 0.0
        highest = self.highest
        reached = len(highest) - bisect_left(highest, value)
        if reached == len(highest) and self.body:
            others = self.stride * (len(self.body) - bisect_left(self.body, value))
            reached += min(others, self.count - reached)
        rank = math.log10((self.count + 1.0) / (reached + 1.0))
        if reached or value <= 0.0:
            return rank, rank
        return rank, rank + math.log10(value / max(highest[-1], value / _LARGEST_FACTOR))

    def add(self, value: float) -> None:
        """Take ``value`` into the past."""
        self.count += 1
        highest = self.highest
        if len(highest) < self.top:
            insort(highest, value)
            return
        if value > highest[0]:
            smallest = highest.pop(0)
            insort(highest, value)
            value = smallest
        if self.count % self.stride == 0:
            insort(self.body, value)
            if len(self.body) > self.top:
                self.body = self.body[::2]
                self.stride *= 2

    def pack(self, packer: Packer) -> None:
        packer.numbers(self.count, self.stride).singles(self.highest).singles(self.body)

    def unpack(self, unpacker: Unpacker) -> None:
        count, stride = unpacker.numbers(2)
        if not (0 <= count <= _MOST and 1 <= stride <= _MOST):
            raise ValueError("not the counts of a Surprise")
        self.count, self.stride = int(count), int(stride)
        self.highest, self.body = unpacker.singles(self.top), unpacker.singles(self.top)
