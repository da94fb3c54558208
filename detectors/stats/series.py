"""A frame's series as arrays over its buckets."""

import math

import numpy as np
from numpy.typing import NDArray

from detectors.frame import Frame, Series

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Singles = NDArray[np.float32]

LARGEST = 1e100
"""Beyond any measurement; values are cut to it so that their squares and sums stay finite."""


def bucket_starts(frame: Frame) -> list[int]:
    """The starts of all buckets of the frame, empty ones too, oldest first, milliseconds."""
    first = frame.interval.start_ms // frame.bucket_ms * frame.bucket_ms
    return list(range(first, frame.interval.end_ms, frame.bucket_ms))


def bucket_end_ms(frame: Frame, start_ms: int) -> int:
    """When the bucket was judged: its end, or the frame's end where it is still open."""
    return min(start_ms + frame.bucket_ms, frame.interval.end_ms)


def first_fresh(frame: Frame, starts: list[int]) -> int:
    """The index of the first bucket that has not been judged before; ``len(starts)`` if there is none."""
    if not starts:
        return 0
    return min(max(-(-(frame.fresh_from_ms - starts[0]) // frame.bucket_ms), 0), len(starts))


def on_grid(frame: Frame, series: Series, measure: str, starts: list[int]) -> Floats:
    """One number per bucket of ``starts``. NaN where the bucket is empty or its value no finite number."""
    filled = np.full(len(starts), np.nan)
    if not starts:
        return filled
    for start_ms, value in zip(series.bucket_start_ms, series.values[measure], strict=True):
        index = (start_ms - starts[0]) // frame.bucket_ms
        if 0 <= index < len(starts) and isinstance(value, (int, float)):
            filled[index] = value
    filled[~np.isfinite(filled)] = np.nan
    clipped: Floats = np.clip(filled, -LARGEST, LARGEST)
    return clipped


def fresh_values(frame: Frame, series: Series, measure: str) -> dict[int, float]:
    """The finite numbers of the buckets that have not been judged before, by their start on the grid, in time order.

    As `on_grid`, without the buckets that are empty; for one bucket of each of many series this is faster.
    """
    width = frame.bucket_ms
    first = frame.interval.start_ms // width * width
    found: dict[int, float] = {}
    for start_ms, value in zip(series.bucket_start_ms, series.values[measure], strict=True):
        at_ms = first + (start_ms - first) // width * width
        known = max(first, frame.fresh_from_ms) <= at_ms < frame.interval.end_ms
        if known and isinstance(value, (int, float)) and math.isfinite(value):
            found[at_ms] = min(max(float(value), -LARGEST), LARGEST)
    return found


def counts_on_grid(frame: Frame, series: Series, measure: str, starts: list[int]) -> Floats:
    """As `on_grid` for a count: an empty bucket holds 0."""
    return np.fmax(on_grid(frame, series, measure, starts), 0.0)


def trailing(values: Floats, buckets: int, fill: float) -> Floats:
    """One row per bucket: it and the ``buckets - 1`` before it; ``fill`` where the frame has not begun yet."""
    padded = np.concatenate([np.full(buckets - 1, fill), values])
    return np.lib.stride_tricks.sliding_window_view(padded, buckets)


def trailing_sum(values: Floats, buckets: int) -> Floats:
    """The sum over each bucket and the ``buckets - 1`` before it; NaN counts as 0.

    Summed window by window: running sums would let one huge value spoil all later windows.
    """
    if not len(values):
        return values
    return np.convolve(np.where(np.isnan(values), 0.0, values), np.ones(buckets))[: len(values)]
