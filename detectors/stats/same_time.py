"""Whether a change is more than the time of day: what now comes beside what came at this time on other days.

A series may be different every night without anything being wrong. Per half hour the mean of some numbers is learned as
in `detectors.stats.rhythm`; once the time of day has proven to tell what comes better than the recent level, a change
counts only as far as it departs from what this time of day forecasts, and by more than such forecasts usually miss.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from detectors.stats import rhythm
from detectors.stats.rows import Layout
from detectors.stats.series import Floats, Ints

_CLEAR = 5.0
_LEAST_PART = 0.3
_LEAST_DAYS = 2
_LARGEST = 1e15
"""The square of what is further from the first numbers would not fit."""

_DAILY = 1
_SLOT, _COUNT = 0, 1


@dataclass(frozen=True)
class Departure:
    """What the half hour that is going on is like, what its time forecasts, and where the two clearly differ."""

    since_ms: int
    now: Floats
    expected: Floats
    clear: NDArray[np.bool_]


class SameTime:
    """Of one series, ``channels`` numbers a block; ``packed`` is all that is kept of it."""

    def __init__(self, channels: int, packed: bytes = b"") -> None:
        """Raises ValueError if ``packed`` is of another size."""
        self._layout = _layout(channels)
        row = np.frombuffer(packed, np.float32) if packed else np.zeros(self._layout.width, np.float32)
        if len(row) != self._layout.width:
            raise ValueError("the rhythm of another number of channels")
        self._row = row.copy()
        self._now = self._row[-2 - channels :]
        """The half hour that is going on, how many blocks it has, and the sums of their numbers; all numbers are told
        from ``centre``, the first ones, since a rhythm is proven soonest by numbers around 0."""
        self._centre = self._row[-2 - 2 * channels : -2 - channels]
        self._model = self._row[-2 - 3 * channels : -2 - 2 * channels]

    def packed(self) -> bytes:
        return self._row.tobytes()

    def observe(self, at_ms: int, values: Floats, *, learns: bool) -> None:
        """One more block. What does not learn, as it belongs to an anomaly, takes its half hour with it."""
        slot = at_ms // rhythm.SLOT_MS
        if not self._now[_SLOT]:
            self._centre[:] = values
        if self._now[_SLOT] != slot:
            self._close()
            self._now[:] = 0.0
            self._now[_SLOT] = slot
        if not learns:
            self._now[_COUNT] = -math.inf
        self._now[_COUNT] += 1.0
        self._now[2:] += np.clip(values - self._centre, -_LARGEST, _LARGEST)

    def _close(self) -> None:
        """The half hour is over."""
        learns = bool(self._now[_COUNT] > 0)
        state = self._layout.split(self._row[None])
        sums, counts = self._now[None, 2:].astype(np.float64), self._now[_COUNT, None].astype(np.float64)
        at_ms = int(self._now[_SLOT]) * rhythm.SLOT_MS
        rhythm.observe(state, at_ms, sums, counts, np.array([learns]))
        self._row[:] = self._layout.join(state)[0]

    @property
    def proven(self) -> bool:
        """Whether the time of day tells any of the numbers."""
        return bool(self._model.any())

    @property
    def wholly_proven(self) -> bool:
        """Whether the time of day tells all of the numbers."""
        return bool(self._model.all())

    def offsets(self, at_ms: Ints) -> Floats:
        """What these times of the day add to the numbers, one row per time; 0 for what time tells nothing of."""
        state = self._layout.split(self._row[None])
        day, seen = state["day"][0], state["day_seen"][0] > 0
        usual = np.where(seen[:, None], day - day[seen].mean(axis=0), 0.0) if seen.any() else day
        told: Floats = np.where(state["model"][0] > 0, usual[at_ms // rhythm.SLOT_MS % rhythm.DAY_SLOTS], 0.0)
        return told

    def departure(self, noise: float) -> Departure | None:
        """None where the time of day tells nothing yet; ``noise`` is the variance that chance alone gives a block,
        since at a quiet time of the day forecasts miss less than they do now."""
        if not self.proven:
            return None
        state = self._layout.split(self._row[None])
        day, count = int(self._now[_SLOT]) % rhythm.DAY_SLOTS, float(self._now[_COUNT])
        if state["day_seen"][0, day] < _LEAST_DAYS or count <= 0:
            return None
        now = self._now[2:] / count + state["centre"][0]
        expected = state["day"][0, day] + state["levels"][0, _DAILY] + state["centre"][0]
        since_ms = int(self._now[_SLOT]) * rhythm.SLOT_MS
        blocks = max(float(state["slot_count"][0, 0]), count)
        if count < _LEAST_PART * blocks:
            return Departure(since_ms, now, expected, np.zeros(len(now), np.bool_))
        missed = np.sqrt(np.maximum(state["errors"][0, _DAILY] * blocks, noise) / count)
        return Departure(since_ms, now, expected, np.abs(now - expected) > _CLEAR * missed)


@cache
def _layout(channels: int) -> Layout:
    """What is asked of every block comes last."""
    shapes = rhythm.shapes(channels)
    model = shapes.pop("model")
    return Layout({**shapes, "model": model, "centre": (channels,), "now": (2 + channels,)})
