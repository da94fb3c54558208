"""Statistics, buckets and intervals."""

import math
from collections import Counter

from daemon.store.base import Ask, EventStore
from daemon.store.conformance.support import (
    DAY,
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    ConformanceError,
    answer,
    ask,
    event,
    expect,
    expect_store_error,
    expect_true,
    one,
    put,
)
from detectors.condition import Compare, Op, equals
from detectors.frame import Interval, Value
from detectors.query import Measure, Query, Statistic

NUMERIC = (Statistic.AVG, Statistic.MIN, Statistic.MAX, Statistic.SUM, Statistic.SUM_OF_SQUARES)
RELATIVE_TOLERANCE = 1e-9
PERCENTILE_RANKS = 1.0
PERCENTILE_SHARE = 0.01


def percentile_bounds(values: list[float], percent: float) -> tuple[float, float]:
    """Between which numbers a percentile of these values may lie.

    The exact rank is percent/100 · (n − 1); a store may be off by one value or by one percent of the values,
    whichever is more, in either direction.
    """
    ordered = sorted(values)
    last = len(ordered) - 1
    rank = percent / 100 * last
    slack = max(PERCENTILE_RANKS, PERCENTILE_SHARE * len(ordered))
    low, high = ordered[max(0, math.floor(rank - slack))], ordered[min(last, math.ceil(rank + slack))]
    margin = RELATIVE_TOLERANCE * max(abs(low), abs(high))
    return low - margin, high + margin


def expect_close(actual: Value, expected: float | None, what: str, *, scale: float = 0.0) -> None:
    """Raises ConformanceError unless both are None or both numbers are equal but for rounding.

    ``scale`` is the size of the numbers that were added up: cancellation magnifies their rounding.
    """
    if actual is None or expected is None or not isinstance(actual, (int, float)):
        expect(actual, expected, what)
        return
    if not math.isclose(actual, expected, rel_tol=RELATIVE_TOLERANCE, abs_tol=RELATIVE_TOLERANCE * scale):
        raise ConformanceError(f"{what}: expected {expected!r}, got {actual!r}")


def _every(field: str) -> tuple[Measure, ...]:
    return tuple(Measure(statistic.value, statistic, field) for statistic in (*NUMERIC, Statistic.CARDINALITY))


def every_statistic_of_numbers(store: EventStore) -> None:
    put(store, *(event(index, duration_ms=value) for index, value in enumerate((4.0, -1.5, 2.0, 4.0))), event(9))
    values = one(store, Query(measures=(*_every("duration_ms"), Measure("n", field="duration_ms")), bucket_ms=0))
    for name, actual, expected in zip(
        ["avg", "min", "max", "sum", "squares", "cardinality", "count"],
        values,
        [2.125, -1.5, 4.0, 8.5, 38.25, 3.0, 4.0],
        strict=True,
    ):
        expect_close(actual, expected, name)


def every_statistic_of_integers(store: EventStore) -> None:
    put(store, *(event(index, file_size=value) for index, value in enumerate((2**40, 1, 0))), event(9))
    values = one(store, Query(measures=_every("file_size"), bucket_ms=0))
    for actual, expected in zip(values, [(2**40 + 1) / 3, 0.0, 2.0**40, 2.0**40 + 1, 2.0**80 + 1, 3.0], strict=True):
        expect_close(actual, expected, "statistic of integers")


def statistics_of_nothing(store: EventStore) -> None:
    put(store, event(0))
    percentile = Measure("p", Statistic.PERCENTILE, "duration_ms", 95.0)
    measures = (*_every("duration_ms"), percentile, Measure("n", field="duration_ms"), Measure("all"))
    expect(one(store, Query(measures=measures, bucket_ms=0)), (None,) * 5 + (0.0, None, 0.0, 1.0), "of no values")


def every_element_of_a_list_counts(store: EventStore) -> None:
    put(store, event(0, shape=[480, 640, 3]), event(1, shape=[3, 3]), event(2, shape=[]), event(3))
    measures = (*_every("shape"), Measure("n", field="shape"), Measure("p", Statistic.PERCENTILE, "shape", 50.0))
    values = one(store, Query(measures=measures, bucket_ms=0))
    squares = 480.0**2 + 640.0**2 + 27.0
    for actual, expected in zip(values[:-1], [225.8, 3.0, 640.0, 1129.0, squares, 3.0, 2.0], strict=True):
        expect_close(actual, expected, "statistic of a list field")
    low, high = percentile_bounds([480, 640, 3, 3, 3], 50.0)
    expect_true(isinstance(values[-1], float) and low <= values[-1] <= high, f"median {values[-1]} of a list field")


