"""Asks and frames travel as JSON without a loss."""

import json

import pytest

from daemon.store.base import Ask
from daemon.store.conformance.support import batch
from daemon.store.reference import ReferenceStore
from daemon.store.wire import ask_from_json, ask_to_json, frame_from_json, frame_to_json
from detectors.condition import AnyCharacter, Exists, Not, Wildcard, all_of, any_of, equals
from detectors.frame import Interval
from detectors.query import AnyMeasure, Histogram, Measure, Query, Runs, Statistic, Tally, Unmatched
from recognizer.events import Event

MEASURES: tuple[AnyMeasure, ...] = (
    Measure("n"),
    Measure("p", Statistic.PERCENTILE, "duration_ms", 99.5, where=Exists("duration_ms")),
    Runs("runs", "reason", 2),
    Unmatched("lost", "request_id", start=equals("event_type", "input_start"), end=equals("http_status", 200)),
    Histogram("bins", "duration_ms", (1.0, 10.0, 100.0)),
    Tally("labels", "top1_label", 2),
)
WHERE = any_of(Not(Wildcard("host", "x*")), all_of(AnyCharacter("file_path", ((0x200B, 0x200F),)), equals("pid", 7)))


def travelled(value: object) -> object:
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: type(measure).__name__)
def test_every_measure_comes_back_as_it_was(measure: AnyMeasure) -> None:
    store = ReferenceStore()
    labels, reasons = ("狗", "b", "c", "狗", None), ("file_missing", "file_missing", None, "x", "x")
    events = [
        Event(
            timestamp=n * 20_000,
            event_type="input_start",
            host=f"gpu-{n % 2}" if n else None,
            event_id=str(n),
            request_id=str(n),
            top1_label=label,
            reason=reason,
            duration_ms=7.5 * n if n else None,
        )
        for n, (label, reason) in enumerate(zip(labels, reasons, strict=True))
    ]
    store.append(batch(events))
    query = Query(where=WHERE, group_by=("host",), measures=(measure,), top=5 if isinstance(measure, Measure) else None)
    ask = Ask(query, Interval(0, 120_000), 60_000)
    assert ask_from_json(travelled(ask_to_json(ask))) == ask  # type: ignore[arg-type]
    (frame,) = store.ask([ask])
    assert frame.series
    assert frame_from_json(travelled(frame_to_json(frame)), query) == frame  # type: ignore[arg-type]
