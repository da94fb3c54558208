"""How often chance gives a surprise: the law of the peaks of one series, learned from what was no alarm.

Peaks over a threshold (Pickands 1975): how often episodes beyond FROM_SURPRISE begin is learned, and so is by how much
their peaks exceed it. The laws that are weighed are generalised Pareto laws, and mixtures of these with the jumps of a
level that now and then goes much further. None is estimated and then believed: the answer is their average, weighted by
how well each fits (the posterior predictive law), and whether falls follow the law of the rises is weighed as well.
"""

import math

import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats
from detectors.stats.slowdown import CHANNELS, FALL, LAWS, LOCATION, State

FROM_SURPRISE = 5.0
_RATE_MEMORY = 20_160.0
_PRIOR_JUDGED, _PRIOR_RATE = 1_440.0, 0.01
_APART_BUCKETS = 10.0

_SHAPE, _SCALE, _JUMPS = (
    grid.ravel()
    for grid in np.meshgrid([0.0, 0.1, 0.25, 0.4, 0.6], [1.0, 1.35, 1.8, 2.5, 3.5], [0.0, 0.02, 0.06], indexing="ij")
)
"""The laws: a generalised Pareto law, and the share of peaks that are jumps instead. No scale below 1, that of exact
probabilities, is believed."""

_LOG_STEADY, _LOG_JUMPS = np.log1p(-_JUMPS), np.log(np.maximum(_JUMPS, 1e-300))
_JUMP_SCALE = 5.0
"""Of jumps half exceed by so much: a generalised Pareto law of shape 1."""

_LOG_PRIOR: Floats = -_SHAPE / 0.02 - 0.5 * (np.log(_SCALE) / 0.15) ** 2 - np.where(_JUMPS > 0.0, 4.0, 0.0)
_PRIOR_EPISODES = 10.0
"""Of the laws of excesses: the law of exact probabilities, without jumps, first. The prior fades as episodes are seen,
so that a new series is not deaf, and one whose level jumps is soon believed to do so."""

_LOG_PRIOR_JUMPS: Floats = np.where(
    _JUMPS > 0.0, np.where(np.arange(CHANNELS) == LOCATION, -3.0, -np.inf)[:, None], np.zeros((CHANNELS, LAWS))
)
"""Per channel; this one does not fade. A level jumps as a whole: what that does to a tail is explained there."""

_INCIDENTS, _MEAN_INCIDENT = 0.1, 15.0
"""One rise in ten may be an incident that was too small for an alarm; these exceed by so much on average."""

_INCIDENTS_AT_MOST, _LEAST_KNOWN = 0.5, 0.75
"""Where the noise of a window is that of sampling alone its law is known, and a peak that does not fit it is an
incident as likely as not. Where a quarter of it is a wander, whose law must be learned, it may well be chance."""

_LOG_ODDS_ALIKE = math.log(9.0)
"""That falls follow the law of the rises, before anything was seen: missed incidents make rises look heavier too."""

_ENDS_BUCKETS = 30.0
_ODDS_ENDED, _ODDS_NOT_ENDED = 2.5, 0.1
"""What ends suddenly was an incident rather than a level that wanders back. Of missed incidents nineteen in twenty were
followed by a fall, at 60 requests a minute, and of what a level did by itself two in five."""

_BUMP_BUCKETS = 60.0
"""A fall this soon after a rise may be its end."""

_NONE, _WAITS, _ENDED = 0.0, 1.0, 2.0
_HEIGHTS: Floats = np.expm1(np.linspace(0.0, np.log1p(2_000.0), 400))

Rows = NDArray[np.int64]


def chance_rates(state: State, surprises: Floats) -> Floats:
    """Per channel (last axis): the share of buckets in which chance begins an episode of at least this surprise.

    Channels are kept apart, so that the noise of one does not deafen the others; three share the promise (Bonferroni's
    bound). Up to FROM_SURPRISE it is 1.
    """
    result = np.ones_like(surprises)
    over = surprises > FROM_SURPRISE
    rows = np.flatnonzero(over.any(axis=1))
    excesses = np.maximum(surprises[rows] - FROM_SURPRISE, 0.0)[..., None]
    rates = _episode_rates(state)[rows] * _beyond(state, rows, excesses)[..., 0]
    result[rows] = np.where(over[rows], np.clip(rates, 1e-300, 1.0), 1.0)
    return result


