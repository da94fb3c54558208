"""Conditions select the same events in every store, as samples and as counts."""

from collections.abc import Mapping, Sequence

from daemon.errors import StoreError
from daemon.store.base import EventStore, Sample
from daemon.store.conformance.appending import HOSTILE_TEXTS
from daemon.store.conformance.support import DAY, answer, event, expect, expect_store_error, picked, put
from detectors.condition import (
    Always,
    And,
    AnyCharacter,
    Compare,
    Condition,
    Exists,
    Not,
    Op,
    Or,
    Wildcard,
    all_of,
    equals,
)
from detectors.query import Measure, Query
from recognizer.events import Event

Expected = Sequence[tuple[Condition, str]]
"""A condition and the names of the events it selects, in one text."""


def _judge(store: EventStore, events: Mapping[str, Event], expected: Expected) -> None:
    """Each condition must select its events in a sample, in a query's where and in a measure's where."""
    put(store, *events.values())
    for condition, names in expected:
        ids = names.split()
        expect(picked(store, condition), ids, f"events selected by {condition}")
        expect(
            answer(store, Query(where=condition, bucket_ms=0)),
            {(): {DAY.start_ms: (float(len(ids)),)}} if ids else {},
            f"count where {condition}",
        )
        expect(
            answer(store, Query(measures=(Measure("n", where=condition),), bucket_ms=0)),
            {(): {DAY.start_ms: (float(len(ids)),)}},
            f"measure where {condition}",
        )


def _named(**events: Event) -> dict[str, Event]:
    for name, each in events.items():
        each.event_id = name
    return events


def texts_compare_exactly(store: EventStore) -> None:
    events = _named(
        a=event(0, host="web-1"),
        b=event(1, host="Web-1"),
        c=event(2, host=""),
        d=event(3),
        e=event(4, host="web-10"),
        f=event(5, host="🚀"),
    )
    expected: Expected = [
        (Always(), "a b c d e f"),
        (equals("host", "web-1"), "a"),
        (equals("host", ""), "c"),
        (equals("host", "web"), ""),
        (Compare("host", Op.GT, "web-1"), "e f"),
        (Compare("host", Op.GE, "web-1"), "a e f"),
        (Compare("host", Op.LT, "a"), "b c"),
        (Compare("host", Op.LE, "Web-1"), "b c"),
        (Compare("host", Op.GT, "\uffff"), "f"),
        (Exists("host"), "a b c e f"),
        (equals("host", 1), ""),
        (equals("host", value=True), ""),
        (Compare("host", Op.GE, 0), ""),
    ]
    _judge(store, events, expected)


def numbers_compare_as_numbers(store: EventStore) -> None:
    largest = 2**63 - 1
    events = _named(
        a=event(0, http_status=200, duration_ms=0.5),
        b=event(1, http_status=404, duration_ms=404.0),
        c=event(2, http_status=-1, duration_ms=-1e308),
        d=event(3),
        e=event(4, http_status=largest, duration_ms=1e308),
        f=event(5, http_status=largest - 1, duration_ms=0.0),
        g=event(6, http_status=-largest, duration_ms=5e-324),
    )
    expected: Expected = [
        (equals("http_status", 200), "a"),
        (equals("http_status", 200.0), "a"),
        (equals("http_status", 200.5), ""),
        (Compare("http_status", Op.GT, 199.5), "a b e f"),
        (Compare("http_status", Op.GE, 200.5), "b e f"),
        (Compare("http_status", Op.LT, 200.5), "a c g"),
        (Compare("http_status", Op.LE, -0.5), "c g"),
        (Compare("http_status", Op.LT, -0.5), "c g"),
        (equals("http_status", largest), "e"),
        (equals("http_status", largest - 1), "f"),
        (Compare("http_status", Op.GT, largest - 1), "e"),
        (Compare("http_status", Op.LT, 2**70), "a b c e f g"),
        (Compare("http_status", Op.GT, 2**70), ""),
        (equals("http_status", 2**64), ""),
        (Compare("http_status", Op.GE, -(2**70)), "a b c e f g"),
        (Compare("http_status", Op.LE, 1e300), "a b c e f g"),
        (equals("duration_ms", 404), "b"),
        (equals("duration_ms", 0), "f"),
        (Compare("duration_ms", Op.GT, 0), "a b e g"),
        (Compare("duration_ms", Op.LE, 0.5), "a c f g"),
        (Compare("duration_ms", Op.GE, 1e308), "e"),
        (equals("http_status", "200"), ""),
        (equals("http_status", value=True), ""),
        (Wildcard("http_status", "*"), ""),
        (AnyCharacter("http_status", ((0x30, 0x39),)), ""),
    ]
    _judge(store, events, expected)


