"""Blocks of scores as one small array: what is remembered of them, and how they are made comparable."""

import struct
from collections.abc import Sequence

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


def made(bucket: int, events: float, sums: tuple[float, float, float, float]) -> Blocks:
    """One block from the sums of its scores, their squares, logarithms and logits."""
    total, squares, logs, logits = sums
    mean = total / events
    variance = squares / events - mean * mean
    spread = variance**0.5 if variance > 1e-10 * squares / events else 0.0
    limited = [min(max(value, -_LARGEST), _LARGEST) for value in (mean, logs / events, logits / events, spread)]
    return np.frombuffer(_ROW.pack(bucket, min(events, 1e9), *limited), LAYOUT)


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


def viewed(block: Blocks) -> Floats:
    """The views of a single block, 0 for what is not known."""
    views: Floats = np.nan_to_num(block.view(np.float32)[_FIRST_VIEW:].astype(np.float64))
    return views


def lowered(blocks: Blocks, by: Floats) -> Blocks:
    """With every view lower by so much, one row per block; nothing spreads by less than 0."""
    copy = blocks.copy()
    table = copy.view(np.float32).reshape(-1, _COLUMNS)
    table[:, _FIRST_VIEW:] -= by
    copy["spread"] = np.maximum(copy["spread"], 0.0)
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
    values = table[:, :, _FIRST_VIEW:].transpose(2, 0, 1).astype(np.float64, order="C")
    centres, slopes, rests = fits.transpose(2, 1, 0)
    values -= centres[:, :, None]
    by_number = (slopes != 0) & (rests == 0)
    values *= np.sqrt(events) if by_number.all() else np.where(by_number[:, :, None], np.sqrt(events), 1.0)
    for view, row in zip(*np.nonzero(rests), strict=True):
        values[view, row] /= np.sqrt(slopes[view, row] / events[row] + rests[view, row])
    newest, before = values[:, :, -1:], values[:, :, :-1]
    known = np.where(np.isnan(newest[:, :, 0]), 0, _counts(~np.isnan(before)))
    return _counts(before < newest).T, _counts(before == newest).T, known.T


def _counts(rows: NDArray[np.bool_]) -> Ints:
    """How many are true in each row; told not to be truth values, they are added several times as fast."""
    counted: Ints = np.add.reduce(rows.view(np.uint8), axis=-1, dtype=np.uint16).astype(np.int64)
    return counted
