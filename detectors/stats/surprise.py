"""How surprising a value is within its own past: its conformal rank, on a scale that all series share.

The rank needs no law of the values: of m exchangeable values the newest is among the j largest with probability
j / (m + 1), whatever they are (conformal anomaly detection, Laxhammar and Falkman 2011). The surprise is minus the
decimal logarithm of that, so 2 means one in a hundred. Beyond the largest value ever seen a rank says no more; there
every factor of ten over the record adds one, so that surprises stay comparable and can be ordered.
"""

import math
from bisect import bisect_left
from typing import Final

from detectors.stats.packing import Places, Sheet, halve, insert

LEAST_VALUES: Final = 30
"""With fewer values to compare with, nothing is surprising."""

_LARGEST_FACTOR = 1e6
_STRIDE, _HIGHEST, _BODY = 1, 2, 3


class Surprise:
    """The past of a stream of values (0 to 1e30), in bounded room and single precision.

    The ``top`` largest values are kept exactly. Of the others every ``stride``-th stands for its neighbours; when they
    are more than ``top`` again, every second one goes and the rest stand for twice as many.
    """

    __slots__ = ("_body", "_counts", "_highest", "_top")

    def __init__(self, top: int, places: Places) -> None:
        self._top = top
        self._counts = places.numbers(4)
        """How many values there were; the stride (0 is 1); how many are kept of the highest and of the others."""
        self._highest = places.singles(top)
        self._body = places.singles(top + 1)

    def of(self, sheet: Sheet, value: float) -> tuple[float, float]:
        """The surprise of ``value`` by rank alone, and with what it is beyond the record."""
        count, stride, kept, others = sheet.numbers[self._counts : self._counts + 4].tolist()
        if count < LEAST_VALUES:
            return 0.0, 0.0
        begin, values = self._highest, sheet.singles
        end = begin + int(kept)
        reached = float(end - bisect_left(values, value, begin, end))
        if reached == kept and others:
            body = self._body
            below = (stride or 1.0) * (others - bisect_left(values, value, body, body + int(others)) + body)
            reached += int(min(below, count - reached))
        rank = math.log10((count + 1.0) / (reached + 1.0))
        if reached or value <= 0.0:
            return rank, rank
        return rank, rank + math.log10(value / max(values[end - 1], value / _LARGEST_FACTOR))

    def add(self, sheet: Sheet, value: float) -> None:
        """Take ``value`` into the past."""
        at, values = self._counts, sheet.singles
        count, stride, kept, others = sheet.numbers[at : at + 4].tolist()
        seen = sheet.numbers[at] = count + 1.0
        begin = self._highest
        end = begin + int(kept)
        if kept < self._top:
            insert(values, bisect_left(values, value, begin, end), end, value)
            sheet.numbers[at + _HIGHEST] = kept + 1.0
            return
        smallest = values[begin]
        if value > smallest:
            place = bisect_left(values, value, begin, end)
            values[begin : place - 1] = values[begin + 1 : place]
            values[place - 1] = value
            value = smallest
        if seen % (stride or 1.0) == 0.0:
            body, length = self._body, int(others)
            end = body + length
            insert(values, bisect_left(values, value, body, end), end, value)
            if length < self._top:
                sheet.numbers[at + _BODY] = length + 1.0
            else:
                sheet.numbers[at + _BODY] = halve(values, body, length + 1)
                sheet.numbers[at + _STRIDE] = 2.0 * (stride or 1.0)
