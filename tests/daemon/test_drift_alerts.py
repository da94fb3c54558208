"""Alerts about drift, as the daemon's ticks make them: one from its beginning to its end, however quiet the model."""

import numpy as np
import pytest

from daemon.alerts.model import State
from daemon.evaluate import RuleState, tick
from daemon.store.base import Batch
from daemon.store.reference import ReferenceStore
from detectors.base import Detector
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.statistical.label_drift import LabelDrift
from recognizer.events import Event
from rules.model import Rule

MINUTE_MS = 60_000
T0_MS = 1_700_006_400_000
DAY_MS = 86_400_000
BEGIN, END, LAST = 200, 240, 300
PER_MINUTE = 4
"""So many answers a minute that a block takes several: longer than an alert is kept firing."""

DETECTORS: dict[str, Detector] = {
    "scores": ConfidenceDrift(min_history="20m"),
    "labels": LabelDrift(min_history="20m", at_least_events=12),
}


def a_quiet_model() -> ReferenceStore:
    """From minute BEGIN to END its scores are low, and one of its labels comes much more often."""
    store, random, events = ReferenceStore(), np.random.default_rng(8), []
    for number in range(LAST * PER_MINUTE):
        bad = BEGIN <= number // PER_MINUTE < END
        label = 3 if bad and random.random() < 0.9 else int(random.integers(0, 6))
        event = Event(
            timestamp=T0_MS + number * MINUTE_MS // PER_MINUTE,
            event_type="inference_complete",
            event_id=f"{number:06}",
            model_name="digits",
            top1_score=float(np.clip(random.normal(0.5 if bad else 0.93, 0.03), 0, 1)),
            top1_label=f"label {label}",
        )
        events.append(event)
    store.append(Batch(events, [b"{}"] * len(events)))
    return store


@pytest.mark.parametrize("what", sorted(DETECTORS))
def test_a_drift_of_a_quiet_model_is_one_alert(what: str) -> None:
    """It fires once and is resolved once: it does not flap while blocks fill."""
    store, rule = a_quiet_model(), Rule(id="drift", detector=DETECTORS[what], every_ms=MINUTE_MS)
    state, story = RuleState(judged_until_ms=T0_MS), []
    for end in (BEGIN - 10, *range(BEGIN - 9, LAST + 1)):
        now_ms = T0_MS + end * MINUTE_MS + rule.detector.query().settle_ms
        for judgement in tick([rule], {rule.id: state}, store, now_ms, DAY_MS):
            assert not judgement.evaluation.error
            state = judgement.state
            story += [(end, transition.alert.state) for transition in judgement.transitions]
    assert [state for _, state in story] == [State.FIRING, State.RESOLVED]
    assert BEGIN < story[0][0] < END < story[1][0] <= END + 45
