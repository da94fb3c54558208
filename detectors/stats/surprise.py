"""How surprising a value is within its own past: its conformal rank, on a scale that all series share.

The rank needs no law of the values: of m exchangeable values the newest is among the j largest with probability
j / (m + 1), whatever they are (conformal anomaly detection, Laxhammar and Falkman 2011). The surprise is minus the
decimal logarithm of that, so 2 means one in a hundred. Beyond the largest value ever seen a rank says no more; there
every factor of ten over the record adds one, so that surprises stay comparable and can be ordered.
"""

import math
from bisect import bisect_left
from typing import Final

from detectors.stats.packing import Sheet, halve, insert

LEAST_VALUES: Final = 30
"""With fewer values to compare with, nothing is surprising."""

_LARGEST_FACTOR = 1e6
_MOST = 10**12
_COUNT, _STRIDE, _HIGHEST, _BODY = range(4)


class Surprise:
    """The past of a stream of values (0 to 1e30), in bounded room and single precision.

    The ``top`` largest values are kept exactly. Of the others every ``stride``-th stands for its neighbours; when they
    are more than ``top`` again, every second one goes and the rest stand for twice as many.
    """

    __slots__ = ("body", "counts", "highest", "top")

    def __init__(self, top: int, sheet: Sheet) -> None:
        """ValueError if ``sheet`` holds none."""
        self.top = top
        self.counts = sheet.numbers(4)
        """How many values there were; the stride (0 is 1); how many are kept of the highest and of the others."""
        self.highest = sheet.singles(top)
        self.body = sheet.singles(top + 1)
        count, stride, highest, body = self.counts.tolist()
        if not (0 <= max(highest, body) <= top and highest + body <= count <= _MOST and 0 <= stride <= _MOST):
            raise ValueError("packed counts that no past has")

    @staticmethod
    def room(top: int) -> tuple[int, int]:
        """How many doubles and singles it needs."""
        return 4, 2 * top + 1

    def of(self, value: float) -> tuple[float, float]:
        """The surprise of ``value`` by rank alone, and with what it is beyond the record."""
        count, stride, kept, others = self.counts.tolist()
        if count < LEAST_VALUES:
            return 0.0, 0.0
        top = int(kept)
        reached = top - bisect_left(self.highest, value, 0, top)
        if reached == top and others:
            below = (stride or 1.0) * (others - bisect_left(self.body, value, 0, int(others)))
            reached += int(min(below, count - reached))
        rank = math.log10((count + 1.0) / (reached + 1.0))
        if reached or value <= 0.0:
            return rank, rank
        return rank, rank + math.log10(value / max(self.highest[top - 1], value / _LARGEST_FACTOR))

    def add(self, value: float) -> None:
        """Take ``value`` into the past."""
        counts, highest, top = self.counts, self.highest, self.top
        count = counts[_COUNT] = counts[_COUNT] + 1.0
        kept = int(counts[_HIGHEST])
        if kept < top:
            insert(highest, kept, bisect_left(highest, value, 0, kept), value)
            counts[_HIGHEST] = kept + 1.0
            return
        smallest = highest[0]
        if value > smallest:
            place = bisect_left(highest, value)
            highest[: place - 1] = highest[1:place]
            highest[place - 1] = value
            value = smallest
        if count % (counts[_STRIDE] or 1.0) == 0.0:
            others = int(counts[_BODY])
            insert(self.body, others, bisect_left(self.body, value, 0, others), value)
            counts[_BODY] = others + 1.0
            if others == top:
                counts[_BODY] = halve(self.body, others + 1)
                counts[_STRIDE] = 2.0 * (counts[_STRIDE] or 1.0)
