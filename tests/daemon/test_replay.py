"""History through the tick: the same as if it had been judged live, in one piece or in many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemon.alerts.model import Alert
from daemon.app import CONTROL
from daemon.baseline import Mark
from daemon.console import Console
from daemon.control import Control
from daemon.errors import WumuError
from daemon.evaluate import RuleState, Source, step_ms, tick
from daemon.ledger.ledger import Ledger
from daemon.remote import RemoteStore
from daemon.replay import replay
from daemon.store.base import Ask
from daemon.store.conformance.support import batch
from daemon.store.duckdb.store import DuckDBStore
from daemon.store.reference import ReferenceStore
from detectors.duration import DAY_MS, HOUR_MS
from detectors.finding import Detection, Memory
from detectors.frame import Frame, Key
from detectors.query import MINUTE_MS, Measure, Query, Statistic
from rules.model import Config, Policy, Rule
from tests.support.findings import rule
from tests.support.learner import Habit
from tests.support.replay import BEGIN, RULES, SPAN, history


@pytest.fixture(scope="module")
def store() -> ReferenceStore:
    store = ReferenceStore()
    store.append(batch(history()))
    return store


def live(subject: Rule, source: Source, marks: Sequence[Mark] = ()) -> tuple[Alert, ...]:
    """What a daemon that takes a turn at every step of the rule makes of the same events."""
    query = subject.detector.query()
    state, alerts = RuleState(SPAN.start_ms // (query.bucket_ms or 1) * (query.bucket_ms or 1)), dict[str, Alert]()
    step = step_ms(subject, query)
    for at_ms in range(SPAN.start_ms // step * step + step, SPAN.end_ms + 1, step):
        now_ms = at_ms + (0 if query.partial else query.settle_ms)
        for judgement in tick([subject], {subject.id: state}, source, now_ms, 2 * DAY_MS, marks):
            assert judgement.evaluation.error == ""
            state = judgement.state
            seen = [*(moved.alert for moved in judgement.transitions), *state.alerts.values()]
            alerts |= {alert.id: alert for alert in seen if alert.fired_at_ms is not None}
    return tuple(sorted(alerts.values(), key=lambda alert: (alert.active_at_ms, alert.id)))


@pytest.mark.parametrize("subject", RULES, ids=lambda subject: subject.id)
def test_a_backtest_finds_what_the_live_run_found(subject: Rule, store: ReferenceStore) -> None:
    (replayed,) = replay([subject], store, SPAN)
    assert replayed.error == ""
    assert replayed.alerts == live(subject, store)
    assert replayed.alerts


@pytest.mark.parametrize("subject", RULES, ids=lambda subject: subject.id)
def test_in_many_pieces_it_is_the_same_as_in_one(subject: Rule, store: ReferenceStore) -> None:
    (pieces,) = replay([subject], store, SPAN, longest_ms=HOUR_MS // 7)
    (whole,) = replay([subject], store, SPAN, longest_ms=DAY_MS)
    assert (pieces.alerts, pieces.series) == (whole.alerts, whole.series)


def test_a_planned_change_counts_as_it_did_live(store: ReferenceStore) -> None:
    marks = (Mark.of("model v2", BEGIN + 49 * MINUTE_MS + 20_000, 0),)
    (replayed,) = replay([RULES[0]], store, SPAN, marks=marks)
    assert replayed.alerts == live(RULES[0], store, marks)
    assert replayed.alerts != replay([RULES[0]], store, SPAN)[0].alerts


def test_a_running_daemon_answers_for_its_store(tmp_path: Path, store: ReferenceStore) -> None:
    """Every kind of measure travels through the socket; the DuckDB file admits one process."""
    with_file = DuckDBStore(tmp_path / "events.duckdb")
    with_file.append(batch(history()))
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    console = Console(Config(rules=RULES), with_file, lambda: ledger, lambda: SPAN.end_ms)
    control = Control(tmp_path / CONTROL, console.verbs())
    try:
        remote = RemoteStore(tmp_path / CONTROL)
        for subject in RULES:
            assert replay([subject], remote, SPAN)[0].alerts == replay([subject], store, SPAN)[0].alerts
        with pytest.raises(WumuError, match="nonsense"):
            remote.ask([Ask(Query(measures=(Measure("x", Statistic.AVG, "nonsense"),)), SPAN, SPAN.start_ms)])
    finally:
        control.close()
        with_file.close()
        ledger.close()


class Counting:
    """Counts what is really asked."""

    def __init__(self, source: Source) -> None:
        self.source, self.asked = source, 0

    def ask(self, asks: Sequence[Ask]) -> tuple[Frame, ...]:
        self.asked += len(asks)
        return self.source.ask(asks)


def test_few_queries_are_asked_and_equal_ones_once(store: ReferenceStore) -> None:
    source, parts = Counting(store), list[float]()
    subjects = [rule(Habit(factor), f"habit-{factor}") for factor in (2.0, 3.0, 4.0)]
    found = replay(subjects, source, SPAN, on_progress=parts.append)
    assert source.asked == 2  # an hour, then two
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    assert len(found[0].alerts) >= len(found[2].alerts)


def test_rules_that_differ_in_their_timers_alone_are_judged_once(store: ReferenceStore) -> None:
    judged: list[float] = []

    @dataclass(frozen=True)
    class Watched(Habit):
        def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
            judged.append(self.factor)
            return super().detect(frame, memory)

    subjects = [rule(Watched(), "a"), rule(Watched(), "b", for_ms=120_000), rule(Watched(3.0), "c")]
    marks = (Mark.of("model v2", BEGIN + 49 * MINUTE_MS, 0),)
    shared = replay(subjects, store, SPAN, marks=marks)
    assert judged == [2.0, 2.0, 3.0, 3.0, 2.0, 3.0]  # up to the change, from there to the hour, the rest
    assert [one.alerts for one in shared] == [replay([one], store, SPAN, marks=marks)[0].alerts for one in subjects]


def test_what_was_promised_counts_from_the_end_of_the_warm_up(store: ReferenceStore) -> None:
    (habit, count) = replay([RULES[0], next(one for one in RULES if one.id == "count")], store, SPAN)
    assert habit.judged_days == pytest.approx(2 * 2.5 / 24)  # two series; ready within the first stretch, an hour
    assert habit.promised == pytest.approx(habit.judged_days / 30)
    assert (count.promised, count.judged_days) == (None, 0.0)


def test_notices_are_beginnings_repeats_and_ends(store: ReferenceStore) -> None:
    subject = replace(next(one for one in RULES if one.id == "ratio"), policy=Policy(repeat_every_ms=0))
    (once,) = replay([subject], store, SPAN)
    assert once.notices == 2 * len(once.alerts)
    assert once.notices_a_day == pytest.approx(8 * once.notices)
    (often,) = replay([replace(subject, policy=Policy(repeat_every_ms=MINUTE_MS))], store, SPAN)
    lasted = sum((alert.resolved_at_ms or 0) - (alert.fired_at_ms or 0) - 1 for alert in often.alerts) // MINUTE_MS
    assert often.notices == pytest.approx(once.notices + lasted, abs=len(often.alerts))


def test_a_rule_that_fails_says_so_and_harms_no_other(store: ReferenceStore) -> None:
    class Broken(Habit):
        def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
            raise ZeroDivisionError("a bug")

    broken, fine = replay([rule(Broken(), "broken"), RULES[0]], store, SPAN)
    assert "ZeroDivisionError: a bug" in broken.error
    assert fine.alerts
