"""Effects of the time of day and of the weekday, used only where they have forecast better than their absence.

Time is cut into slots of half an hour. At the end of a slot three models forecast its mean: the recent level alone; a
level plus a profile over the 48 slots of the day; both plus a profile over the 56 slots of three hours of the week.
Every model is judged by forecasts it made before it saw the answer (prequential: Dawid 1984), so a profile that is
mere noise never wins. A profile is learned from the first day on and used once it has proven itself.

Many series are judged at once: all arrays have the series first.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats, Ints

Slots = TypeVar("Slots", int, Ints)

SLOT_MS = 1_800_000
DAY_SLOTS = 48
WEEK_SLOTS = 56
_WEEK_SLOT_MS = 10_800_000

_LEVEL_GAIN = 1 / 12.0
_ERROR_MEMORY = np.array([96.0, 672.0])
"""In slots: two days for the day; two weeks for the week, or a Friday would have forgotten the weekend."""
_MOST_DAYS = 7.0
_SETTLED_DAYS = 3.0
PER_WEEK_SLOT, _MOST_WEEK_SEEN = 6.0, 30.0
_LEAST_COMPARED_DAY, _LEAST_COMPARED_WEEK = 48.0, 168.0
_WINS, _LOSES = 0.75, 0.95


def shapes(channels: int) -> dict[str, tuple[int, ...]]:
    """What is remembered: profiles with how often each slot was seen, the slot being filled, levels and errors."""
    return {
        "day": (DAY_SLOTS, channels),
        "day_seen": (DAY_SLOTS,),
        "week": (WEEK_SLOTS, channels),
        "week_seen": (WEEK_SLOTS,),
        "slot": (1,),
        "slot_sum": (channels,),
        "slot_count": (1,),
        "levels": (3, channels),
        "errors": (4, channels),
        "compared": (2,),
        "model": (channels,),
    }


def week_slot(at_ms: Slots) -> Slots:
    """Which of `WEEK_SLOTS` these times lie in."""
    return at_ms // _WEEK_SLOT_MS % WEEK_SLOTS


def offset(state: dict[str, Floats], at_ms: int) -> Floats:
    """What the time adds, per series and channel; 0 where nothing is proven."""
    day, week = at_ms // SLOT_MS % DAY_SLOTS, week_slot(at_ms)
    model = state["model"]
    result: Floats = np.where(model >= 1, state["day"][:, day], 0.0) + np.where(model >= 2, state["week"][:, week], 0.0)
    return result


def observe(state: dict[str, Floats], at_ms: int, sums: Floats, counts: Floats, learns: NDArray[np.bool_]) -> None:
    """Add a bucket's sums to the slot of its time, after closing the one before; ``state`` is changed in place.

    Rows that do not learn lose the slot they were filling: a part of it may belong to an anomaly. A whole slot whose
    sums and counts are both given negative is odd: it may be what is usual at weekends.
    """
    number = at_ms // SLOT_MS
    ended = state["slot"][:, 0] != number
    closing = np.flatnonzero(ended & (state["slot_count"][:, 0] != 0) & learns)
    if len(closing):
        part = {name: state[name][closing] for name in shapes(sums.shape[1])}
        _close(part)
        for name, values in part.items():
            state[name][closing] = values
    empty = ended | ~learns
    state["slot_sum"][empty] = 0.0
    state["slot_count"][empty] = 0.0
    state["slot"][:, 0] = number
    state["slot_sum"][learns] += sums[learns]
    state["slot_count"][learns, 0] += counts[learns]


def _close(state: dict[str, Floats]) -> None:
    """Compare the forecasts with what came, then learn from it; an odd slot teaches only what is usual in the week."""
    rows, plain = np.arange(len(state["slot"])), state["slot_count"][:, 0] > 0
    number = state["slot"][:, 0].astype(np.int64)
    day, week = number % DAY_SLOTS, week_slot(number * SLOT_MS)
    mean = state["slot_sum"] / state["slot_count"]
    by_day = mean - state["day"][rows, day]
    by_week = by_day - state["week"][rows, week]
    rests = np.stack([mean, by_day, by_week], axis=1)
    missed = np.square(rests - state["levels"])
    knows_day = state["day_seen"][rows, day] >= 1
    knows_week = knows_day & (state["week_seen"][rows, week] >= PER_WEEK_SLOT)
    for pair, knows in enumerate((knows_day & plain, knows_week)):
        state["compared"][:, pair] += knows
        gain = np.where(knows, 1.0 / np.clip(state["compared"][:, pair], 1.0, _ERROR_MEMORY[pair]), 0.0)[:, None, None]
        errors = state["errors"][:, 2 * pair : 2 * pair + 2]
        errors += gain * (missed[:, pair : pair + 2] - errors)
    _choose(state)
    state["levels"] += np.where(plain, _LEVEL_GAIN, 0.0)[:, None, None] * (rests - state["levels"])
    seen = np.minimum(state["day_seen"][rows, day] + plain, _MOST_DAYS)
    state["day_seen"][rows, day] = seen
    state["day"][rows, day] += np.where(plain, 1.0 / np.maximum(seen, 1.0), 0.0)[:, None] * by_day
    settled = seen >= _SETTLED_DAYS
    of_week = np.minimum(state["week_seen"][rows, week] + settled, _MOST_WEEK_SEEN)
    state["week_seen"][rows, week] = of_week
    gain = np.where(settled, 1.0 / np.maximum(of_week, PER_WEEK_SLOT), 0.0)
    state["week"][rows, week] += gain[:, None] * by_week


def _choose(state: dict[str, Floats]) -> None:
    """The simplest model that no richer one has clearly beaten; a chosen one must go on being better."""
    constant, daily, daily_again, weekly = (state["errors"][:, number] for number in range(4))
    bounds = [np.where(state["model"] >= model, _LOSES, _WINS) for model in (1, 2)]
    day = (state["compared"][:, :1] >= _LEAST_COMPARED_DAY) & (daily < bounds[0] * constant)
    week = (state["compared"][:, 1:] >= _LEAST_COMPARED_WEEK) & (weekly < bounds[1] * daily_again)
    state["model"] = np.where(week, 2.0, day.astype(np.float64))
