"""Has a stream of durations become slower: evidence pooled over buckets, with the noise of each window learned.

Every bucket is a histogram. Three statistics are taken from it, all relative to a slowly learned histogram of what is
usual: the mean normal score of the ranks (location), and how many values lie beyond two upper quantiles (tail). They
are pooled over the last w ∈ WINDOWS buckets and compared with two levels as they were before the window began: a short
one that follows the wander of the series and a long one that keeps still. Both differences have the variance

    Var = v/N_w + v/N_level + τ²

of sampling (v = 1 for the score, p(1-p) for a tail) and of a wander τ² that is learned, with their covariance, per
window; the best linear unbiased combination of the two (Aitken 1935) is tested. Location: z = r/√Var. Tail: exact, by
the beta-binomial law with the over-dispersion ρ = τ²/(p(1-p)) of the window. So a window's evidence counts as much as
its number of values and the habits of the series allow, and several windows and levels share one bound on chance.

The state of many series is one set of arrays, the series first; all functions work on all of them at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.stats import habits, rhythm
from detectors.stats.histograms import first_beyond, normal_scores
from detectors.stats.probability import log_beta_binomial_tail, log_normal_tail
from detectors.stats.series import Floats

WINDOWS = (1, 2, 3, 5, 10, 30)
DEPTH = WINDOWS[-1]
LOCATION = 0
CHANNELS = 3
"""Location and two tails."""

FALL = CHANNELS
"""Beside the channels: the location in the other direction, which raises no alarm."""

LAWS = 75
"""Laws of the peaks of surprise that are weighed against each other (`detectors.stats.slowdown_chance`)."""

SHORT_BUCKETS, LONG_BUCKETS = 8.0, 360.0
TAIL_HAZARD = 2.2
"""By how much the logarithm of a share beyond p95 to p98 grows when the level rises by one standard deviation."""

_LAST = np.array(WINDOWS) - 1
_LEAST_Z = 1.0
_LEAST_TAIL_Z = 1.5
_LEAST_FALL_Z = 2.4
_EMPTY = 1e9
_SHARES = 1e-4, 0.5

State = dict[str, Floats]
Ints = NDArray[np.int64]


def shapes(bins: int) -> dict[str, tuple[int, ...]]:
    """What is remembered of a series.

    usual         the histogram of what is usual
    count, excess, expected, short, long, short_weight, long_weight
                  the last buckets, the newest first: values, sums of each statistic, expected tail counts, and the
                  levels with their weights as they were before the bucket
    now_…         the levels and weights after the newest bucket
    wander        τ² of both differences and their covariance, per window and channel
    wander_seen, learned, judged
                  how many buckets an estimate rests on
    exceeded, fit episodes of great surprise, and the logarithm of the likelihood of each law of their peaks
    apart, peak   buckets since the newest episode, and its peak
                  (fit, apart and peak: of falls of the location too)
    waits, known  whether it is still to be seen if the newest peak of the location ends in a fall, and which part of
                  its variance is sampling
    risen         buckets since the newest episode of any channel
    calm          buckets since the last alarm of an episode that has not ended
    """
    return {
        "usual": (bins,),
        "count": (DEPTH,),
        "excess": (DEPTH, CHANNELS),
        "expected": (DEPTH, CHANNELS),
        "short": (DEPTH, CHANNELS),
        "long": (DEPTH, CHANNELS),
        "short_weight": (DEPTH,),
        "long_weight": (DEPTH,),
        "now_short": (CHANNELS,),
        "now_long": (CHANNELS,),
        "now_short_weight": (1,),
        "now_long_weight": (1,),
        "wander": (len(WINDOWS), CHANNELS, 3),
        "wander_seen": (1,),
        "learned": (1,),
        "judged": (1,),
        "apart": (CHANNELS + 1,),
        "peak": (CHANNELS + 1,),
        "risen": (1,),
        "waits": (1,),
        "known": (1,),
        "exceeded": (CHANNELS,),
        "fit": (CHANNELS + 1, LAWS),
        "calm": (1,),
        **rhythm.shapes(CHANNELS),
        **habits.shapes(),
    }


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Per series, window and channel: how far the window lies above the level it is compared with.

    values      how many values the window holds (series, window)
    short, long the differences from both levels, with `variances` (both and their covariance) under chance
    sampled     the part of these variances that is known: sampling
    rise        the best combination of both, with `variance`
    share       expected share beyond each tail; 0 for the location
    beyond      values of the window beyond each tail
    """

    values: Floats
    short: Floats
    long: Floats
    sampled: Floats
    variances: Floats
    rise: Floats
    variance: Floats
    level: Floats
    share: Floats
    beyond: Floats


def enter(state: State, histogram: Floats, gap: Ints, at_ms: int, tails: tuple[float, float]) -> Floats:
    """Put a bucket into the state, ``gap`` buckets after the one before; the buckets between were empty.

    Nothing is learned yet. Returns the bucket's sums of each statistic before the season is taken off.
    """
    usual = state["usual"]
    values = histogram.sum(axis=1)
    sums, expected = np.zeros((len(usual), CHANNELS)), np.zeros((len(usual), CHANNELS))
    sums[:, LOCATION] = (histogram * normal_scores(usual)).sum(axis=1)
    reached = np.concatenate([np.zeros((len(usual), 1)), np.cumsum(histogram, axis=1)], axis=1)
    for channel, share in enumerate(tails, start=1):
        first, beyond = first_beyond(usual, share)
        expected[:, channel] = beyond * values
        sums[:, channel] = values - reached[np.arange(len(usual)), first] - expected[:, channel]
    sums[usual.sum(axis=1) <= 0] = 0.0
    raised = rhythm.offset(state, at_ms) * values[:, None]
    expected[:, 1:] += raised[:, 1:]
    _shift(state, gap)
    state["count"][:, 0] = values
    state["excess"][:, 0] = sums - raised
    state["expected"][:, 0] = expected
    return sums


