"""The JSON object of a webhook: documented in docs/how-to/webhook.md, version by version."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.alerts.model import Alert
from daemon.baseline import Mark
from daemon.notify.channel import Notice, Occasion
from daemon.notify.view import SAMPLES_SHOWN
from daemon.watch import Word
from recognizer.events import Event, fields
from recognizer.paths import visible
from rules.remedy import Remedy

DATA_VERSION = 1
TEXT_CHARACTERS = 1_024
_SAMPLE_FIELDS = (
    "timestamp",
    "event_type",
    "host",
    "model_name",
    "request_id",
    "file_path",
    "path_issues",
    "path_cleaned",
    "path_cleaned_exists",
    "reason",
    "error",
    "top1_label",
    "top1_score",
    "duration_ms",
    "http_status",
)


def data_of(notice: Notice, message_id: str, text: str) -> dict[str, Any]:
    """Everything about an alert that a program may want. All text is visible text; all numbers are finite or null."""
    return {
        "version": DATA_VERSION,
        "type": f"alert.{notice.occasion.value}",
        "id": message_id,
        "occasion": notice.occasion.value,
        "decided_at_ms": notice.decided_at_ms,
        "late": notice.late,
        "planned_change": None if notice.marked is None else _mark(notice.marked),
        "text": text,
        "alert": _alert(notice.alert) | {"summary": _text(notice.rule.summary), "runbook": notice.rule.runbook},
        "suspects": [
            {
                "field": suspect.field,
                "value": _text(suspect.value),
                "also": None if suspect.also is None else {"field": suspect.also[0], "value": _text(suspect.also[1])},
                "arrived": suspect.arrived,
                "bad": suspect.bad,
                "bad_total": suspect.bad_total,
                "base": suspect.base,
                "base_total": suspect.base_total,
                "lift": _number(suspect.lift),
                "significance": _number(suspect.significance),
            }
            for suspect in notice.suspects
        ],
        "remedy": {language.value: _remedy(remedy) for language, remedy in notice.remedies.items()},
        "samples": [_sample(event) for event in notice.samples[:SAMPLES_SHOWN]],
    }


def data_of_word(word: Word, message_id: str, text: str, now_ms: int) -> dict[str, Any]:
    """A message about wumu itself."""
    return {
        "version": DATA_VERSION,
        "type": "wumu.over" if word.over else "wumu.trouble",
        "id": message_id,
        "occasion": Occasion.SELF.value,
        "decided_at_ms": now_ms,
        "text": text,
        "trouble": {
            "name": word.trouble.value,
            "about": _text(word.name),
            "detail": _text(word.detail),
            "since_ms": word.since_ms,
        },
    }


def data_of_mark(mark: Mark, rules: Sequence[str], message_id: str, text: str, now_ms: int) -> dict[str, Any]:
    """A message about a planned change with which baselines start anew."""
    return {
        "version": DATA_VERSION,
        "type": "wumu.mark",
        "id": message_id,
        "occasion": Occasion.MARK.value,
        "decided_at_ms": now_ms,
        "text": text,
        "planned_change": _mark(mark) | {"rules": list(rules)},
    }


def _mark(mark: Mark) -> dict[str, Any]:
    return {"name": _text(mark.name), "at_ms": mark.at_ms}


def _alert(alert: Alert) -> dict[str, Any]:
    finding = alert.finding
    return {
        "id": alert.id,
        "rule": alert.rule_id,
        "key": {field: None if value is None else _text(value) for field, value in alert.key},
        "severity": alert.severity.value,
        "state": alert.state.value,
        "reason": finding.reason.value,
        "cause": _text(str(finding.details["value"])) if "value" in finding.details else None,
        "observed": _number(finding.observed),
        "expected": {"low": _number(finding.expected.low), "high": _number(finding.expected.high)},
        "unit": finding.unit,
        "chance_days": _number(finding.chance_days),
        "peak": _number(alert.peak.observed),
        "since_ms": finding.since_ms,
        "fired_at_ms": alert.fired_at_ms,
        "resolved_at_ms": alert.resolved_at_ms,
    }


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return {
        "reason": remedy.reason,
        "title": remedy.title,
        "cause": remedy.cause,
        "steps": list(remedy.steps),
        "command": remedy.command,
        "verify": remedy.verify,
        "checked": list(remedy.checked),
    }


def _sample(event: Event) -> Mapping[str, Any]:
    known = fields(event)
    return {name: _value(known[name]) for name in _SAMPLE_FIELDS if name in known}


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_value(one) for one in value]
    return _number(value) if isinstance(value, float) else value


def _text(text: str) -> str:
    return visible(text, TEXT_CHARACTERS)


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
