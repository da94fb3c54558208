"""Rows to frames and events."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from daemon.store.base import Ask
from daemon.store.contract import key_order, key_text
from daemon.store.duckdb.compile import plain_measures
from detectors.frame import Frame, Key, Run, RunSummary, Series, Value
from detectors.query import AnyMeasure, Runs
from recognizer.events import Event
from recognizer.mapping import columns

Row: TypeAlias = Sequence[Any]
Cells: TypeAlias = Mapping[tuple[Key, int], Value]
"""One measure's value by key and bucket."""

_NO_RUNS = RunSummary(None, None)


def frame(ask: Ask, rows: Sequence[Row], sequences: Mapping[str, Sequence[Row]]) -> Frame:
    """The answer to an ask from its rows; ``sequences`` are the rows of its runs and unmatched, by measure name."""
    width = 1 + len(ask.query.group_by)
    cells = [(cell(ask, row), row) for row in rows]
    found: dict[str, Cells] = {
        measure.name: {at: _number(row[index]) for at, row in cells}
        for index, measure in enumerate(plain_measures(ask), start=width)
    }
    for measure in ask.query.measures:
        if measure.name in sequences:
            found[measure.name] = _sequence(ask, measure, sequences[measure.name])
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
    """A bucket that runs and unmatched do not mention has none."""
    return _NO_RUNS if isinstance(measure, Runs) else 0.0


def _sequence(ask: Ask, measure: AnyMeasure, rows: Sequence[Row]) -> Cells:
    if not isinstance(measure, Runs):
        return {cell(ask, row): float(row[-1]) for row in rows}
    grouped: dict[tuple[Key, int], list[Row]] = {}
    for row in rows:
        grouped.setdefault(cell(ask, row), []).append(row[1 + len(ask.query.group_by) :])
    return {at: _summary(runs) for at, runs in grouped.items()}


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
