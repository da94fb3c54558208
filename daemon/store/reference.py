"""A store in memory that answers in the plainest way there is.

It is the oracle that the other stores are compared with, and the store of rule tests and backtests. Everything is
kept in Python objects: use it for what fits in memory.
"""

import bisect
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, product
from typing import Any, assert_never

from daemon.store.base import Appended, Ask, Batch, Checkpoint, Sample, StoreHealth
from daemon.store.contract import check_ask, check_sample, key_order, key_text, tallied
from detectors.condition import Condition, matches
from detectors.frame import Bins, Frame, Interval, Key, Run, RunSummary, Series, Value
from detectors.query import AnyMeasure, Histogram, Measure, Query, Runs, Statistic, Tally, Unmatched
from recognizer.events import Event, fields

Row = Mapping[str, Any]
Cell = tuple[Key, int]
"""A key and the start of a bucket, milliseconds."""


class ReferenceStore:
    """An `EventStore` in memory, safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._order: list[tuple[int, str]] = []
        self._events: dict[tuple[int, str], Event] = {}
        self._checkpoints: dict[str, Checkpoint] = {}

    def append(self, batch: Batch) -> Appended:
        with self._lock:
            before = len(self._events)
            for event in batch.events:
                self._events.setdefault((event.timestamp, event.event_id or ""), event)
            stored = len(self._events) - before
            if stored:
                self._order = sorted(self._events)
            if batch.checkpoint is not None:
                self._checkpoints[batch.checkpoint.identity] = batch.checkpoint
        return Appended(stored, duplicates=len(batch.events) - stored)

    def checkpoints(self) -> Mapping[str, Checkpoint]:
        with self._lock:
            return dict(self._checkpoints)

    def ask(self, asks: Sequence[Ask]) -> tuple[Frame, ...]:
        for ask in asks:
            check_ask(ask)
        with self._lock:
            return tuple(map(self._answer, asks))

    def sample(self, samples: Sequence[Sample]) -> tuple[tuple[Event, ...], ...]:
        for sample in samples:
            check_sample(sample)
        with self._lock:
            return tuple(map(self._pick, samples))

    def explain(self, ask: Ask) -> str:
        check_ask(ask)
        return f"every event of {ask.interval} is looked at in memory:\n{ask.query}"

    def expire(self, before_ms: int) -> int:
        with self._lock:
            cut = bisect.bisect_left(self._order, (before_ms, ""))
            for name in self._order[:cut]:
                del self._events[name]
            del self._order[:cut]
            return cut

    def health(self) -> StoreHealth:
        with self._lock:
            newest = self._order[-1][0] if self._order else None
            return StoreHealth(
                ok=True, detail=f"{len(self._order):,} events in memory", events=len(self._order), newest_ms=newest
            )

    def close(self) -> None:
        """Nothing is held outside of memory."""

    def cells(self, ask: Ask) -> dict[Cell, list[Row]]:
        """The events behind an answer, by key and bucket, in order of (timestamp, event_id)."""
        found: dict[Cell, list[Row]] = {}
        with self._lock:
            rows = [fields(event) for event in self._matching(ask.query.where, ask.interval)]
        for row in rows:
            bucket = bucket_start_ms(ask, row["timestamp"])
            for key in _keys(row, ask.query.group_by):
                found.setdefault((key, bucket), []).append(row)
        return found

    def _matching(self, where: Condition, interval: Interval) -> Iterator[Event]:
        first = bisect.bisect_left(self._order, (interval.start_ms, ""))
        for name in self._order[first:]:
            if name[0] >= interval.end_ms:
                return
            if matches(where, fields(self._events[name])):
                yield self._events[name]

    def _pick(self, sample: Sample) -> tuple[Event, ...]:
        found = list(self._matching(sample.where, sample.interval))
        return tuple((found[::-1] if sample.newest_first else found)[: sample.limit])

    def _answer(self, ask: Ask) -> Frame:
        query = ask.query
        cells = self.cells(ask)
        if query.top is not None:
            cells = _top(cells, query, query.top)
        last_ends = {
            measure.name: self._last_ends(measure, ask) for measure in query.measures if isinstance(measure, Unmatched)
        }
        series = [
            _series(key, {bucket: cells[key, bucket] for _, bucket in names}, ask, last_ends)
            for key, names in groupby(sorted(cells, key=_cell_order), key=lambda cell: cell[0])
        ]
        return Frame(ask.interval, ask.fresh_from_ms, query.bucket_ms, tuple(series))

    def _last_ends(self, measure: Unmatched, ask: Ask) -> dict[Any, int]:
        reach = Interval(ask.interval.start_ms - 2 * bucket_length_ms(ask), ask.interval.end_ms + ask.query.settle_ms)
        ends = (fields(event) for event in self._matching(measure.end, reach))
        return {row[measure.field]: row["timestamp"] for row in ends if measure.field in row}


def bucket_length_ms(ask: Ask) -> int:
    """The length of the ask's buckets; the interval's own where there is one bucket."""
    return ask.query.bucket_ms or ask.interval.length_ms


def bucket_start_ms(ask: Ask, timestamp_ms: int) -> int:
    """The start of the bucket a time falls into; it may lie before the interval's start."""
    if ask.query.bucket_ms == 0:
        return ask.interval.start_ms
    return timestamp_ms - timestamp_ms % ask.query.bucket_ms


