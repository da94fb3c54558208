"""What a series usually is at this time of the day or of the week, and whether that tells more than its level.

Time is UTC. A clock that people live by shifts by an hour twice a year, on a day of 23 or 25 hours: the rhythm then
comes an hour early or late, the expectation is off for some days and follows within about a week.
"""

from array import array
from typing import Final

from detectors.stats.packing import Packer, Unpacker

DAY_S: Final = 86_400.0
WEEK_S: Final = 604_800.0

_PROOF = 0.85
"""The season must make the mean absolute error at least this much smaller."""

_LEAST_TOLD = 2
"""A bin must have been met in this many cycles before what it says is compared."""

_LEVEL_RATE = 0.01
_ERROR_RATE = 0.005
_MOST = 1e9


class Season:
    """A level per bin of a cycle of ``period_s``, learned at ``rate``, and how well it tells what comes."""

    __slots__ = ("_errors", "_level", "_levels", "_met", "_plain_errors", "_seen", "bins", "period_s", "rate")

    def __init__(self, period_s: float, bins: int, rate: float) -> None:
        self.period_s = period_s
        self.bins = bins
        self.rate = rate
        self._levels = array("f", bytes(4 * bins))
        self._met = array("f", bytes(4 * bins))
        self._seen = 0
        self._level = 0.0
        self._errors = 0.0
        self._plain_errors = 0.0

    @property
    def proven(self) -> bool:
        """Whether the time of the cycle tells clearly better what comes than the level alone."""
        return self._errors < _PROOF * self._plain_errors

    def level(self, time_s: float) -> float:
        """What this time of the cycle was like; the level of the series where it has not been met yet."""
        where = self._bin(time_s)
        return self._levels[where] if self._met[where] else self._level

    def usual(self, time_s: float) -> tuple[float, float]:
        """What is expected at this time, by the season if it is proven, and the mean absolute error of that."""
        if self.proven:
            return self.level(time_s), self._errors
        return self._level, self._plain_errors

    def learn(self, time_s: float, value: float) -> None:
        where = self._bin(time_s)
        met = self._met[where]
        error = value - self._levels[where]
        self._seen = min(self._seen + 1, int(_MOST))
        rate = max(_ERROR_RATE, 1.0 / self._seen)
        told = error if met >= _LEAST_TOLD else value - self._level
        self._errors += rate * (abs(told) - self._errors)
        self._plain_errors += rate * (abs(value - self._level) - self._plain_errors)
        self._levels[where] += max(self.rate, 1.0 / (met + 1.0)) * error
        self._met[where] = min(met + 1.0, _MOST)
        self._level += max(_LEVEL_RATE, 1.0 / self._seen) * (value - self._level)

    def _bin(self, time_s: float) -> int:
        return int(time_s % self.period_s / self.period_s * self.bins) % self.bins

    def pack(self, packer: Packer) -> None:
        packer.numbers(self._seen, self._level, self._errors, self._plain_errors)
        packer.singles(self._levels).singles(self._met)

    def unpack(self, unpacker: Unpacker) -> None:
        self._seen = unpacker.whole(int(_MOST))
        self._level, self._errors, self._plain_errors = unpacker.numbers(3)
        levels, met = unpacker.singles(self.bins), unpacker.singles(self.bins)
        if not len(levels) == len(met) == self.bins:
            raise ValueError("a packed season has other bins")
        self._levels, self._met = levels, met