def _shift(state: State, gap: Ints) -> None:
    """Move the last buckets back by ``gap``; buckets between are empty and had the newest levels."""
    for name, decay in (("short", SHORT_BUCKETS), ("long", LONG_BUCKETS)):
        # the levels forget per bucket of time, whether it was empty or not
        kept = np.exp(-np.minimum(gap, 1_000_000) / decay)
        state[f"now_{name}_weight"] *= kept[:, None]
    by = np.minimum(gap, DEPTH)
    source = np.arange(DEPTH)[None, :] - by[:, None]
    empty = source < 0
    source = np.maximum(source, 0)
    rows = np.arange(len(by))[:, None]
    for name in ("count", "excess", "expected"):
        moved = state[name][rows, source]
        moved[empty] = 0.0
        state[name] = moved
    for name in ("short", "long", "short_weight", "long_weight"):
        newest = state[f"now_{name}"]
        moved = state[name][rows, source]
        fill = np.broadcast_to(newest[:, None] if moved.ndim == 3 else newest, moved.shape)
        state[name] = np.where(empty[..., None] if moved.ndim == 3 else empty, fill, moved)


def contrast(state: State) -> Contrasts:
    """The windows that end at the newest bucket."""
    values = np.cumsum(state["count"], axis=1)[:, _LAST]
    held = np.maximum(values, 1e-9)[..., None]
    excess = np.cumsum(state["excess"], axis=1)[:, _LAST]
    expected = np.cumsum(state["expected"], axis=1)[:, _LAST]
    # a season's profile may take more off a share than there is
    mean, share = excess / held, np.clip(expected / held, *_SHARES)
    from_short, from_long = state["short"][:, _LAST], state["long"][:, _LAST]
    variance_of_one = share * (1.0 - share)
    variance_of_one[..., LOCATION] = 1.0
    noise = variance_of_one / held
    # an exponentially weighted level of weight W rests on about 2 W values; the weights of the two overlap on W_long
    of_short = variance_of_one / np.maximum(2.0 * state["short_weight"][:, _LAST], 1e-9)[..., None]
    of_long = variance_of_one / np.maximum(2.0 * state["long_weight"][:, _LAST], 1e-9)[..., None]
    shared = np.minimum(2.0 * of_long, np.sqrt(of_short * of_long))
    sampled = np.stack([noise + of_short, noise + of_long, noise + shared], axis=-1)
    variances = np.minimum(sampled + state["wander"], _EMPTY)
    first, second, both = variances[..., 0], variances[..., 1], variances[..., 2]
    weight = np.clip((second - both) / np.maximum(first + second - 2.0 * both, 1e-12), 0.0, 1.0)
    level = weight * from_short + (1.0 - weight) * from_long
    variance = weight**2 * first + (1.0 - weight) ** 2 * second + 2.0 * weight * (1.0 - weight) * both
    return Contrasts(
        values=values,
        short=mean - from_short,
        long=mean - from_long,
        sampled=sampled,
        variances=variances,
        rise=mean - level,
        variance=np.maximum(variance, noise),
        level=level,
        share=np.clip(share + level, *_SHARES),
        beyond=excess + expected,
    )


def surprise(contrasts: Contrasts, at_least: int) -> Floats:
    """-ln of the probability of each window and channel under chance; 0 where it is nothing special.

    Windows of fewer than ``at_least`` values say nothing.
    """
    result = np.zeros_like(contrasts.rise)
    enough = contrasts.values >= at_least
    z = contrasts.rise[..., LOCATION] / np.sqrt(contrasts.variance[..., LOCATION])
    told = enough & (z > _LEAST_Z)
    result[..., LOCATION][told] = -log_normal_tail(z[told])
    # a wandering level moves the tails too, in proportion to the hazard of a normal law: only what lies beyond counts
    variance = contrasts.variance[..., LOCATION]
    wandered = contrasts.rise[..., LOCATION] * (1.0 - 1.0 / np.maximum(contrasts.values * variance, 1.0))
    explained = TAIL_HAZARD * np.clip(wandered, 0.0, 1.0)[..., None]
    share = np.minimum(contrasts.share[..., 1:] * np.exp(explained), 0.5)
    trials = np.broadcast_to(contrasts.values[..., None], share.shape)
    one = share * (1.0 - share)
    correlation = np.clip((contrasts.variance[..., 1:] - one / np.maximum(trials, 1.0)) / one, 0.0, 0.9)
    beyond = np.rint(contrasts.beyond[..., 1:])
    distance = (beyond - trials * share) / np.sqrt(np.maximum(trials * one * (1 + (trials - 1) * correlation), 1e-9))
    told = enough[..., None] & (distance > _LEAST_TAIL_Z) & (beyond >= 2)
    result[..., 1:][told] = -log_beta_binomial_tail(beyond[told], trials[told], share[told], correlation[told])
    return result


def fall(contrasts: Contrasts, at_least: int) -> Floats:
    """As `surprise`, of the location having fallen; the largest of all windows, 0 where it is nothing special."""
    z = -contrasts.rise[..., LOCATION] / np.sqrt(contrasts.variance[..., LOCATION])
    told = (contrasts.values >= at_least) & (z > _LEAST_FALL_Z)
    result = np.zeros_like(z)
    result[told] = -log_normal_tail(z[told])
    largest: Floats = result.max(axis=1)
    return largest
