"""What a series usually is at this time of the day or of the week, and whether that tells more than its level.

Time is UTC. A clock that people live by shifts by an hour twice a year, on a day of 23 or 25 hours: the rhythm then
comes an hour early or late, the expectation is off for some days and follows within about a week.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.stats.packing import Places, Row, Sheets
from detectors.stats.series import Floats

DAY_S: Final = 86_400.0
WEEK_S: Final = 604_800.0

_PROOF = 0.85
"""The season must make the mean absolute error at least this much smaller."""

_LEAST_TOLD = 2.0
"""A bin must have been met in this many cycles before what it says is compared."""

_LEVEL_RATE = 0.01
_ERROR_RATE = 0.005
_MOST = 1e9

Bins = NDArray[np.intp]
"""Which bin of every season a time falls into (series, seasons)."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A level per bin of a cycle of ``period_s``, learned at ``rate``."""

    period_s: float
    bins: int
    rate: float


class Seasons:
    """The levels of several cycles, the level of the series, and how well each tells what comes."""

    __slots__ = (
        "_begins",
        "_bins",
        "_cycles",
        "_errors",
        "_level",
        "_levels",
        "_met",
        "_periods",
        "_plain",
        "_rates",
        "_seen",
        "_slowest",
    )

    def __init__(self, cycles: tuple[Cycle, ...], places: Places) -> None:
        self._periods = np.array([one.period_s for one in cycles])
        self._bins = np.array([one.bins for one in cycles])
        self._slowest = [one.rate for one in cycles]
        self._rates = np.array(self._slowest)
        self._begins = np.cumsum(self._bins) - self._bins
        self._cycles = [
            (one.period_s, one.bins, begin) for one, begin in zip(cycles, self._begins.tolist(), strict=True)
        ]
        self._seen, self._level, self._plain = (places.numbers(1) for _ in range(3))
        self._errors = places.numbers(len(cycles))
        self._levels = places.singles(int(self._bins.sum()))
        self._met = places.singles(int(self._bins.sum()))

    def bins(self, times_s: Floats) -> Bins:
        """Of one time per series."""
        part = times_s[:, None] % self._periods / self._periods
        found: Bins = (part * self._bins).astype(np.intp) % self._bins + self._begins
        return found

    def levels(self, sheets: Sheets, bins: Bins) -> Floats:
        """What the times were like by each season; the level of the series where one has not been met yet."""
        rows = np.arange(len(bins))[:, None]
        met = sheets.singles[:, self._met][rows, bins] > 0.0
        found: Floats = np.where(met, sheets.singles[:, self._levels][rows, bins], sheets.numbers[:, self._level])
        return found

    def proven(self, sheets: Sheets) -> NDArray[np.bool_]:
        """Which seasons tell clearly better what comes than the level alone."""
        found: NDArray[np.bool_] = sheets.numbers[:, self._errors] < _PROOF * sheets.numbers[:, self._plain]
        return found

    def usual(self, sheets: Sheets, levels: Floats) -> tuple[Floats, Floats]:
        """What is expected, and the mean absolute error of that: by the best season that is proven, or by the level.

        levels  what `levels` told
        """
        errors = np.where(self.proven(sheets), sheets.numbers[:, self._errors], np.inf)
        best, rows = errors.argmin(axis=1), np.arange(len(errors))
        error, plain = errors[rows, best], np.isinf(errors[rows, best])
        return (
            np.where(plain, sheets.numbers[:, self._level][:, 0], levels[rows, best]),
            np.where(plain, sheets.numbers[:, self._plain][:, 0], error),
        )

    def learn(self, sheets: Sheets, rows: NDArray[np.intp], bins: Bins, values: Floats) -> None:
        """One value for each of ``rows``."""
        numbers, at, value = sheets.numbers, rows[:, None], values[:, None]
        known, met = sheets.singles[:, self._levels], sheets.singles[:, self._met]
        seen = np.minimum(numbers[rows, self._seen] + 1.0, _MOST)
        rate, before = np.maximum(_ERROR_RATE, 1.0 / seen), numbers[rows, self._level]
        told, times = known[at, bins].astype(np.float64), met[at, bins].astype(np.float64)
        missed = np.abs(value - np.where(times >= _LEAST_TOLD, told, before))
        numbers[rows, self._seen] = seen
        numbers[rows, self._errors] += rate * (missed - numbers[rows, self._errors])
        numbers[rows, self._plain] += rate * (np.abs(value - before) - numbers[rows, self._plain])
        numbers[rows, self._level] += np.maximum(_LEVEL_RATE, 1.0 / seen) * (value - before)
        known[at, bins] = told + np.maximum(self._rates, 1.0 / (times + 1.0)) * (value - told)
        met[at, bins] = np.minimum(times + 1.0, _MOST)

    def course(self, row: Row) -> "Course":
        """The seasons of one series."""
        cycles = tuple(
            (period_s, bins, slowest, self._errors.start + number, self._levels.start + begin, self._met.start + begin)
            for number, ((period_s, bins, begin), slowest) in enumerate(zip(self._cycles, self._slowest, strict=True))
        )
        return Course(row, (self._seen.start, self._level.start, self._plain.start), cycles)


class Course:
    """`Seasons` for plain Python: those of the series whose state is ``row``, in the same memory."""

    __slots__ = ("_at", "_cycles", "_places", "_row")

    def __init__(
        self, row: Row, places: tuple[int, int, int], cycles: tuple[tuple[float, int, float, int, int, int], ...]
    ) -> None:
        """``places`` of how many were seen, of the level, of its error.

        cycles  of each period, bins, rate; and where its error is, where its levels and how often they were met begin
        """
        self._row = row
        self._places = places
        self._cycles = cycles
        self._at: list[int] = []

    def levels(self, time_s: float) -> list[float]:
        """As `Seasons.levels`; at this time the value was measured that is to be learned next."""
        singles, level = self._row.singles, self._row.numbers[self._places[1]]
        at, found = [], []
        for period_s, bins, _, _, levels, met in self._cycles:
            place = int(time_s % period_s / period_s * bins) % bins
            at.append(place)
            found.append(singles[levels + place] if singles[met + place] else level)
        self._at = at
        return found

    def usual(self, levels: list[float]) -> tuple[float, float]:
        """As `Seasons.usual`."""
        numbers = self._row.numbers
        _, level, plain = self._places
        least, place = min((numbers[cycle[3]], place) for place, cycle in enumerate(self._cycles))
        if least < _PROOF * numbers[plain]:
            return levels[place], least
        return numbers[level], numbers[plain]

    def learn(self, value: float) -> None:
        """As `Seasons.learn`."""
        numbers, singles = self._row.numbers, self._row.singles
        counted, usual, plain = self._places
        seen, before = min(numbers[counted] + 1.0, _MOST), numbers[usual]
        rate = max(_ERROR_RATE, 1.0 / seen)
        for place, (_, _, slowest, error, levels, mets) in zip(self._at, self._cycles, strict=True):
            known, met = singles[levels + place], singles[mets + place]
            missed = abs(value - (known if met >= _LEAST_TOLD else before))
            numbers[error] += rate * (missed - numbers[error])
            singles[levels + place] = known + max(slowest, 1.0 / (met + 1.0)) * (value - known)
            singles[mets + place] = min(met + 1.0, _MOST)
        numbers[counted] = seen
        numbers[plain] += rate * (abs(value - before) - numbers[plain])
        numbers[usual] = before + max(_LEVEL_RATE, 1.0 / seen) * (value - before)
