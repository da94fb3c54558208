"""Keys, the largest keys, runs and what never ended."""

from daemon.store.base import Ask, EventStore
from daemon.store.conformance.appending import HOSTILE_TEXTS
from daemon.store.conformance.support import (
    DAY,
    MINUTE_MS,
    START_MS,
    answer,
    ask,
    event,
    expect,
    expect_store_error,
    expect_true,
    one,
    put,
)
from detectors.condition import Always, Not, all_of, equals
from detectors.frame import Interval, Run, RunSummary
from detectors.query import Measure, Query, Runs, Statistic, Unmatched
from recognizer.events import Event

ERRORS = Runs("runs", "reason", at_least=2)
STARTED = equals("event_type", "input_start")
ENDED = equals("event_type", "business_output")


def events_without_a_value_go_under_none(store: EventStore) -> None:
    put(store, event(0, host="b", pid=1), event(1, host="a"), event(2), event(3, pid=1), event(4, host="", pid=-3))
    frame = ask(store, Query(group_by=("host", "pid"), bucket_ms=0))
    expect(
        [tuple(value for _, value in series.key) for series in frame.series],
        [(None, None), (None, "1"), ("", "-3"), ("a", None), ("b", "1")],
        "keys, missing first, then by code point",
    )


def keys_are_texts(store: EventStore) -> None:
    put(
        store,
        event(0, http_status=200, resized=True, duration_ms=0.5),
        event(1, http_status=-(2**63) + 1, resized=False, duration_ms=200.0),
        event(2, http_status=2**53 + 1, duration_ms=1e21),
        event(3, duration_ms=1e-7),
        event(4, duration_ms=0.1),
    )

    def keys(field: str) -> list[str | None]:
        return [key for (key,) in answer(store, Query(group_by=(field,), bucket_ms=0))]

    expect(keys("http_status"), [None, "-9223372036854775807", "200", "9007199254740993"], "integers as keys")
    expect(keys("resized"), [None, "false", "true"], "booleans as keys")
    expect(keys("duration_ms"), ["0.0000001", "0.1", "0.5", "1000000000000000000000", "200"], "numbers as keys")


def odd_texts_are_keys_of_their_own(store: EventStore) -> None:
    put(store, *(event(index, file_dir=text) for index, text in enumerate(HOSTILE_TEXTS)), event(99))
    found = answer(store, Query(group_by=("file_dir",), bucket_ms=0))
    expect(set(found), {(text,) for text in HOSTILE_TEXTS} | {(None,)}, "keys")
    expect(list(found)[1:], sorted((text,) for text in HOSTILE_TEXTS), "keys in order")


def a_list_groups_under_each_distinct_element(store: EventStore) -> None:
    put(
        store,
        event(0, path_issues=["x", "y", "x"], shape=[3, 3]),
        event(1, path_issues=["y"], shape=[28, 3]),
        event(2, path_issues=[]),
        event(3),
    )
    at = START_MS
    expect(
        answer(store, Query(group_by=("path_issues",), bucket_ms=0)),
        {(None,): {at: (2.0,)}, ("x",): {at: (1.0,)}, ("y",): {at: (2.0,)}},
        "events by element",
    )
    expect(
        answer(store, Query(group_by=("path_issues", "shape"), bucket_ms=0)),
        {
            (None, None): {at: (2.0,)},
            ("x", "3"): {at: (1.0,)},
            ("y", "28"): {at: (1.0,)},
            ("y", "3"): {at: (2.0,)},
        },
        "events by pairs of elements",
    )


def many_keys_all_come(store: EventStore) -> None:
    put(
        store,
        *(event(index % 3 * MINUTE_MS, request_id=f"r{index:05}", host=f"h{index % 2}") for index in range(2_500)),
    )
    frame = ask(store, Query(group_by=("request_id",)))
    expect(len(frame.series), 2_500, "keys")
    expect([series.key[0][1] for series in frame.series], [f"r{index:05}" for index in range(2_500)], "keys in order")