def elements(value: Any) -> list[Any]:
    """The values of a field: none where it is missing, each one of a list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def percentile(values: Sequence[float], percent: float) -> float:
    """The value at rank percent/100 · (n − 1) of the sorted values, linear between neighbours."""
    ordered = sorted(values)
    rank = percent / 100 * (len(ordered) - 1)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)


def _cell_order(cell: Cell) -> tuple[tuple[tuple[bool, str], ...], int]:
    return key_order(cell[0]), cell[1]


def _keys(row: Row, group_by: tuple[str, ...]) -> set[Key]:
    """The keys of one event: one, or one for each distinct element of its list fields."""
    choices: list[list[tuple[str, str | None]]] = []
    for name in group_by:
        values: list[str | None] = [key_text(value) for value in elements(row.get(name))]
        choices.append([(name, value) for value in values or [None]])
    return set(product(*choices))


def _top(cells: Mapping[Cell, list[Row]], query: Query, top: int) -> dict[Cell, list[Row]]:
    """The cells of the keys with the largest first measure over the whole interval; equals by key."""
    first = query.measures[0]
    assert isinstance(first, Measure)  # noqa: S101  # check_ask has seen to it
    rows: dict[Key, list[Row]] = {}
    for (key, _), part in cells.items():
        rows.setdefault(key, []).extend(part)
    sizes = {key: _statistic(first, part) for key, part in rows.items()}
    ranked = sorted(sizes, key=lambda key: (sizes[key] is None, -(sizes[key] or 0), key_order(key)))
    kept = set(ranked[:top])
    return {cell: part for cell, part in cells.items() if cell[0] in kept}


def _series(
    key: Key, buckets: Mapping[int, Sequence[Row]], ask: Ask, last_ends: Mapping[str, Mapping[Any, int]]
) -> Series:
    def value(measure: AnyMeasure, bucket: int) -> Value:
        rows = buckets[bucket]
        match measure:
            case Measure():
                return _statistic(measure, rows)
            case Runs():
                return _runs(measure, rows)
            case Unmatched():
                latest = bucket - bucket_length_ms(ask)
                return float(len(_unmatched(measure, rows, last_ends[measure.name], latest)))
            case Histogram():
                return _histogram(measure, rows)
            case Tally():
                counts = Counter(each for row in rows for each in set(elements(row.get(measure.field))))
                return tallied(counts, measure.top)
            case _:
                assert_never(measure)

    values = {measure.name: tuple(value(measure, bucket) for bucket in buckets) for measure in ask.query.measures}
    return Series(key, tuple(buckets), values)


def _statistic(measure: Measure, rows: Sequence[Row]) -> float | None:
    kept = [row for row in rows if matches(measure.where, row)]
    if measure.field is None:
        return float(len(kept))
    lists = [elements(row.get(measure.field)) for row in kept]
    if measure.statistic is Statistic.COUNT:
        return float(sum(map(bool, lists)))
    values = [value for part in lists for value in part]
    if measure.statistic is Statistic.CARDINALITY:
        return float(len(set(values)))
    return _of_numbers(measure, values) if values else None


def _of_numbers(measure: Measure, values: Sequence[float]) -> float:
    match measure.statistic:
        case Statistic.AVG:
            return sum(values) / len(values)
        case Statistic.MIN:
            return float(min(values))
        case Statistic.MAX:
            return float(max(values))
        case Statistic.SUM:
            return float(sum(values))
        case Statistic.SUM_OF_SQUARES:
            return float(sum(float(value) * float(value) for value in values))
        case _:
            return float(percentile(values, measure.percent or 0.0))


def _runs(measure: Runs, rows: Sequence[Row]) -> RunSummary:
    outcomes = [(row.get(measure.field), row["timestamp"]) for row in rows]
    runs: list[Run | None] = []
    for value, group in groupby(outcomes, key=lambda outcome: outcome[0]):
        times = [timestamp for _, timestamp in group]
        runs.append(None if value is None else Run(key_text(value), len(times), times[0], times[-1]))
    inner = tuple(run for run in runs[1:-1] if run is not None and run.length >= measure.at_least)
    return RunSummary(runs[0], runs[-1], inner, whole=len(runs) == 1 and runs[0] is not None)


def _histogram(measure: Histogram, rows: Sequence[Row]) -> Bins:
    values = [float(row[measure.field]) for row in rows if measure.field in row]
    counts = Counter(bisect.bisect_right(measure.edges, value) for value in values)
    return Bins(tuple(sorted(counts.items())))


def _unmatched(measure: Unmatched, rows: Sequence[Row], last_ends: Mapping[Any, int], earliest_ms: int) -> set[Any]:
    started = {row[measure.field] for row in rows if measure.field in row and matches(measure.start, row)}
    return {value for value in started if last_ends.get(value, earliest_ms - 1) < earliest_ms}
