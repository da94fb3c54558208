"""Blocks of scores as one small array: what is remembered of them, and how they are made comparable."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.stats.robust import MAD_TO_SD, median
from detectors.stats.series import Floats, Ints

LAYOUT = np.dtype(
    [("bucket", "<u4"), ("events", "<f4"), ("mean", "<f4"), ("log", "<f4"), ("logit", "<f4"), ("spread", "<f4")]
)
"""One or more buckets with enough scores: the number of the first (its start divided by the length of a bucket), the
number of scores, negative where the block belongs to a drift and so doesn't say what is usual, their mean, mean
logarithm and logit (NaN where the store told no histogram), and standard deviation."""

VIEWS = ("mean", "log", "logit", "spread")
_ROW = struct.Struct("<I5f")
Blocks = NDArray[np.void]

_LARGEST = 1e30
_GROUPS_DIFFER = 1.3
_LEAST_GROUP = 10
_COLUMNS = LAYOUT.itemsize // 4
_EVENTS, _FIRST_VIEW = 1, 2


def made(bucket: int, events: float, sums: tuple[float, float, float, float]) -> bytes:
    """One block from the sums of its scores, their squares, logarithms and logits."""
    total, squares, logs, logits = sums
    mean = total / events
    variance = squares / events - mean * mean
    spread = variance**0.5 if variance > 1e-10 * squares / events else 0.0
    views = [mean, logs / events, logits / events, spread]
    if not -_LARGEST < min(views) <= max(views) < _LARGEST:
        views = [min(max(view, -_LARGEST), _LARGEST) for view in views]
    return _ROW.pack(bucket, min(events, 1e9), *views)


def of(rows: bytes | memoryview) -> Blocks:
    """Blocks that stand one after the other."""
    return np.frombuffer(rows, LAYOUT)


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


def viewed(block: bytes) -> tuple[int, list[float]]:
    """The bucket and the views of a single block, 0 for what is not known."""
    bucket, _, *views = _ROW.unpack(block)
    return bucket, [0.0 if math.isnan(view) else view for view in views]


def lowered(blocks: Blocks, by: Floats) -> Blocks:
    """With every view lower by so much, one row per block; nothing spreads by less than 0."""
    copy = blocks.copy()
    table = copy.view(np.float32).reshape(-1, _COLUMNS)
    table[:, _FIRST_VIEW:] -= by
    copy["spread"] = np.maximum(copy["spread"], 0.0)
    return copy


def fitted(blocks: Blocks) -> bytes:
    """One row (centre, a, b) per view: a block of n scores has median ``centre`` and variance a / n + b.

    a and b come from the robust variances of the smaller and of the larger half of the blocks, so that runs of similar
    scores, which make means noisier than their number suggests, are in them. NaN where too few blocks have the view.
    """
    parts = 1.0 / blocks["events"].astype(np.float64)
    sizes = _sizes(parts)
    fits = []
    for name in VIEWS:
        values = blocks[name].astype(np.float64)
        known = np.isfinite(values)
        every = known.all()
        fits.append(_fitted(values, sizes) if every else _fitted(values[known], _sizes(parts[known])))
    return np.array(fits).tobytes()


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The mean of 1 / n over blocks; which blocks are small, and the means of the small and of the large ones, or None
    where there are too few of a sort, or they differ too little."""

    mean: float
    small: NDArray[np.bool_] | None
    fewest: float = 0.0
    most: float = 0.0


def _sizes(parts: Floats) -> _Sizes:
    if len(parts) < _LEAST_GROUP:
        return _Sizes(math.nan, None)
    mean, small = float(parts.mean()), parts >= median(parts)
    smalls = int(np.count_nonzero(small))
    if min(smalls, len(parts) - smalls) < _LEAST_GROUP:
        return _Sizes(mean, None)
    fewest, most = float(parts[small].mean()), float(parts[~small].mean())
    return _Sizes(mean, None) if fewest < _GROUPS_DIFFER * most else _Sizes(mean, small, fewest, most)


def _fitted(values: Floats, sizes: _Sizes) -> tuple[float, float, float]:
    if len(values) < _LEAST_GROUP:
        return math.nan, math.nan, math.nan
    centre = median(values)
    deviations = np.abs(values - centre)
    variance = _variance(deviations)
    if sizes.small is None:
        return centre, variance / sizes.mean, 0.0
    fewer, more = _variance(deviations[sizes.small]), _variance(deviations[~sizes.small])
    slope = min(max((fewer - more) / (sizes.fewest - sizes.most), 0.0), more / sizes.most)
    return centre, slope, max(variance - slope * sizes.mean, 0.0)


def _variance(deviations: Floats) -> float:
    return (MAD_TO_SD * median(deviations)) ** 2


def ranked(histories: Sequence[Blocks], fits: Floats) -> tuple[Ints, Ints, Ints]:
    """How many earlier blocks of each history are below its newest, equal to it, and known: by history and view.

    Blocks are ranked by how far they are from the centre, measured by the spread of blocks of their size; where the
    newest is not known, none is. Histories that are shorter than others begin with blocks of which nothing is known.
    """
    table = np.empty((len(histories), max(map(len, histories)), _COLUMNS), np.float32)
    for row, blocks in zip(table, histories, strict=True):
        row[: -len(blocks)] = np.nan
        row[-len(blocks) :] = blocks.view(np.float32).reshape(-1, _COLUMNS)
    events = table[:, :, _EVENTS].astype(np.float64)
    roots = np.sqrt(events)
    told = [
        _ranked(table[:, :, _FIRST_VIEW + view].astype(np.float64), events, roots, fits[:, view].T[:, :, None])
        for view in range(len(VIEWS))
    ]
    below, equal, known = np.array(told).transpose(1, 2, 0)
    return below, equal, known


def _ranked(values: Floats, events: Floats, roots: Floats, fits: Floats) -> tuple[Ints, Ints, Ints]:
    """One view of each history."""
    centres, slopes, rests = fits
    values -= centres
    by_number = (slopes != 0) & (rests == 0)
    if by_number.all():
        values *= roots
    else:
        np.multiply(values, roots, out=values, where=by_number)
        np.divide(values, np.sqrt(rests), out=values, where=(slopes == 0) & (rests != 0))
        both = np.flatnonzero((slopes != 0) & (rests != 0))
        values[both] /= np.sqrt(slopes[both] / events[both] + rests[both])
    newest, before = values[:, -1:], values[:, :-1]
    known = np.where(np.isnan(newest[:, 0]), 0, _counts(~np.isnan(before)))
    return _counts(before < newest), _counts(before == newest), known


def _counts(rows: NDArray[np.bool_]) -> Ints:
    """How many are true in each row; told not to be truth values, they are added several times as fast."""
    counted: Ints = np.add.reduce(rows.view(np.uint8), axis=-1, dtype=np.uint16).astype(np.int64)
    return counted
