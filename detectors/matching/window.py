"""Sliding windows over buckets that may still grow: what `count`, `unsafe_path` and `missing_step` share.

Events can be late. A window that was judged is therefore judged again as long as the lookback reaches it. Memory keeps
how many events of each bucket were part of a report. A late window is reported if it holds enough without those, and
was not reported itself. So nothing that is late is lost, and nothing is told twice.
"""

import math
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

MOST_TOLD = 2_000


class Told(msgspec.Struct, frozen=True):
    """The buckets whose events were part of a report: start and amount, oldest first."""

    version: Literal[1]
    buckets: tuple[tuple[int, float], ...] = ()


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
    """Every window of ``buckets`` buckets that holds ``at_least`` and is to be reported, and the new memory.

    ``amounts`` gives what each bucket of a series holds. Windows that end in a fresh bucket are always reported, so
    that an alert keeps firing while its condition holds; the open bucket is fresh until it is closed.
    """
    starts = bucket_starts(frame)
    fresh = first_fresh(frame, starts)
    found: list[Reached] = []
    kept: dict[Key, Memory] = {} if frame.complete else dict(memory)
    for series in frame.series:
        told = _told(memory.get(series.key), frame, starts)
        held = amounts(series, starts)
        sums = trailing_sum(held, buckets)
        news = trailing_sum(np.maximum(held - told, 0.0), buckets) >= at_least
        news &= trailing_sum(told, buckets) < at_least
        news[fresh:] = sums[fresh:] >= at_least
        hits = np.flatnonzero(news).tolist()
        found.extend(_reached(frame, series.key, starts, held, hit, buckets, float(sums[hit])) for hit in hits)
        in_report = trailing_sum(news[::-1].astype(float), buckets)[::-1] > 0
        told = np.where(in_report, np.maximum(told, held), told)
        if told.any():
            kept[series.key] = _memory(starts, told)
    return found, kept


def _reached(frame: Frame, key: Key, starts: list[int], held: Floats, hit: int, buckets: int, amount: float) -> Reached:
    first = max(0, hit - buckets + 1)
    since = first + int(np.argmax(held[first : hit + 1] > 0))
    window = Interval(starts[first], bucket_end_ms(frame, starts[hit]))
    return Reached(key, window, starts[since], amount)


def _told(memory: Memory | None, frame: Frame, starts: list[int]) -> Floats:
    """What is remembered of each bucket that the frame still reaches."""
    told = np.zeros(len(starts))
    state = recall(memory, Told)
    if state is None or not starts:
        return told
    for start_ms, amount in state.buckets:
        index = (start_ms - starts[0]) // frame.bucket_ms
        if 0 <= index < len(starts) and math.isfinite(amount):
            told[index] = max(amount, 0.0)
    return told


def _memory(starts: list[int], told: Floats) -> dict[str, Any]:
    kept = [(starts[index], float(told[index])) for index in np.flatnonzero(told).tolist()]
    return remember(Told(1, tuple(kept[-MOST_TOLD:])))
