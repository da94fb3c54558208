"""What a detector found, and the closed enum of its reasons."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from detectors.condition import Always, Condition
from detectors.frame import Interval, Key

Memory: TypeAlias = Mapping[str, Any]
"""A small JSON object per key, returned and never hidden. Its ``version`` says which layout it has."""


class Reason(enum.StrEnum):
    """Why a rule fired. Each has a remedy page in every language."""

    ERROR_STREAK = "error_streak"
    TOO_MANY_EVENTS = "too_many_events"
    RATIO_TOO_HIGH = "ratio_too_high"
    RATIO_TOO_LOW = "ratio_too_low"
    VALUE_TOO_HIGH = "value_too_high"
    VALUE_TOO_LOW = "value_too_low"
    SOURCE_SILENT = "source_silent"
    REQUEST_UNFINISHED = "request_unfinished"
    UNSAFE_PATH = "unsafe_path"
    LATENCY_SHIFT = "latency_shift"
    CONFIDENCE_DRIFT = "confidence_drift"
    LABEL_DRIFT = "label_drift"
    LABEL_STUCK = "label_stuck"
    LABEL_UNSEEN = "label_unseen"
    RATE_UNUSUAL = "rate_unusual"
    METRIC_UNUSUAL = "metric_unusual"
    OUTLIER = "outlier"
    RULE_FAILED = "rule_failed"


@dataclass(frozen=True, slots=True)
class Expected:
    """The band the observed value should have stayed in; an open end is None."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the proof lies: ``bad`` picks the events that speak for the finding, ``baseline`` those to compare
    them with (both before the key is added); ``compare_with`` is the time of the baseline, usually ``interval``."""

    interval: Interval
    bad: Condition = Always()
    baseline: Condition = Always()
    compare_with: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One verdict about one key at one time.

    at_ms     end of the bucket that was judged: the time the lifecycle sees.
    since_ms  when the change began, as far as it can be told.
    observed  what was measured, in ``unit`` (ms, ratio, events, score…).
    score     how far out it is; at least 1 fires. Comparable within one detector kind.
    chance_days  for statistical kinds: chance alone would give one such alarm in this many days, per series.
    """

    key: Key
    at_ms: int
    since_ms: int
    reason: Reason
    observed: float
    expected: Expected
    unit: str
    score: float
    evidence: Evidence
    chance_days: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Detection:
    """``memory`` holds every key that is to be remembered, changed or not; a key left out is forgotten."""

    findings: tuple[Finding, ...]
    memory: Mapping[Key, Memory]
