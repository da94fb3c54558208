"""What every store decides alike: the fields that can be asked for, which asks make sense, how a key is written.

A store calls `check_ask` and `check_sample` before it compiles anything, writes keys with `key_text` and sorts
series with `key_order`, so that the stores agree where the protocol leaves room.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, assert_never

from daemon.errors import StoreError
from daemon.store.base import Ask, Sample
from detectors.condition import fields_of
from detectors.frame import Counts, Interval, Key
from detectors.query import AnyMeasure, Histogram, Measure, Query, Runs, Statistic, Tally, Unmatched
from recognizer.events import Malformed, MalformedReason
from recognizer.mapping import NUMERIC, Kind, columns

__all__ = [
    "MAX_SAMPLES",
    "NUMERIC",
    "Kind",
    "check_ask",
    "check_sample",
    "columns",
    "key_order",
    "key_text",
    "refused",
    "tallied",
]

MAX_SAMPLES = 10_000
MAX_EDGES = 256
MAX_TALLIED = 1_000

_WITHOUT_FIELD = frozenset({Statistic.COUNT})
_OF_ANY_FIELD = frozenset({Statistic.COUNT, Statistic.CARDINALITY})


def key_text(value: Any) -> str:
    """A field's value as it stands in a `Key`: text as it is, true/false, numbers as plain decimals.

    Whole numbers carry neither point nor exponent, whatever their type: 200, 200.0 and 2e2 are one key, ``200``.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")


def key_order(key: Key) -> tuple[tuple[bool, str], ...]:
    """Sorts series: by the values in order of group_by, by code point, a missing value first."""
    return tuple((value is not None, value or "") for _, value in key)


def tallied(counts: Mapping[str, int], top: int) -> Counts:
    """The most frequent of all values of a `Tally`, equals by code point, which is the order of their UTF-8 bytes."""
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return Counts(tuple(ranked[:top]), sum(count for _, count in ranked[top:]))


def refused(line: bytes, detail: str) -> Malformed:
    """A line that decoded but that the store can't hold."""
    return Malformed(
        line,
        MalformedReason.REFUSED_BY_STORE,
        detail,
        "the other events of the batch are stored; correct the writer of this line",
    )


def check_ask(ask: Ask) -> None:
    """Raises StoreError when the ask makes no sense on any store: an unknown field, an average of texts…"""
    query = ask.query
    _check_interval(ask.interval)
    _check_fields(fields_of(query.where), "in a condition")
    _check_fields(query.group_by, "in group_by")
    _check_distinct(query.group_by, "group_by names")
    _check_distinct([measure.name for measure in query.measures], "two measures are called")
    for measure in query.measures:
        _check_measure(measure)
    if query.bucket_ms < 0:
        raise StoreError(f"a bucket of {query.bucket_ms} ms is impossible", hint="0 or more milliseconds")
    if query.top is not None:
        _check_top(query, query.top)


def check_sample(sample: Sample) -> None:
    """Raises StoreError when the sample makes no sense on any store."""
    _check_interval(sample.interval)
    _check_fields(fields_of(sample.where), "in a condition")
    if not 1 <= sample.limit <= MAX_SAMPLES:
        raise StoreError(f"{sample.limit} samples were asked for", hint=f"ask for 1 to {MAX_SAMPLES:,}")


def _check_interval(interval: Interval) -> None:
    if interval.length_ms < 0:
        raise StoreError(
            f"the interval ends ({interval.end_ms} ms) before it starts ({interval.start_ms} ms)",
            hint="give the earlier time first",
        )


def _check_fields(names: Iterable[str], where: str) -> None:
    for name in sorted(names):
        if name not in columns():
            nearest = difflib.get_close_matches(name, columns(), n=1, cutoff=0.0)[0]
            raise StoreError(
                f"unknown field {name!r} {where}: the nearest one is '{nearest}'",
                hint="docs/reference/events.md lists the fields",
            )


def _check_distinct(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise StoreError(f"{what} {name!r} twice", hint="name each once")
        seen.add(name)


def _check_measure(measure: AnyMeasure) -> None:
    match measure:
        case Measure():
            _check_plain(measure)
        case Runs(_, field, at_least):
            _check_single(field, "runs")
            if at_least < 1:
                raise StoreError(f"runs of at least {at_least} are impossible", hint="1 or more")
        case Unmatched(_, field, start, end):
            _check_single(field, "unmatched")
            _check_fields(fields_of(start) | fields_of(end), "in a condition")
        case Histogram():
            _check_histogram(measure)
        case Tally():
            _check_tally(measure)
        case _:
            assert_never(measure)


def _check_plain(measure: Measure) -> None:
    _check_fields(fields_of(measure.where), "in a condition")
    statistic, field = measure.statistic, measure.field
    if field is None:
        if statistic not in _WITHOUT_FIELD:
            raise StoreError(f"measure {measure.name!r}: {statistic} of which field?", hint="name a field")
        return
    _check_fields({field}, f"in measure {measure.name!r}")
    if statistic not in _OF_ANY_FIELD and columns()[field].kind not in NUMERIC:
        raise StoreError(
            f"measure {measure.name!r}: {statistic} needs numbers, {field} holds {columns()[field].kind}",
            hint="count and cardinality work on any field",
        )
    if statistic is Statistic.PERCENTILE and not (measure.percent is not None and 0 <= measure.percent <= 100):
        raise StoreError(f"measure {measure.name!r}: no percentile {measure.percent}", hint="0 to 100, for example 95")


def _check_histogram(measure: Histogram) -> None:
    _check_single(measure.field, "a histogram")
    kind = columns()[measure.field].kind
    if kind not in NUMERIC:
        raise StoreError(
            f"measure {measure.name!r}: a histogram needs numbers, {measure.field} holds {kind}",
            hint="a tally counts texts",
        )
    edges = measure.edges
    if not 1 <= len(edges) <= MAX_EDGES or not all(map(math.isfinite, edges)):
        raise StoreError(
            f"measure {measure.name!r}: a histogram with {len(edges)} edges is impossible",
            hint=f"1 to {MAX_EDGES} finite numbers",
        )
    if not all(low < high for low, high in pairwise(edges)):
        raise StoreError(f"measure {measure.name!r}: the edges of a histogram must rise", hint="sort them, each once")


def _check_tally(measure: Tally) -> None:
    _check_fields({measure.field}, "in a tally")
    if columns()[measure.field].kind is not Kind.TEXT:
        raise StoreError(
            f"measure {measure.name!r}: a tally needs texts, {measure.field} holds {columns()[measure.field].kind}",
            hint="a histogram counts numbers; group_by works on any field",
        )
    if not 1 <= measure.top <= MAX_TALLIED:
        raise StoreError(f"measure {measure.name!r}: a tally of {measure.top} values", hint=f"1 to {MAX_TALLIED:,}")


def _check_single(field: str, what: str) -> None:
    _check_fields({field}, f"in {what}")
    if columns()[field].is_list:
        raise StoreError(f"{what} of {field}: it holds a list", hint="name a field with a single value")


def _check_top(query: Query, top: int) -> None:
    if top < 1:
        raise StoreError(f"the top {top} keys are impossible", hint="1 or more")
    if not query.measures or not isinstance(query.measures[0], Measure):
        raise StoreError("top needs a first measure that is one number", hint="put a count or another statistic first")