def booleans_are_no_numbers(store: EventStore) -> None:
    events = _named(a=event(0, resized=True), b=event(1, resized=False), c=event(2))
    expected: Expected = [
        (equals("resized", value=True), "a"),
        (equals("resized", value=False), "b"),
        (equals("resized", 1), ""),
        (equals("resized", "true"), ""),
        (Exists("resized"), "a b"),
        (Not(equals("resized", value=True)), "b c"),
        (Not(equals("resized", 1)), "a b c"),
        (Compare("resized", Op.GT, value=False), "a"),
        (Compare("resized", Op.LE, value=True), "a b"),
    ]
    _judge(store, events, expected)


def lists_hold_if_any_element_does(store: EventStore) -> None:
    events = _named(
        a=event(0, top3_labels=["cat", "dog"], shape=[480, 640, 3], top3_scores=[0.5, 0.25]),
        b=event(1, top3_labels=[], shape=[], top3_scores=[]),
        c=event(2, top3_labels=["cat", "cat"], shape=[28, 28], top3_scores=[0.125]),
        d=event(3),
        e=event(4, top3_labels=["", "do*g\u200b"], shape=[2**62]),
    )
    expected: Expected = [
        (equals("top3_labels", "cat"), "a c"),
        (equals("top3_labels", ""), "e"),
        (equals("top3_labels", "ca"), ""),
        (Exists("top3_labels"), "a c e"),
        (Not(Exists("top3_labels")), "b d"),
        (Wildcard("top3_labels", "do*"), "a e"),
        (Wildcard("top3_labels", "*"), "a c e"),
        (AnyCharacter("top3_labels", ((0x200B, 0x200F),)), "e"),
        (Compare("shape", Op.GT, 100), "a e"),
        (Compare("shape", Op.LE, 28.5), "a c"),
        (equals("shape", 2**62), "e"),
        (Compare("top3_scores", Op.LT, 0.25), "c"),
        (Not(Compare("top3_scores", Op.LT, 0.5)), "b d e"),
        (And((Compare("shape", Op.LT, 10), Compare("shape", Op.GT, 600))), "a"),
        (equals("shape", "3"), ""),
    ]
    _judge(store, events, expected)


def not_holds_where_the_field_is_missing(store: EventStore) -> None:
    events = _named(a=event(0, host="h", reason="r"), b=event(1, host="h"), c=event(2, reason="r"), d=event(3))
    host, reason = equals("host", "h"), equals("reason", "r")
    expected: Expected = [
        (Not(host), "c d"),
        (Not(Not(host)), "a b"),
        (Not(And((host, reason))), "b c d"),
        (Not(Or((host, reason))), "d"),
        (And((Not(host), Not(reason))), "d"),
        (Or((Not(host), reason)), "a c d"),
        (Not(Exists("host")), "c d"),
        (Not(Always()), ""),
        (Not(Wildcard("host", "*")), "c d"),
        (Not(Compare("host", Op.GT, "z")), "a b c d"),
        (And(()), "a b c d"),
        (Or(()), ""),
        (And((host, Or((reason, Not(Exists("reason")))))), "a b"),
        (all_of(host, Always(), reason), "a"),
    ]
    _judge(store, events, expected)


def a_star_is_the_only_wildcard(store: EventStore) -> None:
    events = _named(
        a=event(0, file_path="/data/upload/cat.png"),
        b=event(1, file_path="/data/upload/100%_a?b[c]\\d.png"),
        c=event(2, file_path="a\nb"),
        d=event(3, file_path=""),
        e=event(4, file_path="/Data/Upload/*"),
        f=event(5),
        g=event(6, file_path='/data/"; DROP TABLE events'),
    )
    expected: Expected = [
        (Wildcard("file_path", "*/upload/*"), "a b"),
        (Wildcard("file_path", "/data/*"), "a b g"),
        (Wildcard("file_path", "*.png"), "a b"),
        (Wildcard("file_path", "*"), "a b c d e g"),
        (Wildcard("file_path", ""), "d"),
        (Wildcard("file_path", "**"), "a b c d e g"),
        (Wildcard("file_path", "a*b"), "c"),
        (Wildcard("file_path", "a\nb"), "c"),
        (Wildcard("file_path", "*%*"), "b"),
        (Wildcard("file_path", "/data/upload/___.png"), ""),
        (Wildcard("file_path", "/data/upload/100%_a?b[c]\\d.png"), "b"),
        (Wildcard("file_path", "/data/upload/???.png"), ""),
        (Wildcard("file_path", "*[c]*"), "b"),
        (Wildcard("file_path", "*\\*"), "b"),
        (Wildcard("file_path", '*"; DROP TABLE *'), "g"),
        (Wildcard("file_path", "/data/upload"), ""),
        (Wildcard("file_path", "*DATA*"), ""),
    ]
    _judge(store, events, expected)


