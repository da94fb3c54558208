"""Blocks of scores as one small array: what is remembered of them, and how they are made comparable."""

import math

import numpy as np
from numpy.typing import NDArray

from detectors.stats.robust import MAD_TO_SD, median
from detectors.stats.series import Floats

LAYOUT = np.dtype(
    [("bucket", "<u4"), ("events", "<f4"), ("mean", "<f4"), ("log", "<f4"), ("logit", "<f4"), ("spread", "<f4")]
)
"""One or more buckets with enough scores: the number of the first (its start divided by the length of a bucket), the
number of scores, negative where the block belongs to a drift and so doesn't say what is usual, their mean, mean
logarithm and logit (NaN where the store told no histogram), and standard deviation."""

VIEWS = ("mean", "log", "logit", "spread")
Blocks = NDArray[np.void]

_LARGEST = 1e30
_GROUPS_DIFFER = 1.3
_LEAST_GROUP = 10
_COLUMNS = LAYOUT.itemsize // 4
_EVENTS, _FIRST_VIEW = 1, 2


def made(bucket: int, events: float, sums: tuple[float, float, float, float]) -> Blocks:
    """One block from the sums of its scores, their squares, logarithms and logits."""
    total, squares, logs, logits = sums
    mean = total / events
    variance = squares / events - mean * mean
    spread = variance**0.5 if variance > 1e-10 * squares / events else 0.0
    limited = [min(max(value, -_LARGEST), _LARGEST) for value in (mean, logs / events, logits / events, spread)]
    return np.array([(bucket, min(events, 1e9), *limited)], LAYOUT)


def joined(blocks: Blocks, more: Blocks) -> Blocks:
    """Copied as bytes: much faster than field by field."""
    return np.frombuffer(blocks.tobytes() + more.tobytes(), LAYOUT)


def usual(blocks: Blocks) -> Blocks:
    """Those that say what is usual."""
    fair = blocks["events"] > 0
    return blocks if fair.all() else blocks[fair]


def marked(blocks: Blocks, *, odd: bool) -> Blocks:
    """A copy; ``odd`` where the blocks belong to a drift."""
    copy = blocks.copy()
    events = np.abs(copy["events"])
    copy["events"] = -events if odd else events
    return copy


def fitted(blocks: Blocks) -> Floats:
    """One row (centre, a, b) per view: a block of n scores has median ``centre`` and variance a / n + b.

    a and b come from the robust variances of the smaller and of the larger half of the blocks, so that runs of similar
    scores, which make means noisier than their number suggests, are in them. NaN where too few blocks have the view.
    """
    parts = 1.0 / blocks["events"].astype(np.float64)
    return np.array([_fitted(blocks[name].astype(np.float64), parts) for name in VIEWS])


def _fitted(values: Floats, parts: Floats) -> tuple[float, float, float]:
    known = np.isfinite(values)
    values, parts = values[known], parts[known]
    if len(values) < _LEAST_GROUP:
        return np.nan, np.nan, np.nan
    centre = median(values)
    deviations = np.abs(values - centre)
    part = float(parts.mean())
    variance = _variance(deviations)
    small = parts >= median(parts)
    large = ~small
    if min(np.count_nonzero(small), np.count_nonzero(large)) < _LEAST_GROUP:
        return centre, variance / part, 0.0
    fewest, most = float(parts[small].mean()), float(parts[large].mean())
    if fewest < _GROUPS_DIFFER * most:
        return centre, variance / part, 0.0
    fewer, more = _variance(deviations[small]), _variance(deviations[large])
    slope = min(max((fewer - more) / (fewest - most), 0.0), more / most)
    return centre, slope, max(variance - slope * part, 0.0)


def _variance(deviations: Floats) -> float:
    return (MAD_TO_SD * median(deviations)) ** 2


def standardised(blocks: Blocks, fit: Floats) -> Floats:
    """One row per view: how far a block is from the centre, measured by the spread of blocks of its size; the unit is
    free, and the same within a view."""
    table = blocks.view("<f4").reshape(-1, _COLUMNS).T
    events = table[_EVENTS].astype(np.float64)
    values = table[_FIRST_VIEW:].astype(np.float64, order="C")
    values -= fit[:, :1]
    root = np.sqrt(events)
    for view, (_, slope, rest) in enumerate(fit.tolist()):
        if rest:
            values[view] /= np.sqrt(slope / events + rest)
        elif slope:
            values[view] *= root
    return values


Rank = tuple[int, int, int]


def ranked(scores: Floats) -> list[Rank | None]:
    """For each view how many earlier blocks are below the newest, equal to it, and known; None if it is not."""
    newest, before = scores[:, -1:], scores[:, :-1]
    total = before.shape[1]
    there = [total] * len(scores) if np.isfinite(scores.sum()) else _counts(np.isfinite(before))
    same = before == newest
    equals = _counts(same) if same.any() else [0] * len(scores)
    counted = zip(newest[:, 0].tolist(), _counts(before < newest), equals, there, strict=True)
    return [(below, equal, known) if math.isfinite(value) else None for value, below, equal, known in counted]


def _counts(rows: NDArray[np.bool_]) -> list[int]:
    """How many are true in each row; a sum along an axis takes several times as long."""
    return [int(np.count_nonzero(row)) for row in rows]
