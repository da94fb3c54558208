"""structlog's dicts as events; structlog itself need not be installed."""

import importlib.util
import subprocess
import sys

import pytest

from recognizer.adapters.structlog_processor import EventProcessor
from recognizer.sinks import MemorySink


def test_the_dict_becomes_an_event_and_goes_on_unchanged(sink: MemorySink) -> None:
    given = {"event": "slow disk", "duration_ms": 812.0, "timestamp": "2024-05-17T10:00:00Z", "level": "warn"}
    assert EventProcessor()(None, "warning", given) is given
    assert given == {"event": "slow disk", "duration_ms": 812.0, "timestamp": "2024-05-17T10:00:00Z", "level": "warn"}
    (event,) = sink.events
    assert (event["event_type"], event["message"], event["level"]) == ("log_line", "slow disk", "warn")
    assert isinstance(event["timestamp"], int)


def test_type_and_time_are_taken_from_the_dict(sink: MemorySink) -> None:
    EventProcessor()(None, "info", {"event": "x", "event_type": "disk_slow", "timestamp": 1_700_000_000_000})
    assert (sink.events[0]["event_type"], sink.events[0]["timestamp"]) == ("disk_slow", 1_700_000_000_000)


def test_a_name_that_is_no_text_becomes_one_and_raises_nothing(sink: MemorySink) -> None:
    EventProcessor()(None, "info", {"event": "x", 5: 1})  # type: ignore[dict-item]
    assert (sink.events[0]["message"], sink.events[0]["5"]) == ("x", 1)


@pytest.mark.parametrize("how", ["exception", "triple", "true"])
def test_an_exception_is_told_in_every_form(sink: MemorySink, how: str) -> None:
    try:
        raise ZeroDivisionError("one by zero")
    except ZeroDivisionError as fault:
        given = {"exception": fault, "triple": sys.exc_info(), "true": True}[how]
        EventProcessor()(None, "error", {"event": "failed", "exc_info": given})
    assert sink.events[0]["error"] == "ZeroDivisionError: one by zero"


def test_importing_it_needs_no_structlog() -> None:
    code = "import sys; sys.modules['structlog'] = None; import recognizer.adapters.structlog_processor"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(importlib.util.find_spec("structlog") is None, reason="structlog is not installed")
def test_structlog_itself_writes_nothing_after_the_final_processor(
    sink: MemorySink, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog = importlib.import_module("structlog")
    logger = structlog.wrap_logger(structlog.PrintLogger(), processors=[EventProcessor(final=True)])
    logger.warning("slow disk", duration_ms=1.0)
    assert sink.events[0]["message"] == "slow disk"
    assert capsys.readouterr().out == ""
