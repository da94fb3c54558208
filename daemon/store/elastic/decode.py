"""Rows of an answer become the cells of a frame. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, product
from typing import Any, TypeAlias

from daemon.store.base import Ask
from daemon.store.contract import Kind, columns, key_order, key_text, tallied
from daemon.store.elastic.aggregations import OUTCOMES_LISTED
from daemon.store.elastic.replies import Hit, Reply
from daemon.store.elastic.runs import Span
from daemon.store.elastic.searches import LOST_LISTED, STARTS_LISTED, bucket_length_ms
from detectors.condition import Always
from detectors.frame import Bins, Counts, Frame, Key, Series, Value
from detectors.query import Measure, Statistic, Tally

Row: TypeAlias = Mapping[str, Any]
Cell: TypeAlias = tuple[Key, int]
"""A key and the start of a bucket, milliseconds."""


def cells(reply: Reply, ask: Ask) -> dict[Cell, Row]:
    """The rows of `searches.table` by key and bucket."""
    whole = reply.aggregations.get("whole")
    if whole is not None:
        return {((), ask.interval.start_ms): whole} if whole["doc_count"] else {}
    return {cell(row, ask): row for row in reply.rows}


def cells_of_largest(reply: Reply, ask: Ask, field: str) -> dict[Cell, Row]:
    """The rows of `searches.largest` by key; the events without a value are a key like others."""
    at = ask.interval.start_ms
    rows: dict[Cell, Row] = {
        (((field, row["key"]),), at): row for row in reply.aggregations.get("largest", {}).get("buckets", ())
    }
    none = reply.aggregations.get("none")
    if none is not None and none["doc_count"]:
        rows[((field, None),), at] = none
    return rows


def cell(row: Row, ask: Ask) -> Cell:
    """Where a composite's row belongs."""
    names, raw = ask.query.group_by, raw_key(row, ask)
    key = tuple((name, None if raw[name] is None else key_text(raw[name])) for name in names)
    return key, int(row["key"].get("bucket", ask.interval.start_ms))


def raw_key(row: Row, ask: Ask) -> dict[str, Any]:
    """The key of a composite's row with values as Elasticsearch has them, by field."""
    return {name: row["key"].get(f"k{index}") for index, name in enumerate(ask.query.group_by)}


def measured(measure: Measure, row: Row, position: int) -> float | None:
    """The value of one measure in one row."""
    found = row.get(str(position))
    if measure.statistic is Statistic.COUNT:
        return float((row if found is None else found)["doc_count"])
    if found is not None and not isinstance(measure.where, Always):
        found = found.get("m")
    if found is None:
        return None
    match measure.statistic:
        case Statistic.SUM:
            value = found.get("sum") if found["count"] else None
        case Statistic.SUM_OF_SQUARES:
            value = found.get("sum_of_squares") if found["count"] else None
        case Statistic.PERCENTILE:
            value = found["values"][0].get("value")
        case _:
            value = found.get("value")
    return None if value is None else float(value)


def bins(row: Row, position: int) -> Bins:
    """A histogram's bins that hold something."""
    places = row.get(str(position), {}).get("buckets", {})
    return Bins(
        tuple(sorted((int(place), found["doc_count"]) for place, found in places.items() if found["doc_count"]))
    )


def counts(row: Row, position: int) -> Counts | None:
    """A tally; None when shards left out values that might belong into it."""
    found = row.get(str(position), {})
    if found.get("doc_count_error_upper_bound"):
        return None
    listed = tuple((bucket["key"], bucket["doc_count"]) for bucket in found.get("buckets", ()))
    return Counts(listed, found.get("sum_other_doc_count", 0))


def tallies(reply: Reply, ask: Ask, measure: Tally) -> dict[Cell, Counts]:
    """The tallies of `searches.values`, exact."""
    found: dict[Cell, dict[str, int]] = {}
    for row in reply.rows:
        found.setdefault(cell(row, ask), {})[row["key"]["value"]] = row["doc_count"]
    return {where: tallied(of_cell, measure.top) for where, of_cell in found.items()}


