"""What a picture shows: the number a rule measures, and any text without harm."""

import math
from pathlib import Path

import pytest

from daemon.measured import ask_for, measured, points
from daemon.picture import draw_costs, draw_replayed
from daemon.replay import HOUR_MS, replay
from daemon.store.conformance.support import batch
from daemon.store.reference import ReferenceStore
from detectors.condition import equals
from detectors.frame import Interval, Key
from detectors.query import MINUTE_MS, AnyMeasure, Histogram, Measure, Query, Runs, Statistic, Tally, Unmatched
from recognizer.events import Event
from tests.support.findings import rule
from tests.support.learner import Habit

HOSTILE = "$\\frac{1$ \u202e狗\x1b[31m_^{"
BEGIN = 1_000 * HOUR_MS
SPAN = Interval(BEGIN, BEGIN + 10 * MINUTE_MS)
KEY: Key = (("host", HOSTILE),)


def store(*counts: int) -> ReferenceStore:
    """Minutes with so many events of 10, 20, 30… ms; the first of each failed."""
    made = ReferenceStore()
    for minute, count in enumerate(counts):
        at_ms = BEGIN + minute * MINUTE_MS
        events = [
            Event(
                timestamp=at_ms + n,
                event_type="inference_complete",
                host=HOSTILE,
                event_id=f"{minute}-{n}",
                request_id=f"{minute}-{n}",
                duration_ms=10.0 * (n + 1),
                top1_label="cat" if n else "dog",
                reason=None if n else "model_error",
            )
            for n in range(count)
        ]
        made.append(batch(events))
    return made


BAD = equals("reason", "model_error")
COUNT = Measure("count", field="duration_ms")


@pytest.mark.parametrize(
    ("measures", "label", "number"),
    [
        ((Histogram("bins", "duration_ms", (5.0, 25.0, 35.0)),), "median of duration_ms", 5 * 5**0.75),
        ((COUNT, Measure("sum", Statistic.SUM, "duration_ms")), "mean of duration_ms", 20.0),
        ((COUNT, Measure("up", Statistic.PERCENTILE, "duration_ms", 100.0)), "p100 of duration_ms", 30.0),
        ((Measure("count"), Measure("bad", where=BAD)), "share of bad", 1 / 3),
        ((Runs("runs", "reason", 1),), "longest run of one reason", 1.0),
        ((Tally("labels", "top1_label", 1),), "share of the most frequent top1_label", 2 / 3),
        ((COUNT, Tally("labels", "top1_label", 1)), "share of the most frequent top1_label", 2 / 3),
        ((Unmatched("lost", "request_id", start=BAD, end=equals("http_status", 200)),), "lost", 1.0),
        ((Measure("count"),), "events", 3.0),
    ],
)
def test_the_line_is_what_the_rule_looks_at(measures: tuple[AnyMeasure, ...], label: str, number: float) -> None:
    """A minute of three events, then one without any, then three again: the line is broken in between."""
    query = Query(measures=measures, group_by=("host",))
    what = measured(query)
    (frame,) = store(3, 0, 3).ask([ask_for(query, KEY, SPAN)])
    times, numbers = points(frame, query)
    assert what.label == label
    assert [(time - BEGIN) // 30_000 for time in times] == [1, 3, 5]
    assert numbers == pytest.approx([number, math.nan, number], nan_ok=True)


def test_a_long_time_is_asked_for_in_coarse_buckets() -> None:
    ask = ask_for(Query(), (), Interval(BEGIN, BEGIN + 30 * 24 * HOUR_MS))
    assert ask.query.bucket_ms == 29 * MINUTE_MS
    assert ask.interval.start_ms % ask.query.bucket_ms == 0


@pytest.mark.parametrize(
    ("measure", "number"),
    [
        (Measure("count"), 3.0),
        (Measure("sum", Statistic.SUM, "duration_ms"), 60.0),
        (Measure("avg", Statistic.AVG, "duration_ms"), 20.0),
    ],
)
def test_what_adds_up_is_told_per_bucket_of_the_rule(measure: AnyMeasure, number: float) -> None:
    """As the alerts of the picture tell it, however coarse the line: 29 times as many events were none."""
    query = Query(measures=(measure,), group_by=("host",))
    ask = ask_for(query, KEY, Interval(BEGIN, BEGIN + 30 * 24 * HOUR_MS))
    (frame,) = store(*[3] * 60).ask([ask])
    assert max(points(frame, query)[1]) == pytest.approx(number)


def test_hostile_text_is_drawn_as_text(tmp_path: Path) -> None:
    """A key that looks like a formula, in a script that the font may not have, with characters that must not act."""
    pytest.importorskip("matplotlib")
    source = store(3, 3, 3, 20, 3)
    (replayed,) = replay([rule(Habit(), "habit")], source, SPAN)
    assert len(replayed.alerts) == 1
    draw_replayed(replayed, source, tmp_path / "rule.png")
    draw_costs({HOSTILE: [(HOSTILE, 2.0, False), ("false_alarms: 1 per 90d", 0.5, True)]}, tmp_path / "costs.png")
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("rule.png", "costs.png"))


def test_a_quiet_rule_has_a_picture_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    source = store(3, 3)
    (replayed,) = replay([rule(Habit(), "habit")], source, SPAN)
    draw_replayed(replayed, source, tmp_path / "deep" / "rule.png")
    assert (tmp_path / "deep" / "rule.png").exists()
