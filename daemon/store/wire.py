"""Asks and frames as plain JSON values: what travels when another process asks the store that the daemon holds."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from daemon.store.base import Ask
from detectors.condition import from_json, to_json
from detectors.frame import Bins, Counts, Frame, Interval, RunSummary, Series, Value
from detectors.query import AnyMeasure, Histogram, Measure, Query, Runs, Statistic, Tally, Unmatched

Kind = TypeVar("Kind")
_MEASURES: Mapping[str, type[AnyMeasure]] = {
    kind.__name__: kind for kind in (Measure, Runs, Unmatched, Histogram, Tally)
}
_VALUES: Mapping[type[AnyMeasure], Any] = {Runs: RunSummary, Histogram: Bins, Tally: Counts}
"""What a cell of a measure holds; a number, or nothing, where it is not listed."""
_CONDITIONS = frozenset({"where", "start", "end"})


def ask_to_json(ask: Ask) -> dict[str, Any]:
    measures = [{"kind": type(measure).__name__, **_plain(measure)} for measure in ask.query.measures]
    interval = [ask.interval.start_ms, ask.interval.end_ms]
    query = {**_plain(ask.query), "measures": measures}
    return {"query": query, "interval": interval, "fresh_from_ms": ask.fresh_from_ms}


def ask_from_json(body: Mapping[str, Any]) -> Ask:
    """The inverse of `ask_to_json`. Raises ValueError, TypeError or LookupError on anything else."""
    query = dict(body["query"])
    measures = tuple(_built(_MEASURES[one["kind"]], one) for one in query.pop("measures"))
    return Ask(
        dataclasses.replace(_built(Query, query), measures=measures),
        Interval(*body["interval"]),
        body["fresh_from_ms"],
    )


def frame_to_json(frame: Frame) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(frame)
    return body


def frame_from_json(body: Mapping[str, Any], query: Query) -> Frame:
    """The inverse of `frame_to_json`, for the answer to ``query``. Raises ValueError or LookupError."""
    kinds = {measure.name: _VALUES.get(type(measure), float) for measure in query.measures}

    def values(name: str, cells: list[Any]) -> tuple[Value, ...]:
        return msgspec.convert(cells, tuple[kinds[name] | None, ...])  # type: ignore[valid-type]

    series = tuple(
        Series(
            key=tuple((name, value) for name, value in one["key"]),
            bucket_start_ms=tuple(one["bucket_start_ms"]),
            values={name: values(name, cells) for name, cells in one["values"].items()},
        )
        for one in body["series"]
    )
    interval = msgspec.convert(body["interval"], Interval)
    return Frame(interval, body["fresh_from_ms"], body["bucket_ms"], series, body["complete"])


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a query or a measure, with conditions as lists."""
    body = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: to_json(part) if name in _CONDITIONS else part for name, part in body.items()}


def _built(kind: type[Kind], body: Mapping[str, Any]) -> Kind:
    """The inverse of `_plain`, for the fields that ``body`` has."""
    names = {field.name for field in dataclasses.fields(kind)} & body.keys()  # type: ignore[arg-type]
    return kind(**{name: _value(name, body[name]) for name in names})


def _value(name: str, value: Any) -> Any:
    if name in _CONDITIONS:
        return from_json(value)
    if name == "statistic":
        return Statistic(value)
    return tuple(value) if isinstance(value, list) else value
