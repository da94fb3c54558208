"""Any value, in any field: one line of strictly valid UTF-8 JSON that every reader takes."""

import array
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import uuid
from collections import OrderedDict, deque, namedtuple
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recognizer.decode_lines import decode
from recognizer.emit import log_event
from recognizer.encode import MAX_ELEMENTS, MAX_WRITTEN_BYTES
from recognizer.events import Event
from recognizer.limits import MAX_DEPTH, MAX_STRING_CHARACTERS
from recognizer.sinks import MemorySink

STEADY = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Raising:
    dtype = "x"

    @property
    def shape(self) -> Any:
        raise KeyError("shape")


@dataclasses.dataclass
class Box:
    width: int
    inner: Any = None


class Mute:
    """Breaks on str(), not on repr(): a property test must be able to print it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


Point = namedtuple("Point", "x y")


def cycle() -> list[Any]:
    ring: list[Any] = [1]
    ring.append({"again": ring})
    return ring


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def told(sink: MemorySink) -> dict[str, Any]:
    """The last event, checked with every reader that an event meets."""
    line = sink.lines[-1]
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= MAX_WRITTEN_BYTES + MAX_STRING_CHARACTERS
    line.decode("utf-8")
    event: dict[str, Any] = orjson.loads(line)
    assert json.loads(line, parse_constant=pytest.fail) == event == msgspec.json.decode(line)
    assert isinstance(decode(line.rstrip(b"\n")), Event)
    return event


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (math.inf, None),
        (np.float32("nan"), None),
        (2**63 - 1, 2**63 - 1),
        (2**70, str(2**70)),
        (-(2**70), str(-(2**70))),
        (10**5_000, f"an integer of {(10**5_000).bit_length()} bits"),
        (b"ok\xff", "ok\\xff"),
        (bytearray(b"x"), "x"),
        (memoryview(b"x"), "x"),
        ("\ud800x", "‹U+D800›x"),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.uint8(7), 7),
        (np.bool_(True), True),
        (np.str_("x"), "x"),
        (np.array([1, 2]), [1, 2]),
        (np.array([0.5, np.nan]), [0.5, None]),
        (np.zeros((100, 100)), "array of float64, shape [100, 100]"),
        (torch.tensor([1.0, 2.0]), [1.0, 2.0]),
        (torch.device("cpu"), "cpu"),
        (torch.Size([1, 3]), [1, 3]),
        ({3}, [3]),
        (frozenset(["a"]), ["a"]),
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        (deque([1]), "deque([1])"),
        (array.array("b", [1]), "array('b', [1])"),
        (pathlib.Path("/上传/a\udcff"), "/上传/a‹U+DCFF›"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Word("word"), "word"),
        (Box(1, Box(2)), {"width": 1, "inner": {"width": 2, "inner": None}}),
        (OrderedDict(a=1), {"a": 1}),
        ({1: "a", None: "b", (2,): "c", "\ud800": "d"}, {"1": "a", "null": "b", "[2]": "c", "‹U+D800›": "d"}),
        (ValueError("bad\0"), "ValueError: bad\0"),
        (int, "int"),
        (decimal.Decimal("1.5"), "1.5"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (dt.date(2024, 5, 17), "2024-05-17"),
        (Broken(), "<Broken: RuntimeError while it was read>"),
        (Raising(), "<Raising: KeyError while it was read>"),
        (cycle(), [1, {"again": "<list inside itself>"}]),
        (1j, "1j"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_becomes_the_nearest_thing_that_json_knows(sink, value, expected):
    log_event("a", mine=value)
    event = told(sink)
    assert event["mine"] == expected
    assert ("truncated_fields" in event) == (isinstance(value, np.ndarray) and value.size > MAX_ELEMENTS)
    log_event("a", mine=[value, {"k": value}])
    assert told(sink)["mine"][0] == expected


def test_a_nest_is_cut(sink):
    log_event("a", mine=deep(5_000))
    text = json.dumps(told(sink)["mine"])
    assert text.count("[") == MAX_DEPTH
    assert "nested too deep" in text


def test_long_text_is_cut_and_named(sink):
    log_event("a", error="百" * 20_000, mine=["x" * 20_000], short="y")
    event = told(sink)
    assert event["error"] == "百" * MAX_STRING_CHARACTERS
    assert event["truncated_fields"] == ["error", "mine"]


def test_long_lists_are_cut_and_named(sink):
    log_event("a", mine=["text"] * 5_000)
    event = told(sink)
    assert len(event["mine"]) == MAX_ELEMENTS
    assert event["truncated_fields"] == ["mine"]


def test_a_line_over_its_limit_loses_its_largest_fields_and_names_them(sink):
    log_event("a", file_path="/a.png", big={str(n): "百" * 1_000 for n in range(1_000)}, small=1)
    event = told(sink)
    assert (event["file_path"], event["small"]) == ("/a.png", 1)
    assert "big" not in event
    assert "big" in event["truncated_fields"]


def test_a_line_over_its_limit_by_small_fields_keeps_its_type_time_and_id(sink):
    """The second event of a type is stamped another way than the first: both keep what tells them from others."""
    for _ in range(2):
        log_event("a", **{f"{n}": 0 for n in range(10_000)})
        event = told(sink)
        assert event["event_type"] == "a"
        assert event.keys() >= {"timestamp", "event_id"}


def test_odd_field_names_are_kept_readable(sink):
    log_event("a", **{"\ud800": 1, "": 2, "x" * 9_000: 3})
    assert told(sink)["‹U+D800›"] == 1


@pytest.mark.parametrize("event_type", [None, 3, "", 'with "quotes"', "\ud800", ["list"], "x" * 9_000])
def test_an_odd_event_type_never_raises(sink, event_type):
    log_event(event_type)
    log_event("after")
    for line in sink.lines:
        orjson.loads(line)
    assert sink.events[-1]["event_type"] == "after"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.sampled_from([Colour.RED, Level.HIGH, Mute(), np.float32(1.5), 2**64 - 1, cycle(), object])
    | st.decimals()
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
        | st.builds(Box, st.integers(), inner)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(["mine", "other", "file_path", "error", "top1_label", "extra"])


@STEADY
@given(st.dictionaries(FIELDS, VALUES, max_size=4))
def test_any_values_come_out_as_json_that_every_reader_takes(sink, fields):
    log_event("a", **fields)
    assert told(sink)["dropped_before"] == 0


@STEADY
@given(st.text(st.characters(exclude_categories=())), VALUES)
def test_any_path_and_error_come_out_with_a_reason(sink, path, error):
    log_event("input_error", file_path=path, error=error)
    assert told(sink)["reason"]
