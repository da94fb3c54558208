"""What the test for a slowdown learns from a bucket that was no alarm, and how it starts anew."""

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats
from detectors.stats.slowdown import CHANNELS, FALL, LOCATION, LONG_BUCKETS, WINDOWS, Contrasts, State

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
_APART_BUCKETS = 10.0

_SHAPES, _SCALES = np.array([0.0, 0.1, 0.25, 0.4, 0.6]), np.array([1.0, 1.35, 1.8, 2.5, 3.5])
_SHAPE, _SCALE = np.repeat(_SHAPES, len(_SCALES)), np.tile(_SCALES, len(_SHAPES))
_LOG_PRIOR: Floats = -_SHAPE / 0.02 - 0.5 * (np.log(_SCALE) / 0.15) ** 2
_PRIOR_EPISODES = 10.0
"""Of the laws of excesses: the law of exact probabilities first. The prior fades as episodes are seen, so that a new
series is not deaf, and one whose level jumps is soon believed to do so."""

_INCIDENTS, _MEAN_INCIDENT = 0.1, 15.0
"""One rise in ten may be an incident that was too small for an alarm; these exceed by so much on average."""

_INCIDENTS_AT_MOST, _LEAST_KNOWN = 0.5, 0.75
"""Where the noise of a window is that of sampling alone its law is known, and a peak that does not fit it is an
incident as likely as not. Where a quarter of it is a wander, whose law must be learned, it may well be chance."""

_BUMP_BUCKETS = 60.0
"""A fall this soon after a rise may be its end."""

_HEIGHTS: Floats = np.expm1(np.linspace(0.0, np.log1p(2_000.0), 400))

Mask = NDArray[np.bool_]


def chance_rates(state: State, surprises: Floats) -> Floats:
    """Per channel (last axis): the share of buckets in which chance begins an episode of at least this surprise.

    Peaks over a threshold (Pickands 1975): how often episodes beyond FROM_SURPRISE begin is learned, and so is by how
    much their peaks exceed it: by a generalised Pareto law of which neither shape nor scale is estimated and then
    believed; `fit` holds the logarithm of the likelihood of each, and the answer is their average weighted by it (the
    posterior predictive law). The scale would be 1 and the shape 0 if every probability were exact; no smaller ones are
    believed. A series whose level jumps gets the room it needs. Channels are kept apart, so that the noise of one does
    not deafen the others; three share the promise (Bonferroni's bound). Up to FROM_SURPRISE it is 1.
    """
    result = np.ones_like(surprises)
    over = surprises > FROM_SURPRISE
    rates = np.broadcast_to(_episode_rates(state), surprises.shape)[over]
    result[over] = np.clip(rates * _beyond(state, over, surprises[over, None] - FROM_SURPRISE)[:, 0], 1e-300, 1)
    return result


def promised_surprises(state: State, row: int, false_per_bucket: float) -> Floats:
    """Per channel of one row: the smallest surprise of which chance begins episodes in so few of the buckets."""
    rates = _episode_rates(state)[row, :, None] * _beyond(state, row, _HEIGHTS[None, :])
    heights = [np.interp(-np.log(false_per_bucket), -np.log(one), _HEIGHTS) for one in np.maximum(rates, 1e-300)]
    return FROM_SURPRISE + np.array(heights)


def _episode_rates(state: State) -> Floats:
    """Per series and channel, all channels sharing one promise."""
    rates: Floats = CHANNELS * (state["exceeded"] + _PRIOR_RATE * _PRIOR_JUDGED) / (state["judged"] + _PRIOR_JUDGED)
    return rates


