"""Lines to events: what keeps the contract passes untouched, what does not is mended or named, nothing raises."""

import json
import math
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.decode_lines import MAX_ID_CHARACTERS, Decoded, decode, decode_batch
from recognizer.events import (
    INT64_MAX,
    MAX_LINE_BYTES,
    MAX_STRING_CHARACTERS,
    NOTE_HINTS,
    Event,
    Malformed,
    MalformedReason,
    Note,
    fields,
)
from recognizer.limits import MAX_DEPTH

STEADY = settings(derandomize=True, deadline=None)
NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
BASE: dict[str, Any] = {"timestamp": NOW_MS, "event_type": "inference_complete"}


def batch(*lines: bytes, **options: Any) -> Decoded:
    limits = {"now_ms": NOW_MS, "max_age_ms": 30 * DAY_MS, "max_future_ms": DAY_MS} | options
    return decode_batch(lines, **limits)


def line(**changes: Any) -> bytes:
    return json.dumps(BASE | changes).encode()


def one(raw: bytes) -> tuple[dict[str, Any], set[Note]]:
    """The fields of the only event of a line, checked to be what its canonical line says."""
    decoded = batch(raw)
    assert decoded.malformed == []
    (event,), (canonical,) = decoded.events, decoded.lines
    assert fields(event) == msgspec.json.decode(canonical)
    return fields(event), set(decoded.notes)


def refused(raw: bytes) -> Malformed:
    decoded = batch(raw)
    assert (decoded.events, decoded.lines) == ([], [])
    (malformed,) = decoded.malformed
    assert malformed.line == raw
    assert malformed.detail
    assert malformed.hint
    malformed.detail.encode()
    assert len((malformed.detail + malformed.hint).splitlines()) == 1
    assert len(malformed.detail) < 500
    return malformed


def test_a_line_that_keeps_the_contract_passes_byte_for_byte():
    whole = (
        '{"timestamp":1700000000000,"event_type":"input_start","model_name":"m","host":"h","pid":7,"request_id":"r",'
        '"event_id":"0123456789abcdef-1","schema_version":1,"dropped_before":0,"file_path":"/上传/百灵.png",'
        '"file_dir":"/上传","file_size":10,"duration_ms":1.50}'
    ).encode()
    decoded = batch(whole, whole)
    assert decoded.lines == [whole, whole]
    assert not decoded.notes
    assert decoded.events[0].file_path == "/上传/百灵.png"


def test_a_bare_event_gets_what_can_be_derived():
    event, notes = one(line(file_path="/上传/a\u200b.png", event_type="input_error"))
    assert event["file_dir"] == "/上传"
    assert event["path_issues"] == ["path_invisible_character"]
    assert event["reason"] == "path_invisible_character"
    assert len(event["event_id"]) == 32
    assert notes == set()


def test_an_error_that_states_no_reason_is_unspecified():
    assert one(line(event_type="input_error"))[0]["reason"] == "unspecified"


def test_a_reason_outside_the_vocabulary_is_kept_beside():
    event, notes = one(line(event_type="input_error", reason="kaputt"))
    assert (event["reason"], event["reason_given"]) == ("unspecified", "kaputt")
    assert notes == {Note.UNKNOWN_REASON}


def test_derived_ids_depend_on_source_place_and_line_alone():
    def ids(*lines: bytes, **place: Any) -> list[str | None]:
        return [event.event_id for event in batch(*lines, **place).events]

    twice = ids(line(), line(), identity="a")
    assert twice[0] != twice[1]
    assert ids(line(), line(), identity="a") == twice
    assert ids(line(), identity="b") != twice[:1]
    assert ids(line(), identity="a", offset=len(line()) + 1) == twice[1:]


def test_an_id_too_long_for_a_store_is_replaced():
    event, _ = one(line(event_id="x" * (MAX_ID_CHARACTERS + 1)))
    assert len(event["event_id"]) == 32


def test_path_issues_and_folder_that_are_stated_are_believed():
    event, _ = one(line(file_path="/a/b\u200b.png", file_dir="/x", path_issues=["path_empty"]))
    assert (event["file_dir"], event["path_issues"]) == ("/x", ["path_empty"])


def test_a_clean_path_seen_before_does_not_hide_a_missing_folder():
    first = line(file_path="/a/b.png", file_dir="/a", event_id="1")
    assert [event.file_dir for event in batch(first, line(file_path="/a/b.png", event_id="2")).events] == ["/a", "/a"]


