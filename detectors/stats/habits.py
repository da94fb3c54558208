"""Slowdowns that come back at the same time of the day: a nightly backup is news for three nights, then a habit.

What raises an alarm is not learned as usual, and what ends before it becomes the new usual would be news for ever. So
it is kept apart, half hour by half hour: on which of the last days it was slow, and how slow. It is a habit where it
was so on the three days before, or on the same weekday one and two weeks before; a few minutes earlier or later are
the same. A habit raises no alarm unless most values, or the largest, are half as large again as they used to be then.

One row of numbers per series (``habits``), changed in place.
"""

from collections.abc import Sequence

import numpy as np

from detectors.duration import DAY_MS
from detectors.stats.histograms import quantile
from detectors.stats.probability import log_beta_binomial_tail
from detectors.stats.rhythm import DAY_SLOTS, SLOT_MS
from detectors.stats.series import Floats

KEPT = 12
"""Half hours of the day that can be a habit; what goes on for longer becomes the new usual."""

_SLOT, _DAY, _SEEN, _BUCKETS, _LEVELS = 0, 1, 2, 3, 4
_SHARES = 0.5, 0.95
"""The quantiles that are remembered."""

_COLUMNS = _LEVELS + len(_SHARES)
_STRONGER = 1.5
_DAYS_KEPT = 22
"""Days are bits of a whole number, today's the lowest: a float of 32 bits holds 24."""

_THREE_DAYS, _TWO_WEEKS = 0b111, 1 << 6 | 1 << 13
_MEAN_OF = 60.0
"""Levels are means over the last so many buckets that were slow."""


def shapes() -> dict[str, tuple[int, ...]]:
    """Per half hour: its number in the day plus one (0: none), the newest day on which it was slow, the days before as
    bits, how many buckets were slow, and the quantiles that they had."""
    return {"habits": (KEPT, _COLUMNS)}


def is_news(habits: Floats, windows: Sequence[Floats], edges: Floats, at_ms: int, reach_ms: int, chance: float) -> bool:
    """Whether a slow time is no habit, or more than one beyond ``chance``; remembered unless it is more.

    windows   the histograms between ``edges`` of what ends now, the one that is slow first
    reach_ms  so much earlier or later is the same: windows see for a while what is over
    """
    habit = _habit_at(habits, at_ms, reach_ms)
    if habit is not None and any(_is_stronger(habit, shown, edges, chance / len(windows)) for shown in windows):
        return True
    _note(habits, windows[0], edges, at_ms)
    return habit is None


def _habit_at(habits: Floats, at_ms: int, reach_ms: int) -> Floats | None:
    """The nearest one."""
    further = range(0, reach_ms, SLOT_MS)
    for slot_ms in (at_ms, *(at_ms + way * min(off + SLOT_MS, reach_ms) for off in further for way in (-1, 1))):
        row = _row(habits, slot_ms)
        if row is not None and _is_habit(habits[row], slot_ms // DAY_MS):
            habit: Floats = habits[row].copy()
            return habit
    return None


def _note(habits: Floats, shown: Floats, edges: Floats, at_ms: int) -> None:
    """Remember that this time was slow today, and how slow."""
    row, day = _row(habits, at_ms), at_ms // DAY_MS
    if row is None:
        row = _least_missed(habits, day)
        habits[row] = 0.0
        habits[row, _SLOT], habits[row, _DAY] = _slot(at_ms), day
    habits[row, _SEEN] = (_days_before(habits[row], day) << 1 & (1 << _DAYS_KEPT) - 1) | 1
    habits[row, _DAY] = day
    habits[row, _BUCKETS] = min(habits[row, _BUCKETS] + 1.0, _MEAN_OF)
    levels = habits[row, _LEVELS:]
    levels += (np.array([quantile(shown, edges, share) for share in _SHARES]) - levels) / habits[row, _BUCKETS]


def _slot(at_ms: int) -> int:
    return at_ms // SLOT_MS % DAY_SLOTS + 1


def _row(habits: Floats, at_ms: int) -> int | None:
    rows = np.flatnonzero(habits[:, _SLOT] == _slot(at_ms))
    return int(rows[0]) if len(rows) else None


def _days_before(habit: Floats, day: int) -> int:
    """The days before ``day`` on which it was slow: the lowest bit is the day before."""
    passed, seen = day - int(habit[_DAY]), int(habit[_SEEN])
    if passed <= 0:  # the newest day is this one
        return seen >> 1
    return (seen << passed - 1) & (1 << _DAYS_KEPT) - 1 if passed <= _DAYS_KEPT else 0


def _is_habit(habit: Floats, day: int) -> bool:
    before = _days_before(habit, day)
    return before & _THREE_DAYS == _THREE_DAYS or before & _TWO_WEEKS == _TWO_WEEKS


def _least_missed(habits: Floats, day: int) -> int:
    """A free place, or the one that was slow on the fewest days, of those the oldest."""
    seen = [_days_before(habit, day).bit_count() if habit[_SLOT] else -1 for habit in habits]
    return min(range(len(habits)), key=lambda row: (seen[row], habits[row, _DAY]))


def _is_stronger(habit: Floats, shown: Floats, edges: Floats, chance: float) -> bool:
    """Whether more values than ``chance`` allows lie beyond what the remembered quantiles would be, were all half as
    large again (a sign test)."""
    bounds = habit[_LEVELS:] * _STRONGER
    first = np.searchsorted(edges, bounds) + 1  # the first bin that lies wholly beyond
    beyond = np.array([np.rint(shown[place:].sum()) for place in first])
    trials = np.maximum(np.rint(np.full(len(bounds), shown.sum())), beyond)
    tail = log_beta_binomial_tail(beyond, trials, 1.0 - np.array(_SHARES), np.zeros(len(bounds)))
    return bool(tail.min() <= np.log(chance))
