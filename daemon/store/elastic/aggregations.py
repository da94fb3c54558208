"""The aggregations that measure one bucket, as data; `daemon.store.elastic.decode` reads what they give. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, assert_never

from daemon.store.contract import Kind, columns
from daemon.store.elastic.filters import TIME_FIELD, clause
from detectors.condition import Always, Exists, all_of
from detectors.query import AnyMeasure, Histogram, Measure, Runs, Statistic, Tally, Unmatched

OUTCOMES_LISTED = 20
"""Different outcomes summed up for one bucket of a `Runs` measure; a bucket with more is read event by event."""

_DISTINCT_EXACT_TO = 3_000
_COMPRESSION = 300
"""t-digest: up to twenty times this number of values are kept; its errors stay far below one percent of the ranks."""

_METRICS: Mapping[Statistic, str] = {
    Statistic.AVG: "avg",
    Statistic.MIN: "min",
    Statistic.MAX: "max",
    Statistic.SUM: "stats",
    Statistic.SUM_OF_SQUARES: "extended_stats",
}


def as_map(field: str) -> dict[str, str]:
    """A minute holds few of a day's texts: no table of all of them is built for it."""
    return {"execution_hint": "map"} if columns()[field].kind is Kind.TEXT else {}


def measured_by(measures: Sequence[AnyMeasure]) -> dict[str, Any]:
    """One aggregation per measure, named by its position; a plain count needs none."""
    aggs: dict[str, Any] = {}
    for index, measure in enumerate(measures):
        match measure:
            case Runs():
                aggs |= _runs(measure, index)
            case Histogram():
                aggs[f"{index}"] = _histogram(measure)
            case Tally():
                aggs[f"{index}"] = _tally(measure)
            case Measure() if (aggregation := _measure(measure)) is not None:
                aggs[f"{index}"] = aggregation
    return aggs


def inner_buckets(measure: AnyMeasure) -> int:
    """How many buckets of Elasticsearch's the measure may take in each row."""
    match measure:
        case Runs():
            return OUTCOMES_LISTED
        case Histogram(edges=edges):
            return len(edges) + 1
        case Tally(top=top):
            return top
        case Measure() | Unmatched():
            return 0
        case _:
            assert_never(measure)


def _measure(measure: Measure) -> dict[str, Any] | None:
    if measure.statistic is Statistic.COUNT:
        present = all_of(measure.where, Exists(measure.field)) if measure.field is not None else measure.where
        return None if isinstance(present, Always) else {"filter": clause(present)}
    metric = _metric(measure)
    if isinstance(measure.where, Always):
        return metric
    return {"filter": clause(measure.where), "aggs": {"m": metric}}


def _metric(measure: Measure) -> dict[str, Any]:
    match measure.statistic:
        case Statistic.PERCENTILE:
            digest = {"compression": _COMPRESSION, "execution_hint": "high_accuracy"}
            return {
                "percentiles": {
                    "field": measure.field,
                    "percents": [measure.percent],
                    "keyed": False,
                    "tdigest": digest,
                }
            }
        case Statistic.CARDINALITY:
            return {"cardinality": {"field": measure.field, "precision_threshold": _DISTINCT_EXACT_TO}}
        case statistic:
            return {_METRICS[statistic]: {"field": measure.field}}


def _runs(measure: Runs, position: int) -> dict[str, Any]:
    """First and last time of each outcome and of the successes: enough wherever these do not interleave."""
    span = {"a": {"min": {"field": TIME_FIELD}}, "z": {"max": {"field": TIME_FIELD}}}
    terms = {"field": measure.field, "size": OUTCOMES_LISTED, **as_map(measure.field)}
    return {
        f"{position}": {"terms": terms, "aggs": span},
        f"{position}n": {"missing": {"field": measure.field}, "aggs": span},
    }


def _histogram(measure: Histogram) -> dict[str, Any]:
    """Ranges that hold their lower and not their upper edge, each under the number of its bin.

    The index orders -0.0 before 0.0; as an edge the former takes both into the bin above.
    """
    edges = [edge or -0.0 for edge in measure.edges]
    inner = [{"from": low, "to": high} for low, high in pairwise(edges)]
    ranges: list[dict[str, Any]] = [{"to": edges[0]}, *inner, {"from": edges[-1]}]
    named = [{"key": f"{place}", **each} for place, each in enumerate(ranges)]
    return {"range": {"field": measure.field, "keyed": True, "ranges": named}}


def _tally(measure: Tally) -> dict[str, Any]:
    """A value's key breaks ties, as UTF-8 bytes. Where several shards are asked, the answer says if it is exact."""
    order = [{"_count": "desc"}, {"_key": "asc"}]
    return {"terms": {"field": measure.field, "size": measure.top, "order": order, **as_map(measure.field)}}
