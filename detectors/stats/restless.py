"""Numbers that wander by themselves: how far from their recent level they come without an incident.

The weather, a season, other customers: a mix may move within hours and nothing is wrong. Bets against one usual mix
are then won again and again. So per half hour the numbers are compared with their level of the last hours, before it
learns them (prequential: Dawid 1984). Where they miss it by clearly more than chance gives, they wander; then a change
counts only where the numbers depart from their level by more than they usually do.

Nothing is left out, since what was told as an incident may be the wander itself. An incident still teaches little: one
half hour counts as no more than so many times the usual, and moves the level by no more (Huber 1964).
"""

import math
from array import array
from collections.abc import Sequence

import numpy as np

from detectors.stats.same_time import Departure, SameTime
from detectors.stats.series import Floats

_GAIN = 1 / 12.0
"""Of the level: it follows in about six hours."""

_MEMORY = 96.0
"""In half hours: what is usual of the misses is their mean over about two days."""

_MOST = 4.0
_WANDERS = 2.0
_LEAST_SEEN = 24.0
_CLEAR = 5.0
_SEEN, _CHANCE, _NOISE, _NUMBERS = 0, 1, 2, 3


class Restless:
    """Of one series, of which a `SameTime` knows the half hour that is going on.

    ``state``: how many half hours were seen, what chance alone makes them miss (mean square), the noise of the blocks
    of the one that is going on, added; then the level of each number, and its mean square miss.
    """

    __slots__ = ("channels", "state")

    def __init__(self, channels: int, kept: bytes = b"") -> None:
        """As `kept` told it. Raises ValueError if it is of another size."""
        self.channels = channels
        self.state = array("f", kept or bytes(4 * (_NUMBERS + 2 * channels)))
        if len(self.state) != _NUMBERS + 2 * channels:
            raise ValueError("the wander of another number of channels")

    def kept(self) -> bytes:
        """All there is to be remembered."""
        return self.state.tobytes()

    def observe(self, same_time: SameTime, slot: int, noise: float) -> None:
        """One more block, of this half hour, before ``same_time`` sees it; ``noise`` is the variance by chance."""
        if same_time.closes(slot) is not None:
            latest = same_time.latest
            if latest is not None:
                self._learn(*latest)
            self.state[_NOISE] = 0.0
        self.state[_NOISE] += min(noise, 1e9)

    def follow(self) -> None:
        """What goes on is the new usual: the level begins anew."""
        if self.state[_SEEN]:
            self.state[_NUMBERS : _NUMBERS + self.channels] = array("f", [math.nan] * self.channels)

    def departure(self, same_time: SameTime, noise: float) -> Departure | None:
        """None where the numbers do not wander; ``noise`` is the variance of the newest block by chance."""
        state, latest = self.state, same_time.latest
        if state[_SEEN] < _LEAST_SEEN or latest is None:
            return None
        level, missed = self._split()
        if not (missed > _WANDERS * state[_CHANCE]).any() or np.isnan(level).any():
            return None
        now, count = np.array(latest[0]), latest[1]
        wander = np.sqrt(np.maximum(missed - state[_CHANCE], 0.0) + noise / count)
        return Departure(same_time.since_ms, now, level, np.abs(now - level) > _CLEAR * wander)

    def _learn(self, mean: Sequence[float], blocks: float) -> None:
        """A half hour is over."""
        state, now = self.state, np.array(mean)
        chance = state[_NOISE] / blocks**2
        level, missed = self._split()
        if np.isnan(level).any() or not state[_SEEN]:
            level[:] = now
            missed = missed if state[_SEEN] else np.full(self.channels, chance)
            state[_CHANCE] = state[_CHANCE] if state[_SEEN] else chance
        seen = min(state[_SEEN] + 1.0, _MEMORY)
        most = _MOST * np.maximum(missed, chance)
        miss = now - level
        missed += (np.minimum(np.square(miss), most) - missed) / seen
        level += _GAIN * np.clip(miss, -np.sqrt(most), np.sqrt(most))
        state[_SEEN], state[_CHANCE] = seen, state[_CHANCE] + (chance - state[_CHANCE]) / seen
        state[_NUMBERS:] = array("f", [*level.tolist(), *missed.tolist()])

    def _split(self) -> tuple[Floats, Floats]:
        numbers = np.array(self.state[_NUMBERS:])
        return numbers[: self.channels], numbers[self.channels :]
