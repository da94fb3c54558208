"""Histograms and tallies."""

import math

from daemon.store.base import EventStore
from daemon.store.conformance.appending import HOSTILE_TEXTS
from daemon.store.conformance.support import (
    DAY_MS,
    MINUTE_MS,
    START_MS,
    answer,
    event,
    expect,
    expect_store_error,
    one,
    put,
)
from detectors.condition import equals
from detectors.frame import Bins, Counts, Interval
from detectors.query import Histogram, Measure, Query, Runs, Tally

GEOMETRIC = tuple(1.12**step for step in range(97))
"""The edges of a latency histogram: from 1 ms to a minute."""


def _of_day(*measures: Histogram | Tally) -> Query:
    return Query(measures=measures, bucket_ms=0)


def a_bin_holds_its_lower_edge(store: EventStore) -> None:
    values = (-1e300, 0.999, 1.0, 1.5, 2.0, math.nextafter(3.0, 0.0), 3.0, 1e300)
    put(store, *(event(index, duration_ms=value) for index, value in enumerate(values)), event(99))
    histogram = Histogram("h", "duration_ms", (1.0, 2.0, 3.0))
    expect(one(store, _of_day(histogram)), (Bins(((0, 2), (1, 2), (2, 2), (3, 2))),), "values at and beside the edges")


def values_on_every_edge_fall_into_the_bin_above(store: EventStore) -> None:
    """No edge of a geometric series is a round number: a store must compare the very same doubles."""
    beside = [math.nextafter(edge, 0.0) for edge in GEOMETRIC]
    put(store, *(event(index, duration_ms=value) for index, value in enumerate([*GEOMETRIC, *beside, *beside])))
    expected = Bins(((0, 2), *((place, 3) for place in range(1, 97)), (97, 1)))
    expect(one(store, _of_day(Histogram("h", "duration_ms", GEOMETRIC))), (expected,), "values on the edges")


def zero_has_no_sign_in_a_histogram(store: EventStore) -> None:
    put(store, *(event(index, duration_ms=value) for index, value in enumerate((-0.0, 0.0, -5e-324, 5e-324))))
    for zero in (0.0, -0.0):
        histogram = Histogram("h", "duration_ms", (-1.0, zero, 1.0))
        expect(one(store, _of_day(histogram)), (Bins(((1, 1), (2, 3))),), f"around the edge {zero}")


def integers_have_histograms_too(store: EventStore) -> None:
    sizes = (-3, 0, 1, 2, 2**53, 2**53 + 1, 2**62)
    put(store, *(event(index, file_size=size) for index, size in enumerate(sizes)))
    histogram = Histogram("h", "file_size", (0.5, 1.5, 2.0**53, 2.0**53 + 2))
    expect(one(store, _of_day(histogram)), (Bins(((0, 2), (1, 1), (2, 1), (3, 2), (4, 1))),), "sizes, as doubles")


def histograms_by_key_and_bucket(store: EventStore) -> None:
    put(
        store,
        event(0, host="a", path_issues=["x", "y", "x"], duration_ms=5.0),
        event(1, host="a", path_issues=["y"], duration_ms=50.0),
        event(2, host="b"),
        event(MINUTE_MS, host="a", duration_ms=5.0),
        event(MINUTE_MS + 1, duration_ms=500.0),
    )
    measures = (Measure("n"), Histogram("h", "duration_ms", (10.0, 100.0)))
    expect(
        answer(store, Query(group_by=("host",), measures=measures)),
        {
            (None,): {START_MS + MINUTE_MS: (1.0, Bins(((2, 1),)))},
            ("a",): {START_MS: (2.0, Bins(((0, 1), (1, 1)))), START_MS + MINUTE_MS: (1.0, Bins(((0, 1),)))},
            ("b",): {START_MS: (1.0, Bins())},
        },
        "by host and minute",
    )
    by_issue = answer(store, Query(where=equals("host", "a"), group_by=("path_issues",), measures=measures, top=1))
    expect(by_issue, {("y",): {START_MS: (2.0, Bins(((0, 1), (1, 1))))}}, "of the top element of a list")


def tallies_rank_by_count_then_by_bytes(store: EventStore) -> None:
    labels = ("b", "a", "é", "零", "\uffff", "🦁", "Z", "", "b", "🦁")
    put(store, *(event(index, top1_label=label) for index, label in enumerate(labels)), event(99))
    ranked = (("b", 2), ("🦁", 2), ("", 1), ("Z", 1), ("a", 1), ("é", 1), ("零", 1), ("\uffff", 1))
    for top in (1, 2, 4, 8, 1_000):
        expected = Counts(ranked[:top], sum(count for _, count in ranked[top:]))
        expect(one(store, _of_day(Tally("t", "top1_label", top))), (expected,), f"the top {top}")


