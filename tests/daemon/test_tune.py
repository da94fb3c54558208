"""What other settings would have cost: candidates are valid rules, the proposal is the least that is quiet enough."""

import random

import pytest

from daemon.replay import replay
from daemon.store.conformance.support import batch
from daemon.store.reference import ReferenceStore
from daemon.tune import FACTORS, tune
from detectors.condition import equals
from detectors.duration import HOUR_MS
from detectors.frame import Interval
from detectors.matching.absence import Absence
from detectors.matching.count import Count
from detectors.matching.ratio import Ratio
from detectors.matching.streak import Streak
from detectors.query import MINUTE_MS
from detectors.registry import DETECTORS
from detectors.statistical.metric import Metric
from recognizer.events import Event
from rules.model import Rule
from tests.support.findings import rule
from tests.support.learner import Habit
from tests.support.rules import loaded

BEGIN = 500_000 * HOUR_MS
SPAN = Interval(BEGIN, BEGIN + 6 * HOUR_MS)
BAD = equals("event_type", "input_error")
RATIO = Ratio(bad=BAD, above=0.2, window="5m", group_by=("host",))


@pytest.fixture(scope="module")
def store() -> ReferenceStore:
    """Six hours: every half hour three minutes with a quarter of errors, and once twenty minutes of nothing else."""
    chance = random.Random(3)
    events = []
    for minute in range(6 * 60):
        share = 1.0 if 200 <= minute < 220 else 0.45 if minute % 30 < 3 else 0.0
        for n in range(10):
            bad = n < share * 10
            events.append(
                Event(
                    timestamp=BEGIN + minute * MINUTE_MS + chance.randrange(MINUTE_MS),
                    event_type="input_error" if bad else "input_success",
                    reason="file_missing" if bad else None,
                    host="gpu-1",
                    event_id=f"{minute}-{n}",
                )
            )
    made = ReferenceStore()
    made.append(batch(events))
    return made


def test_a_noisy_rule_gets_the_setting_that_keeps_the_incident(store: ReferenceStore) -> None:
    tuned = tune(rule(RATIO, "ratio"), store, SPAN, at_most=10.0)
    assert tuned.present.setting == {}
    assert tuned.present.replayed.notices_a_day > 40
    assert tuned.proposed.replayed.notices_a_day <= 10
    assert tuned.proposed.kept == 1
    assert len(tuned.proposed.setting) == 1  # one change does it


def test_the_costs_are_those_of_a_backtest_with_that_setting(store: ReferenceStore) -> None:
    tuned = tune(rule(RATIO, "ratio"), store, SPAN, at_most=10.0)
    for one in tuned.candidates:
        (again,) = replay([one.replayed.rule], store, SPAN)
        assert again.alerts == one.replayed.alerts
    assert {"above", "for"} == {key for one in tuned.candidates for key in one.setting}


def test_a_quiet_rule_is_left_as_it_is(store: ReferenceStore) -> None:
    quiet = rule(Count(where=BAD, at_least=5_000, within="5m"), "count")
    assert len(tune(quiet, store, SPAN, at_most=1.0).candidates) == 1
    asked = tune(quiet, store, SPAN, at_most=1.0, even_if_quiet=True)
    assert asked.proposed is asked.present
    assert len(asked.candidates) > 4


def test_where_nothing_is_quiet_enough_the_quietest_is_proposed(store: ReferenceStore) -> None:
    tuned = tune(rule(Streak(times=2, group_by=("host",)), "streak", every_ms=5_000), store, SPAN, at_most=0.0)
    least = min(one.replayed.notices for one in tuned.candidates)
    assert tuned.proposed.replayed.notices == least
    assert least < tuned.present.replayed.notices


def test_a_kind_without_parameters_is_tuned_by_its_for(store: ReferenceStore) -> None:
    tuned = tune(rule(Habit(), "habit"), store, SPAN, at_most=0.0, even_if_quiet=True)
    assert [one.text for one in tuned.candidates] == ["(as it is)", "for: 2m", "for: 5m", "for: 15m"]


@pytest.mark.parametrize("subject", [RATIO, Absence(silent_for="15m"), Count(at_least=3)], ids=lambda one: one.kind)
def test_what_is_printed_can_be_pasted(store: ReferenceStore, subject: Ratio | Absence | Count) -> None:
    """Every line of every candidate is taken by the loader, and makes the rule that was replayed."""
    present = {
        "ratio": "bad: 'event_type: input_error'\n    above: 0.2",
        "absence": "silent_for: 15m",
        "count": "at_least: 3",
    }
    tuned = tune(rule(subject, "a-rule"), store, SPAN, at_most=0.0, even_if_quiet=True)
    for one in tuned.candidates:
        keys = [line for line in present[subject.kind].split("\n    ") if line.split(":")[0] not in one.setting]
        lines = [*keys, *(f"{key}: {value}" for key, value in one.setting.items())]
        text = "version: 1\nrules:\n  - id: a-rule\n    kind: " + "\n    ".join([subject.kind, *lines])
        config = loaded(text).config
        assert config is not None, text
        made: Rule = config.rules[0]
        for key in one.setting:
            if key == "for":
                assert made.policy.for_ms == one.replayed.rule.policy.for_ms
            else:
                assert getattr(made.detector, key) == getattr(one.replayed.rule.detector, key)


def test_a_promise_and_spans_stay_durations_when_they_are_changed(store: ReferenceStore) -> None:
    """Spans that a rule has written beside the one that is changed are read as the milliseconds that they are."""
    written = rule(Metric(field="total_ms", min_history="2h", adapt_after="6h"), "metric")
    tuned = tune(written, store, SPAN, at_most=0.0, even_if_quiet=True)
    kinds = [one.replayed.rule.detector for one in tuned.candidates]
    assert {(kind.min_history, kind.adapt_after) for kind in kinds if isinstance(kind, Metric)} == {
        (2 * HOUR_MS, 6 * HOUR_MS)
    }
    assert {one.setting["false_alarms"] for one in tuned.candidates if "false_alarms" in one.setting} == {
        "1 per 90d",
        "1 per 360d",
    }


def test_what_is_tried_are_parameters_of_some_kind() -> None:
    known = {name for kind in DETECTORS.values() for name in kind.model_fields}
    assert set(FACTORS) <= known