def promised_surprises(state: State, row: int, false_per_bucket: float) -> Floats:
    """Per channel of one row: the smallest surprise of which chance begins episodes in so few of the buckets."""
    rates = _episode_rates(state)[row, :, None] * _beyond(state, np.array([row]), _HEIGHTS[None, None, :])[0]
    heights = [np.interp(-np.log(false_per_bucket), -np.log(one), _HEIGHTS) for one in np.maximum(rates, 1e-300)]
    return FROM_SURPRISE + np.array(heights)


def _episode_rates(state: State) -> Floats:
    """Per series and channel, all channels sharing one promise."""
    rates: Floats = CHANNELS * (state["exceeded"] + _PRIOR_RATE * _PRIOR_JUDGED) / (state["judged"] + _PRIOR_JUDGED)
    return rates


def _beyond(state: State, rows: Rows, excesses: Floats) -> Floats:
    """The share of peaks that exceed by ``excesses`` (row, channel, any number of columns)."""
    beliefs = _beliefs(state["fit"][rows], state["exceeded"][rows])
    jumps = 1.0 / (1.0 + excesses[..., None] / _JUMP_SCALE)
    survival = (1.0 - _JUMPS) * np.exp(_log_pareto(excesses)) + _JUMPS * jumps
    result: Floats = (beliefs[..., None, :] * survival).sum(axis=-1)
    return result


def _beliefs(fit: Floats, exceeded: Floats) -> Floats:
    """The weight of each law, per series and channel.

    Of the location two models are weighed against each other: its falls follow the law of the rises, or one of their
    own and teach nothing of rises.
    """
    fading = _PRIOR_EPISODES / (_PRIOR_EPISODES + exceeded)
    prior = fading[..., None] * _LOG_PRIOR + _LOG_PRIOR_JUMPS
    prior -= _log_sum(prior)
    rises, falls = prior + fit[:, :CHANNELS], prior[:, LOCATION] + fit[:, FALL]
    both = rises[:, LOCATION] + fit[:, FALL]
    apart = _log_sum(rises[:, LOCATION]) + _log_sum(falls) - _log_sum(both) - _LOG_ODDS_ALIKE
    alike = 1.0 / (1.0 + np.exp(np.clip(apart, -500.0, 500.0)))
    weights: Floats = np.exp(rises - _log_sum(rises))
    weights[:, LOCATION] += alike * (np.exp(both - _log_sum(both)) - weights[:, LOCATION])
    return weights


def _log_sum(logarithms: Floats) -> Floats:
    """The logarithm of the sum over the laws, which stay as an axis."""
    total: Floats = np.logaddexp.reduce(logarithms, axis=-1, keepdims=True)
    return total


def _log_pareto(excesses: Floats) -> Floats:
    """The logarithm of the share beyond, under each generalised Pareto law (a new last axis)."""
    ratio = excesses[..., None] / _SCALE
    heavy = np.maximum(_SHAPE, 1e-9)
    result: Floats = np.where(_SHAPE > 0.0, -np.log1p(heavy * ratio) / heavy, -ratio)
    return result


def _log_density(excess: Floats) -> Floats:
    """Under each law (a new last axis)."""
    steady = (1.0 + _SHAPE) * _log_pareto(excess) - np.log(_SCALE)
    jump = -2.0 * np.log1p(excess[..., None] / _JUMP_SCALE) - math.log(_JUMP_SCALE)
    result: Floats = np.logaddexp(_LOG_STEADY + steady, _LOG_JUMPS + jump)
    return result


