"""How surprising a value is within its own past: its conformal rank, on a scale that all series share.

The rank needs no law of the values: of m exchangeable values the newest is among the j largest with probability
j / (m + 1), whatever they are (conformal anomaly detection, Laxhammar and Falkman 2011). The surprise is minus the
decimal logarithm of that, so 2 means one in a hundred. Beyond the largest value ever seen a rank says no more; there
every factor of ten over the record adds one, so that surprises stay comparable and can be ordered.
"""

import math
from bisect import bisect_left
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.stats.packing import Places, Row, Sheets, Singles
from detectors.stats.series import Floats

LEAST_VALUES: Final = 30
"""With fewer values to compare with, nothing is surprising."""

_LARGEST_FACTOR = 1e6

Flags = NDArray[np.bool_]


class Surprises:
    """The pasts of ``measures`` streams of values (0 to 1e30) of a series, in bounded room and single precision.

    The ``top`` largest values of a stream are kept exactly. Of the others every ``stride``-th stands for its
    neighbours; when they are more than ``top`` again, every second one goes and the rest stand for twice as many. Both
    lie in ascending order, behind zeros where nothing is yet. No value is less than 0: one that comes in pushes out the
    first, and for a value of 0 alone there seem to be more that reach it than there are.

    `of` and `add` serve all measures of several series, a `Past` one measure of one series.
    """

    __slots__ = ("_body", "_counts", "_highest", "_measures", "_others", "_strides", "_top")

    def __init__(self, measures: int, top: int, places: Places) -> None:
        self._measures = measures
        self._top = top
        self._counts = places.numbers(measures)
        """How many values there were; 2 to this power is the stride; how many are kept beside the highest."""
        self._strides = places.numbers(measures)
        self._others = places.numbers(measures)
        self._highest = places.singles(measures * top)
        self._body = places.singles(measures * (top + 1))

    def counts(self, sheets: Sheets) -> Floats:
        """How many values each past has seen (series, measures)."""
        return sheets.numbers[:, self._counts]

    def of(self, sheets: Sheets, values: Floats) -> tuple[Floats, Floats]:
        """The surprise of ``values`` (series, measures) by rank alone, and with what they are beyond the record."""
        counts = sheets.numbers[:, self._counts]
        highest = self._rows(sheets, self._highest)
        kept = np.minimum(counts, self._top)
        reached = _reached(highest, values, kept)
        body, others = self._rows(sheets, self._body), sheets.numbers[:, self._others]
        below = np.exp2(sheets.numbers[:, self._strides]) * _reached(body, values, others)
        reached += np.where(reached == kept, np.minimum(below, counts - reached), 0.0)
        ranks = np.log10((counts + 1.0) / (reached + 1.0))
        ranks[counts < LEAST_VALUES] = 0.0
        beyond = ranks.copy()
        record = (reached == 0.0) & (values > 0.0) & (counts >= LEAST_VALUES)
        if record.any():
            new, old = values[record], highest[record][:, -1]
            beyond[record] += np.log10(new / np.maximum(old, new / _LARGEST_FACTOR))
        return ranks, beyond

    def add(self, sheets: Sheets, values: Floats, taken: Flags) -> None:
        """Take those of ``values`` (series, measures) into their pasts that are ``taken``."""
        counts, strides = sheets.numbers[:, self._counts], sheets.numbers[:, self._strides]
        full = taken & (counts >= self._top)
        counts += taken
        rest = _insert(self._rows(sheets, self._highest), np.where(taken, values, 0.0).astype(np.float32))
        kept = full & (counts % np.exp2(strides) == 0.0)
        if not kept.any():
            return
        body, others = self._rows(sheets, self._body), sheets.numbers[:, self._others]
        _insert(body, np.where(kept, rest, np.float32(0.0)))
        others += kept
        halved = others > self._top
        if halved.any():
            every_second = body[halved][:, ::2]
            body[halved] = 0.0
            body[..., -every_second.shape[1] :][halved] = every_second
            others[halved] = every_second.shape[1]
            strides += halved

    def past(self, row: Row, measure: int) -> "Past":
        """One measure's past of one series."""
        end = self._highest.start + (measure + 1) * self._top
        body_end = self._body.start + (measure + 1) * (self._top + 1)
        places = (self._counts.start + measure, self._strides.start + measure, self._others.start + measure)
        return Past(row, self._top, places, end, body_end)

    def _rows(self, sheets: Sheets, place: slice) -> Singles:
        """As (series, measures, values), in the memory of ``sheets``."""
        part = sheets.singles[:, place]
        return part.reshape(len(part), self._measures, -1)


