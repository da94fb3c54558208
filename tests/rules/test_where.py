"""KQL as people copy it from Kibana's search bar: what it means, what is refused and where."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

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
    any_of,
    equals,
    matches,
)
from detectors.keys import key_condition
from recognizer.mapping import NUMERIC, Kind
from rules.fields import FIELDS
from rules.where import UnknownFieldError, WhereError, parse, to_kql
from tests.support.rules import FIXED

DAY = 1_767_225_600_000
"""2026-01-01, milliseconds."""

MEANT: dict[str, Condition] = {
    "": Always(),
    "*": Always(),
    "*: *": Always(),
    'event_type: "input_error"': equals("event_type", "input_error"),
    "event_type:input_error": equals("event_type", "input_error"),
    '"event_type": input_error': equals("event_type", "input_error"),
    "error: file not found": equals("error", "file not found"),
    'error: "file not found"': equals("error", "file not found"),
    "file_path: */upload/*": Wildcard("file_path", "*/upload/*"),
    "top1_label: input_*": Wildcard("top1_label", "input_*"),
    "file_path: /data/my photos/*.png": Wildcard("file_path", "/data/my photos/*.png"),
    'file_path: "*"': equals("file_path", "*"),
    r"file_path: a\*b": equals("file_path", "a*b"),
    "file_path: *": Exists("file_path"),
    "http_status: *": Exists("http_status"),
    "file_path: /data/a.png": equals("file_path", "/data/a.png"),
    r'file_path: "C:\\data\\a.png"': equals("file_path", r"C:\data\a.png"),
    r'file_path: "C:\data\a.png"': equals("file_path", r"C:\data\a.png"),
    r"file_path: C\:\\data": equals("file_path", r"C:\data"),
    r'error: "say \"no\""': equals("error", 'say "no"'),
    r"error: say \"no\"": equals("error", 'say "no"'),
    r'error: "a\tb\nc"': equals("error", "a\tb\nc"),
    r"file_path: a\u200b.png": equals("file_path", "a\u200b.png"),
    r'top1_label: "\ud83d\ude00"': equals("top1_label", "😀"),
    r"error: a \and b": equals("error", "a and b"),
    "host: a && pid": equals("host", "a && pid"),
    "error: nothing or host: organ": any_of(equals("error", "nothing"), equals("host", "organ")),
    "http_status: 500": equals("http_status", 500),
    'http_status: "500"': equals("http_status", 500),
    "top1_label: 500": equals("top1_label", "500"),
    "top1_score < .3": Compare("top1_score", Op.LT, 0.3),
    "top1_score>=1e-2": Compare("top1_score", Op.GE, 0.01),
    "duration_ms > -1": Compare("duration_ms", Op.GT, -1),
    "shape > 4000": Compare("shape", Op.GT, 4000),
    "resized: true": equals("resized", value=True),
    "resized: FALSE": equals("resized", value=False),
    "host: (a or b)": any_of(equals("host", "a"), equals("host", "b")),
    "host: (gpu 1 or gpu 2)": any_of(equals("host", "gpu 1"), equals("host", "gpu 2")),
    "path_issues: (path_nul and path_url)": all_of(
        equals("path_issues", "path_nul"), equals("path_issues", "path_url")
    ),
    "host: (not a)": Not(equals("host", "a")),
    "host: (a or (b and not c))": any_of(equals("host", "a"), all_of(equals("host", "b"), Not(equals("host", "c")))),
    "not host: a and host: b": all_of(Not(equals("host", "a")), equals("host", "b")),
    "host: a OR host: b AND NOT host: c": any_of(
        equals("host", "a"), all_of(equals("host", "b"), Not(equals("host", "c")))
    ),
    "(host: a or host: b) and pid: 1": all_of(any_of(equals("host", "a"), equals("host", "b")), equals("pid", 1)),
    "not not host: a": equals("host", "a"),
    "host: a\n  and\tpid: 1": all_of(equals("host", "a"), equals("pid", 1)),
    "timestamp > 1767225600000": Compare("timestamp", Op.GT, DAY),
    "@timestamp >= 2026-01-01": Compare("timestamp", Op.GE, DAY),
    "timestamp > 2026-01-01": Compare("timestamp", Op.GT, DAY + 86_399_999),
    "timestamp <= 2026-01-01": Compare("timestamp", Op.LE, DAY + 86_399_999),
    'timestamp < "2026-01-01T00:00:01Z"': Compare("timestamp", Op.LT, DAY + 1_000),
    'timestamp >= "2026-01-01T08:00:00.5+08:00"': Compare("timestamp", Op.GE, DAY + 500),
    "timestamp: 2026-01-01": all_of(Compare("timestamp", Op.GE, DAY), Compare("timestamp", Op.LE, DAY + 86_399_999)),
}


@pytest.mark.parametrize("text", MEANT)
def test_a_text_means_its_condition(text: str) -> None:
    assert parse(text) == MEANT[text]


@pytest.mark.parametrize("text", MEANT)
def test_what_was_parsed_is_written_back(text: str) -> None:
    assert parse(to_kql(MEANT[text])) == MEANT[text]


REFUSED = [
    # text, position, width, part of the message, part of the hint
    ("input_error", 0, 11, "stands without a field", "name the field"),
    ("host", 0, 4, "stands without a field", "host: *"),
    ('"input_error"', 0, 13, "stands without a field", "name the field"),
    ("http_status = 500", 0, 17, "stands without a field", "KQL has no ="),
    ("http_status != 500", 0, 18, "stands without a field", "not field: value"),
    ("event_type：input_error", 0, 22, "stands without a field", "full-width"),
    ("evnt_type: a", 0, 9, 'no event has a field "evnt_type"', "did you mean event_type?"),
    ("host: a and hots: b", 12, 4, "no event has a field", "did you mean host?"),
    ("host: a and my_own_field > 3", 12, 12, '"my_own_field" is no field that can be asked for', "kept in the events"),
    ("file*: a", 0, 5, "wildcards are not supported in the name", "name each field"),
    ("host: {a: 1}", 6, 1, "nested queries", "hold no objects"),
    ("host: a host: b", 12, 1, "a second :", '"and" between'),
    ("file_path: C:/data", 12, 1, "a second :", "quote"),
    ("duration_ms: > 5", 13, 1, "> can't stand here", "without the colon"),
    ("host: (a or b", 6, 1, "never closed", "add the missing )"),
    ("host: a)", 7, 1, "closes nothing", None),
    ("host: ()", 7, 1, "nothing between", None),
    ("host: a and", 10, 1, "missing at the end", "field: value"),
    ("host:", 4, 1, "missing at the end", "field: value"),
    ("and host: a", 0, 3, "and can't stand here", "between two"),
    ("host: not a", 6, 3, "not can't stand before a value", "not field: value"),
    ('host: "a', 6, 2, "never closed", None),
    (r'host: "C:\"', 6, 5, "never closed", "backslash"),
    ("host: a\\", 7, 1, "a backslash with nothing after it", "\\\\"),
    (r"host: \q", 6, 2, "no escape", "quote"),
    (r'file_path: "C:\temp"', 14, 2, "control character", "each backslash"),
    (r'host: "\ud800"', 7, 6, "surrogate", "both halves"),
    (r"file_path: *a\*", 11, 4, "both a wildcard and a literal", None),
    ("http_status: abc", 13, 3, '"abc" is none', None),
    ("http_status: null", 13, 4, "is none", "not http_status: *"),
    ("http_status: 5*", 13, 2, "a wildcard matches text only", "http_status >= 500"),
    ("http_status > 99999999999999999999", 14, 20, "out of range", "64 bits"),
    ("top1_score < 1e999", 13, 5, "out of range", "64 bits"),
    ("duration_ms > 2s", 14, 2, "is none", "2000 for 2s"),
    ("duration_ms > fast", 14, 4, "is none", "plain number"),
    ("host > a", 7, 1, "compares numbers", "write host:"),
    ("http_status > 5*", 14, 2, "a wildcard has no order", None),
    ("resized: yes", 9, 3, "true or false", "write true or false"),
    ("resized: t*", 9, 2, "a wildcard matches text only", "true or false"),
    ("host: 'a'", 6, 3, "no quotes in KQL", 'host: "a"'),
    ("host: “a”", 6, 3, "no quotes in KQL", 'host: "a"'),
    ("timestamp > now-15m", 12, 7, "no time", "its own window"),
    ("timestamp > yesterday", 12, 9, "no time", "milliseconds since 1970"),
    ('timestamp > "2026-02-30"', 12, 12, "no time", "day is out of range"),
    ("timestamp > 1.5", 12, 3, "whole milliseconds", None),
]


@pytest.mark.parametrize(("text", "position", "width", "message", "hint"), REFUSED, ids=[case[0] for case in REFUSED])
def test_a_refusal_names_its_place_and_a_way_out(
    text: str, position: int, width: int, message: str, hint: str | None
) -> None:
    with pytest.raises(WhereError) as caught:
        parse(text)
    error = caught.value
    assert (error.position, error.width) == (position, width)
    assert message in error.message
    assert hint is None or hint in (error.hint or "")


def test_an_unknown_field_has_an_error_of_its_own() -> None:
    with pytest.raises(UnknownFieldError):
        parse("hots: a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(" * 4_000 + "host: a" + ")" * 4_000, "nested deeper than 32"),
        ("not " * 2_400 + "host: a", "nested deeper than 32"),
        ("not (" * 1_000 + "host: a" + ")" * 1_000, "nested deeper than 32"),
        ("host: " + "(" * 4_000 + "a" + ")" * 4_000, "nested deeper than 32"),
        ("host: a or " * 1_000 + "host: b", "10000 are the limit"),
        ("host: " + "9" * 20_000, "10000 are the limit"),
        ("pid: " + "9" * 9_000, "more than 40 characters"),
        ("host: " + "a" * 9_000, "more than 8191 characters"),
    ],
)
def test_hostile_sizes_are_refused(text: str, message: str) -> None:
    """Ten thousand characters and 32 levels are the end; nothing recurses without bound."""
    with pytest.raises(WhereError) as caught:
        parse(text)
    assert message in caught.value.message


def test_a_long_flat_condition_is_fine() -> None:
    condition = parse(" or ".join(f"host: h{number}" for number in range(600)))
    assert isinstance(condition, Or)
    assert len(condition.parts) == 600


def test_hidden_characters_are_visible_in_what_is_written_and_said() -> None:
    assert to_kql(equals("host", "a\u200bb\U000e0001")) == r'host: "a\u200bb\udb40\udc01"'
    with pytest.raises(WhereError) as caught:
        parse("ho\u200bst: a")
    assert "‹U+200B›" in caught.value.message


def test_the_readings_of_a_series_key_that_match_nothing_are_not_written() -> None:
    """A key tells values as text, so its condition asks for the number and for the text."""
    key = (("http_status", "500"), ("top1_label", "7"), ("resized", "true"), ("host", None))
    assert to_kql(key_condition(key)) == 'http_status: 500 and top1_label: "7" and resized: true and not host: *'


def test_a_group_of_one_keeps_the_parentheses_of_what_it_holds() -> None:
    """Of the two readings only one is left; `not` must still hold for all of it."""
    both = all_of(equals("host", "a"), equals("pid", 1))
    assert to_kql(Not(Or((equals("pid", "x"), both)))) == 'not (host: "a" and pid: 1)'


def test_a_set_of_characters_is_described() -> None:
    """KQL has no form for it, and what describes it must not parse as something else."""
    text = to_kql(AnyCharacter("file_path", ((0x200B, 0x200F), (0xFEFF, 0xFEFF))))
    assert text == "file_path: [any of U+200B–U+200F, U+FEFF]"


@given(st.text(max_size=200))
@example("host: \\")
@example('"')
@example("\\u")
@settings(FIXED)
def test_any_text_is_parsed_or_refused_within_itself(text: str) -> None:
    error = _refusal(text)
    assert error is None or (0 <= error.position <= max(len(text), 1) and error.width >= 1)


def _refusal(text: str) -> WhereError | None:
    try:
        parse(text)
    except WhereError as error:
        return error
    return None


KQL_PIECES = ["host", "pid", "resized", "timestamp", ":", ">", "<=", "(", ")", '"', "*", "and", "or", "not", "\\", "a"]


@given(st.lists(st.sampled_from([*KQL_PIECES, " ", "1", "{", "'", "\\u200b", '"a b"']), max_size=25).map(" ".join))
@settings(FIXED, max_examples=300)
def test_any_string_of_kql_pieces_is_parsed_or_refused(text: str) -> None:
    """What parses is written back to something that parses to the same."""
    try:
        condition = parse(text)
    except WhereError:
        return
    assert parse(to_kql(condition)) == condition


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["and", "a or b", "not", "*", " a "]
)
_NUMBERS = st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False, width=32)
_PATTERNS = st.lists(_TEXTS.map(lambda text: text.replace("*", "")), min_size=2, max_size=3).map("*".join)


@st.composite
def _leaf(draw: st.DrawFn) -> Condition:
    name = draw(st.sampled_from(sorted(set(FIELDS) - {"timestamp"})))
    kind = FIELDS[name].kind
    if draw(st.booleans()) and kind is Kind.TEXT:
        return draw(st.sampled_from([Exists(name), Wildcard(name, draw(_PATTERNS))]))
    if draw(st.integers(0, 9)) == 0:
        return equals(name, draw(_TEXTS | _NUMBERS | st.booleans()))  # a value of another type matches nothing
    if kind is Kind.TEXT:
        return equals(name, draw(_TEXTS))
    if kind is Kind.BOOLEAN:
        return equals(name, draw(st.booleans()))
    assert kind in NUMERIC
    return Compare(name, draw(st.sampled_from(Op)), draw(_NUMBERS))


_CONDITIONS = st.recursive(
    st.just(Always()) | _leaf(),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts)))
        | inner.map(Not)
    ),
    max_leaves=8,
)


@st.composite
def _event(draw: st.DrawFn, condition: Condition) -> dict[str, object]:
    """An event made of the condition's own values, so that it matches as often as not."""
    event: dict[str, object] = {}
    for leaf in _leaves(condition):
        values: list[object] = ["", "a"]
        if isinstance(leaf, Compare):
            values = [leaf.value] if _fits(leaf) else _OF_KIND[FIELDS[leaf.field].kind]
        if isinstance(leaf, Wildcard):
            values = [leaf.pattern.replace("*", ""), leaf.pattern]
        if draw(st.booleans()):
            event[leaf.field] = draw(st.sampled_from(values))
    return event


_OF_KIND: dict[Kind, list[object]] = {Kind.TEXT: ["1"], Kind.INTEGER: [1], Kind.NUMBER: [1.0], Kind.BOOLEAN: [True]}


def _fits(leaf: Compare) -> bool:
    """Events hold values of the field's own type only: that is their contract."""
    kind = FIELDS[leaf.field].kind
    if isinstance(leaf.value, bool | str):
        return kind is (Kind.BOOLEAN if isinstance(leaf.value, bool) else Kind.TEXT)
    return kind in NUMERIC


def _leaves(condition: Condition) -> list[Compare | Exists | Wildcard]:
    match condition:
        case And(parts) | Or(parts):
            return [leaf for part in parts for leaf in _leaves(part)]
        case Not(part):
            return _leaves(part)
        case Compare() | Exists() | Wildcard():
            return [condition]
        case _:
            return []


@given(st.data())
@settings(FIXED, max_examples=400)
def test_written_and_read_again_a_condition_matches_the_same_events(data: st.DataObject) -> None:
    condition = data.draw(_CONDITIONS)
    again = parse(to_kql(condition))
    for _ in range(5):
        event = data.draw(_event(condition))
        assert matches(again, event) == matches(condition, event)