def spans(field: str, row: Row, position: int) -> list[Span] | None:
    """The outcomes of one bucket; None when there may be more of them than were listed."""
    outcomes, successes = row.get(str(position), {}).get("buckets", ()), row[f"{position}n"]
    if len(outcomes) == OUTCOMES_LISTED:
        return None
    kind = columns()[field].kind
    listed = [
        _span(key_text(bool(bucket["key"]) if kind is Kind.BOOLEAN else bucket["key"]), bucket) for bucket in outcomes
    ]
    return [*listed, _span(None, successes)] if successes["doc_count"] else listed


def _span(value: str | None, bucket: Row) -> Span:
    return Span(value, bucket["doc_count"], int(bucket["a"]["value"]), int(bucket["z"]["value"]))


def outcomes(hits: Iterable[Hit], ask: Ask, field: str) -> dict[Cell, list[tuple[str | None, int]]]:
    """(outcome, time) of the events that were read one by one, in order, by key and bucket."""
    found: dict[Cell, list[tuple[str | None, int]]] = {}
    for hit in hits:
        time_ms = int(hit.sort[0])
        bucket = time_ms - time_ms % ask.query.bucket_ms if ask.query.bucket_ms else ask.interval.start_ms
        values = hit.fields.get(field)
        outcome = (key_text(values[0]) if values else None, time_ms)
        for key in _keys(hit.fields, ask.query.group_by):
            found.setdefault((key, bucket), []).append(outcome)
    return found


def _keys(fields: Mapping[str, Sequence[Any]], group_by: tuple[str, ...]) -> set[Key]:
    choices: list[list[tuple[str, str | None]]] = []
    for name in group_by:
        values: list[str | None] = [key_text(value) for value in fields.get(name, ())]
        choices.append([(name, value) for value in values or [None]])
    return set(product(*choices))


def lost(replies: Mapping[int, Reply], ask: Ask) -> dict[Cell, float] | None:
    """How many values of each cell never ended, given each bucket's `searches.lost`; None when these do not tell.

    They do not when more values lack an end than were listed, when one of them started more often than is told, and
    when several shards were asked: each would list its own first values, and an end may lie on another shard.
    """
    found: dict[Cell, float] = {}
    for bucket, reply in replies.items():
        values = reply.aggregations.get("values", {}).get("buckets", ())
        endless = [value for value in values if value["ends"]["doc_count"] == 0]
        if reply.shards > 1 or len(endless) == LOST_LISTED or any(v["doc_count"] > STARTS_LISTED for v in endless):
            return None
        for value in endless:
            for key in _keys_of_starts(value, ask.query.group_by):
                found[key, bucket] = found.get((key, bucket), 0.0) + 1.0
    return found


def _keys_of_starts(value: Row, group_by: tuple[str, ...]) -> set[Key]:
    if not group_by:
        return {()}
    return {key for hit in value["keys"]["hits"]["hits"] for key in _keys(hit.get("fields", {}), group_by)}


def unmatched(started: Reply, ended: Reply, ask: Ask) -> dict[Cell, float]:
    """How many values of each cell never ended."""
    last_ends = {row["key"]["value"]: row["last"]["value"] for row in ended.rows}
    found: dict[Cell, float] = {}
    for row in started.rows:
        where = cell(row, ask)
        last_end = last_ends.get(row["key"]["value"])
        if last_end is None or last_end < where[1] - bucket_length_ms(ask):
            found[where] = found.get(where, 0.0) + 1.0
    return found


def top_keys(rows: Mapping[Cell, Row], first: Measure, top: int) -> frozenset[Key]:
    """The keys with the largest first measure, of rows that each are one key's whole interval."""
    sizes = {key: measured(first, row, 0) for (key, _), row in rows.items()}
    ranked = sorted(sizes, key=lambda key: (sizes[key] is None, -(sizes[key] or 0.0), key_order(key)))
    return frozenset(ranked[:top])


def frame(ask: Ask, values: Mapping[Cell, Sequence[Value]], *, complete: bool) -> Frame:
    """The frame of the cells; a cell's values come in the order of the measures."""
    names = [measure.name for measure in ask.query.measures]
    series = []
    ordered = sorted(values, key=lambda cell: (key_order(cell[0]), cell[1]))
    for key, group in groupby(ordered, key=lambda cell: cell[0]):
        of_key = list(group)
        table = {name: tuple(values[each][index] for each in of_key) for index, name in enumerate(names)}
        series.append(Series(key, tuple(bucket for _, bucket in of_key), table))
    return Frame(ask.interval, ask.fresh_from_ms, ask.query.bucket_ms, tuple(series), complete)
