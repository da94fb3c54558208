"""A batch of lines is what its lines are one by one: the shortcut for good batches changes nothing."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.decode_lines import MAX_ID_CHARACTERS, Decoded, decode_batch
from recognizer.events import MalformedReason

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
BASE: dict[str, Any] = {"timestamp": NOW_MS, "event_type": "inference_complete"}


def batch(*lines: bytes, offset: int) -> Decoded:
    limits = {"now_ms": NOW_MS, "max_age_ms": 30 * DAY_MS, "max_future_ms": DAY_MS}
    return decode_batch(lines, **limits, identity="log", offset=offset)


def line(**changes: Any) -> bytes:
    return json.dumps(BASE | changes).encode()


_PATHS = st.sampled_from(["/a/b.png", "/a/b\u200b.png", " c.png", "", "d"])
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "timestamp": st.sampled_from(
        [NOW_MS, NOW_MS + 1, NOW_MS // 1000, NOW_MS - 400 * DAY_MS, NOW_MS + 9 * DAY_MS, -1, 0]
    ),
    "event_type": st.sampled_from(["inference_complete", "input_error", "Input Error", "own_type", ""]),
    "event_id": st.sampled_from(["a", "b", "", "x" * MAX_ID_CHARACTERS, "x" * (MAX_ID_CHARACTERS + 1)]),
    "file_path": _PATHS,
    "file_dir": st.sampled_from(["/a", ""]),
    "path_issues": st.sampled_from([["path_invisible_character"], []]),
    "reason": st.sampled_from(["file_missing", "no such reason", None]),
    "duration_ms": st.sampled_from([1.5, "1.5", None]),
    "extra": st.just({"a": 1}),
    "unknown": st.just(1),
}
_CLEAN = json.dumps(BASE | {"event_id": "e", "file_path": "/a/b.png", "file_dir": "/a"}).encode()
_WRITTEN = st.fixed_dictionaries({}, optional=_FIELDS).map(lambda changes: line(**changes))
_HOSTILE = st.sampled_from(
    [
        *(b"", b" ", b"{}", b"[]", b"null", b"{", b"}", b'{"a":1}{"b":2}', b"\xff", b"\xef\xbb\xbf" + _CLEAN),
        *(
            _CLEAN + b" ",
            b" " + _CLEAN,
            _CLEAN[:-1],
            _CLEAN[1:],
            _CLEAN + _CLEAN,
            b'{"timestamp":1',
            b'"event_type":"a"}',
        ),
        *(_CLEAN.replace(b'"e"', value) for value in (b'"\\u0000"', b"NaN", b'"\\udcff"')),
    ]
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.lists(_WRITTEN | _HOSTILE | st.just(_CLEAN), max_size=6), st.booleans())
def test_a_batch_is_what_its_lines_are_one_by_one(lines: list[bytes], mostly_clean: bool) -> None:
    """Where all is good nobody looks at the lines; what comes of them is the same as when each is looked at.

    A line that surely has to be mended stands at the end of the other batch, so that it goes the slow way.
    """
    lines = [_CLEAN] * 3 + lines[:1] if mostly_clean else lines
    together = batch(*lines, offset=7)
    offset = 7
    each = Decoded()
    for one_line in lines:
        alone = batch(one_line, b'{"event_type":"inference_complete"}', offset=offset)
        assert alone.malformed.pop().reason is MalformedReason.MISSING_FIELD
        each.events.extend(alone.events)
        each.lines.extend(alone.lines)
        each.malformed.extend(alone.malformed)
        each.malformed_offsets.extend(alone.malformed_offsets[:-1])
        each.notes.update(alone.notes)
        offset += len(one_line) + 1
    assert together == each
