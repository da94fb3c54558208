"""Numbers that wander by themselves: how far from their level of the last days they come without an incident.

The weather, a season, other customers: a mix may move within hours and nothing is wrong. Bets against one usual mix
are then won again and again. So per half hour the numbers are compared with their level, before it learns them
(prequential: Dawid 1984). Chance makes neighbouring half hours miss it independently; what they miss it by alike is
wander. The mean product of neighbouring misses is its variance, then, however noisy a half hour is.

Nothing is left out, since what was told as an incident may be the wander itself. An incident still teaches little: one
half hour counts as no more than so many times the usual, and moves the level by no more (Huber 1964).
"""

import math
from array import array
from collections.abc import Sequence

import numpy as np

from detectors.stats.same_time import Departure, SameTime
from detectors.stats.series import Floats

_LEVEL_MEMORY, _MEMORY = 96.0, 336.0
"""In half hours: levels are means over about two days, what they miss is one over a week."""

_MOST = 4.0
"""A product of misses counts up to so many times the usual square of one."""

_LEAST_SEEN = 24.0
_PROVEN = 4.0
"""So many standard errors, over all numbers, prove that there is wander."""

_CLEAR = 5.0
_SEEN, _AGE = 0, 1
_NUMBERS = 2
_ROWS = 4


class Restless:
    """Of one series, of which a `SameTime` knows the half hour that is going on.

    ``state``: how many half hours were seen, and by the level; then of each number the level, the newest miss, the
    mean square miss, and the mean product of neighbouring misses.
    """

    __slots__ = ("channels", "state")

    def __init__(self, channels: int, kept: bytes = b"") -> None:
        """As `kept` told it. Raises ValueError if it is of another size."""
        self.channels = channels
        self.state = array("f", kept or bytes(4 * (_NUMBERS + _ROWS * channels)))
        if len(self.state) != _NUMBERS + _ROWS * channels:
            raise ValueError("the wander of another number of channels")

    def kept(self) -> bytes:
        """All there is to be remembered."""
        return self.state.tobytes()

    def observe(self, same_time: SameTime, slot: int) -> None:
        """A block of this half hour comes, before ``same_time`` sees it."""
        if same_time.closes(slot) is not None and same_time.latest is not None:
            self._learn(same_time.latest[0])

    def follow(self) -> None:
        """What goes on is the new usual: the level begins anew."""
        self.state[_AGE] = 0.0

    def departure(self, same_time: SameTime, noise: float) -> Departure | None:
        """None where the numbers do not wander; ``noise`` is the variance of the newest block by chance."""
        latest = same_time.latest
        if self.state[_SEEN] < _LEAST_SEEN or not self.state[_AGE] or latest is None:
            return None
        level, _, squares, products = self._rows()
        if products.sum() <= _PROVEN * math.sqrt(float(np.square(squares).sum()) / self.state[_SEEN]):
            return None
        now, blocks = np.array(latest[0]), latest[1]
        usual = np.sqrt(np.maximum(products, 0.0) + noise / blocks)
        return Departure(same_time.since_ms, now, level, np.abs(now - level) > _CLEAR * usual)

    def _learn(self, mean: Sequence[float]) -> None:
        """A half hour is over."""
        state, now = self.state, np.array(mean)
        if not state[_AGE]:
            state[_AGE] = 1.0
            state[_NUMBERS : _NUMBERS + 2 * self.channels] = array("f", [*mean, *bytes(self.channels)])
            return
        level, before, squares, products = self._rows()
        miss = now - level
        seen, age = min(state[_SEEN] + 1.0, _MEMORY), min(state[_AGE] + 1.0, _LEVEL_MEMORY)
        square, product = np.square(miss), miss * before
        if state[_SEEN]:
            most = _MOST * squares
            square, product = np.minimum(square, most), np.clip(product, -most, most)
            miss = np.clip(miss, -np.sqrt(most), np.sqrt(most))
        squares += (square - squares) / seen
        products += (product - products) / seen
        level += miss / age
        state[_SEEN], state[_AGE] = seen, age
        state[_NUMBERS:] = array("f", np.concatenate([level, miss, squares, products]).tolist())

    def _rows(self) -> Floats:
        return np.array(self.state[_NUMBERS:]).reshape(_ROWS, self.channels)