def cardinality_of_any_field(store: EventStore) -> None:
    put(
        store,
        *(event(index, host=f"h{index % 3}", resized=index % 2 == 0, path_issues=["a", "b"]) for index in range(9)),
        event(20, host="", path_issues=["c", "a"]),
    )
    fields = ("host", "resized", "path_issues", "error", "event_type")
    measures = tuple(Measure(field, Statistic.CARDINALITY, field) for field in fields)
    expect(one(store, Query(measures=measures, bucket_ms=0)), (4.0, 2.0, 3.0, 0.0, 1.0), "distinct values")


def cardinality_is_exact_to_three_thousand(store: EventStore) -> None:
    put(store, *(event(index, request_id=f"r-{index % 2_990}") for index in range(3_000)))
    query = Query(measures=(Measure("n", Statistic.CARDINALITY, "request_id"),), bucket_ms=0)
    expect(one(store, query), (2_990.0,), "distinct values")


def percentiles_stay_within_tolerance(store: EventStore) -> None:
    values = [float(index * 7919 % 997) ** 1.5 for index in range(997)]
    put(store, *(event(index, duration_ms=value) for index, value in enumerate(values)))
    percents = (0.0, 1.0, 50.0, 90.0, 95.0, 99.0, 99.9, 100.0)
    measures = tuple(Measure(f"p{percent}", Statistic.PERCENTILE, "duration_ms", percent) for percent in percents)
    for percent, actual in zip(percents, one(store, Query(measures=measures, bucket_ms=0)), strict=True):
        low, high = percentile_bounds(values, percent)
        expect_true(
            isinstance(actual, float) and low <= actual <= high,
            f"percentile {percent} within {low} … {high}, not {actual}",
        )


def a_percentile_of_one_value_is_that_value(store: EventStore) -> None:
    put(store, event(0, duration_ms=12.5))
    measures = tuple(Measure(f"p{p}", Statistic.PERCENTILE, "duration_ms", p) for p in (0.0, 37.5, 95.0, 100.0))
    expect(one(store, Query(measures=measures, bucket_ms=0)), (12.5,) * 4, "percentiles of one value")


def measures_may_be_filtered(store: EventStore) -> None:
    put(
        store,
        event(0, event_type="input_error", host="a", duration_ms=1.0),
        event(1, host="a", duration_ms=10.0),
        event(2, host="a", duration_ms=20.0),
        event(3, event_type="input_error", host="b"),
    )
    errors = equals("event_type", "input_error")
    measures = (
        Measure("errors", where=errors),
        Measure("all"),
        Measure("slow", Statistic.AVG, "duration_ms", where=Compare("duration_ms", Op.GE, 10)),
        Measure("of_errors", Statistic.MAX, "duration_ms", where=errors),
        Measure("distinct", Statistic.CARDINALITY, "host", where=errors),
    )
    found = answer(store, Query(group_by=("host",), measures=measures, bucket_ms=0))
    expect(
        found,
        {("a",): {START_MS: (1.0, 3.0, 15.0, 1.0, 1.0)}, ("b",): {START_MS: (1.0, 1.0, None, None, 1.0)}},
        "filtered measures",
    )


def a_filtered_measure_keeps_its_empty_buckets(store: EventStore) -> None:
    put(store, event(0), event(MINUTE_MS, event_type="input_error"))
    found = answer(store, Query(measures=(Measure("errors", where=equals("event_type", "input_error")),)))
    expect(found, {(): {START_MS: (0.0,), START_MS + MINUTE_MS: (1.0,)}}, "buckets with and without a match")


