"""Numbers that wander by themselves: how far from their level of the last days they come without an incident.

The weather, a season, other customers: a mix may move within hours and nothing is wrong. Bets against one usual mix
are then won again and again. So per half hour the numbers are compared with their level, before it learns them
(prequential: Dawid 1984). Chance makes half hours miss it independently; what they miss it by alike is wander, and the
mean product of a miss with those just before is about its variance, however noisy a half hour is. Once that is proven,
numbers depart only where they are far from the level for what they usually are, in the half hour that goes on or
smoothed over the last hours; and from what came at this time of the week, or each weekend would be news.

Nothing is left out, since what was told as an incident may be the wander itself. An incident still teaches little: one
half hour counts as no more than so many times the usual, and moves the level by no more (Huber 1964).
"""

import math
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.stats.same_time import Departure, SameTime
from detectors.stats.series import Floats

_LEVEL_MEMORY, _MEMORY = 96.0, 336.0
"""In half hours: levels are means over about two days, what they miss is one over a week."""

_SMOOTHING = 0.25
_SMOOTHED = _SMOOTHING / (2 - _SMOOTHING)
"""The variance of the smoothed misses of a few hours, where chance alone gives them."""

_MOST = 4.0
"""A square of a miss counts up to so many times the usual one."""

_LEAST_SEEN = 24.0
_PROVEN = 5.0
"""So many standard errors, over all numbers, prove that there is wander."""

_CLEAR, _NEWS = 5.0, 0.5
_SEEN, _AGE, _ALIKE = 0, 1, 2
_NUMBERS = 3
_ROWS = 5


class Restless:
    """Of one series, of which a `SameTime` knows the half hour that is going on.

    ``state``: how many half hours were seen, and by the level, and the mean product of misses with those just before,
    over all numbers; then of each number the level, the smoothed miss, the same beside what came at this time of the
    week, and the mean squares of misses and of smoothed ones.
    """

    __slots__ = ("channels", "state")

    def __init__(self, channels: int, kept: bytes = b"") -> None:
        """As `kept` told it; what is of another size, or nothing, begins anew."""
        self.channels = channels
        size = 4 * (_NUMBERS + _ROWS * channels)
        self.state = array("f", kept if len(kept) == size else bytes(size))

    def kept(self) -> bytes:
        """All there is to be remembered."""
        return self.state.tobytes()

    def observe(self, same_time: SameTime, slot: int) -> None:
        """A block of this half hour comes, before ``same_time`` sees it."""
        if same_time.closes(slot) is not None and (latest := same_time.latest) is not None:
            self._learn(latest[0], same_time.as_before())

    def follow(self) -> None:
        """What goes on is the new usual: the level begins anew."""
        self.state[_AGE] = 0.0

    def departures(self, same_time: SameTime, noise: float, least: float) -> tuple[Departure, Departure] | None:
        """Of the half hour that goes on, and of the last hours, from the level.

        None where the numbers do not wander, or by less than the root of ``least`` (a variance, over all numbers).
        ``noise`` is the variance of the newest block by chance.
        """
        latest = same_time.latest
        if self.state[_SEEN] < _LEAST_SEEN or not self.state[_AGE] or latest is None:
            return None
        if self.state[_ALIKE] < least or self.evidence <= _PROVEN:
            return None
        level, smooth, news, squares, smooth_squares = self._rows()
        now, blocks = np.array(latest[0]), latest[1]
        wander = np.maximum(smooth_squares - _SMOOTHED * squares, 0.0)
        usual = np.sqrt(np.maximum(squares, wander + noise / blocks) * (1.0 + 1.0 / self.state[_AGE]))
        before = same_time.as_before()
        newest = _clear(now - level, now - (level if before is None else before), usual)
        lasting = _clear(smooth, news, np.sqrt(np.maximum(smooth_squares, _SMOOTHED * squares)))
        since_ms = same_time.since_ms
        return Departure(since_ms, now, level, newest), Departure(since_ms, level + smooth, level, lasting)

    @property
    def evidence(self) -> float:
        """Of wander, in standard errors."""
        squares = self._rows()[3]
        error = math.sqrt(float(np.square(squares).sum()) * _SMOOTHED / max(self.state[_SEEN], 1.0))
        return self.state[_ALIKE] / error if error else 0.0

    def _learn(self, mean: Sequence[float], before: Floats | None) -> None:
        """A half hour is over; ``before`` is what came at this time of the week."""
        state, now = self.state, np.array(mean)
        level, smooth, news, squares, smooth_squares = self._rows()
        if not state[_AGE]:
            state[_AGE] = 1.0
            level, smooth, news = now, np.zeros_like(now), np.zeros_like(now)
        else:
            seen, age = min(state[_SEEN] + 1.0, _MEMORY), min(state[_AGE] + 1.0, _LEVEL_MEMORY)
            usual = np.maximum(smooth_squares, _SMOOTHED * squares)
            miss = _limited(now - level, squares) if state[_SEEN] else now - level
            alike = float((miss * _limited(smooth, usual)).sum())
            state[_ALIKE] += (alike - state[_ALIKE]) / seen
            squares += (np.square(miss) - squares) / seen
            level = level + miss / age
            smooth = smooth + _SMOOTHING * (now - level - smooth)
            news = news + _SMOOTHING * (now - (level if before is None else before) - news)
            smooth_squares += (np.square(_limited(smooth, usual)) - smooth_squares) / seen
            state[_SEEN], state[_AGE] = seen, age
        state[_NUMBERS:] = array("f", np.concatenate([level, smooth, news, squares, smooth_squares]).tolist())

    def _rows(self) -> Floats:
        return np.array(self.state[_NUMBERS:]).reshape(_ROWS, self.channels)


def _limited(misses: Floats, squares: Floats) -> Floats:
    """No further than so many times what is usual."""
    most = np.sqrt(_MOST * squares)
    return np.clip(misses, -most, most)


def _clear(departs: Floats, news: Floats, usual: Floats) -> NDArray[np.bool_]:
    """Where numbers are far from their level; and from what came at this time of the week, by half as much."""
    clear: NDArray[np.bool_] = np.abs(departs) > _CLEAR * usual
    return clear & (np.abs(news) > np.maximum(_CLEAR * usual, _NEWS * np.abs(departs)))
