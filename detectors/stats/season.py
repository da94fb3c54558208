"""What a series usually is at this time of the day or of the week, and whether that tells more than its level.

Time is UTC. A clock that people live by shifts by an hour twice a year, on a day of 23 or 25 hours: the rhythm then
comes an hour early or late, the expectation is off for some days and follows within about a week.
"""

from typing import Final

from detectors.stats.packing import Places, Sheet

DAY_S: Final = 86_400.0
WEEK_S: Final = 604_800.0

_PROOF = 0.85
"""The season must make the mean absolute error at least this much smaller."""

_LEAST_TOLD = 2
"""A bin must have been met in this many cycles before what it says is compared."""

_LEVEL_RATE = 0.01
_ERROR_RATE = 0.005
_MOST = 10**9
_SEEN, _LEVEL, _ERRORS, _PLAIN_ERRORS = range(4)


class Season:
    """A level per bin of a cycle of ``period_s``, learned at ``rate``, and how well it tells what comes."""

    __slots__ = ("_levels", "_met", "_state", "bins", "period_s", "rate")

    def __init__(self, period_s: float, bins: int, rate: float, places: Places) -> None:
        self.period_s = period_s
        self.bins = bins
        self.rate = rate
        self._state = places.numbers(4)
        self._levels = places.singles(bins)
        self._met = places.singles(bins)

    def proven(self, sheet: Sheet) -> bool:
        """Whether the time of the cycle tells clearly better what comes than the level alone."""
        return sheet.numbers[self._state + _ERRORS] < _PROOF * sheet.numbers[self._state + _PLAIN_ERRORS]

    def level(self, sheet: Sheet, time_s: float) -> float:
        """What this time of the cycle was like; the level of the series where it has not been met yet."""
        where = self._bin(time_s)
        if sheet.singles[self._met + where]:
            return sheet.singles[self._levels + where]
        return sheet.numbers[self._state + _LEVEL]

    def usual(self, sheet: Sheet, time_s: float) -> tuple[float, float]:
        """What is expected at this time, by the season if it is proven, and the mean absolute error of that."""
        if self.proven(sheet):
            return self.level(sheet, time_s), sheet.numbers[self._state + _ERRORS]
        return sheet.numbers[self._state + _LEVEL], sheet.numbers[self._state + _PLAIN_ERRORS]

    def learn(self, sheet: Sheet, time_s: float, value: float) -> None:
        where, at, numbers, singles = self._bin(time_s), self._state, sheet.numbers, sheet.singles
        met, known = singles[self._met + where], singles[self._levels + where]
        before, level, errors, plain_errors = numbers[at : at + 4].tolist()
        seen = min(before + 1.0, float(_MOST))
        rate = max(_ERROR_RATE, 1.0 / seen)
        told = value - (known if met >= _LEAST_TOLD else level)
        numbers[at + _SEEN] = seen
        numbers[at + _ERRORS] = errors + rate * (abs(told) - errors)
        numbers[at + _PLAIN_ERRORS] = plain_errors + rate * (abs(value - level) - plain_errors)
        numbers[at + _LEVEL] = level + max(_LEVEL_RATE, 1.0 / seen) * (value - level)
        singles[self._levels + where] = known + max(self.rate, 1.0 / (met + 1.0)) * (value - known)
        singles[self._met + where] = min(met + 1.0, _MOST)

    def _bin(self, time_s: float) -> int:
        return int(time_s % self.period_s / self.period_s * self.bins) % self.bins
