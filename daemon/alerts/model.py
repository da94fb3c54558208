"""Alert, State, Transition: the values of the lifecycle."""

import enum
from dataclasses import dataclass

from detectors.finding import Finding
from detectors.frame import Key
from rules.model import Severity


class State(enum.StrEnum):
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Cause(enum.StrEnum):
    """Why an alert changed its state."""

    FOUND = "found"
    LASTED = "lasted"
    CEASED = "ceased"
    NEVER_LASTED = "never_lasted"
    RULE_REMOVED = "rule_removed"
    RULE_CHANGED = "rule_changed"
    DECLARED_NORMAL = "declared_normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule's verdict about one key, from its first finding to its end.

    ``id`` is made of the rule, the key and ``active_at_ms`` alone: evaluating the same history again gives the same
    alert. ``finding`` is the newest, ``peak`` the one with the highest score. Times are event time, milliseconds.
    """

    id: str
    rule_id: str
    key: Key
    state: State
    severity: Severity
    active_at_ms: int
    last_seen_ms: int
    finding: Finding
    peak: Finding
    fired_at_ms: int | None = None
    resolved_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of state: the durable record from which notifications follow. ``before`` is None for a new alert."""

    before: State | None
    alert: Alert
    at_ms: int
    cause: Cause
