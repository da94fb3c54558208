"""The state machine of an alert, case by case and against its laws."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.alerts.lifecycle import advance, retire
from daemon.alerts.model import Alert, Cause, State
from detectors.frame import Key
from rules.model import Rule
from tests.support.findings import finding, rule

KEY: Key = (("host", "gpu-1"),)
MINUTE = 60_000


def live(rule_: Rule, minutes: str) -> list[tuple[int, State, Cause]]:
    """What an alert lives through when `x` marks the minutes with a finding: (minute, state, cause)."""
    alerts: dict[Key, Alert] = {}
    seen: list[tuple[int, State, Cause]] = []
    for minute, mark in enumerate(minutes):
        found = [finding(minute * MINUTE)] if mark == "x" else []
        alerts, moved = advance(alerts, found, rule_, minute * MINUTE)
        seen.extend((minute, t.alert.state, t.cause) for t in moved)
    return seen


def test_fires_at_once_without_for_and_resolves_at_the_first_silence() -> None:
    assert live(rule(None), ".xx.x") == [
        (1, State.FIRING, Cause.FOUND),
        (3, State.RESOLVED, Cause.CEASED),
        (4, State.FIRING, Cause.FOUND),
    ]


def test_for_holds_it_pending_until_it_lasted() -> None:
    assert live(rule(None, for_ms=2 * MINUTE), "xxxx.") == [
        (0, State.PENDING, Cause.FOUND),
        (2, State.FIRING, Cause.LASTED),
        (4, State.RESOLVED, Cause.CEASED),
    ]


def test_a_pending_alert_that_ceases_never_fires() -> None:
    assert live(rule(None, for_ms=2 * MINUTE), "xx.xx.") == [
        (0, State.PENDING, Cause.FOUND),
        (2, State.RESOLVED, Cause.NEVER_LASTED),
        (3, State.PENDING, Cause.FOUND),
        (5, State.RESOLVED, Cause.NEVER_LASTED),
    ]


def test_keep_firing_for_bridges_gaps() -> None:
    assert live(rule(None, keep_firing_for_ms=2 * MINUTE), "x.x...") == [
        (0, State.FIRING, Cause.FOUND),
        (4, State.RESOLVED, Cause.CEASED),
    ]


def test_the_peak_is_the_worst_finding_and_the_finding_the_newest() -> None:
    alerts, _ = advance({}, [finding(0, score=5.0)], rule(None), 0)
    alerts, _ = advance(alerts, [finding(MINUTE, score=2.0)], rule(None), MINUTE)
    assert (alerts[KEY].peak.score, alerts[KEY].finding.score) == (5.0, 2.0)


def test_the_same_history_gives_the_same_id_and_another_start_another() -> None:
    first, _ = advance({}, [finding(0)], rule(None), 0)
    again, _ = advance({}, [finding(0)], rule(None), 0)
    later, _ = advance({}, [finding(MINUTE)], rule(None), MINUTE)
    assert first[KEY].id == again[KEY].id != later[KEY].id


def test_a_removed_rule_takes_its_alerts_along() -> None:
    alerts, _ = advance({}, [finding(0)], rule(None), 0)
    (transition,) = retire(alerts, MINUTE, Cause.RULE_REMOVED)
    assert (transition.alert.state, transition.cause) == (State.RESOLVED, Cause.RULE_REMOVED)


@given(
    marks=st.text("x.", min_size=1, max_size=60),
    for_minutes=st.integers(0, 5),
    keep_minutes=st.integers(0, 5),
)
def test_laws(marks: str, for_minutes: int, keep_minutes: int) -> None:
    """Every life is pending? firing? resolved?; fires only after `for`; never resolves before `keep_firing_for`."""
    story = live(rule(None, for_ms=for_minutes * MINUTE, keep_firing_for_ms=keep_minutes * MINUTE), marks)
    before: State | None = None
    began = 0
    for minute, state, cause in story:
        if before in (None, State.RESOLVED):
            assert state is (State.PENDING if for_minutes else State.FIRING)
            began = minute
        elif state is State.FIRING:
            assert before is State.PENDING
            assert minute - began >= for_minutes
            assert marks[began : minute + 1] == "x" * (minute + 1 - began)
        else:
            assert state is State.RESOLVED
            quiet = minute - marks.rindex("x", 0, minute)
            assert quiet >= (keep_minutes if before is State.FIRING else 1)
            assert (cause is Cause.NEVER_LASTED) == (before is State.PENDING)
        before = state


def test_a_late_finding_as_old_as_an_alert_that_ended_begins_another_alert() -> None:
    """Messages are named after their alert: under the old name nobody would hear of the second one."""
    first, _ = advance({}, [finding(MINUTE)], rule(None), MINUTE)
    late, _ = advance({}, [finding(MINUTE)], rule(None), 5 * MINUTE)
    assert {alert.id for alert in first.values()}.isdisjoint(alert.id for alert in late.values())
