"""What a detector asks of the store, as data: hashable, serialisable, compiled by each store.

The answer is a `detectors.frame.Frame`. Aggregation happens where the data lies; raw events never travel
for a query. Samples and suspects are asked for afterwards, for the findings alone (`detectors.finding.Evidence`).
"""

import enum
from dataclasses import dataclass
from typing import TypeAlias

from detectors.condition import Always, Condition

MINUTE_MS = 60_000


class Statistic(enum.StrEnum):
    """Aggregates of one numeric field (COUNT: of events; CARDINALITY: of any field)."""

    COUNT = "count"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    SUM_OF_SQUARES = "sum_of_squares"
    PERCENTILE = "percentile"
    CARDINALITY = "cardinality"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number per bucket and key: ``statistic`` of ``field`` over the events that match ``where``.

    COUNT with a ``field`` counts the events in which the field is present. An aggregate of no values is None
    (COUNT and CARDINALITY: 0). PERCENTILE is approximate in Elasticsearch (t-digest) and interpolated in
    DuckDB; the conformance suite states the tolerance. CARDINALITY is exact up to 3,000 values.
    """

    name: str
    statistic: Statistic = Statistic.COUNT
    field: str | None = None
    percent: float | None = None
    where: Condition = Always()


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of equal outcomes per bucket and key, in time order: see `detectors.frame.RunSummary`.

    An event's outcome is its ``field``; an event without that field is a success and ends a run. The summary
    is exact for runs of at least ``at_least`` equal outcomes; shorter inner runs may be left out. Events of
    one millisecond are ordered by event_id.
    """

    name: str
    field: str
    at_least: int


@dataclass(frozen=True, slots=True)
class Unmatched:
    """How many distinct values of ``field`` occur in a ``start`` event of the bucket and in no ``end`` event.

    The end may lie anywhere from one bucket before the start up to the end of the interval plus the query's
    settle time, under any key.
    """

    name: str
    field: str
    start: Condition
    end: Condition


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values of a numeric ``field`` lie between each two neighbours of ``edges`` (ascending, at most 256).

    The value is a `detectors.frame.Bins`: bin i holds edges[i - 1] <= v < edges[i], bin 0 what is below the first
    edge, bin len(edges) what is at or above the last, all compared as doubles. Histograms of the same edges add up
    over buckets and keys. The field must hold a single number.
    """

    name: str
    field: str
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """The ``top`` most frequent values of a text ``field`` (at most 1,000), ties in the order of their UTF-8 bytes.

    The value is a `detectors.frame.Counts`, exact on every store. A list field counts an event under each of its
    distinct elements.
    """

    name: str
    field: str
    top: int


AnyMeasure: TypeAlias = Measure | Runs | Unmatched | Histogram | Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question. All times are in milliseconds.

    where        only these events count.
    group_by     one series per combination of values; an event without a value goes under None.
    bucket_ms    length of a bucket; buckets start at multiples of it since 1970. 0: one bucket, the whole interval.
    lookback_ms  how far before the newest unjudged bucket the answer reaches, so that a window can be formed
                 and events that arrived late are seen (a multiple of bucket_ms).
    settle_ms    how long after a bucket's end its events are waited for.
    partial      judge also the bucket that is still open (only for conditions that more events can't undo).
    top          only the ``top`` keys with the largest first measure; None: all keys, however many.
    """

    where: Condition = Always()
    group_by: tuple[str, ...] = ()
    measures: tuple[AnyMeasure, ...] = (Measure("count"),)
    bucket_ms: int = MINUTE_MS
    lookback_ms: int = 0
    settle_ms: int = 0
    partial: bool = False
    top: int | None = None
