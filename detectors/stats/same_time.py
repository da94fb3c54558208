"""Whether a change is more than the time of day: what now comes beside what came at this time on other days.

A series may be different every night, or at weekends, without anything being wrong. Per half hour the mean of some
numbers is learned as in `detectors.stats.rhythm`; once the time has proven to tell what comes better than the recent
level, a change counts only as far as it departs from what this time forecasts, and by more than such forecasts usually
miss.
"""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from detectors.memory import Packed
from detectors.stats import rhythm
from detectors.stats.rows import Layout
from detectors.stats.series import Floats, Ints, Singles

_CLEAR = 5.0
_LEAST_PART = 0.3
_LEAST_DAYS = 2
_LARGEST = 1e15
"""The square of what is further from the first numbers would not fit."""

_DAILY, _WEEKLY = 1, 2
_MISSED_DAILY, _MISSED_WEEKLY = 1, 3


@dataclass(frozen=True)
class Departure:
    """What the half hour that is going on is like, what its time forecasts, and where the two clearly differ."""

    since_ms: int
    now: Floats
    expected: Floats
    clear: NDArray[np.bool_]


class SameTime:
    """Of one series, ``channels`` numbers a block.

    ``now`` is asked of every block: which numbers the time of day tells (`rhythm`), the first numbers, from which all
    are told since a rhythm is proven soonest by numbers around 0; at ``slot`` the half hour that is going on, how many
    blocks it has (less than none if one of them belongs to an anomaly), and the sums of their numbers. What is
    ``learned`` changes only when a half hour is over.
    """

    __slots__ = ("_state", "channels", "layout", "learned", "now", "slot")

    def __init__(self, channels: int, learned: Packed | None = None, now: bytes = b"") -> None:
        """As `kept` told it. Raises ValueError if ``now`` is of another size."""
        self.channels, self.layout = channels, _layout(channels)
        self.slot = 2 * channels
        self.learned = learned or Packed()
        self.now = array("f", now or bytes(4 * (self.slot + 2 + channels)))
        self._state: dict[str, Floats] | None = None
        if len(self.now) != self.slot + 2 + channels:
            raise ValueError("the rhythm of another number of channels")

    @classmethod
    def of_row(cls, channels: int, row: bytes) -> "SameTime":
        """All numbers in one piece, as memories had them once. Raises ValueError if ``row`` is of another size."""
        split = 4 * _layout(channels).width - 4 * channels
        return cls(channels, Packed(row[:split]), row[split:])

    def kept(self) -> tuple[Packed, bytes]:
        """All there is to be remembered."""
        return self.learned, self.now.tobytes()

    @property
    def proven(self) -> bool:
        """Whether the time of day tells any of the numbers."""
        return any(self.now[: self.channels])

    @property
    def wholly_proven(self) -> bool:
        """Whether the time of day tells all of the numbers."""
        return all(self.now[: self.channels])

    def offsets(self, at_ms: Ints) -> Floats:
        """What these times of the day add to the numbers, one row per time; 0 for what time tells nothing of."""
        state = self._arrays
        model = state["model"][0]
        day = _about_mean(state["day"][0], state["day_seen"][0])[at_ms // rhythm.SLOT_MS % rhythm.DAY_SLOTS]
        week = _about_mean(state["week"][0], state["week_seen"][0])[rhythm.week_slot(at_ms)]
        told: Floats = np.where(model >= 1, day, 0.0) + np.where(model >= 2, week, 0.0)
        return told

    @property
    def latest(self) -> tuple[list[float], float] | None:
        """The mean of the numbers in the half hour that goes on, or went on last, and of how many blocks it is."""
        means, blocks = latest([self])
        return (means[0].tolist(), float(blocks[0])) if blocks[0] else None

    @property
    def since_ms(self) -> int:
        """When the half hour began that goes on, or went on last."""
        return int(self.now[self.slot]) * rhythm.SLOT_MS

    def as_before(self) -> Floats | None:
        """What came at this time of the week, as far as it is known, proven or not; None before a week was seen."""
        state, slot = self._arrays, int(self.now[self.slot])
        day, week = slot % rhythm.DAY_SLOTS, rhythm.week_slot(self.since_ms)
        if state["day_seen"][0, day] < _LEAST_DAYS or state["week_seen"][0, week] < rhythm.PER_WEEK_SLOT:
            return None
        before: Floats = state["day"][0, day] + state["week"][0, week] + np.array(self.now[self.channels : self.slot])
        return before

    def departure(self, noise: float) -> Departure | None:
        """None where the time of day tells nothing yet; ``noise`` is the variance that chance alone gives a block,
        since at a quiet time of the day forecasts miss less than they do now."""
        if not self.proven:
            return None
        state, slot = self._arrays, int(self.now[self.slot])
        day, count = slot % rhythm.DAY_SLOTS, self.now[self.slot + 1]
        if state["day_seen"][0, day] < _LEAST_DAYS or count <= 0 or (latest := self.latest) is None:
            return None
        now, centre = np.array(latest[0]), np.array(self.now[self.channels : self.slot])
        since_ms = slot * rhythm.SLOT_MS
        weekly = state["model"][0] >= 2
        added = np.where(weekly, state["week"][0, rhythm.week_slot(since_ms)], 0.0)
        level = np.where(weekly, state["levels"][0, _WEEKLY], state["levels"][0, _DAILY])
        expected = state["day"][0, day] + added + level + centre
        errors = np.where(weekly, state["errors"][0, _MISSED_WEEKLY], state["errors"][0, _MISSED_DAILY])
        blocks = max(abs(float(state["slot_count"][0, 0])), count)
        if count < _LEAST_PART * blocks:
            return Departure(since_ms, now, expected, np.zeros(len(now), np.bool_))
        missed = np.sqrt(np.maximum(errors * blocks, noise) / count)
        return Departure(since_ms, now, expected, np.abs(now - expected) > _CLEAR * missed)

    def add(self, slot: int, values: Sequence[float], *, learns: bool) -> None:
        """One more block of this half hour."""
        now, first = self.now, self.channels
        place = self.slot
        if not now[place]:
            now[first:place] = array("f", values)
        if now[place] != slot:
            now[place:] = array("f", bytes(4 * (2 + first)))
            now[place] = slot
        count = now[place + 1] if learns else -abs(now[place + 1])
        now[place + 1] = count + (1.0 if learns and count >= 0 else -1.0)
        for number, value in enumerate(values, place + 2):
            change = value - now[number - 2 - first]
            now[number] += change if -_LARGEST <= change <= _LARGEST else math.copysign(_LARGEST, change)

    def closes(self, slot: int) -> int | None:
        """The half hour that is over with a block of this one; None if none is."""
        before = self.now[self.slot]
        return int(before) if before != slot and self.now[self.slot + 1] else None

    @property
    def row(self) -> Singles:
        """What is known of the time of day, as `rhythm` has it."""
        learned = self.learned.data
        row = np.zeros(self.layout.width, np.float32)
        if learned:
            row[: -self.channels] = np.frombuffer(learned, np.float32)
        row[-self.channels :] = self.now[: self.channels]
        return row

    def relearn(self, row: Singles) -> None:
        """The inverse of `row`."""
        self.learned, self._state = Packed(row[: -self.channels].tobytes()), None
        self.now[: self.channels] = array("f", row[-self.channels :].tobytes())

    @property
    def _arrays(self) -> dict[str, Floats]:
        if self._state is None:
            self._state = self.layout.split(self.row[None])
        return self._state


Block = tuple[SameTime, int, Sequence[float], bool]
"""Of which series, when it began, its numbers, and whether it teaches anything."""


def latest(several: Sequence[SameTime]) -> tuple[Floats, Floats]:
    """As `SameTime.latest` of each that has as many channels: one row of means each; of 0 blocks where it is None."""
    channels, slot = several[0].channels, several[0].slot
    now = np.frombuffer(b"".join([one.now for one in several]), np.float32).reshape(len(several), -1).astype(np.float64)
    count = np.abs(now[:, slot + 1])
    known = (count > 0) & (count < np.inf)
    blocks: Floats = np.where(known, count, 0.0)
    means: Floats = now[:, slot + 2 :] / np.where(known, count, 1.0)[:, None] + now[:, channels:slot]
    return means, blocks


def observe(blocks: Iterable[Block]) -> None:
    """One more block of each series. What does not learn, as it belongs to an anomaly, takes its half hour with it.

    That teaches nothing of the day, only of the week: a weekend looks like an anomaly as long as it is not known.
    """
    begun = [(one, at_ms // rhythm.SLOT_MS, values, learns) for one, at_ms, values, learns in blocks]
    over = [(slot, one) for one, now, _, _ in begun if (slot := one.closes(now)) is not None]
    for slot in {slot for slot, _ in over}:
        _close(slot, [one for ended, one in over if ended == slot])
    for one, slot, values, learns in begun:
        one.add(slot, values, learns=learns)


def _close(slot: int, several: Sequence[SameTime]) -> None:
    """The half hour is over for these."""
    layout = several[0].layout
    rows = np.stack([one.row for one in several])
    now = np.array([one.now[one.slot + 1 :] for one in several])
    state = layout.split(rows)
    counts, sums = now[:, 0].astype(np.float64), now[:, 1:].astype(np.float64)
    signs = np.sign(counts)[:, None]
    rhythm.observe(state, slot * rhythm.SLOT_MS, signs * sums, counts, np.isfinite(counts))
    for one, row in zip(several, layout.join(state), strict=True):
        one.relearn(row)


def _about_mean(profile: Floats, seen: Floats) -> Floats:
    """What each slot adds to the mean of all; 0 for a slot that was not seen."""
    known = seen > 0
    return np.where(known[:, None], profile - profile[known].mean(axis=0), 0.0) if known.any() else profile


@cache
def _layout(channels: int) -> Layout:
    """What is asked of every block comes last."""
    shapes = rhythm.shapes(channels)
    model = shapes.pop("model")
    return Layout({**shapes, "model": model})
