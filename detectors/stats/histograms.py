"""Mergeable histograms with geometric edges: quantiles, and what rank a value has among those that are usual.

Neighbouring edges have a constant ratio γ, so that a quantile is known to within half of it whatever its size (as in
DDSketch; Masson, Rim and Lee 2019).
"""

from statistics import NormalDist

import numpy as np

from detectors.stats.series import Floats

_LUT_STEPS = 4_096
_HIGHEST_SCORE = 3.3
_NORMAL = NormalDist()
_LUT = np.clip(
    [_NORMAL.inv_cdf((step + 0.5) / _LUT_STEPS) for step in range(_LUT_STEPS)], -_HIGHEST_SCORE, _HIGHEST_SCORE
)
_LEAST_SPREAD = 0.05


def geometric_edges(lowest: float, highest: float, count: int) -> tuple[float, ...]:
    """``count`` edges with one ratio between neighbours, rounded to six significant digits so that they print alike."""
    return tuple(float(f"{edge:.6g}") for edge in np.geomspace(lowest, highest, count))


def normal_scores(usual: Floats) -> Floats:
    """One row of scores per histogram (rows): what a value in a bin counts in a rank test of location.

    The score is the standard normal quantile of the bin's middle rank among what is usual (van der Waerden), moved and
    scaled to mean 0 and variance 1 under the usual histogram: the scores of n ordinary values then add up to a mean of
    0 and a variance of n, whatever law they follow. Each bin lends a little of its mass to its neighbours, so that a
    series of one single value has scores too.
    """
    smooth = 0.8 * usual
    smooth[:, 1:] += 0.1 * usual[:, :-1]
    smooth[:, :-1] += 0.1 * usual[:, 1:]
    smooth[:, 0] += 0.1 * usual[:, 0]
    smooth[:, -1] += 0.1 * usual[:, -1]
    total = np.maximum(usual.sum(axis=1, keepdims=True), 1e-9)
    ranks = (np.cumsum(smooth, axis=1) - smooth / 2 + 0.5 / (1 + total)) / (total + 1.0 / (1 + total))
    scores = _LUT[np.clip((ranks * _LUT_STEPS).astype(np.int64), 0, _LUT_STEPS - 1)]
    mean = (scores * usual).sum(axis=1, keepdims=True) / total
    scores = scores - mean
    spread = np.square(scores)
    # of one single value the spread is told by what it lends to its neighbours
    spread = np.maximum((spread * usual).sum(axis=1), 0.25 * (spread * smooth).sum(axis=1))
    spread = np.sqrt(spread[:, None] / total)
    scaled: Floats = scores / np.maximum(spread, _LEAST_SPREAD)
    return scaled


def first_beyond(usual: Floats, share: float) -> tuple[Floats, Floats]:
    """Per row: the first bin all of which lies beyond the ``share`` quantile, and the share of values from there on."""
    total = np.maximum(usual.sum(axis=1), 1e-9)
    reached = np.cumsum(usual, axis=1)
    at = np.argmax(reached >= share * total[:, None] - 1e-6, axis=1)
    beyond = 1.0 - reached[np.arange(len(usual)), at] / total
    return at + 1, np.clip(beyond, 1e-4, 0.5)


def quantile(histogram: Floats, edges: Floats, share: float) -> float:
    """The value below which ``share`` of one histogram lies, geometrically interpolated inside its bin.

    Values below the first or at or above the last edge count as that edge. NaN for an empty histogram.
    """
    reached = np.cumsum(histogram)
    if reached[-1] <= 0:
        return float("nan")
    wanted = share * reached[-1]
    at = int(np.searchsorted(reached, wanted))
    if at in {0, len(edges)}:
        return float(edges[0 if at == 0 else -1])
    within = (wanted - reached[at - 1]) / histogram[at]
    return float(edges[at - 1] * (edges[at] / edges[at - 1]) ** within)
