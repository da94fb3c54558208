"""The answer of a store to a `Query`, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Key: TypeAlias = tuple[tuple[str, str | None], ...]
"""(field, value) pairs in the order of group_by. Numbers as decimal text, booleans as true/false, missing as None.
A list field groups an event under each of its distinct elements."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Half open: start_ms <= t < end_ms, event time in milliseconds since 1970 UTC."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class Run:
    """``length`` equal outcomes in a row from ``start_ms`` to ``end_ms`` (times of its first and last event)."""

    value: str
    length: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Enough of a bucket's outcomes to join runs across buckets.

    ``prefix`` is the run the bucket begins with and ``suffix`` the run it ends with (None where it is a
    success); ``inner`` are the runs between them that reach the query's ``at_least``. If the whole bucket is
    one run, ``prefix`` and ``suffix`` are that same run and ``whole`` is true.
    """

    prefix: Run | None
    suffix: Run | None
    inner: tuple[Run, ...] = ()
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Bins:
    """A sparse histogram: (bin, count) of the bins that are not empty, ascending."""

    counts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """The most frequent values, most frequent first, and how many occurrences of other values there are."""

    counts: tuple[tuple[str, int], ...] = ()
    others: int = 0


Value: TypeAlias = float | RunSummary | Bins | Counts | None


@dataclass(frozen=True, slots=True)
class Series:
    """One key's buckets in time order. Empty buckets are absent; ``values`` maps a measure's name to one value
    per bucket."""

    key: Key
    bucket_start_ms: tuple[int, ...]
    values: Mapping[str, tuple[Value, ...]]


@dataclass(frozen=True, slots=True)
class Frame:
    """What the store knows about an interval.

    ``interval`` is the whole span that was read; buckets that start at or after ``fresh_from_ms`` have not
    been judged before, earlier ones are the lookback. ``complete`` is false when the store could not read
    everything (shards failed, timed out): no verdict may rest on an absence then. Series are sorted by key.
    """

    interval: Interval
    fresh_from_ms: int
    bucket_ms: int
    series: tuple[Series, ...] = ()
    complete: bool = True
