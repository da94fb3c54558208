"""Sliding windows over buckets that may still grow: what `count`, `unsafe_path` and `missing_step` share.

Events can be late. A bucket that was judged is therefore judged again as long as the lookback reaches it, and what its
window holds now but did not hold then is reported then. Memory keeps which buckets were reported, as ranges of bucket
starts, so that nothing is reported twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from detectors.finding import Memory
from detectors.frame import Frame, Interval, Key, Series
from detectors.memory import recall, remember
from detectors.stats.series import Floats, bucket_end_ms, bucket_starts, first_fresh, trailing_sum

LATE_MS = 600_000
"""Events of rules that count are expected within this time at least; later ones are not judged."""

MAX_RANGES = 2_000


class Reported(msgspec.Struct, frozen=True):
    """The buckets that were reported, as inclusive ranges of their starts."""

    version: Literal[1]
    ranges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """A window of ``key`` holds at least what was asked for.

    window    from the window's start to the time it was judged
    since_ms  start of its first bucket that is not empty
    amount    what it holds
    """

    key: Key
    window: Interval
    since_ms: int
    amount: float


def slice_ms(span_ms: int, parts: int) -> int:
    """The bucket that cuts a span in at most ``parts`` pieces, one second at least."""
    return max(1_000, -(-span_ms // parts))


def lookback_ms(span_ms: int, bucket_ms: int) -> int:
    """How far back to read so that a window of ``span_ms`` can be judged again until its late events are in."""
    reach = span_ms + max(span_ms, LATE_MS)
    return -(-reach // bucket_ms) * bucket_ms


def reached(
    frame: Frame,
    memory: Mapping[Key, Memory],
    amounts: Callable[[Series, list[int]], Floats],
    *,
    buckets: int,
    at_least: float,
) -> tuple[list[Reached], dict[Key, Memory]]:
    """Every window of ``buckets`` buckets that holds ``at_least`` and was not reported, and the new memory.

    ``amounts`` gives what each bucket of a series holds. Windows that end in a fresh bucket are always reported, so
    that an alert keeps firing while its condition holds; the open bucket is fresh until it is closed.
    """
    starts = bucket_starts(frame)
    found: list[Reached] = []
    kept: dict[Key, Memory] = {} if frame.complete else dict(memory)
    for series in frame.series:
        before = _reported_buckets(memory.get(series.key), frame)
        held = amounts(series, starts)
        sums = trailing_sum(held, buckets)
        hits = np.flatnonzero(sums >= at_least).tolist()
        fresh = first_fresh(frame, starts)
        news = (hit for hit in hits if hit >= fresh or starts[hit] not in before)
        found.extend(_reached(frame, series.key, starts, held, hit, buckets, float(sums[hit])) for hit in news)
        known = before.union(starts[hit] for hit in hits)
        if known:
            kept[series.key] = _memory(sorted(known), frame.bucket_ms)
    return found, kept


def _reached(frame: Frame, key: Key, starts: list[int], held: Floats, hit: int, buckets: int, amount: float) -> Reached:
    first = max(0, hit - buckets + 1)
    since = first + int(np.argmax(held[first : hit + 1] > 0))
    window = Interval(starts[first], bucket_end_ms(frame, starts[hit]))
    return Reached(key, window, starts[since], amount)


def _reported_buckets(memory: Memory | None, frame: Frame) -> set[int]:
    """The reported buckets that the frame still reaches."""
    state = recall(memory, Reported)
    if state is None:
        return set()
    bucket, first = frame.bucket_ms, frame.interval.start_ms // frame.bucket_ms * frame.bucket_ms
    known: set[int] = set()
    for low, high in state.ranges:
        known.update(range(max(low // bucket * bucket, first), min(high, frame.interval.end_ms) + 1, bucket))
    return known


def _memory(buckets: list[int], bucket_ms: int) -> dict[str, Any]:
    ranges: list[tuple[int, int]] = []
    for start_ms in buckets:
        if ranges and start_ms - ranges[-1][1] <= bucket_ms:
            ranges[-1] = (ranges[-1][0], start_ms)
        else:
            ranges.append((start_ms, start_ms))
    return remember(Reported(1, tuple(ranges[-MAX_RANGES:])))