def odd_texts_are_tallied_as_they_are(store: EventStore) -> None:
    put(store, *(event(index, top1_label=text) for index, text in enumerate(HOSTILE_TEXTS)))
    expected = Counts(tuple((text, 1) for text in sorted(HOSTILE_TEXTS)))
    expect(one(store, _of_day(Tally("t", "top1_label", 1_000))), (expected,), "odd texts")


def a_list_is_tallied_by_its_distinct_elements(store: EventStore) -> None:
    put(
        store,
        event(0, top3_labels=["x", "y", "x"], host="a"),
        event(1, top3_labels=["y"], host="a"),
        event(2, top3_labels=[], host="b"),
        event(MINUTE_MS, top3_labels=["z"]),
    )
    first, second = START_MS, START_MS + MINUTE_MS
    tally = Tally("t", "top3_labels", 1)
    expect(
        answer(store, Query(group_by=("host",), measures=(tally,))),
        {
            (None,): {second: (Counts((("z", 1),)),)},
            ("a",): {first: (Counts((("y", 2),), 1),)},
            ("b",): {first: (Counts(),)},
        },
        "elements by host and minute",
    )
    expect(
        answer(store, Query(group_by=("top3_labels",), measures=(tally,), bucket_ms=0))[("x",)],
        {first: (Counts((("x", 1),), 1),)},
        "the field that is grouped by",
    )


def many_values_are_tallied_across_midnight(store: EventStore) -> None:
    """A store that keeps days apart sees the most frequent of each only: a value that is second everywhere may win."""
    before, after = DAY_MS - 100_000, DAY_MS
    events = [event(before + index, top1_label=f"old-{index // 3:04}") for index in range(300)]
    events += [event(after + index, top1_label=f"new-{index // 3:04}") for index in range(300)]
    events += [event(start + 500 + index, top1_label="both") for start in (before, after) for index in range(2)]
    put(store, *events)
    around = Interval(START_MS + before, START_MS + after + 1_000)
    found = one(store, Query(measures=(Tally("t", "top1_label", 2), Measure("n")), bucket_ms=0), around)
    expect(found, (Counts((("both", 4), ("new-0000", 3)), 597), 604.0), "the top of two days")


def distributions_beside_all_other_measures(store: EventStore) -> None:
    put(store, event(0, top1_label="a", duration_ms=1.0, reason="x"), event(1, top1_label="b", duration_ms=2.0))
    measures = (
        Tally("labels", "top1_label", 1),
        Measure("n"),
        Histogram("fine", "duration_ms", (1.5,)),
        Runs("runs", "reason", at_least=1),
        Histogram("coarse", "duration_ms", (100.0,)),
    )
    found = one(store, Query(measures=measures, bucket_ms=0))
    expect(
        (*found[:3], found[4]),
        (Counts((("a", 1),), 1), 2.0, Bins(((0, 1), (1, 1))), Bins(((0, 2),))),
        "several distributions",
    )


def senseless_distributions_are_refused(store: EventStore) -> None:
    rising = (1.0, 2.0)
    for measure, naming in (
        (Histogram("h", "duration_msec", rising), "duration_ms"),
        (Histogram("h", "host", rising), "numbers"),
        (Histogram("h", "shape", rising), "list"),
        (Histogram("h", "duration_ms", ()), "0 edges"),
        (Histogram("h", "duration_ms", tuple(map(float, range(257)))), "257 edges"),
        (Histogram("h", "duration_ms", (1.0, math.nan)), "finite"),
        (Histogram("h", "duration_ms", (1.0, math.inf)), "finite"),
        (Histogram("h", "duration_ms", (1.0, 1.0)), "rise"),
        (Histogram("h", "duration_ms", (2.0, 1.0)), "rise"),
        (Tally("t", "label", 5), "nearest"),
        (Tally("t", "duration_ms", 5), "texts"),
        (Tally("t", "resized", 5), "texts"),
        (Tally("t", "host", 0), "1 to 1,000"),
        (Tally("t", "host", 1_001), "1 to 1,000"),
    ):
        expect_store_error(lambda measure=measure: answer(store, _of_day(measure)), naming=naming)  # type: ignore[misc]


CHECKS = (
    a_bin_holds_its_lower_edge,
    values_on_every_edge_fall_into_the_bin_above,
    zero_has_no_sign_in_a_histogram,
    integers_have_histograms_too,
    histograms_by_key_and_bucket,
    tallies_rank_by_count_then_by_bytes,
    odd_texts_are_tallied_as_they_are,
    a_list_is_tallied_by_its_distinct_elements,
    many_values_are_tallied_across_midnight,
    distributions_beside_all_other_measures,
    senseless_distributions_are_refused,
)
