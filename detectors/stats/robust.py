"""Levels and spreads that a few wild values can't move."""

import math

import numpy as np

from detectors.stats.series import Floats, Singles

MAD_TO_SD = 1.4826
_NORMAL_95 = 1.6449
_NORMAL_99 = 2.3263


def median(values: Floats | Singles) -> float:
    """As `numpy.median`, which takes several times as long for few values."""
    middle = len(values) // 2
    parted = np.partition(values, middle)
    return float(parted[middle] if len(values) % 2 else (parted[:middle].max() + parted[middle]) / 2)


def upper_scale(values: Floats) -> tuple[float, float]:
    """The median, and the standard deviation of a normal law whose upper tail is no lighter than that of ``values``.

    It is the largest of three estimates: the median absolute deviation and the distances of the 95th and the 99th
    percentile from the median, each divided by what it is for a standard normal law. So values with a heavy upper
    tail (slow outliers) get the room they have always taken.
    """
    ordered = np.sort(values)
    centre, high, highest = (_at(ordered, share) for share in (0.5, 0.95, 0.99))
    deviation = _at(np.sort(np.abs(values - centre)), 0.5)
    return centre, max(MAD_TO_SD * deviation, (high - centre) / _NORMAL_95, (highest - centre) / _NORMAL_99)


def _at(ordered: Floats, share: float) -> float:
    """The value at this share of the way through sorted values, the next one above where it falls between two."""
    return float(ordered[math.ceil(share * (len(ordered) - 1))])


def pooled(values: Floats, weights: Floats, width: int) -> Floats:
    """Weighted means of every ``width`` neighbours, oldest first; shorter than ``values`` by ``width - 1``."""
    ones = np.ones(width)
    means: Floats = np.convolve(values * weights, ones, "valid") / np.convolve(weights, ones, "valid")
    return means


def change_start(excess: Floats) -> int:
    """The index from which on a series of excesses over a reference adds up to the most: where a change began.

    Page's CUSUM seen from its end, which is the maximum likelihood estimate for a shift of a normal mean.
    """
    from_here = np.cumsum(excess[::-1])[::-1]
    return int(np.argmax(from_here))
