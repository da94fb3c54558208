"""Queries and samples to SQL. Pure: text and parameters, no connection. See `daemon.store.duckdb.condition`."""
# ruff: noqa: S608  # what stands in the text are identifiers of the event contract; values are parameters

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias, assert_never

from daemon.store.base import Ask, Sample
from daemon.store.duckdb.condition import Sql, condition, exists, joined
from daemon.store.duckdb.schema import EXTRA, quoted
from detectors.condition import Always, fields_of
from detectors.frame import Interval
from detectors.query import Histogram, Measure, Runs, Statistic, Tally, Unmatched
from recognizer.mapping import Column, Kind, columns

BUCKET = '"#bucket"'
"""Columns that a query computes carry a ``#``: no field of the contract does."""


Apart: TypeAlias = Runs | Unmatched | Histogram | Tally
"""The measures that take a statement of their own."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """An ask as SQL: ``cells`` has a row for each key and bucket with the plain measures, the others by measure."""

    cells: Sql
    apart: tuple[tuple[Apart, Sql], ...]

    def statements(self) -> list[Sql]:
        return [self.cells, *(sql for _, sql in self.apart)]


def plain_measures(ask: Ask) -> list[Measure]:
    """The measures that are one aggregate, in the order of their columns in ``cells``."""
    return [measure for measure in ask.query.measures if isinstance(measure, Measure)]


def compile_ask(ask: Ask) -> Compiled:
    """An ask, checked before by `check_ask`, as SQL."""
    apart = [measure for measure in ask.query.measures if not isinstance(measure, Measure)]
    return Compiled(_cells(ask), tuple((measure, _statement(ask, measure)) for measure in apart))


def compile_sample(sample: Sample) -> Sql:
    """A sample as SQL: every column of the contract, then extra."""
    order = "DESC" if sample.newest_first else "ASC"
    return (
        Sql("SELECT ")
        + ", ".join(map(quoted, [*columns(), EXTRA]))
        + "\nFROM events\nWHERE "
        + _within(sample.interval)
        + " AND "
        + condition(sample.where)
        + Sql(f"\nORDER BY timestamp {order}, event_id {order}\nLIMIT ?", (sample.limit,))
    )


def _statement(ask: Ask, measure: Apart) -> Sql:
    match measure:
        case Runs():
            return _runs(ask, measure)
        case Unmatched():
            return _unmatched(ask, measure)
        case Histogram():
            return _histogram(ask, measure)
        case Tally():
            return _tally(ask, measure)
        case _:
            assert_never(measure)


def _within(interval: Interval) -> Sql:
    return Sql("timestamp >= ? AND timestamp < ?", (interval.start_ms, interval.end_ms))


def _key_columns(ask: Ask) -> list[str]:
    return [f'"#key{index}"' for index in range(len(ask.query.group_by))]


def _cell_columns(ask: Ask) -> str:
    return ", ".join([BUCKET, *_key_columns(ask)])


def _base(ask: Ask, fields: Iterable[str]) -> Sql:
    """The events of the ask with their bucket, their keys and ``fields``; an event comes once for each of its keys."""
    width = ask.query.bucket_ms
    bucket = (
        # SQL's remainder takes the sign of the dividend; times before 1970 need the positive one
        Sql("timestamp - ((timestamp % ?) + ?) % ?", (width,) * 3) if width else Sql("?", (ask.interval.start_ms,))
    )
    nested = [
        (column, field)
        for column, field in zip(_key_columns(ask), ask.query.group_by, strict=True)
        if columns()[field].is_list
    ]
    found = Sql("SELECT CAST(") + bucket + f" AS BIGINT) AS {BUCKET}"
    for column, field in zip(_key_columns(ask), ask.query.group_by, strict=True):
        if not columns()[field].is_list:
            found += f", {quoted(field)} AS {column}"
    # all columns would do, but to plan with them takes DuckDB longer than to answer
    for field in sorted({*fields, *(field for _, field in nested)}):
        found += f", {quoted(field)}"
    found += Sql("\n  FROM events\n  WHERE ") + _within(ask.interval) + " AND " + condition(ask.query.where)
    for column, field in nested:
        # one after the other: two unnest in one SELECT would be paired instead of multiplied
        distinct = f"CASE WHEN len({quoted(field)}) > 0 THEN list_distinct({quoted(field)}) ELSE [NULL] END"
        found = Sql(f"SELECT *, unnest({distinct}) AS {column} FROM (") + found + ")"
    return Sql("WITH base AS (\n  ") + found + "\n)"


def _looked_at(measure: Measure) -> set[str]:
    """The fields that one aggregate needs."""
    return {*fields_of(measure.where), *([measure.field] if measure.field is not None else [])}


def _cells(ask: Ask) -> Sql:
    base = _base(ask, chain.from_iterable(map(_looked_at, plain_measures(ask))))
    source = "base"
    if ask.query.top is not None and ask.query.group_by:
        base += _kept(ask, ask.query.top)
        same = " AND ".join(f"base.{key} IS NOT DISTINCT FROM kept.{key}" for key in _key_columns(ask))
        source = f"base SEMI JOIN kept ON {same}"
    select = joined(", ", [Sql(_cell_columns(ask)), *map(_aggregate, plain_measures(ask))])
    return base + "\nSELECT " + select + f"\nFROM {source}\nGROUP BY {_cell_columns(ask)}"


def _kept(ask: Ask, top: int) -> Sql:
    keys = ", ".join(_key_columns(ask))
    fields = [columns()[field] for field in ask.query.group_by]
    texts = [f"{_key_text(key, column)} ASC NULLS FIRST" for key, column in zip(_key_columns(ask), fields, strict=True)]
    ranking = _aggregate(plain_measures(ask)[0]) + ", ".join([" DESC NULLS LAST", *texts])
    return (
        Sql(f",\nkept AS (\n  SELECT {keys} FROM base GROUP BY {keys}\n  ORDER BY ")
        + ranking
        + Sql("\n  LIMIT ?\n)", (top,))
    )


def _key_text(key: str, column: Column) -> str:
    """A key as text, for the order of equals. Tiny fractions keep an exponent here, `key_text` has none."""
    if column.kind is not Kind.NUMBER:
        return f"CAST({key} AS VARCHAR)"
    whole = f"{key} = trunc({key}) AND abs({key}) < 1e37"
    return f"CASE WHEN {whole} THEN CAST(CAST({key} AS HUGEINT) AS VARCHAR) ELSE CAST({key} AS VARCHAR) END"


def _aggregate(measure: Measure) -> Sql:
    chosen = Sql("") if isinstance(measure.where, Always) else Sql(" FILTER (WHERE ") + condition(measure.where) + ")"
    if measure.field is None:
        return Sql("count(*)") + chosen
    if measure.statistic is Statistic.COUNT:
        return Sql("count(*) FILTER (WHERE ") + exists(measure.field) + " AND " + condition(measure.where) + ")"
    if columns()[measure.field].is_list:
        elements = Sql(f"flatten(list({quoted(measure.field)})") + chosen + ")"
        return _of_elements(measure, elements)
    return _of_column(measure, quoted(measure.field)) + chosen


def _of_column(measure: Measure, column: str) -> Sql:
    number = f"CAST({column} AS DOUBLE)"
    match measure.statistic:
        case Statistic.CARDINALITY:
            return Sql(f"count(DISTINCT {column})")
        case Statistic.SUM_OF_SQUARES:
            return Sql(f"sum({number} * {number})")
        case Statistic.PERCENTILE:
            return Sql(f"quantile_cont({number}, {_share(measure)})")
        case statistic:
            return Sql(f"{statistic}({column})")


def _of_elements(measure: Measure, elements: Sql) -> Sql:
    numbers = Sql("CAST(") + elements + " AS DOUBLE[])"
    match measure.statistic:
        case Statistic.CARDINALITY:
            return Sql("COALESCE(len(list_distinct(") + elements + ")), 0)"
        case Statistic.SUM_OF_SQUARES:
            return Sql("list_aggregate(list_transform(") + numbers + ", lambda number: number * number), 'sum')"
        case Statistic.PERCENTILE:
            return Sql("list_aggregate(") + numbers + f", 'quantile_cont', {_share(measure)})"
        case statistic:
            return Sql("list_aggregate(") + numbers + f", '{statistic}')"


def _share(measure: Measure) -> str:
    """A percentile's share of one, as a literal: DuckDB takes no parameter there. A checked float, never a text."""
    return repr(float(measure.percent or 0) / 100)


