"""Windows that slide over closed buckets: what `ratio` and `threshold` share.

They need no memory. A window is read as a whole for every bucket that closes, so an event that comes late still counts
in all windows that reach back to it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from detectors.frame import Frame, Interval
from detectors.query import MINUTE_MS
from detectors.stats.series import bucket_end_ms, bucket_starts, first_fresh

SETTLE_MS = 10_000
"""How long the events of a closed bucket are waited for before its windows are judged."""

_MOST_SLICES = 10


def sliding_bucket_ms(window_ms: int) -> int:
    """The bucket of a sliding window: its smallest whole part of a minute or more; a shorter window is one bucket."""
    slices = (count for count in range(_MOST_SLICES, 1, -1) if window_ms % count == 0)
    return next((window_ms // count for count in slices if window_ms // count >= MINUTE_MS), window_ms)


@dataclass(frozen=True, slots=True)
class FreshWindows:
    """The windows that end with a fresh bucket: iterating gives the bucket's index in ``starts`` and the window."""

    starts: list[int]
    first: int
    frame: Frame
    buckets: int

    def __iter__(self) -> Iterator[tuple[int, Interval]]:
        for index in range(self.first, len(self.starts)):
            start_ms = self.starts[index] - (self.buckets - 1) * self.frame.bucket_ms
            yield index, Interval(start_ms, bucket_end_ms(self.frame, self.starts[index]))


def fresh_windows(frame: Frame, buckets: int) -> FreshWindows:
    """The windows of ``buckets`` buckets that have not been judged before, in time order."""
    starts = bucket_starts(frame)
    return FreshWindows(starts, first_fresh(frame, starts), frame, buckets)
