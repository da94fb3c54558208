"""Findings, rules and alerts for tests that need some."""

from detectors.condition import equals
from detectors.finding import Evidence, Expected, Finding, Reason
from detectors.frame import Interval, Key
from rules.model import Policy, Rule


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