def top_keeps_the_largest_of_the_whole_interval(store: EventStore) -> None:
    """By the first measure over all buckets together; equals by key; keys without a number last."""
    put(
        store,
        *(event(index * MINUTE_MS, host="steady", duration_ms=1.0) for index in range(4)),
        *(event(index, host="burst", duration_ms=2.0) for index in range(3)),
        *(event(index, host="also", duration_ms=5.0) for index in range(3)),
        event(0, host="quiet"),
        event(5),
        event(6),
    )

    def keys(query: Query) -> list[str | None]:
        return [key for (key,) in answer(store, query)]

    expect(keys(Query(group_by=("host",), top=2)), ["also", "steady"], "by count, equals by key")
    expect(keys(Query(group_by=("host",), top=4)), [None, "also", "burst", "steady"], "None is a key like others")
    slowest = (Measure("max", Statistic.MAX, "duration_ms"), Measure("n"))
    expect(keys(Query(group_by=("host",), measures=slowest, top=2)), ["also", "burst"], "by maximum")
    expect(len(keys(Query(group_by=("host",), measures=slowest, top=99))), 5, "more than there are")
    filtered = (Measure("n", where=equals("host", "quiet")),)
    expect(keys(Query(group_by=("host",), measures=filtered, top=1)), ["quiet"], "by a filtered count")
    steady = answer(store, Query(group_by=("host",), top=1))
    expect(len(steady[("steady",)]), 4, "buckets of the largest key")
    expect_store_error(lambda: answer(store, Query(measures=(ERRORS,), top=1)), naming="top")


def _outcomes(text: str, host: str | None = None, start_ms: int = 0) -> list[Event]:
    """One event a second; a letter is an error with that reason, a dot a success."""
    return [
        event(start_ms + index * 1_000, host=host, reason=None if letter == "." else letter)
        for index, letter in enumerate(text)
    ]


def _run(value: str, first: int, last: int) -> Run:
    return Run(value, last - first + 1, START_MS + first * 1_000, START_MS + last * 1_000)


def runs_are_exact(store: EventStore) -> None:
    cases = {
        "a": RunSummary(Run("a", 1, START_MS, START_MS), Run("a", 1, START_MS, START_MS), whole=True),
        ".": RunSummary(None, None),
        "...": RunSummary(None, None),
        "aaa": RunSummary(_run("a", 0, 2), _run("a", 0, 2), whole=True),
        ".aa.": RunSummary(None, None, (_run("a", 1, 2),)),
        "aab": RunSummary(_run("a", 0, 1), _run("b", 2, 2)),
        "a.b": RunSummary(_run("a", 0, 0), _run("b", 2, 2)),
        "a.bb.ccc.d": RunSummary(_run("a", 0, 0), _run("d", 9, 9), (_run("b", 2, 3), _run("c", 5, 7))),
        ".aaabbb": RunSummary(None, _run("b", 4, 6), (_run("a", 1, 3),)),
        "aa.aa.": RunSummary(_run("a", 0, 1), None, (_run("a", 3, 4),)),
    }
    put(store, *(each for text in cases for each in _outcomes(text, host=f"host {text}")))
    found = answer(store, Query(group_by=("host",), measures=(ERRORS,), bucket_ms=0))
    for text, expected in cases.items():
        (summary,) = found[(f"host {text}",)][START_MS]
        expect(_without_short_inner(summary), expected, f"runs of {text!r}")


def _without_short_inner(summary: object) -> object:
    """Inner runs below at_least may be told or left out."""
    if not isinstance(summary, RunSummary):
        return summary
    kept = tuple(run for run in summary.inner if run.length >= ERRORS.at_least)
    return RunSummary(summary.prefix, summary.suffix, kept, summary.whole)