def _runs(ask: Ask, measure: Runs) -> Sql:
    """Rows of (bucket, keys…, value, length, start, end, is first, is last), in time order.

    A run is found by the difference of two numberings: one of all events, one of those with the same outcome.
    """
    cell, value = _cell_columns(ask), quoted(measure.field)
    text = f""",
numbered AS (
  SELECT {cell}, timestamp, {value}, row_number() OVER ordered AS "#n", lead(1) OVER ordered IS NULL AS "#final"
  FROM base
  WINDOW ordered AS (PARTITION BY {cell} ORDER BY timestamp, event_id)
),
errors AS (
  SELECT *, "#n" - row_number() OVER (PARTITION BY {cell}, {value} ORDER BY "#n") AS "#run"
  FROM numbered
  WHERE {value} IS NOT NULL
)
SELECT {cell}, {value}, count(*) AS "#length", min(timestamp), max(timestamp),
  min("#n") = 1 AS "#begins", bool_or("#final") AS "#ends"
FROM errors
GROUP BY {cell}, {value}, "#run"
HAVING "#begins" OR "#ends" OR "#length" >= ?
ORDER BY {cell}, min("#n")"""
    return _base(ask, ("timestamp", "event_id", measure.field)) + Sql(text, (measure.at_least,))


def _unmatched(ask: Ask, measure: Unmatched) -> Sql:
    """Rows of (bucket, keys…, how many)."""
    cell, name = _cell_columns(ask), quoted(measure.field)
    before_ms = ask.query.bucket_ms or ask.interval.length_ms
    reach = Interval(ask.interval.start_ms - 2 * before_ms, ask.interval.end_ms + ask.query.settle_ms)
    return (
        _base(ask, {measure.field, *fields_of(measure.start)})
        + Sql(f',\nstarted AS (\n  SELECT DISTINCT {cell}, {name} AS "#id" FROM base\n  WHERE {name} IS NOT NULL AND ')
        + condition(measure.start)
        + Sql(f'\n),\nended AS (\n  SELECT {name} AS "#id", max(timestamp) AS "#last" FROM events\n  WHERE ')
        + _within(reach)
        + " AND "
        + condition(measure.end)
        + Sql(f'\n  GROUP BY {name}\n)\nSELECT {cell}, count(*)\nFROM started LEFT JOIN ended USING ("#id")\n')
        + Sql(f'WHERE "#last" IS NULL OR "#last" < {BUCKET} - ?\nGROUP BY {cell}', (before_ms,))
    )


