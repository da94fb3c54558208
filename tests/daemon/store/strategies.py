"""Hypothesis strategies: small worlds of events, and questions about them that have answers.

Times are offsets from the start of an example's own stretch of time, so that a store can be shared by examples.
Values come from small pools, so that conditions match and keys meet.
"""

from typing import Any

from hypothesis import strategies as st

from daemon.store.base import Ask
from daemon.store.contract import NUMERIC, columns
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
    equals,
)
from detectors.frame import Interval
from detectors.query import AnyMeasure, Histogram, Measure, Query, Runs, Statistic, Tally, Unmatched
from recognizer.events import Event
from recognizer.mapping import Kind

SPAN_MS = 600_000
"""Events lie in the first ten minutes of an example's time."""

FIELDS = (
    "event_type", "host", "pid", "request_id", "file_path", "path_issues", "reason", "shape", "http_status",
    "duration_ms", "resized", "top1_score", "top3_labels", "top3_scores",
)  # fmt: skip
TEXTS = (
    "a",
    "A",
    "ab",
    "",
    "a*b",
    "a?b",
    "a%b",
    "a_b",
    "\\",
    "'",
    '"',
    "é",
    "e\u0301",
    "零\u200b",
    "🦁",
    "a\nb",
    "1",
    "true",
)
INTEGERS = (0, 1, -1, 2, 3, 200, 404, 2**31, -(2**40), 2**53)
NUMBERS = (0.0, 1.0, -1.0, 0.5, 0.25, 2.0, 3.75, 1e-7, 1e9, -1234.5)
TYPES = ("input_start", "input_error", "inference_complete", "business_output")
PATTERNS = ("*", "a*", "*b", "a*b", "", "*零*", "?", "%", "_", "*\\*", "*\n*", "**", "*a*b*")
RANGES = (((0x200B, 0x200F),), ((0x61, 0x62),), ((0x80, 0x10FFFF),), ((0x0A, 0x0A), (0x27, 0x27)), ())

FEW = {
    "host": ("a", "b", ""),
    "request_id": ("r1", "r2", "r3"),
    "reason": ("x", "x", "y"),
    "pid": (1, 2),
    "path_issues": ("a", "b"),
    "http_status": (200, 500),
}
"""Fields with so few values that keys, runs and starts with their ends meet."""

texts = st.sampled_from(TEXTS)
integers = st.sampled_from(INTEGERS)
numbers = st.sampled_from(NUMBERS)
fields = st.sampled_from(FIELDS)


def _values(name: str) -> st.SearchStrategy[Any]:
    """Values of one field, lists where it holds lists."""
    column = columns()[name]
    single = st.sampled_from(FEW[name]) if name in FEW else _any_value(column.kind)
    return st.lists(single, max_size=3) if column.is_list else single


def _any_value(kind: Kind) -> st.SearchStrategy[Any]:
    match kind:
        case Kind.TEXT:
            return texts
        case Kind.INTEGER:
            return integers
        case Kind.NUMBER:
            return numbers
        case Kind.BOOLEAN:
            return st.booleans()


