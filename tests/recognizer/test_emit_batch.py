"""`log_events`: many events in one call, none spoiled by another, the same events that `log_event` writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognizer.batch import MOST
from recognizer.decode_lines import decode_batch
from recognizer.emit import configure, log_event, log_events, recognition, together
from recognizer.reasons import EventType
from recognizer.sinks import FileSink, MemorySink
from tests.support.emission import emitting_to

OWN = {"event_id", "timestamp", "file_dir"}


def event(number: int, **more: Any) -> dict[str, Any]:
    return {"event_type": "inference_complete", "file_path": f"/上传/百灵_{number}.png", "top1_score": 0.5, **more}


def without_own(written: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in written.items() if name not in OWN}


def test_a_batch_writes_what_single_calls_write(sink: MemorySink) -> None:
    many = [event(number, shape=[1, 2, 3], nested={"a": [{"b": None}]}) for number in range(100)]
    log_events(many)
    batch, sink.lines = sink.events, []
    for one in many:
        fields = dict(one)
        log_event(fields.pop("event_type"), **fields)
    assert list(map(without_own, batch)) == list(map(without_own, sink.events))
    assert len({one["event_id"] for one in batch + sink.events}) == 200
    assert all(abs(one["timestamp"] - sink.events[0]["timestamp"]) < 60_000 for one in batch)


def test_a_batch_inside_of_together_waits_with_the_others(sink: MemorySink) -> None:
    with together():
        log_event("first")
        log_events([event(1), event(2)])
        log_event("last")
        assert not sink.lines
    assert [one["event_type"] for one in sink.events] == ["first", "inference_complete", "inference_complete", "last"]


def test_the_events_given_stay_as_they_are(sink: MemorySink) -> None:
    many = [event(1), event(2)]
    log_events(many)
    assert many == [event(1), event(2)]


HOSTILE: list[dict[str, Any]] = [
    event(1, note='},{"event_type":"forged"'),
    event(1, note='"},{"event_type":'),
    event(1, **{'},{"event_type":': 1}),
    event(1, nested=[{"event_type": "a"}, {"event_type": "b"}]),
    event(1, nested=[{"x": 1}, {"event_type": "b"}]),
    event(1, note='line\nbreak\r\u2028 \\ " \0'),
    {"file_path": "/a", "event_type": "begins_otherwise"},
    {"nested": [{"event_type": "a"}, {"event_type": "b"}], "event_type": "begins_otherwise"},
    {"event_type": "alone"},
    {"event_type": EventType.INPUT_START},
    {"event_type": {"no": "text"}},
    event(1, **{"": 0}),
    event(1, big=2**70, nan=float("nan"), raw=b"\xff", array=np.float32(0.5), half="\ud800"),
    event(1, long="字" * 20_000),
    event(1, event_id="mine-1"),
    event(1, timestamp=1_700_000_000_000),
    event(1, host="elsewhere", dropped_before=7),
    event(1, file_path=b"/a/\xff.png"),
    event(1, file_path=Path("/a/b.png")),
    event(1, file_path=None),
]


@pytest.mark.parametrize("odd", HOSTILE, ids=lambda odd: str(list(odd))[:60])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_odd_event_is_told_right_and_spoils_no_other(sink: MemorySink, odd: dict[str, Any], place: int) -> None:
    """Wherever it stands in the batch, each line is one event and tells what a single call would have told."""
    many = [event(8), event(9)]
    many.insert(place, odd)
    log_events(many)
    assert len(sink.lines) == 3
    batch, sink.lines = sink.events, []
    for one in many:
        fields = dict(one)
        log_event(fields.pop("event_type"), **fields)
    assert list(map(without_own, batch)) == list(map(without_own, sink.events))
    assert [one["timestamp"] for one in batch if "timestamp" in odd and one.get("timestamp") == odd["timestamp"]] == (
        [odd["timestamp"]] if "timestamp" in odd else []
    )


def test_batches_pass_ingest_byte_for_byte(sink: MemorySink) -> None:
    log_events([event(number) for number in range(50)])
    decoded = decode_batch(sink.lines, now_ms=sink.events[0]["timestamp"], max_future_ms=1_000, max_age_ms=1_000)
    assert not decoded.malformed
    assert len(decoded.events) == 50
    assert {one.file_dir for one in decoded.events} == {"/上传"}


def test_what_is_no_event_is_lost_alone_and_counted(sink: MemorySink) -> None:
    log_events([event(1), {"no": "type"}, 7, event(2)])  # type: ignore[list-item]  # what is no event is the test
    assert [one["file_path"] for one in sink.events] == ["/上传/百灵_1.png", "/上传/百灵_2.png"]
    log_events([event(3), event(4)])
    assert [one["dropped_before"] for one in sink.events] == [0, 2, 0, 0]


def test_an_event_without_a_type_is_lost_alone_wherever_the_others_have_theirs(sink: MemorySink) -> None:
    log_events([{"n": 1, "event_type": "a"}, {"n": 2}, {"n": 3, "event_type": "a"}])
    assert [one["n"] for one in sink.events] == [1, 3]


def test_a_failing_iterator_reaches_nobody(sink: MemorySink) -> None:
    def failing() -> Iterator[dict[str, Any]]:
        yield event(1)
        raise EOFError("gone")

    log_events(failing())
    log_event("input_start")
    assert [one["dropped_before"] for one in sink.events] == [1]


def test_an_input_error_gets_its_reason(sink: MemorySink) -> None:
    log_events(
        [event(1), {"event_type": "input_error", "error": FileNotFoundError(2, "No such file"), "file_path": "/x"}]
    )
    assert sink.events[1]["reason"] == "file_missing"


def test_inside_a_block_each_carries_the_request(sink: MemorySink) -> None:
    with recognition("/a/b.png") as r:
        log_events([{"event_type": "crop"}, {"event_type": "crop", "request_id": "mine"}])
    crops = [one for one in sink.events if one["event_type"] == "crop"]
    assert [(one["request_id"], one["file_path"]) for one in crops] == [
        (r.request_id, "/a/b.png"),
        ("mine", "/a/b.png"),
    ]


def test_more_than_a_batch_at_once_and_none_at_all(tmp_path: Path) -> None:
    with emitting_to(MemorySink()):
        configure(FileSink(tmp_path / "events.jsonl"))
        log_events([])
        log_events(event(number) for number in range(2 * MOST + 1))
    written = [json.loads(line) for line in (tmp_path / "events.jsonl").read_bytes().splitlines()]
    assert [one["file_path"] for one in written] == [event(number)["file_path"] for number in range(2 * MOST + 1)]
    assert len({one["event_id"] for one in written}) == 2 * MOST + 1


def test_a_full_disk_is_counted_to_the_line() -> None:
    """/dev/full takes nothing: the next event that can be written says how many are missing."""
    with emitting_to(MemorySink()) as memory:
        configure(FileSink("/dev/full"))
        log_events([event(number) for number in range(10)])
        configure(memory)
        log_events([event(11), event(12)])
        assert [one["dropped_before"] for one in memory.events] == [10, 0]