@pytest.mark.parametrize(
    ("changes", "name", "value", "note"),
    [
        ({"file_size": 5.0}, "file_size", 5, Note.INTEGER_AS_FLOAT),
        ({"file_size": "5"}, "file_size", 5, Note.NUMBER_AS_TEXT),
        ({"file_size": str(INT64_MAX)}, "file_size", INT64_MAX, Note.NUMBER_AS_TEXT),
        ({"duration_ms": "1.5"}, "duration_ms", 1.5, Note.NUMBER_AS_TEXT),
        ({"error": 404}, "error", "404", Note.TEXT_AS_NUMBER),
        ({"error": True}, "error", "true", Note.TEXT_AS_NUMBER),
        ({"error": {"type": "OSError"}}, "error", '{"type": "OSError"}', Note.TEXT_AS_OBJECT),
        ({"resized": "True"}, "resized", True, Note.BOOLEAN_AS_NUMBER),
        ({"resized": 0}, "resized", False, Note.BOOLEAN_AS_NUMBER),
        ({"shape": 3}, "shape", [3], Note.SCALAR_AS_LIST),
        ({"top3_labels": "百灵"}, "top3_labels", ["百灵"], Note.SCALAR_AS_LIST),
        ({"error": "a\0b"}, "error", "a‹U+0000›b", Note.NUL_CHARACTER),
        ({"error": "a\ud800b"}, "error", "a‹U+D800›b", Note.LONE_SURROGATE),
        ({"mine": 1}, "mine", 1, Note.UNKNOWN_FIELD),
        ({"mine": [1, {"a": None}]}, "mine", [1, {"a": None}], Note.UNKNOWN_FIELD),
        ({"mine": 2**64}, "mine", str(2**64), Note.UNKNOWN_FIELD),
        ({"_id": 1}, "extra_id", 1, Note.RENAMED_FIELD),
        ({"": 1}, "extra_", 1, Note.RENAMED_FIELD),
        ({"a..b": 1}, "a__b", 1, Note.RENAMED_FIELD),
        ({"file_path.raw": 1}, "file_path_raw", 1, Note.RENAMED_FIELD),
        ({"extra": {"a": 1}}, "extra_extra", {"a": 1}, Note.RENAMED_FIELD),
    ],
)
def test_is_mended_by_rule_and_noted(changes, name, value, note):
    event, notes = one(line(**changes))
    assert event[name] == value
    assert type(event[name]) is type(value)
    assert note in notes


@pytest.mark.parametrize(
    "raw", [b'"duration_ms":NaN', b'"duration_ms":-Infinity', b'"duration_ms":1e400', b'"duration_ms":"nan"']
)
def test_numbers_that_are_not_finite_are_left_out(raw):
    event, notes = one(b'{"timestamp":1700000000000,"event_type":"a",' + raw + b"}")
    assert "duration_ms" not in event
    assert notes == {Note.NOT_FINITE}


def test_a_list_with_a_hole_is_left_out_as_a_whole():
    """Scores and labels stand at the same places: dropping one element would shift the others."""
    event, notes = one(line(top3_scores=[0.5, None, 0.1], top3_labels=["a", "b", "c"]))
    assert "top3_scores" not in event
    assert event["top3_labels"] == ["a", "b", "c"]
    assert notes == {Note.NOT_FINITE}


@pytest.mark.parametrize("name", ["duration_ms", "mine", "error"])
def test_an_integer_of_thousands_of_digits_never_raises(name):
    decoded = batch(b'{"timestamp":1700000000000,"event_type":"a","%b":%b}' % (name.encode(), b"9" * 5_000))
    assert len(decoded.events) == 1


def test_null_is_absent():
    event, notes = one(line(file_size=None, error=None))
    assert "file_size" not in event
    assert notes == set()


def test_of_a_key_that_stands_twice_the_last_value_counts():
    event, notes = one(b'{"timestamp":1700000000000,"event_type":"a","host":"x","host":"y","mine":1}')
    assert event["host"] == "y"
    assert Note.DUPLICATE_KEY in notes


def test_text_over_the_limit_is_cut_and_named():
    event, notes = one(line(error="百" * 9_000, mine="x" * 9_000, truncated_fields=["host"]))
    assert event["error"] == "百" * MAX_STRING_CHARACTERS
    assert event["truncated_fields"] == ["error", "host", "mine"]
    assert Note.TEXT_CUT in notes


def test_nests_are_cut_where_a_store_would_refuse_them():
    deep: Any = 1
    for _ in range(MAX_DEPTH * 2):
        deep = [deep]
    event, notes = one(line(mine=deep))
    assert json.dumps(event["mine"]).count("[") == MAX_DEPTH - 1
    assert Note.NESTED_TOO_DEEP in notes


