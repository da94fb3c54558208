"""The life of an alert: pending → firing → resolved. Pure, and the only place where an alert changes its state.

The states and timers are those of Prometheus' alerting rules (``for``, ``keep_firing_for``): see its alert generator
specification 1.0.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from daemon.alerts.model import Alert, Cause, State, Transition
from detectors.finding import Finding
from detectors.frame import Key
from rules.model import Rule

Alerts = Mapping[Key, Alert]


def advance(
    alerts: Alerts, findings: Iterable[Finding], rule: Rule, now_ms: int
) -> tuple[dict[Key, Alert], tuple[Transition, ...]]:
    """One evaluation at event time ``now_ms``: what is active afterwards, and what changed.

    ``alerts`` are the rule's pending and firing alerts; a resolved one leaves the mapping and lives on in its
    transition. Several findings of one key count as one, the last.
    """
    found = {finding.key: finding for finding in findings}
    kept: dict[Key, Alert] = {}
    moved: list[Transition] = []
    for key, finding in found.items():
        alert, changes = _seen(alerts.get(key), finding, rule, now_ms)
        kept[key] = alert
        moved.extend(changes)
    for key, alert in alerts.items():
        if key in found:
            continue
        change = _unseen(alert, rule, now_ms)
        if change is None:
            kept[key] = alert
        else:
            moved.append(change)
    return kept, tuple(moved)


def retire(alerts: Alerts, now_ms: int, cause: Cause) -> tuple[Transition, ...]:
    """End the alerts of a rule that is no longer configured, or asks something else now."""
    return tuple(_end(alert, now_ms, cause) for alert in alerts.values())


def alert_id(rule_id: str, key: Key, active_at_ms: int) -> str:
    """The stable name of an alert: equal history, equal id."""
    name = json.dumps([rule_id, key, active_at_ms], ensure_ascii=True)
    return hashlib.blake2b(name.encode(), digest_size=10).hexdigest()


def _seen(before: Alert | None, finding: Finding, rule: Rule, now_ms: int) -> tuple[Alert, list[Transition]]:
    if before is None:
        alert = Alert(
            id=alert_id(rule.id, finding.key, now_ms),
            rule_id=rule.id,
            key=finding.key,
            state=State.PENDING,
            severity=rule.severity,
            # not finding.at_ms: a late finding may be as old as an alert that has ended, and would take its name
            active_at_ms=now_ms,
            last_seen_ms=now_ms,
            finding=finding,
            peak=finding,
        )
        if rule.policy.for_ms > 0:
            return alert, [Transition(before=None, alert=alert, at_ms=now_ms, cause=Cause.FOUND)]
        fired = replace(alert, state=State.FIRING, fired_at_ms=now_ms)
        return fired, [Transition(before=None, alert=fired, at_ms=now_ms, cause=Cause.FOUND)]
    alert = replace(
        before,
        finding=finding,
        last_seen_ms=now_ms,
        severity=rule.severity,
        peak=finding if finding.score > before.peak.score else before.peak,
    )
    if before.state is State.PENDING and now_ms - before.active_at_ms >= rule.policy.for_ms:
        fired = replace(alert, state=State.FIRING, fired_at_ms=now_ms)
        return fired, [Transition(before=before.state, alert=fired, at_ms=now_ms, cause=Cause.LASTED)]
    return alert, []


def _unseen(alert: Alert, rule: Rule, now_ms: int) -> Transition | None:
    if alert.state is State.PENDING:
        return _end(alert, now_ms, Cause.NEVER_LASTED)
    if now_ms - alert.last_seen_ms < rule.policy.keep_firing_for_ms:
        return None
    return _end(alert, now_ms, Cause.CEASED)


def _end(alert: Alert, now_ms: int, cause: Cause) -> Transition:
    ended = replace(alert, state=State.RESOLVED, resolved_at_ms=now_ms)
    return Transition(before=alert.state, alert=ended, at_ms=now_ms, cause=cause)
