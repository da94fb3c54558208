"""What a rule measures, as one number a bucket: the line of its picture. Pure, for every kind of query."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from daemon.store.base import Ask
from detectors.condition import Always, all_of
from detectors.frame import Bins, Counts, Frame, Interval, Key, RunSummary, Value
from detectors.keys import key_condition
from detectors.query import AnyMeasure, Histogram, Measure, Query, Runs, Statistic, Tally

MOST_POINTS = 1_500
Values: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Measured:
    """``label`` names the number that ``value`` makes of one bucket's ``measures``; None where there is none.

    ``adds_up``: of two buckets together it is the sum.
    """

    label: str
    measures: tuple[AnyMeasure, ...]
    value: Callable[[Values], float | None]
    adds_up: bool = False


def measured(query: Query) -> Measured:
    """The number that says most: a median, a mean, a share, else what is counted or the leader of a tally."""
    found = _central(query) or _share(query)
    if found is not None:
        return found
    first = next((measure for measure in query.measures if isinstance(measure, Tally)), query.measures[0])
    match first:
        case Runs():
            return Measured(f"longest run of one {first.field}", (first,), lambda values: _longest(values[first.name]))
        case Tally():
            label = f"share of the most frequent {first.field}"
            return Measured(label, (first,), lambda values: _leading(values[first.name]))
        case _:
            label = "events" if isinstance(first, Measure) else first.name
            return Measured(label, (first,), lambda values: _number(values[first.name]), adds_up=True)


def ask_for(query: Query, key: Key, interval: Interval) -> Ask:
    """The question for the line of one series: coarser where there would be more points than a picture shows."""
    bucket_ms = query.bucket_ms or interval.length_ms
    bucket_ms *= max(1, -(-interval.length_ms // (MOST_POINTS * bucket_ms)))
    start_ms = interval.start_ms // bucket_ms * bucket_ms
    where = all_of(query.where, key_condition(key))
    line = Query(where=where, measures=measured(query).measures, bucket_ms=bucket_ms, settle_ms=query.settle_ms)
    return Ask(line, replace(interval, start_ms=start_ms), start_ms)


def points(frame: Frame, query: Query) -> tuple[list[int], list[float]]:
    """The middles of the buckets and their numbers. An empty bucket breaks the line: its number is NaN.

    What adds up is told per bucket of the rule's ``query`` where the frame's are coarser, as the rule judges it.
    """
    what = measured(query)
    share = (query.bucket_ms or frame.bucket_ms) / frame.bucket_ms if what.adds_up else 1.0
    times: list[int] = []
    numbers: list[float] = []
    for series in frame.series:
        for place, start_ms in enumerate(series.bucket_start_ms):
            middle_ms = start_ms + frame.bucket_ms // 2
            if times and middle_ms - times[-1] > frame.bucket_ms:
                times.append(times[-1] + frame.bucket_ms)
                numbers.append(math.nan)
            number = what.value({name: cells[place] for name, cells in series.values.items()})
            times.append(middle_ms)
            numbers.append(math.nan if number is None else number * share)
    return times, numbers


def _central(query: Query) -> Measured | None:
    """A median, a mean or another statistic of a field."""
    plain = [measure for measure in query.measures if isinstance(measure, Measure)]
    for measure in query.measures:
        if isinstance(measure, Histogram):
            return Measured(f"median of {measure.field}", (measure,), partial(_median, measure))
    sums = next((one for one in plain if one.statistic is Statistic.SUM), None)
    counts = [one for one in plain if one.statistic is Statistic.COUNT and sums is not None and one.field == sums.field]
    if sums is not None and counts:
        count = counts[0]
        return Measured(f"mean of {sums.field}", (count, sums), lambda values: _ratio(values, sums.name, count.name))
    other = next((one for one in plain if one.statistic is not Statistic.COUNT), None)
    if other is None:
        return None
    name = f"p{other.percent:g}" if other.percent is not None else other.statistic.value
    adds_up = other.statistic is Statistic.SUM
    return Measured(f"{name} of {other.field}", (other,), lambda values: _number(values[other.name]), adds_up=adds_up)


def _share(query: Query) -> Measured | None:
    """Some of the events as a share of all."""
    counts = [m for m in query.measures if isinstance(m, Measure) and m.statistic is Statistic.COUNT]
    if len(counts) != 2 or counts[0].where != Always() or counts[1].where == Always():
        return None
    total, part = counts
    return Measured(f"share of {part.name}", (total, part), lambda values: _ratio(values, part.name, total.name))


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _ratio(values: Values, above: str, below: str) -> float | None:
    part, whole = _number(values[above]), _number(values[below])
    return part / whole if part is not None and whole else None


def _median(measure: Histogram, values: Values) -> float | None:
    """Where in its bin the median lies: between the edges by rank, geometrically as the edges usually are."""
    bins = values[measure.name]
    if not isinstance(bins, Bins):
        return None
    left = sum(count for _, count in bins.counts) / 2
    for place, count in bins.counts:
        if left <= count:
            low, high = measure.edges[max(place - 1, 0)], measure.edges[min(place, len(measure.edges) - 1)]
            part = left / count
            return float(low * (high / low) ** part if low > 0 else low + (high - low) * part)
        left -= count
    return None


def _longest(value: Value) -> float | None:
    if not isinstance(value, RunSummary):
        return None
    runs = (value.prefix, value.suffix, *value.inner)
    return float(max((run.length for run in runs if run is not None), default=0))


def _leading(value: Value) -> float | None:
    if not isinstance(value, Counts) or not value.counts:
        return None
    return value.counts[0][1] / (sum(count for _, count in value.counts) + value.others)
