"""Blocks of scores as one small array: what is remembered of them, and how they are made comparable."""

import binascii
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats

LAYOUT = np.dtype(
    [
        ("start_ms", "<i8"),
        ("events", "<f4"),
        ("mean", "<f4"),
        ("log", "<f4"),
        ("logit", "<f4"),
        ("spread", "<f4"),
        ("odd", "u1"),
    ]
)
"""One or more buckets with enough scores: their number, mean, mean logarithm and logit (NaN where the store told no
histogram), standard deviation, and whether they belong to a drift and so don't say what is usual."""

VIEWS = ("mean", "log", "logit", "spread")
Blocks = NDArray[np.void]

_LARGEST = 1e30
_MAD_TO_SD = 1.4826
_GROUPS_DIFFER = 1.3
_LEAST_GROUP = 10


def no_blocks() -> Blocks:
    return np.empty(0, LAYOUT)


def to_text(blocks: Blocks) -> str:
    """As base64."""
    return binascii.b2a_base64(blocks.tobytes(), newline=False).decode("ascii")


@lru_cache(maxsize=16)
def from_text(text: str) -> Blocks:
    """Read-only. Raises ValueError for what can't be blocks."""
    raw = binascii.a2b_base64(text)
    if len(raw) % LAYOUT.itemsize:
        raise ValueError("no whole number of blocks")
    blocks = np.frombuffer(raw, LAYOUT)
    numbers = np.array([blocks[name] for name in ("events", "mean", "spread")])
    starts = blocks["start_ms"]
    if not np.isfinite(numbers).all() or (numbers[0] < 1).any() or (starts[1:] <= starts[:-1]).any():
        raise ValueError("not blocks in the order of time")
    return blocks


def made(start_ms: int, events: float, sums: tuple[float, float, float, float]) -> Blocks:
    """One block from the sums of its scores, their squares, logarithms and logits."""
    total, squares, logs, logits = sums
    mean = total / events
    variance = squares / events - mean * mean
    spread = variance**0.5 if variance > 1e-10 * squares / events else 0.0
    limited = [min(max(value, -_LARGEST), _LARGEST) for value in (mean, logs / events, logits / events, spread)]
    return np.array([(start_ms, min(events, 1e9), *limited, 0)], LAYOUT)


def fitted(blocks: Blocks) -> Floats:
    """One row (centre, a, b) per view: a block of n scores has median ``centre`` and variance a / n + b.

    a and b come from the robust variances of the smaller and of the larger half of the blocks, so that runs of similar
    scores, which make means noisier than their number suggests, are in them. NaN where too few blocks have the view.
    """
    return np.array([_fitted(blocks[name].astype(np.float64), blocks["events"].astype(np.float64)) for name in VIEWS])


def _fitted(values: Floats, events: Floats) -> tuple[float, float, float]:
    known = np.isfinite(values)
    values, parts = values[known], 1.0 / events[known]
    if len(values) < _LEAST_GROUP:
        return np.nan, np.nan, np.nan
    centre = float(np.median(values))
    deviations = np.abs(values - centre)
    part = float(parts.mean())
    variance = _variance(deviations)
    small = parts >= np.median(parts)
    if min(small.sum(), (~small).sum()) < _LEAST_GROUP or parts[small].mean() < _GROUPS_DIFFER * parts[~small].mean():
        return centre, variance / part, 0.0
    fewer, more = _variance(deviations[small]), _variance(deviations[~small])
    slope = (fewer - more) / float(parts[small].mean() - parts[~small].mean())
    slope = min(max(slope, 0.0), more / float(parts[~small].mean()))
    return centre, slope, max(variance - slope * part, 0.0)


def _variance(deviations: Floats) -> float:
    return float(_MAD_TO_SD * np.median(deviations)) ** 2


def standardised(blocks: Blocks, fit: Floats) -> Floats:
    """One row per view: how many standard deviations a block is from the centre."""
    values = np.array([blocks[name] for name in VIEWS], dtype=np.float64)
    variance = fit[:, 1:2] / blocks["events"].astype(np.float64) + fit[:, 2:3]
    scale = np.sqrt(variance)
    scale[scale == 0] = 1.0
    result: Floats = (values - fit[:, :1]) / scale
    return result


def ranked(scores: Floats) -> list[tuple[int, int, int] | None]:
    """For each view how many earlier blocks are below the newest, equal to it, and known; None if it is not."""
    newest, before = scores[:, -1:], scores[:, :-1]
    below = (before < newest).sum(axis=1).tolist()
    equal = (before == newest).sum(axis=1).tolist()
    total = np.isfinite(before).sum(axis=1).tolist()
    known = np.isfinite(newest[:, 0]).tolist()
    return [one if there else None for *one, there in zip(below, equal, total, known, strict=True)]  # type: ignore[misc]