def runs_end_with_their_bucket(store: EventStore) -> None:
    put(store, *_outcomes("aaaa", start_ms=MINUTE_MS - 2_000))
    found = answer(store, Query(measures=(ERRORS, Measure("n"))))
    first = Run("a", 2, START_MS + 58_000, START_MS + 59_000)
    second = Run("a", 2, START_MS + 60_000, START_MS + 61_000)
    expect(
        found,
        {
            (): {
                START_MS: (RunSummary(first, first, whole=True), 2.0),
                START_MS + MINUTE_MS: (RunSummary(second, second, whole=True), 2.0),
            }
        },
        "a run across two buckets",
    )


def runs_order_one_millisecond_by_event_id(store: EventStore) -> None:
    put(store, event(5, event_id="c", reason="x"), event(5, event_id="a", reason="x"), event(5, event_id="b"))
    at = START_MS + 5
    (summary,) = one(store, Query(measures=(ERRORS,), bucket_ms=0))
    expect(summary, RunSummary(Run("x", 1, at, at), Run("x", 1, at, at)), "runs within one millisecond")


def runs_of_numbers_and_selected_events(store: EventStore) -> None:
    put(store, *(event(index, http_status=500, host="a" if index % 2 else "b") for index in range(6)), event(9))
    query = Query(where=equals("host", "a"), measures=(Runs("runs", "http_status", at_least=3),), bucket_ms=0)
    run = Run("500", 3, START_MS + 1, START_MS + 5)
    expect(one(store, query), (RunSummary(run, run, whole=True),), "runs of a number")
    expect_store_error(lambda: answer(store, Query(measures=(Runs("r", "shape", 2),))), naming="shape")


def the_unmatched_are_exact(store: EventStore) -> None:
    put(
        store,
        event(1, "input_start", request_id="done", host="a"),
        event(2, "business_output", request_id="done", host="b"),
        event(3, "input_start", request_id="lost", host="a"),
        event(4, "input_start", request_id="lost", host="a"),
        event(5, "input_start", request_id="late", host="b"),
        event(6 * MINUTE_MS, "business_output", request_id="late"),
        event(7, "input_start"),
        event(8, "business_output"),
        event(9, "input_error", request_id="other", host="c"),
    )
    measure = Unmatched("lost", "request_id", STARTED, ENDED)
    found = answer(store, Query(group_by=("host",), measures=(measure, Measure("n"))))
    at, end = START_MS, START_MS + 6 * MINUTE_MS
    expect(
        found,
        {
            (None,): {at: (0.0, 2.0), end: (0.0, 1.0)},
            ("a",): {at: (1.0, 3.0)},
            ("b",): {at: (0.0, 2.0)},
            ("c",): {at: (0.0, 1.0)},
        },
        "unmatched by host",
    )
    only_starts = Query(where=STARTED, measures=(measure,))
    expect(answer(store, only_starts), {(): {at: (1.0,)}}, "where does not narrow the ends")


def the_unmatched_wait_for_the_settle_time(store: EventStore) -> None:
    put(
        store,
        event(0, "input_start", request_id="r"),
        event(3 * MINUTE_MS, "business_output", request_id="r"),
        event(10 * MINUTE_MS, "business_output", request_id="early"),
        event(11 * MINUTE_MS + 5, "input_start", request_id="early"),
        event(13 * MINUTE_MS, "input_start", request_id="r"),
    )
    minute = Interval(START_MS, START_MS + MINUTE_MS)

    def lost(settle_ms: int, interval: Interval) -> float:
        query = Query(measures=(Unmatched("lost", "request_id", STARTED, ENDED),), settle_ms=settle_ms)
        (value,) = one(store, query, interval)
        return value if isinstance(value, float) else -1.0

    expect(lost(0, minute), 1.0, "without settle time")
    expect(lost(2 * MINUTE_MS, minute), 1.0, "the end is half open")
    expect(lost(2 * MINUTE_MS + 1, minute), 0.0, "with settle time")
    eleventh = Interval(START_MS + 11 * MINUTE_MS, START_MS + 12 * MINUTE_MS)
    expect(lost(0, eleventh), 0.0, "an end up to one bucket before the start's bucket counts")
    thirteenth = Interval(START_MS + 13 * MINUTE_MS, START_MS + 14 * MINUTE_MS)
    expect(lost(0, thirteenth), 1.0, "an older end does not")