def _log_density_of_rise(excess: Floats, known: float, odds: float = 1.0) -> Floats:
    """As `_log_density`, of a peak that may be an incident: no single one convinces that chance gives such as it.

    odds  by how much more likely an incident has become by what was seen afterwards, where a level may wander
    """
    sure = max(known - _LEAST_KNOWN, 0.0) / (1.0 - _LEAST_KNOWN)
    incidents = _INCIDENTS + (_INCIDENTS_AT_MOST - _INCIDENTS) * sure
    told = incidents * (odds + (1.0 - odds) * sure)
    incidents = told / (told + 1.0 - incidents)
    incident = np.asarray(math.log(incidents / _MEAN_INCIDENT) - excess / _MEAN_INCIDENT)
    result: Floats = np.logaddexp(math.log1p(-incidents) + _log_density(excess), incident[..., None])
    return result


def learn_peaks(state: State, surprises: Floats, known: Floats, rows: Rows) -> None:
    """Count the episodes beyond FROM_SURPRISE and weigh the laws of their peaks; neighbours are one episode.

    surprises  per series: of each channel, then that of the fall of the location
    known      per series and channel: which part of the variance is sampling, of which the law is known

    An alarm may be an incident, so it teaches nothing of chance; but then the largest of the peaks that chance gives
    would never be seen. Falls of the location may show them: what a level does by itself it often does both ways, and
    what is an incident is slow. The end of one is a fall too, so what falls soon after a rise teaches nothing but that
    the rise may have been an incident.
    """
    excess = np.maximum(surprises[rows] - FROM_SURPRISE, 0.0)
    fell = excess[:, FALL] > 0
    rises = (excess[:, :CHANNELS] > 0).any(axis=1)
    risen = np.where(rises, 0.0, np.minimum(state["risen"][rows, 0] + 1.0, _BUMP_BUCKETS))
    state["risen"][rows, 0] = risen
    excess[risen < _BUMP_BUCKETS, FALL] = 0.0
    over = excess > 0
    begins = over & (state["apart"][rows] >= _APART_BUCKETS)
    seen = state["judged"][rows]
    kept = np.where(seen >= _RATE_MEMORY, 1.0 - 1.0 / _RATE_MEMORY, 1.0)
    state["judged"][rows] = seen * kept + 1.0
    state["exceeded"][rows] = state["exceeded"][rows] * kept + begins[:, :CHANNELS]
    state["fit"][rows] *= kept[..., None]
    _doubt_again(state, rows, fell, begins[:, LOCATION] | (risen >= _ENDS_BUCKETS))
    before = np.where(begins, 0.0, state["peak"][rows])
    peak = np.where(over, np.maximum(excess, before), before)
    for place, stream in np.argwhere(peak > before):
        row, heights = rows[place], (peak[place, stream], before[place, stream])
        part = float(known[row, stream]) if stream != FALL else 0.0
        densities = [_log_density(one) if stream == FALL else _log_density_of_rise(one, part) for one in heights]
        state["fit"][row, stream] += densities[0] - (0.0 if begins[place, stream] else densities[1])
        if stream == LOCATION:
            state["waits"][row], state["known"][row] = _WAITS, part
    state["peak"][rows] = peak
    state["apart"][rows] = np.where(over, 0.0, np.minimum(state["apart"][rows] + 1.0, _APART_BUCKETS))


def _doubt_again(state: State, rows: Rows, fell: NDArray[np.bool_], over: NDArray[np.bool_]) -> None:
    """Weigh the newest peak of the location again, once it is known whether a fall came after it."""
    state["waits"][rows[fell & (state["waits"][rows, 0] == _WAITS)]] = _ENDED
    for row in rows[over & (state["waits"][rows, 0] != _NONE)]:
        odds = _ODDS_ENDED if state["waits"][row, 0] == _ENDED else _ODDS_NOT_ENDED
        peak, known = state["peak"][row, LOCATION], float(state["known"][row, 0])
        state["fit"][row, LOCATION] += _log_density_of_rise(peak, known, odds) - _log_density_of_rise(peak, known)
        state["waits"][row] = _NONE