def characters_are_found_by_range(store: EventStore) -> None:
    events = _named(
        a=event(0, file_path="/plain/ascii.png"),
        b=event(1, file_path="/in\u200bvisible"),
        c=event(2, file_path="/ｆｕｌｌ"),
        d=event(3, file_path="/🦁"),
        e=event(4, file_path="line\nbreak\x00"),
        f=event(5),
        g=event(6, file_path="bracket ] \\ ^ - end"),
    )
    expected: Expected = [
        (AnyCharacter("file_path", ((0x200B, 0x200F), (0xFEFF, 0xFEFF))), "b"),
        (AnyCharacter("file_path", ((0xFF01, 0xFF5E),)), "c"),
        (AnyCharacter("file_path", ((0x10000, 0x10FFFF),)), "d"),
        (AnyCharacter("file_path", ((0x0A, 0x0A),)), "e"),
        (AnyCharacter("file_path", ((0x00, 0x08),)), "e"),
        (AnyCharacter("file_path", ((0x5B, 0x5E),)), "g"),
        (AnyCharacter("file_path", ((0x2D, 0x2D),)), "g"),
        (AnyCharacter("file_path", ((0x00, 0x10FFFF),)), "a b c d e g"),
        (AnyCharacter("file_path", ((0x80, 0x10FFFF),)), "b c d"),
        (AnyCharacter("file_path", ()), ""),
        (Not(AnyCharacter("file_path", ((0x80, 0x10FFFF),))), "a e f g"),
    ]
    _judge(store, events, expected)


def hostile_texts_are_only_texts(store: EventStore) -> None:
    names = [f"t{index:02}" for index in range(len(HOSTILE_TEXTS))]
    events = {
        name: event(index, event_id=name, error=text, path_issues=[text])
        for index, (name, text) in enumerate(zip(names, HOSTILE_TEXTS, strict=True))
    }
    conditions = [
        (condition, name)
        for name, text in zip(names, HOSTILE_TEXTS, strict=True)
        for condition in (equals("error", text), equals("path_issues", text))
    ]
    _judge(store, events, conditions)


def a_deep_condition_is_answered(store: EventStore) -> None:
    """A store may refuse a monster, but only with a StoreError."""
    put(store, event(0, event_id="a", host="h"))
    wide = Or(tuple(equals("host", name) for name in [*map(str, range(500)), "h"]))
    expect(picked(store, wide), ["a"], "events selected by 501 alternatives")
    deep: Condition = equals("host", "h")
    for _ in range(300):
        deep = Not(deep)
    try:
        (found,) = store.sample([Sample(deep, DAY)])
    except StoreError:
        return
    expect(len(found), 1, "events selected by 300 nested negations")


def unknown_fields_are_refused_by_name(store: EventStore) -> None:
    for query in (
        Query(where=Not(equals("durations_ms", 1))),
        Query(group_by=("durations_ms",)),
        Query(measures=(Measure("n", where=Exists("durations_ms")),)),
        Query(measures=(Measure("n", field="durations_ms"),)),
    ):
        expect_store_error(lambda query=query: answer(store, query), naming="duration_ms")  # type: ignore[misc]
    expect_store_error(lambda: picked(store, Exists("hots")), naming="host")
    expect_store_error(lambda: picked(store, Exists('host" OR 1=1 --')), naming="host")
    expect_store_error(lambda: picked(store, Exists("extra")), naming="unknown field")


CHECKS = (
    texts_compare_exactly,
    numbers_compare_as_numbers,
    booleans_are_no_numbers,
    lists_hold_if_any_element_does,
    not_holds_where_the_field_is_missing,
    a_star_is_the_only_wildcard,
    characters_are_found_by_range,
    hostile_texts_are_only_texts,
    a_deep_condition_is_answered,
    unknown_fields_are_refused_by_name,
)
