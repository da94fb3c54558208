"""Log records of the standard library as events."""

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from recognizer.adapters.stdlib_logging import EventHandler
from recognizer.emit import configure, recognition
from recognizer.sinks import FileSink, MemorySink
from tests.support.emission import emitting_to, ended_well, in_child


@pytest.fixture
def log() -> logging.Logger:
    logger = logging.Logger("recognizer.service")  # noqa: LOG001 - below no root, where pytest has handlers of its own
    logger.addHandler(EventHandler())
    return logger


def test_a_record_becomes_an_event(sink: MemorySink, log: logging.Logger) -> None:
    log.warning("slow disk %s", "/data/上传", extra={"duration_ms": 812.0})
    (event,) = sink.events
    assert (event["event_type"], event["level"], event["logger"]) == ("log_line", "warning", "recognizer.service")
    assert (event["message"], event["duration_ms"], event["host"]) == ("slow disk /data/上传", 812.0, "gpu-01")
    assert abs(event["timestamp"] / 1_000 - logging.makeLogRecord({}).created) < 60
    assert not {"args", "exc_info", "msg", "process", "levelno"} & event.keys()


def test_extra_names_the_event_type(sink: MemorySink, log: logging.Logger) -> None:
    log.error("x", extra={"event_type": "input_error", "error": "imread: None", "file_path": "/gone.png"})
    assert (sink.events[0]["event_type"], sink.events[0]["reason"]) == ("input_error", "file_missing")


@pytest.mark.parametrize("extra", [{5: 1}, {None: "x"}, {("a", 1): 2}])
def test_a_name_that_is_no_text_becomes_one_and_raises_nothing(
    sink: MemorySink, log: logging.Logger, extra: dict[Any, Any]
) -> None:
    log.warning("x", extra=extra)
    assert sink.events[0]["message"] == "x"
    assert set(extra.values()) <= set(sink.events[0].values())


@pytest.mark.parametrize("timestamp", ["abc", None, 1.5, True])
def test_a_time_that_is_no_whole_number_costs_no_event(
    sink: MemorySink, log: logging.Logger, timestamp: object
) -> None:
    """The reader could not place it: the record's own time stands."""
    log.warning("x", extra={"timestamp": timestamp, "event_type": ""})
    (event,) = sink.events
    assert (type(event["timestamp"]), event["event_type"]) == (int, "log_line")
    assert event["timestamp"] > 1_600_000_000_000


def test_an_exception_is_told(sink: MemorySink, log: logging.Logger) -> None:
    try:
        raise ZeroDivisionError("one by zero")
    except ZeroDivisionError:
        log.exception("failed")
    assert sink.events[0]["error"] == "ZeroDivisionError: one by zero"


class Broken:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("arguments", [("%d of %d", 1), ("%s", Broken()), (Broken(),), ("%q", 1)])
def test_a_broken_record_is_told_all_the_same(
    sink: MemorySink, log: logging.Logger, arguments: tuple[object, ...]
) -> None:
    log.error(*arguments, extra={"kept": 1})
    assert sink.events[0]["kept"] == 1
    assert "message" in sink.events[0]


def test_inside_a_block_the_line_carries_the_request(sink: MemorySink, log: logging.Logger) -> None:
    with recognition("/a.png") as r:
        log.warning("odd")
    line = next(event for event in sink.events if event["event_type"] == "log_line")
    assert line["request_id"] == r.request_id


def test_a_fork_under_a_saturated_logger_hangs_nobody(log: logging.Logger, tmp_path: Path) -> None:
    """Children forked while another thread logs without a pause write their lines and end."""
    with emitting_to(MemorySink()):
        configure(FileSink(tmp_path / "events.jsonl"))
        stop = threading.Event()

        def saturate() -> None:
            while not stop.is_set():
                log.info("busy")

        thread = threading.Thread(target=saturate)
        thread.start()
        try:
            children = [in_child(lambda: log.warning("child %d", os.getpid())) for _ in range(20)]
            assert ended_well(children)
        finally:
            stop.set()
            thread.join()
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_bytes().splitlines()]
    told = [line["message"] for line in lines if line["level"] == "warning"]
    assert sorted(told) == sorted(f"child {child}" for child in children)
