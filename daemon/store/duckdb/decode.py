"""Rows to frames and events."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, assert_never

import msgspec

from daemon.store.base import Ask
from daemon.store.contract import key_order, key_text
from daemon.store.duckdb.compile import Apart, plain_measures
from detectors.frame import Bins, Counts, Frame, Key, Run, RunSummary, Series, Value
from detectors.query import AnyMeasure, Histogram, Measure, Runs, Tally, Unmatched
from recognizer.events import Event
from recognizer.mapping import columns

Row: TypeAlias = Sequence[Any]
Cells: TypeAlias = Mapping[tuple[Key, int], Value]
"""One measure's value by key and bucket."""

_NO_RUNS = RunSummary(None, None)


def frame(ask: Ask, rows: Sequence[Row], apart: Mapping[str, Sequence[Row]]) -> Frame:
    """The answer to an ask from its rows; ``apart`` are the rows of the measures with a statement of their own."""
    width = 1 + len(ask.query.group_by)
    cells = [(cell(ask, row), row) for row in rows]
    found: dict[str, Cells] = {
        measure.name: {at: _number(row[index]) for at, row in cells}
        for index, measure in enumerate(plain_measures(ask), start=width)
    }
    for measure in ask.query.measures:
        if not isinstance(measure, Measure):
            found[measure.name] = _found(ask, measure, apart[measure.name])
    series: dict[Key, list[int]] = {}
    for (key, bucket), _ in cells:
        series.setdefault(key, []).append(bucket)
    return Frame(
        ask.interval,
        ask.fresh_from_ms,
        ask.query.bucket_ms,
        tuple(_series(ask, key, sorted(series[key]), found) for key in sorted(series, key=key_order)),
    )


def cell(ask: Ask, row: Row) -> tuple[Key, int]:
    """The key and the bucket a row begins with: the bucket first, then the key's values."""
    names = ask.query.group_by
    values = (None if value is None else key_text(value) for value in row[1 : 1 + len(names)])
    return tuple(zip(names, values, strict=True)), row[0]


def events(rows: Iterable[Row]) -> tuple[Event, ...]:
    """Whole events from rows of all columns, ``extra`` last."""
    names = tuple(columns())
    return tuple(
        Event(**dict(zip(names, row[:-1], strict=True)), extra=msgspec.json.decode(row[-1]) if row[-1] else {})
        for row in rows
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _series(ask: Ask, key: Key, buckets: Sequence[int], found: Mapping[str, Cells]) -> Series:
    values = {
        measure.name: tuple(found[measure.name].get((key, bucket), _absent(measure)) for bucket in buckets)
        for measure in ask.query.measures
    }
    return Series(key, tuple(buckets), values)


def _absent(measure: AnyMeasure) -> Value:
    """A bucket that a statement does not mention has none of what it counts."""
    match measure:
        case Runs():
            return _NO_RUNS
        case Histogram():
            return Bins()
        case Tally():
            return Counts()
        case Unmatched() | Measure():
            return 0.0
        case _:
            assert_never(measure)


def _found(ask: Ask, measure: Apart, rows: Sequence[Row]) -> Cells:
    grouped: dict[tuple[Key, int], list[Row]] = {}
    for row in rows:
        grouped.setdefault(cell(ask, row), []).append(row[1 + len(ask.query.group_by) :])
    return {at: _value(measure, part) for at, part in grouped.items()}


def _value(measure: Apart, rows: Sequence[Row]) -> Value:
    """One cell's value from its rows, in their order; there is at least one."""
    match measure:
        case Runs():
            return _summary(rows)
        case Unmatched():
            return float(rows[0][0])
        case Histogram():
            return Bins(tuple(sorted((int(place), int(count)) for place, count in rows)))
        case Tally():
            named = tuple((name, int(count)) for name, count in rows if name is not None)
            return Counts(named, sum(int(count) for name, count in rows if name is None))
        case _:
            assert_never(measure)


def _summary(rows: Sequence[Row]) -> RunSummary:
    """From rows of (value, length, start, end, is first, is last) in time order."""
    prefix = suffix = None
    inner: list[Run] = []
    for value, length, start_ms, end_ms, begins, ends in rows:
        run = Run(key_text(value), length, start_ms, end_ms)
        prefix = run if begins else prefix
        suffix = run if ends else suffix
        if not begins and not ends:
            inner.append(run)
    whole = any(begins and ends for *_, begins, ends in rows)
    return RunSummary(prefix, suffix, tuple(inner), whole=whole)