@st.composite
def worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The fields of up to 25 events; ``timestamp`` is an offset, event_id is missing."""
    optional = {name: st.none() | _values(name) for name in FIELDS if name != "event_type"}
    times = st.integers(0, SPAN_MS - 1) | st.sampled_from([0, 1, 59_999, 60_000, 60_001, 120_000, SPAN_MS - 1])
    one = st.fixed_dictionaries({"timestamp": times, "event_type": st.sampled_from(TYPES), **optional})
    return draw(st.lists(one, max_size=25))


def events(world: list[dict[str, Any]], start_ms: int, prefix: str) -> list[Event]:
    """The world at its place in time, with event_ids of its own."""
    return [
        Event(**fields | {"timestamp": fields["timestamp"] + start_ms}, event_id=f"{prefix}-{index:03}")
        for index, fields in enumerate(world)
    ]


_scalars = st.one_of(texts, integers, numbers, st.booleans())


@st.composite
def _comparisons(draw: st.DrawFn) -> Condition:
    name = draw(fields)
    kind = columns()[name].kind
    fitting = integers | numbers if kind in NUMERIC else _any_value(kind)
    common = st.sampled_from(FEW[name]) if name in FEW else fitting
    value = draw(st.one_of(common, fitting, _scalars))
    return Compare(name, draw(st.sampled_from(list(Op))), value)


_leaves: st.SearchStrategy[Condition] = st.one_of(
    _comparisons(),
    st.builds(lambda kind: equals("event_type", kind), st.sampled_from(TYPES)),
    st.builds(Exists, fields),
    st.builds(Wildcard, fields, st.sampled_from(PATTERNS)),
    st.builds(AnyCharacter, fields, st.sampled_from(RANGES)),
    st.just(Always()),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(lambda parts: And(tuple(parts)), st.lists(inner, max_size=3)),
        st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, max_size=3)),
    ),
    max_leaves=5,
)

_numeric = [name for name in FIELDS if columns()[name].kind in NUMERIC]
_single = [name for name in FIELDS if not columns()[name].is_list]
_single_numeric = [name for name in _numeric if not columns()[name].is_list]
_texts = [name for name in FIELDS if columns()[name].kind is Kind.TEXT]
_edges = st.lists(st.sampled_from([*map(float, INTEGERS), *NUMBERS]), min_size=1, max_size=6, unique=True)
_statistics = [Statistic.AVG, Statistic.MIN, Statistic.MAX, Statistic.SUM, Statistic.SUM_OF_SQUARES]


@st.composite
def _measures(draw: st.DrawFn, name: str) -> Measure:
    where = draw(st.just(Always()) | conditions)
    match draw(st.sampled_from(["count", "present", "number", "percentile", "cardinality"])):
        case "count":
            return Measure(name, where=where)
        case "present":
            return Measure(name, Statistic.COUNT, draw(fields), where=where)
        case "number":
            return Measure(name, draw(st.sampled_from(_statistics)), draw(st.sampled_from(_numeric)), where=where)
        case "percentile":
            percent = draw(st.sampled_from([0.0, 5.0, 50.0, 95.0, 99.0, 100.0]))
            return Measure(name, Statistic.PERCENTILE, draw(st.sampled_from(_numeric)), percent, where)
        case _:
            return Measure(name, Statistic.CARDINALITY, draw(fields), where=where)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    """Queries with every kind of measure. ``top`` only ranks by a plain count: others may tie by rounding alone."""
    first: Measure = Measure("m0", where=draw(st.just(Always()) | conditions))
    measures: list[AnyMeasure] = [
        first,
        *(draw(_measures(f"m{i}")) for i in range(1, draw(st.integers(1, 4)))),
    ]
    if draw(st.booleans()):
        measures.append(Runs("runs", draw(st.sampled_from(["reason", *_single])), draw(st.integers(1, 4))))
    if draw(st.booleans()):
        ends: list[Condition] = [
            equals("event_type", "business_output"),
            equals("event_type", "input_error"),
            Exists("host"),
        ]
        starts: list[Condition] = [equals("event_type", "input_start"), Always()]
        start, end = draw(st.sampled_from(starts)), draw(st.sampled_from(ends) | conditions)
        field = draw(st.sampled_from(["request_id", "request_id", *_single]))
        measures.append(Unmatched("unmatched", field, start, end))
    if draw(st.booleans()):
        measures.append(Histogram("histogram", draw(st.sampled_from(_single_numeric)), tuple(sorted(draw(_edges)))))
    if draw(st.booleans()):
        measures.append(Tally("tally", draw(st.sampled_from(_texts)), draw(st.integers(1, 4))))
    return Query(
        where=draw(st.just(Always()) | conditions),
        group_by=tuple(draw(st.lists(fields | st.sampled_from(sorted(FEW)), max_size=2, unique=True))),
        measures=tuple(measures),
        bucket_ms=draw(st.sampled_from([0, 60_000, 60_000, 7_919, 300_000])),
        settle_ms=draw(st.sampled_from([0, 1, 60_000])),
        top=draw(st.none() | st.integers(1, 4)),
    )


@st.composite
def asks(draw: st.DrawFn) -> Ask:
    """Asks about any stretch of the ten minutes; times are offsets."""
    marks = st.integers(0, SPAN_MS) | st.sampled_from([0, 60_000, 120_000, SPAN_MS])
    start, end = sorted((draw(marks), draw(st.just(SPAN_MS) | marks)))
    return Ask(draw(queries()), Interval(start, end), start)


def lists_of_asks() -> st.SearchStrategy[list[Ask]]:
    """What a tick asks at once."""
    return st.lists(asks(), min_size=1, max_size=3)