class Past:
    """`Surprises` for plain Python: one measure of the series whose state is ``row``, in the same memory."""

    __slots__ = ("_begin", "_body_begin", "_body_end", "_end", "_place", "_places", "_row", "_top")

    def __init__(self, row: Row, top: int, places: tuple[int, int, int], end: int, body_end: int) -> None:
        """``places`` of the count, of the stride, of how many are kept beside the highest; where both lists end."""
        self._row = row
        self._top = top
        self._places = places
        self._begin, self._end = end - top, end
        self._body_begin, self._body_end = body_end - top - 1, body_end
        self._place = end

    def of(self, value: float) -> tuple[float, float]:
        """As `Surprises.of`."""
        row = self._row
        numbers, singles, begin, end = row.numbers, row.singles, self._begin, self._end
        place = self._place = bisect_left(singles, value, begin, end)
        counted, stride, others = self._places
        count = numbers[counted]
        if count < LEAST_VALUES:
            return 0.0, 0.0
        reached: float = end - place
        if place == begin and count > self._top:
            over = self._body_end - bisect_left(singles, value, self._body_begin, self._body_end)
            below = 2.0 ** numbers[stride] * min(over, numbers[others])
            reached += min(below, count - reached)
        elif reached > count:
            reached = count
        rank = math.log10((count + 1.0) / (reached + 1.0))
        if reached or value <= 0.0:
            return rank, rank
        return rank, rank + math.log10(value / max(singles[end - 1], value / _LARGEST_FACTOR))

    def add(self, value: float) -> None:
        """Take in the value that `of` was asked about last."""
        row = self._row
        numbers, singles = row.numbers, row.singles
        counted, stride, kept = self._places
        count = numbers[counted] = numbers[counted] + 1.0
        fallen = _put(singles, self._begin, self._place, value)
        if count <= self._top or count % 2.0 ** numbers[stride]:
            return
        begin, end = self._body_begin, self._body_end
        _put(singles, begin, bisect_left(singles, fallen, begin, end), fallen)
        others = numbers[kept] + 1.0
        if others > self._top:
            every_second = row.array[begin:end:2].copy()
            row.array[begin:end] = 0.0
            row.array[end - len(every_second) : end] = every_second
            others = len(every_second)
            numbers[stride] += 1.0
        numbers[kept] = others


def _reached(ascending: Singles, values: Floats, kept: Floats) -> Floats:
    """How many of those that are kept are at least as large as the value."""
    least = np.add.reduce(ascending >= values[:, :, None], axis=2, dtype=np.intp)
    found: Floats = np.minimum(least, kept)
    return found


def _insert(ascending: Singles, values: Singles) -> Singles:
    """Every value takes its place, and the first of its row falls out, which is returned; a 0 changes nothing."""
    fallen = np.minimum(ascending[..., 0], values)
    moved = np.minimum(ascending[..., 1:], values[..., None])
    np.maximum(ascending[..., :-1], moved, out=ascending[..., :-1])
    np.maximum(ascending[..., -1], values, out=ascending[..., -1])
    return fallen


def _put(ascending: "memoryview[float]", begin: int, place: int, value: float) -> float:
    """As `_insert`, where it is known that ``place`` is the first that reaches the value."""
    if place == begin:
        return value
    fallen = ascending[begin]
    ascending[begin : place - 1] = ascending[begin + 1 : place]
    ascending[place - 1] = value
    return fallen
