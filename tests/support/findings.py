"""Findings, rules and alerts for tests that need some."""

from daemon.alerts.model import Alert, State
from detectors.condition import equals
from detectors.evidence import beyond
from detectors.finding import Evidence, Expected, Finding, Reason
from detectors.frame import Interval, Key
from rules.model import Policy, Rule, Severity


def finding(at_ms: int, key: Key = (("host", "gpu-1"),), score: float = 2.0, **changes: object) -> Finding:
    values: dict[str, object] = {
        "key": key,
        "at_ms": at_ms,
        "since_ms": at_ms - 60_000,
        "reason": Reason.ERROR_STREAK,
        "observed": 3.0,
        "expected": Expected(high=2.0),
        "unit": "events",
        "score": score,
        "evidence": Evidence(Interval(at_ms - 60_000, at_ms), bad=equals("event_type", "input_error")),
        "details": {"value": "file_missing"},
    }
    return Finding(**(values | changes))  # type: ignore[arg-type]


def rule(detector: object, rule_id: str = "a-rule", *, every_ms: int = 60_000, **policy: int) -> Rule:
    return Rule(
        id=rule_id,
        detector=detector,  # type: ignore[arg-type]
        policy=Policy(**policy),
        notify=("ops",),
        every_ms=every_ms,
    )


def low_scores(key: Key, since_ms: int, at_ms: int) -> Finding:
    """Somebody finds that the scores of ``key`` have fallen."""
    inference = equals("event_type", "inference_complete")
    return Finding(
        key=key,
        at_ms=at_ms,
        since_ms=since_ms,
        reason=Reason.CONFIDENCE_DRIFT,
        observed=0.2,
        expected=Expected(low=0.5),
        unit="",
        score=2.0,
        evidence=beyond(inference, "top1_score", 0.5, Interval(since_ms, at_ms), high=False),
    )


def firing(found: Finding, severity: Severity = Severity.WARNING) -> Alert:
    """The alert of `rule` that fires as soon as ``found`` is found."""
    return Alert(
        id="alert-1",
        rule_id="a-rule",
        key=found.key,
        state=State.FIRING,
        severity=severity,
        active_at_ms=found.at_ms,
        last_seen_ms=found.at_ms,
        finding=found,
        peak=found,
        fired_at_ms=found.at_ms,
    )