def _histogram(ask: Ask, measure: Histogram) -> Sql:
    """Rows of (bucket, keys…, bin, how many). Each value meets the last edge at or below it."""
    cell, value = _cell_columns(ask), quoted(measure.field)
    edges = """,
edges AS (
  SELECT unnest(CAST(? AS DOUBLE[])) AS "#edge", unnest(range(1, CAST(? AS BIGINT))) AS "#bin"
)
"""
    counted = f"""SELECT {cell}, coalesce("#bin", 0) AS "#place", count(*)
FROM (SELECT {cell}, CAST({value} AS DOUBLE) AS "#value" FROM base WHERE {value} IS NOT NULL)
ASOF LEFT JOIN edges ON "#value" >= "#edge"
GROUP BY {cell}, "#place"
"""
    return _base(ask, {measure.field}) + Sql(edges, (list(measure.edges), len(measure.edges) + 1)) + counted


def _tally(ask: Ask, measure: Tally) -> Sql:
    """Rows of (bucket, keys…, value, how many), NULL for all values beyond the most frequent ones."""
    cell, value = _cell_columns(ask), quoted(measure.field)
    each = f"unnest(list_distinct({value}))" if columns()[measure.field].is_list else value
    text = f""",
counted AS (
  SELECT {cell}, "#value", count(*) AS "#count"
  FROM (SELECT {cell}, {each} AS "#value" FROM base)
  WHERE "#value" IS NOT NULL
  GROUP BY {cell}, "#value"
),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY {cell} ORDER BY "#count" DESC, "#value") <= ? AS "#shown" FROM counted
)
SELECT {cell}, CASE WHEN "#shown" THEN "#value" END AS "#name", sum("#count") AS "#sum"
FROM ranked
GROUP BY {cell}, "#name"
ORDER BY {cell}, "#sum" DESC, "#name"
"""
    return _base(ask, {measure.field}) + Sql(text, (measure.top,))
