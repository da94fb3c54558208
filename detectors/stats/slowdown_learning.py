"""What the test for a slowdown learns from a bucket that was no alarm, and how it starts anew."""

import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats
from detectors.stats.slowdown import CHANNELS, LOCATION, LONG_BUCKETS, WINDOWS, Contrasts, State

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

FROM_SURPRISE = 5.0
_RATE_MEMORY = 20_160.0
_PRIOR_JUDGED, _PRIOR_RATE = 1_440.0, 0.01
_PRIOR_EXCEEDED = 20.0
_MOST_EXCESS = 6.0
_APART_BUCKETS = 10.0

Mask = NDArray[np.bool_]


def chance_rates(state: State, surprises: Floats) -> Floats:
    """Per channel (last axis): the share of buckets in which chance begins an episode of at least this surprise.

    Peaks over a threshold (Pickands 1975): how often episodes beyond FROM_SURPRISE begin, and by how much their peaks
    exceed it on average, are learned; beyond, the rate falls exponentially. The mean excess would be 1 if every
    probability were exact; it is taken as 1 at least, so that a channel whose noise has heavier tails than the model
    gets the room it needs. Channels are kept apart, so that the noise of one does not deafen the others; three share
    the promise (Bonferroni's bound).
    """
    exceeded, judged = state["exceeded"], state["judged"]
    rate = (exceeded + _PRIOR_RATE * _PRIOR_JUDGED) / (judged + _PRIOR_JUDGED)
    result: Floats = CHANNELS * rate * np.exp(-(surprises - FROM_SURPRISE) / mean_excess(state))
    return np.clip(result, 1e-300, 1.0)


def mean_excess(state: State) -> Floats:
    """Per channel: by how much surprises beyond FROM_SURPRISE exceed it on average, at least 1."""
    result: Floats = np.maximum((state["excesses"] + _PRIOR_EXCEEDED) / (state["exceeded"] + _PRIOR_EXCEEDED), 1.0)
    return result


def learn(
    state: State, histogram: Floats, contrasts: Contrasts, surprises: Floats, learns: Mask, history: float
) -> None:
    """Take the newest bucket into everything that is usual, in the rows that learn; changed in place."""
    rows = np.flatnonzero(learns)
    if len(rows):
        _learn_wander(state, contrasts, rows)
        _learn_rate(state, surprises, rows)
        _learn_levels(state, rows)
        weight = state["usual"][rows]
        state["usual"][rows] = weight * np.exp(-1.0 / history) + histogram[rows]
        state["learned"][rows] += 1.0


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


def _learn_rate(state: State, surprises: Floats, rows: NDArray[np.int64]) -> None:
    """Count the episodes beyond FROM_SURPRISE and add up their peaks; buckets close together are one episode."""
    excess = np.minimum(surprises[rows] - FROM_SURPRISE, _MOST_EXCESS)
    over = excess > 0
    begins = over & (state["apart"][rows] >= _APART_BUCKETS)
    peak = np.where(begins, 0.0, state["peak"][rows])
    higher = np.where(over, np.maximum(excess - peak, 0.0), 0.0)
    seen = state["judged"][rows]
    kept = np.where(seen >= _RATE_MEMORY, 1.0 - 1.0 / _RATE_MEMORY, 1.0)
    state["judged"][rows] = seen * kept + 1.0
    state["exceeded"][rows] = state["exceeded"][rows] * kept + begins
    state["excesses"][rows] = state["excesses"][rows] * kept + higher
    state["peak"][rows] = peak + higher
    state["apart"][rows] = np.where(over, 0.0, np.minimum(state["apart"][rows] + 1.0, _APART_BUCKETS))


def _learn_levels(state: State, rows: NDArray[np.int64]) -> None:
    count, excess = state["count"][rows, :1], state["excess"][rows, 0]
    for name in ("short", "long"):
        weight, level = state[f"now_{name}_weight"][rows], state[f"now_{name}"][rows]
        total = weight + count
        state[f"now_{name}"][rows] = (level * weight + excess) / np.maximum(total, 1e-9)
        state[f"now_{name}_weight"][rows] = total
