"""Instrumentation: every event is told, nothing reaches the service."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from recognizer.decode_lines import decode_batch
from recognizer.emit import configure, log_event, recognition, together
from recognizer.sinks import MemorySink
from tests.support.emission import emitting_to

STAMPS = {
    "timestamp",
    "event_type",
    "event_id",
    "host",
    "pid",
    "schema_version",
    "model_name",
    "dropped_before",
}


class Refusing(MemorySink):
    """A sink that can be told to lose lines."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.room = 1_000_000

    def write(self, lines: bytes, count: int = 1) -> int:
        taken = min(count, 0 if self.full else self.room)
        return super().write(b"".join(lines.splitlines(keepends=True)[:taken]), taken)


def test_every_event_is_stamped(sink):
    log_event("input_start", file_path="/上传/百灵.png", mine=1)
    (event,) = sink.events
    assert event.keys() >= STAMPS
    assert (event["host"], event["model_name"], event["pid"]) == ("gpu-01", "resnest101", os.getpid())
    assert (event["file_path"], event["file_dir"], event["mine"]) == ("/上传/百灵.png", "/上传", 1)
    assert event["dropped_before"] == 0


def test_event_ids_are_short_and_unique(sink):
    for _ in range(1_000):
        log_event("a")
    ids = [event["event_id"] for event in sink.events]
    assert len(set(ids)) == 1_000
    assert max(map(len, ids)) <= 40


def test_our_lines_pass_through_ingest_byte_for_byte(sink, tmp_path):
    picture = tmp_path / "百灵.png"
    picture.write_bytes(b"x")
    with recognition(picture) as r:
        r.input_success(np.zeros((4, 5, 3), np.uint8))
        r.preprocess_complete(np.ones((1, 3, 2, 2), np.float32), resized=True, normalized=True)
        r.inference_complete(["百灵", "麻雀"], np.array([0.75, 0.25], np.float32), device="cpu", logits_dim=2)
        r.business_output(200, response_size=10)
    lines = [line.rstrip(b"\n") for line in sink.lines]
    now_ms = sink.events[0]["timestamp"]
    decoded = decode_batch(lines, now_ms=now_ms, max_age_ms=60_000, max_future_ms=60_000)
    assert decoded.lines == lines
    assert not decoded.notes


def test_fields_given_win_over_stamps(sink):
    log_event("a", timestamp=5, host="other", event_id="mine", model_name="m2")
    (event,) = sink.events
    assert (event["timestamp"], event["host"], event["event_id"], event["model_name"]) == (5, "other", "mine", "m2")


def test_lost_events_are_counted_exactly_and_told_by_the_next():
    with emitting_to(Refusing()) as sink:
        log_event("a")
        sink.full = True
        for _ in range(7):
            log_event("b")
        sink.full = False
        log_event("c")
        log_event("d")
    assert [(e["event_type"], e["dropped_before"]) for e in sink.events] == [("a", 0), ("c", 7), ("d", 0)]


def test_lost_and_told_events_add_up_over_threads():
    with emitting_to(Refusing()) as sink:

        def work(thread: int) -> None:
            for number in range(2_000):
                sink.full = (number + thread) % 3 == 0
                log_event("a")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        sink.full = False
        log_event("last")
    assert len(sink.lines) + sum(event["dropped_before"] for event in sink.events) == 8_001


def test_events_told_together_are_held_to_the_end_of_the_outermost_block(sink):
    with together():
        log_event("a")
        with together():
            log_event("b")
        assert sink.lines == []
        with ThreadPoolExecutor(1) as pool:
            pool.submit(log_event, "another thread's").result()
    assert [event["event_type"] for event in sink.events] == ["another thread's", "a", "b"]


def test_events_told_together_are_written_also_when_the_block_fails(sink):
    def fail() -> None:
        with together():
            log_event("a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [event["event_type"] for event in sink.events] == ["a"]


def test_an_event_of_any_form_is_one_line_with_each_name_once(sink):
    """The first event of a type, one with no fields, one whose type must be cut: heads made beforehand fit them all."""
    long = "x" * 9_000
    for event_type in ("a", "a", long, long):
        for fields in ({}, {"note": long}, {"host": "mine"}):
            log_event(event_type, **fields)
    pairs = [json.loads(line, object_pairs_hook=list) for line in sink.lines]
    assert all(len(dict(event)) == len(event) and dict(event).keys() >= STAMPS for event in pairs)
    assert len(pairs) == 12


@pytest.mark.parametrize("room", [0, 1, 2, 3])
def test_losses_of_a_block_are_counted_exactly(room):
    """Two are lost before, the block's first event tells of them; of the block's three some find no room."""
    with emitting_to(Refusing()) as sink:
        sink.full = True
        log_event("lost"), log_event("lost")
        sink.full, sink.room = False, room
        with together():
            log_event("a"), log_event("b"), log_event("c")
        sink.room = 1_000_000
        log_event("last")
    assert len(sink.lines) == room + 1
    assert sum(event["dropped_before"] for event in sink.events) == 2 + 3 - room


def test_a_child_forked_inside_of_a_block_writes_only_its_own_events(tmp_path):
    code = (
        "import os; from recognizer.emit import *; from recognizer.sinks import FileSink\n"
        "configure(FileSink('events.jsonl'))\n"
        "with together():\n"
        "    log_event('parent')\n"
        "    pid = os.fork()\n"
        "    if pid == 0: log_event('child')\n"
        "if pid: os.waitpid(pid, 0)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    written = (tmp_path / "events.jsonl").read_bytes().splitlines()
    assert sorted(json.loads(line)["event_type"] for line in written) == ["child", "parent"]


def test_before_configuration_events_are_lost_and_it_is_said_once():
    code = (
        "from recognizer.emit import *; from recognizer.sinks import MemorySink\n"
        "log_event('a'); log_event('b'); sink = MemorySink(); configure(sink); log_event('c')\n"
        "print(sink.events[0]['dropped_before'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"
    assert done.stderr.count("configure(sink=") == 1


def test_switched_off_nothing_is_written_or_counted():
    with emitting_to(MemorySink()) as sink:
        configure(None)
        log_event("a")
        configure(sink)
        log_event("b")
    assert [(event["event_type"], event["dropped_before"]) for event in sink.events] == [("b", 0)]


def test_a_sink_that_raises_costs_an_event_only(capfd):
    class Broken(MemorySink):
        def write(self, lines: bytes, count: int = 1) -> int:
            raise RuntimeError("broken sink")

    configure(Broken())
    log_event("a")
    log_event("a")
    configure(None)
    assert capfd.readouterr().err.count("RuntimeError: broken sink") == 1


def test_a_full_stack_never_shows_in_the_service(sink, capfd):
    """log_event at every depth up to the recursion limit: the service sees only its own RecursionError."""
    reached = 0

    def dive() -> None:
        nonlocal reached
        reached += 1
        log_event("deep")
        dive()

    with pytest.raises(RecursionError) as raised:
        dive()
    assert {entry.path.name for entry in raised.traceback} == {"test_emit.py"}
    log_event("after")
    told = sum(event["dropped_before"] for event in sink.events)
    assert len(sink.events) - 1 + told == reached - 1, "of the last one the stack did not even take the call"
