"""What is told, and what is not."""

from daemon.alerts.lifecycle import advance
from daemon.alerts.model import Alert
from daemon.notify.channel import Occasion
from daemon.notify.decide import Told, decide
from detectors.frame import Key
from rules.model import Policy
from tests.support.findings import finding, rule

HOUR = 3_600_000
POLICY = Policy(repeat_every_ms=4 * HOUR)


def firing() -> tuple[dict[Key, Alert], Alert]:
    alerts, _ = advance({}, [finding(0)], rule(None), 0)
    return alerts, next(iter(alerts.values()))


def test_firing_is_told_at_once_and_resolved_after_it() -> None:
    alerts, began = advance({}, [finding(0)], rule(None), 0)
    _, ended = advance(alerts, [], rule(None), 60_000)
    told = decide([*began, *ended], [], {}, POLICY, 60_000)
    assert [(t.occasion, t.sequence) for t in told] == [(Occasion.FIRING, 0), (Occasion.RESOLVED, 1)]


def test_pending_and_what_nobody_heard_of_are_not_told() -> None:
    patient = rule(None, for_ms=HOUR)
    alerts, began = advance({}, [finding(0)], patient, 0)
    _, ended = advance(alerts, [], patient, 60_000)
    assert decide([*began, *ended], list(alerts.values()), {}, POLICY, 60_000) == ()


def test_it_is_repeated_when_it_lasts_and_not_before() -> None:
    alerts, alert = firing()
    told = {alert.id: Told(2, 1_000)}
    assert decide([], list(alerts.values()), told, POLICY, 1_000 + 4 * HOUR - 1) == ()
    (again,) = decide([], list(alerts.values()), told, POLICY, 1_000 + 4 * HOUR)
    assert (again.occasion, again.sequence) == (Occasion.REPEAT, 2)
    assert decide([], list(alerts.values()), told, Policy(repeat_every_ms=0), 99 * HOUR) == ()


def test_the_end_of_a_repeated_alert_has_the_next_number() -> None:
    alerts, alert = firing()
    _, ended = advance(alerts, [], rule(None), 60_000)
    (last,) = decide(ended, [], {alert.id: Told(5, 0)}, POLICY, 60_000)
    assert (last.occasion, last.sequence) == (Occasion.RESOLVED, 5)