def the_unmatched_wait_for_the_end_of_the_interval(store: EventStore) -> None:
    """In a long interval an end counts however long after its start it comes, also for one of several keys."""
    put(
        store,
        event(1, "input_start", request_id="slow", host="a"),
        event(2, "input_start", request_id="lost", host="a"),
        event(3, "input_start", request_id="lost", host="b"),
        event(50 * MINUTE_MS, "business_output", request_id="slow", host="c"),
        event(70 * MINUTE_MS, "input_start", request_id="back", host="a"),
        event(10 * MINUTE_MS, "business_output", request_id="back", host="a"),
    )
    query = Query(group_by=("host",), measures=(Unmatched("lost", "request_id", STARTED, ENDED),))
    first, second = START_MS, START_MS + 70 * MINUTE_MS
    expect(
        answer(store, query, Interval(START_MS, START_MS + 80 * MINUTE_MS)),
        {
            ("a",): {first: (1.0,), START_MS + 10 * MINUTE_MS: (0.0,), second: (1.0,)},
            ("b",): {first: (1.0,)},
            ("c",): {START_MS + 50 * MINUTE_MS: (0.0,)},
        },
        "a late end, no end, an end long before the start",
    )


def every_kind_of_measure_at_once(store: EventStore) -> None:
    put(
        store,
        event(0, "input_start", request_id="r1", host="a"),
        event(1, "input_error", request_id="r1", host="a", reason="x"),
        event(2, "input_error", request_id="r2", host="a", reason="x"),
        event(3, "input_start", request_id="r2", host="b"),
    )
    measures = (
        Measure("n"),
        Runs("runs", "reason", at_least=2),
        Unmatched("lost", "request_id", STARTED, ENDED),
        Measure("errors", where=all_of(Not(STARTED), Always())),
        Unmatched("failed", "request_id", STARTED, equals("event_type", "input_error")),
    )
    run = Run("x", 2, START_MS + 1, START_MS + 2)
    expect(
        answer(store, Query(group_by=("host",), measures=measures, bucket_ms=0)),
        {
            ("a",): {START_MS: (3.0, RunSummary(None, run), 1.0, 2.0, 0.0)},
            ("b",): {START_MS: (1.0, RunSummary(None, None), 1.0, 0.0, 0.0)},
        },
        "all kinds of measures",
    )
    limited = answer(store, Query(group_by=("host",), measures=measures, bucket_ms=0, top=1))
    expect(list(limited), [("a",)], "the top key with all kinds of measures")


def explain_tells_the_request(store: EventStore) -> None:
    query = Query(where=equals("host", "it's a name"), measures=(Measure("n"), ERRORS), group_by=("file_dir",))
    text = store.explain(Ask(query, DAY, START_MS))
    for part in ("host", "file_dir", "name"):
        expect_true(part in text, f"{part!r} in the explanation {text!r}")


CHECKS = (
    events_without_a_value_go_under_none,
    keys_are_texts,
    odd_texts_are_keys_of_their_own,
    a_list_groups_under_each_distinct_element,
    many_keys_all_come,
    top_keeps_the_largest_of_the_whole_interval,
    runs_are_exact,
    runs_end_with_their_bucket,
    runs_order_one_millisecond_by_event_id,
    runs_of_numbers_and_selected_events,
    the_unmatched_are_exact,
    the_unmatched_wait_for_the_settle_time,
    the_unmatched_wait_for_the_end_of_the_interval,
    every_kind_of_measure_at_once,
    explain_tells_the_request,
)
