"""Three hours of history and rules of many kinds that find something in it."""

import random

from daemon.replay import HOUR_MS
from detectors.condition import equals
from detectors.frame import Interval
from detectors.matching.absence import Absence
from detectors.matching.count import Count
from detectors.matching.missing_step import MissingStep
from detectors.matching.ratio import Ratio
from detectors.matching.streak import Streak
from detectors.query import MINUTE_MS
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.statistical.latency import Latency
from recognizer.events import Event
from tests.support.findings import rule
from tests.support.learner import Habit

BEGIN = 500_000 * HOUR_MS
SPAN = Interval(BEGIN, BEGIN + 3 * HOUR_MS)


def history(seed: int = 7) -> list[Event]:
    """Three hours of two hosts, with bursts of errors, of traffic, and a silence."""
    chance = random.Random(seed)
    made: list[Event] = []
    for minute in range(3 * 60):
        slow = 3.0 if 150 <= minute < 170 else 1.0
        burst = 50 <= minute < 58 or minute in {80, 120}
        for host in ("gpu-1", "gpu-2"):
            if host == "gpu-2" and 130 <= minute < 160:
                continue
            for n in range(chance.randint(4, 6) * (4 if burst else 1)):
                bad = burst and n % 2 == 0
                name = f"{host}-{minute}-{n}"
                made.append(
                    Event(
                        timestamp=BEGIN + minute * MINUTE_MS + chance.randrange(MINUTE_MS),
                        event_type="input_error" if bad else "input_success",
                        reason="file_missing" if bad else None,
                        host=host,
                        request_id=name,
                        event_id=name,
                        duration_ms=slow * chance.lognormvariate(4, 0.3),
                        top1_score=chance.uniform(0.8, 1.0) / slow,
                    )
                )
    return made


RULES = (
    rule(Habit(), "habit", for_ms=MINUTE_MS),
    rule(Latency(where=equals("event_type", "input_success"), group_by=("host",)), "latency"),
    rule(ConfidenceDrift(where=equals("event_type", "input_success"), group_by=("host",)), "confidence"),
    rule(
        Count(where=equals("event_type", "input_error"), at_least=8, within="5m", group_by=("host",)),
        "count",
        for_ms=120_000,
        keep_firing_for_ms=300_000,
    ),
    rule(
        Ratio(bad=equals("event_type", "input_error"), above=0.2, group_by=("host",)), "ratio", repeat_every_ms=120_000
    ),
    rule(Streak(times=3, group_by=("host",)), "streak", every_ms=5_000),
    rule(Absence(silent_for="15m", group_by=("host",)), "absence"),
    rule(
        MissingStep(
            start=equals("event_type", "input_error"),
            end=equals("event_type", "business_output"),
            timeout="2m",
            group_by=("host",),
        ),
        "missing",
    ),
)