def buckets_start_at_multiples(store: EventStore) -> None:
    offsets = (0, 1, MINUTE_MS - 1, MINUTE_MS, 3 * MINUTE_MS + 59_999, HOUR_MS)
    put(store, *map(event, offsets))
    counts = {0: 3.0, 1: 1.0, 3: 1.0, 60: 1.0}
    expect(
        answer(store, Query()),
        {(): {START_MS + minute * MINUTE_MS: (count,) for minute, count in counts.items()}},
        "events by minute",
    )
    odd = 7_919
    odd_counts = Counter((START_MS + offset) // odd * odd for offset in offsets)
    expected = {start: (float(count),) for start, count in odd_counts.items()}
    expect(answer(store, Query(bucket_ms=odd)), {(): expected}, "events by 7,919 ms")


def buckets_cross_midnight_and_clock_changes(store: EventStore) -> None:
    """Days are UTC days of 24 hours, also where the local clock jumps."""
    hours = (-2, -1, 0, 1, 2, 3, 23, 24, 25)
    put(store, *(event(hour * HOUR_MS) for hour in hours))
    wide = Interval(START_MS - DAY_MS, START_MS + 2 * DAY_MS)
    expect(
        answer(store, Query(bucket_ms=HOUR_MS), wide),
        {(): {START_MS + hour * HOUR_MS: (1.0,) for hour in hours}},
        "events by hour",
    )
    expect(
        answer(store, Query(bucket_ms=DAY_MS), wide),
        {(): {START_MS - DAY_MS: (2.0,), START_MS: (5.0,), START_MS + DAY_MS: (2.0,)}},
        "events by day",
    )


def intervals_are_half_open(store: EventStore) -> None:
    put(store, *map(event, (999, 1_000, 1_001, 1_999, 2_000)))
    interval = Interval(START_MS + 1_000, START_MS + 2_000)
    expect(one(store, Query(bucket_ms=0), interval), (3.0,), "events within")
    expect(answer(store, Query(), interval), {(): {START_MS: (3.0,)}}, "a bucket cut by its interval")
    empty = Interval(START_MS + 1_000, START_MS + 1_000)
    expect(answer(store, Query(bucket_ms=0), empty), {}, "an interval of no length")


def intervals_out_of_range_are_empty(store: EventStore) -> None:
    put(store, event(0))
    for interval in (Interval(0, 1), Interval(START_MS + 400 * DAY_MS, START_MS + 401 * DAY_MS)):
        expect(answer(store, Query(), interval), {}, f"events of {interval}")
    expect_store_error(lambda: answer(store, Query(), Interval(DAY.end_ms, DAY.start_ms)), naming="interval")


def a_frame_tells_what_was_read(store: EventStore) -> None:
    put(store, event(0), event(MINUTE_MS))
    interval = Interval(START_MS - 5 * MINUTE_MS, START_MS + 2 * MINUTE_MS)
    query = Query(lookback_ms=5 * MINUTE_MS)
    (frame,) = store.ask([Ask(query, interval, START_MS + MINUTE_MS)])
    expect((frame.interval, frame.fresh_from_ms), (interval, START_MS + MINUTE_MS), "interval and fresh_from")
    expect((frame.bucket_ms, frame.complete), (MINUTE_MS, True), "bucket and complete")
    expect(frame.series[0].bucket_start_ms, (START_MS, START_MS + MINUTE_MS), "buckets, lookback included")
    (whole,) = store.ask([Ask(Query(bucket_ms=0), interval, interval.start_ms)])
    expect(whole.series[0].bucket_start_ms, (interval.start_ms,), "start of the one bucket")


def many_asks_are_answered_in_their_order(store: EventStore) -> None:
    put(store, *(event(index, host=f"h{index % 4}", duration_ms=float(index)) for index in range(40)))
    queries = [Query(where=equals("host", f"h{index % 5}"), bucket_ms=index % 2 * MINUTE_MS) for index in range(25)]
    frames = store.ask([Ask(query, DAY, START_MS) for query in queries])
    expect(frames, tuple(ask(store, query) for query in queries), "asked together and one by one")


def senseless_asks_are_refused(store: EventStore) -> None:
    for query, naming in (
        (Query(measures=(Measure("m", Statistic.AVG, "host"),)), "host"),
        (Query(measures=(Measure("m", Statistic.SUM, "resized"),)), "resized"),
        (Query(measures=(Measure("m", Statistic.AVG),)), "field"),
        (Query(measures=(Measure("m", Statistic.PERCENTILE, "duration_ms"),)), "percentile"),
        (Query(measures=(Measure("m", Statistic.PERCENTILE, "duration_ms", 101.0),)), "percentile"),
        (Query(measures=(Measure("m"), Measure("m"))), "'m'"),
        (Query(group_by=("host", "host")), "host"),
        (Query(bucket_ms=-1), "bucket"),
        (Query(top=0), "top"),
    ):
        expect_store_error(lambda query=query: answer(store, query), naming=naming)  # type: ignore[misc]
        expect_store_error(lambda query=query: store.explain(Ask(query, DAY, START_MS)), naming=naming)  # type: ignore[misc]


CHECKS = (
    every_statistic_of_numbers,
    every_statistic_of_integers,
    statistics_of_nothing,
    every_element_of_a_list_counts,
    cardinality_of_any_field,
    cardinality_is_exact_to_three_thousand,
    percentiles_stay_within_tolerance,
    a_percentile_of_one_value_is_that_value,
    measures_may_be_filtered,
    a_filtered_measure_keeps_its_empty_buckets,
    buckets_start_at_multiples,
    buckets_cross_midnight_and_clock_changes,
    intervals_are_half_open,
    intervals_out_of_range_are_empty,
    a_frame_tells_what_was_read,
    many_asks_are_answered_in_their_order,
    senseless_asks_are_refused,
)
