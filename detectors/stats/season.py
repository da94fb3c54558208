"""What a series usually is at this time of the day or of the week, and whether that tells more than its level.

Time is UTC. A clock that people live by shifts by an hour twice a year, on a day of 23 or 25 hours: the rhythm then
comes an hour early or late, the expectation is off for some days and follows within about a week.
"""

from typing import Final

from detectors.stats.packing import Sheet, whole

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

    def __init__(self, period_s: float, bins: int, rate: float, sheet: Sheet) -> None:
        """ValueError if ``sheet`` holds none."""
        self.period_s = period_s
        self.bins = bins
        self.rate = rate
        self._state = sheet.numbers(4)
        self._levels = sheet.singles(bins)
        self._met = sheet.singles(bins)
        whole(self._state[_SEEN], _MOST)

    @staticmethod
    def room(bins: int) -> tuple[int, int]:
        """How many doubles and singles it needs."""
        return 4, 2 * bins

    @property
    def proven(self) -> bool:
        """Whether the time of the cycle tells clearly better what comes than the level alone."""
        return self._state[_ERRORS] < _PROOF * self._state[_PLAIN_ERRORS]

    def level(self, time_s: float) -> float:
        """What this time of the cycle was like; the level of the series where it has not been met yet."""
        where = self._bin(time_s)
        return self._levels[where] if self._met[where] else self._state[_LEVEL]

    def usual(self, time_s: float) -> tuple[float, float]:
        """What is expected at this time, by the season if it is proven, and the mean absolute error of that."""
        if self.proven:
            return self.level(time_s), self._state[_ERRORS]
        return self._state[_LEVEL], self._state[_PLAIN_ERRORS]

    def learn(self, time_s: float, value: float) -> None:
        where = self._bin(time_s)
        met, known = self._met[where], self._levels[where]
        before, level, errors, plain_errors = self._state.tolist()
        seen = min(before + 1.0, float(_MOST))
        rate = max(_ERROR_RATE, 1.0 / seen)
        told = value - (known if met >= _LEAST_TOLD else level)
        state = self._state
        state[_SEEN] = seen
        state[_ERRORS] = errors + rate * (abs(told) - errors)
        state[_PLAIN_ERRORS] = plain_errors + rate * (abs(value - level) - plain_errors)
        state[_LEVEL] = level + max(_LEVEL_RATE, 1.0 / seen) * (value - level)
        self._levels[where] = known + max(self.rate, 1.0 / (met + 1.0)) * (value - known)
        self._met[where] = min(met + 1.0, _MOST)

    def _bin(self, time_s: float) -> int:
        return int(time_s % self.period_s / self.period_s * self.bins) % self.bins
