"""A frame's series as arrays over its buckets."""

import numpy as np
from numpy.typing import NDArray

from detectors.frame import Frame, Series

Floats = NDArray[np.float64]

_LARGEST = 1e100
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
    clipped: Floats = np.clip(filled, -_LARGEST, _LARGEST)
    return clipped


def counts_on_grid(frame: Frame, series: Series, measure: str, starts: list[int]) -> Floats:
    """As `on_grid` for a count: an empty bucket holds 0."""
    return np.maximum(np.nan_to_num(on_grid(frame, series, measure, starts), nan=0.0), 0.0)


def trailing(values: Floats, buckets: int, fill: float) -> Floats:
    """One row per bucket: it and the ``buckets - 1`` before it; ``fill`` where the frame has not begun yet."""
    padded = np.concatenate([np.full(buckets - 1, fill), values])
    return np.lib.stride_tricks.sliding_window_view(padded, buckets)


def trailing_sum(values: Floats, buckets: int) -> Floats:
    """The sum over each bucket and the ``buckets - 1`` before it; NaN counts as 0.

    Summed window by window: running sums would let one huge value spoil all later windows.
    """
    summed: Floats = trailing(np.nan_to_num(values, nan=0.0), buckets, 0.0).sum(axis=1)
    return summed
