"""Trace ids from the W3C header and from OpenTelemetry's span."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from recognizer.adapters.trace_context import from_header, trace_fields
from recognizer.emit import log_event
from recognizer.sinks import MemorySink
from tests.support.emission import emitting_to

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"
FOUND = {"trace_id": TRACE, "span_id": SPAN}


@pytest.mark.parametrize(
    "header",
    [GOOD, GOOD.encode(), f" {GOOD}\t", f"00-{TRACE}-{SPAN}-ff", f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-more"],
)
def test_a_valid_header_is_read(header: str | bytes) -> None:
    assert from_header(header) == FOUND


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        b"\xff\xfe",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        GOOD.upper(),
        GOOD[:-1],
        f"{GOOD}\n",
        f"00-{TRACE}-{SPAN}-01\0",
        f"٠٠-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01-" + "x" * 10_000,
    ],
    ids=repr,
)
def test_what_breaks_the_standard_counts_as_no_header(header: str | bytes | None) -> None:
    assert trace_fields(header) == {}


def test_the_current_span_stands_in_for_a_missing_header() -> None:
    """The header goes first: it is the caller's, and the span is this service's own."""
    span = NonRecordingSpan(SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=False, trace_flags=TraceFlags(1)))
    with trace.use_span(span):
        assert trace_fields() == FOUND
        assert trace_fields(f"00-{'a' * 32}-{'b' * 16}-00") == {"trace_id": "a" * 32, "span_id": "b" * 16}
    assert trace_fields() == {}


def test_the_fields_are_the_contract_s() -> None:
    with emitting_to(MemorySink()) as sink:
        log_event("input_start", **trace_fields(GOOD))
        assert FOUND.items() <= sink.events[0].items()