def _beyond(state: State, which: "Mask | int", excesses: Floats) -> Floats:
    """The share of peaks that exceed by ``excesses`` (any number of columns), for the channels ``which`` (rows)."""
    believed = _PRIOR_EPISODES / (_PRIOR_EPISODES + state["exceeded"][which])
    weight = state["fit"][which] + believed[:, None] * _LOG_PRIOR
    weight = np.exp(weight - weight.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    result: Floats = (weight[:, None, :] * np.exp(_log_survival(excesses))).sum(axis=2)
    return result


def _log_survival(excesses: Floats) -> Floats:
    """Under each law (a new last axis)."""
    ratio = excesses[..., None] / _SCALE
    heavy = np.maximum(_SHAPE, 1e-9)
    result: Floats = np.where(_SHAPE > 0.0, -np.log1p(heavy * ratio) / heavy, -ratio)
    return result


def _log_density(excesses: Floats) -> Floats:
    result: Floats = (1.0 + _SHAPE) * _log_survival(excesses) - np.log(_SCALE)
    return result


def _log_density_of_rise(excess: Floats, known: float) -> Floats:
    """As `_log_density`, of a peak that may be an incident: no single one convinces that chance gives such as it."""
    sure = max(known - _LEAST_KNOWN, 0.0) / (1.0 - _LEAST_KNOWN)
    incidents = _INCIDENTS + (_INCIDENTS_AT_MOST - _INCIDENTS) * sure
    incident = np.asarray(math.log(incidents / _MEAN_INCIDENT) - excess / _MEAN_INCIDENT)
    result: Floats = np.logaddexp(math.log1p(-incidents) + _log_density(excess), incident[..., None])
    return result


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


def learn_peaks(state: State, surprises: Floats, known: Floats, rows: NDArray[np.int64]) -> None:
    """Count the episodes beyond FROM_SURPRISE and weigh the laws of their peaks; neighbours are one episode.

    surprises  per series: of each channel, then that of the fall of the location
    known      per series and channel: which part of the variance is sampling, of which the law is known

    An alarm may be an incident, so it teaches nothing of chance; but then the largest of the peaks that chance gives
    would never be seen. Falls of the location show them: what a level does by itself it does both ways, and what is an
    incident is slow. The end of one is a fall too, so what falls soon after a rise teaches nothing.
    """
    excess = np.maximum(surprises[rows] - FROM_SURPRISE, 0.0)
    rises = (excess[:, :CHANNELS] > 0).any(axis=1)
    risen = np.where(rises, 0.0, np.minimum(state["risen"][rows, 0] + 1.0, _BUMP_BUCKETS))
    state["risen"][rows, 0] = risen
    excess[risen < _BUMP_BUCKETS, FALL] = 0.0
    over = excess > 0
    begins = over & (state["apart"][rows] >= _APART_BUCKETS)
    before = np.where(begins, 0.0, state["peak"][rows])
    peak = np.where(over, np.maximum(excess, before), before)
    seen = state["judged"][rows]
    kept = np.where(seen >= _RATE_MEMORY, 1.0 - 1.0 / _RATE_MEMORY, 1.0)
    state["judged"][rows] = seen * kept + 1.0
    state["exceeded"][rows] = state["exceeded"][rows] * kept + begins[:, :CHANNELS]
    state["fit"][rows] *= kept[..., None]
    for place, stream in np.argwhere(peak > before):
        row, channel = rows[place], LOCATION if stream == FALL else stream
        density = _log_density if stream == FALL else partial(_log_density_of_rise, known=float(known[row, channel]))
        gained = density(peak[place, stream])
        if not begins[place, stream]:
            gained = gained - density(before[place, stream])
        state["fit"][row, channel] += gained
    state["peak"][rows] = peak
    state["apart"][rows] = np.where(over, 0.0, np.minimum(state["apart"][rows] + 1.0, _APART_BUCKETS))


def _learn_levels(state: State, rows: NDArray[np.int64]) -> None:
    count, excess = state["count"][rows, :1], state["excess"][rows, 0]
    for name in ("short", "long"):
        weight, level = state[f"now_{name}_weight"][rows], state[f"now_{name}"][rows]
        total = weight + count
        state[f"now_{name}"][rows] = (level * weight + excess) / np.maximum(total, 1e-9)
        state[f"now_{name}_weight"][rows] = total
