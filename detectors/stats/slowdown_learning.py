"""What the test for a slowdown learns from a bucket that was no alarm, and how it starts anew."""

import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats
from detectors.stats.slowdown import LOCATION, LONG_BUCKETS, WINDOWS, Contrasts, State
from detectors.stats.slowdown_chance import learn_peaks

PRIOR_WANDER = (0.04, 0.0006, 0.0003)
"""τ² before anything is known, per channel: a fifth of the spread of the values, and half of a tail's share."""

_PRIOR_BUCKETS = np.stack([least + 12.0 * np.array(WINDOWS) for least in (60.0, LONG_BUCKETS, LONG_BUCKETS)], axis=-1)[
    :, None, :
]
"""Buckets that the prior weighs, per window and difference: long windows overlap, and a long level moves slowly, so
that the first hours show little of their wander."""

_WANDER_MEMORY = 10_080.0
_CLIP = 3.0
_MOST_SAMPLED = 0.5

Mask = NDArray[np.bool_]


def learn(
    state: State,
    histogram: Floats,
    contrasts: Contrasts,
    surprises: Floats,
    fallen: Floats,
    learns: Mask,
    history: float,
) -> None:
    """Take the newest bucket into everything that is usual, in the rows that learn; changed in place.

    surprises, fallen  of each window and channel (`slowdown.surprise`), and of the fall of the location
    """
    state["waits"][~learns] = 0.0  # what is told now may be the peak's next part, and an incident
    rows = np.flatnonzero(learns)
    if len(rows):
        _learn_wander(state, contrasts, rows)
        learn_peaks(state, np.column_stack([surprises.max(axis=1), fallen]), _known(contrasts, surprises), rows)
        _learn_levels(state, rows)
        weight = state["usual"][rows]
        state["usual"][rows] = weight * np.exp(-1.0 / history) + histogram[rows]
        state["learned"][rows] += 1.0


def _known(contrasts: Contrasts, surprises: Floats) -> Floats:
    """Which part of the variance is sampling, per series and channel, in the most surprising window."""
    share = contrasts.sampled[..., 0] / contrasts.variances[..., 0]
    largest = surprises.argmax(axis=1)[:, None]
    found: Floats = np.take_along_axis(share, largest, axis=1)[:, 0].clip(0.0, 1.0)
    return found


def _learn_wander(state: State, contrasts: Contrasts, rows: NDArray[np.int64]) -> None:
    """The second moments of the differences beyond sampling, wild ones cut (Huber 1964)."""
    short, long = contrasts.short[rows], contrasts.long[rows]
    spread = contrasts.variances[rows]
    wild = np.maximum(np.abs(short) / np.sqrt(spread[..., 0]), np.abs(long) / np.sqrt(spread[..., 1]))
    cut = np.minimum(1.0, _CLIP / np.maximum(wild, 1e-9))
    short, long = short * cut, long * cut
    seen = state["wander_seen"][rows, 0] + 1.0
    state["wander_seen"][rows, 0] = seen
    gain = 1.0 / np.minimum(seen[:, None, None, None] + _PRIOR_BUCKETS, _WANDER_MEMORY)
    # a difference from a level that rests on next to nothing says nothing about wander
    full = contrasts.sampled[rows][..., LOCATION, :].max(axis=-1) < _MOST_SAMPLED
    wander = state["wander"][rows]
    target = np.stack([short * short, long * long, short * long], axis=-1) - contrasts.sampled[rows]
    wander += np.where(full[..., None, None], gain * (target - wander), 0.0)
    floor = np.array(PRIOR_WANDER)[None, None, :] * 0.01
    wander[..., 0] = np.maximum(wander[..., 0], floor)
    wander[..., 1] = np.maximum(wander[..., 1], floor)
    most = np.sqrt(wander[..., 0] * wander[..., 1])
    wander[..., 2] = np.clip(wander[..., 2], 0.0, most)
    state["wander"][rows] = wander


def _learn_levels(state: State, rows: NDArray[np.int64]) -> None:
    count, excess = state["count"][rows, :1], state["excess"][rows, 0]
    for name in ("short", "long"):
        weight, level = state[f"now_{name}_weight"][rows], state[f"now_{name}"][rows]
        total = weight + count
        state[f"now_{name}"][rows] = (level * weight + excess) / np.maximum(total, 1e-9)
        state[f"now_{name}_weight"][rows] = total