@pytest.mark.parametrize(
    ("timestamp", "note"),
    [
        (NOW_MS // 1_000, Note.TIMESTAMP_SECONDS),
        (NOW_MS / 1_000, Note.TIMESTAMP_SECONDS),
        (str(NOW_MS // 1_000), Note.TIMESTAMP_SECONDS),
        (NOW_MS * 1_000, Note.TIMESTAMP_MICROSECONDS),
        (NOW_MS * 1_000_000, Note.TIMESTAMP_NANOSECONDS),
        (str(NOW_MS), Note.NUMBER_AS_TEXT),
        (float(NOW_MS), Note.INTEGER_AS_FLOAT),
        ("2023-11-14T22:13:20Z", Note.TIMESTAMP_TEXT),
        ("2023-11-15T06:13:20+08:00", Note.TIMESTAMP_TEXT),
        ("2023-11-14 22:13:20,000", Note.TIMESTAMP_TEXT),
    ],
)
def test_a_moment_in_another_notation_becomes_milliseconds(timestamp, note):
    event, notes = one(line(timestamp=timestamp))
    assert event["timestamp"] == NOW_MS
    assert note in notes


def test_the_field_of_other_shippers_stands_in_for_a_missing_timestamp():
    event, _ = one(b'{"@timestamp":"2023-11-14T22:13:20.000Z","event_type":"a"}')
    assert event["timestamp"] == NOW_MS
    assert "@timestamp" not in event


def test_a_byte_order_mark_and_a_hole_of_nul_before_a_line_are_removed():
    assert one(b"\xef\xbb\xbf" + line())[1] == {Note.BYTE_ORDER_MARK}
    assert one(b"\0" * 100 + line())[1] == {Note.NUL_CHARACTER}


def test_line_ends_of_windows_and_blank_lines_are_no_fault():
    decoded = batch(line() + b"\r", b"", b" \t\r")
    assert [raw.endswith(b"}") for raw in decoded.lines] == [True]
    assert not decoded.malformed


@pytest.mark.parametrize(
    ("raw", "reason", "told"),
    [
        (b"not json", MalformedReason.NOT_JSON, "not json"),
        (b'{"timestamp":1', MalformedReason.NOT_JSON, "timestamp"),
        (b'{"a":1}{"b":2}', MalformedReason.NOT_JSON, "Extra data"),
        (b"{'timestamp': 1}", MalformedReason.NOT_JSON, "timestamp"),
        (b"\0\0\0", MalformedReason.NOT_JSON, "NUL"),
        (b'{"a":' * 100_000, MalformedReason.NOT_JSON, "deep"),
        (b"[" * 100_000, MalformedReason.NOT_JSON, "deep"),
        (b"[1]", MalformedReason.NOT_AN_OBJECT, "[1]"),
        (b'"text"', MalformedReason.NOT_AN_OBJECT, "text"),
        ('{"error":"百灵"}'.encode("gbk"), MalformedReason.NOT_UTF8, "0x"),
        (b'{"error":"\xed\xa0\x80"}', MalformedReason.NOT_UTF8, "0xED"),
        (b'{"error":"' + b"x" * MAX_LINE_BYTES + b'"}', MalformedReason.LINE_TOO_LONG, str(MAX_LINE_BYTES)),
        (b'{"event_type":"a"}', MalformedReason.MISSING_FIELD, "timestamp is missing"),
        (b'{"timestamp":1700000000000}', MalformedReason.MISSING_FIELD, "event_type is missing"),
        (line(file_size="big"), MalformedReason.WRONG_TYPE, "file_size is ‘big’"),
        (line(file_size=1.5), MalformedReason.WRONG_TYPE, "1.5"),
        (line(file_size=2**63), MalformedReason.WRONG_TYPE, "file_size"),
        (line(file_size="9" * 5_000), MalformedReason.WRONG_TYPE, "file_size"),
        (line(resized="maybe"), MalformedReason.WRONG_TYPE, "resized"),
        (line(duration_ms=[1]), MalformedReason.WRONG_TYPE, "duration_ms"),
        (line(duration_ms="1\u200b"), MalformedReason.WRONG_TYPE, "‹U+200B›"),
        (line(timestamp=True), MalformedReason.WRONG_TYPE, "timestamp"),
        (line(timestamp="yesterday"), MalformedReason.WRONG_TYPE, "yesterday"),
        (line(timestamp=10**30), MalformedReason.WRONG_TYPE, "timestamp"),
        (line(event_type="Input Error"), MalformedReason.UNKNOWN_EVENT_TYPE, "Input Error"),
        (line(event_type=""), MalformedReason.UNKNOWN_EVENT_TYPE, "event_type"),
        (line(event_type="a" * 65), MalformedReason.UNKNOWN_EVENT_TYPE, "event_type"),
        (line(timestamp=NOW_MS + DAY_MS + 1), MalformedReason.TIMESTAMP_FUTURE, "ahead"),
        (line(timestamp=NOW_MS - 31 * DAY_MS), MalformedReason.TIMESTAMP_PAST, "31 days"),
        (line(timestamp=5), MalformedReason.TIMESTAMP_PAST, "timestamp 5"),
        (line(timestamp=-(10**18)), MalformedReason.TIMESTAMP_PAST, "back"),
    ],
)
def test_what_can_not_be_mended_is_named(raw, reason, told):
    malformed = refused(raw)
    assert malformed.reason is reason
    assert told in malformed.detail


def test_hints_say_what_to_do():
    assert "input_error" in refused(line(event_type="Input Error")).hint
    assert "newline" in refused(b'{"a":1}{"b":2}').hint
    assert "json.dumps" in refused(b"{'a': 1}").hint
    assert "was cut" in refused(b'{"timestamp":1').hint
    assert "UTF-8" in refused(b'{"error":"\xff"}').hint
    assert "‘gpu-7’" in refused(line(timestamp=NOW_MS * 2, host="gpu-7")).hint


def test_event_types_of_other_services_are_kept():
    assert one(line(event_type="model_loaded"))[0]["event_type"] == "model_loaded"


def test_a_bad_line_costs_only_itself_and_its_place_is_told():
    lines = [line(event_id="1"), b"broken", line(event_id="2"), b"[]"]
    decoded = batch(*lines, offset=1_000)
    assert [event.event_id for event in decoded.events] == ["1", "2"]
    assert decoded.malformed_offsets == [1_000 + len(lines[0]) + 1, 1_000 + sum(map(len, lines[:3])) + 3]


def test_every_note_has_a_hint():
    assert set(NOTE_HINTS) == set(Note)
    assert all(hint.isprintable() for hint in NOTE_HINTS.values())


def test_one_line_alone_is_read_as_it_stands():
    event = decode(line(mine=1, timestamp=5))
    assert isinstance(event, Event)
    assert (event.timestamp, event.event_id, event.extra) == (5, None, {"mine": 1})
    assert isinstance(decode(b"broken"), Malformed)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=12)
    | st.sampled_from([2**63, 10**18, "1e3", "nan", "\0", "\ud800", 1e308, "true", -0.0]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*Event.__struct_fields__, "mine", "_id", "", ".", "a.b", "@timestamp"])


def check_canonical(decoded: Decoded) -> None:
    """Every reader takes every canonical line, and reads from it what the event says."""
    assert len(decoded.events) == len(decoded.lines)
    for event, canonical in zip(decoded.events, decoded.lines, strict=True):
        assert b"\n" not in canonical
        assert b"\\u0000" not in canonical
        for read in (json.loads, orjson.loads, msgspec.json.decode):
            stated = {name: value for name, value in read(canonical).items() if value is not None}
            assert stated == fields(event)
        assert "extra" not in json.loads(canonical)
        again = batch(canonical, max_age_ms=10**15, max_future_ms=10**15)
        assert (again.lines, [fields(one) for one in again.events]) == ([canonical], [fields(event)])


@STEADY
@given(st.dictionaries(NAMES, JSON_VALUES, max_size=8), st.booleans())
def test_any_object_is_an_event_or_malformed_and_canonical_lines_are_stable(changes, ascii_only):
    raw = json.dumps(BASE | changes, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    check_canonical(batch(raw, max_age_ms=10**15, max_future_ms=10**15))


@STEADY
@given(st.lists(st.binary(max_size=40) | st.sampled_from([line(), b"{}", b"null", b"\xef\xbb\xbf{}", b'{"a":'])))
def test_any_bytes_are_an_event_or_malformed_or_blank(lines):
    whole = [raw.replace(b"\n", b"") for raw in lines]
    decoded = batch(*whole)
    assert len(decoded.events) + len(decoded.malformed) == sum(bool(raw.strip()) for raw in whole)
    check_canonical(decoded)


@STEADY
@given(st.integers(min_value=0, max_value=len(line(error="百\ud800", mine=[1.5])) - 1), st.integers(0, 255))
def test_one_flipped_byte_never_raises(position, byte):
    raw = bytearray(line(error="百\ud800", mine=[1.5]))
    raw[position] = byte if byte != ord("\n") else 0
    check_canonical(batch(bytes(raw), max_age_ms=10**15, max_future_ms=10**15))


@STEADY
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_exactly(value):
    event, _ = one(line(duration_ms=value))
    assert math.isclose(event["duration_ms"], value, rel_tol=0, abs_tol=0)
