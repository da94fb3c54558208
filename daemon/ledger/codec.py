"""Alerts and messages as JSON text, and back."""

import json
from typing import Any

import msgspec

from daemon.alerts.model import Alert, State
from daemon.evaluate import Evaluation
from daemon.notify.channel import Message
from detectors import condition
from detectors.finding import Evidence, Expected, Finding, Memory, Reason
from detectors.frame import Interval, Key
from rules.model import Severity


def dump_key(key: Key) -> str:
    return json.dumps(key, ensure_ascii=True)


def load_key(text: str) -> Key:
    return tuple((name, value) for name, value in json.loads(text))


def dump_memory(memory: Memory) -> str:
    """There may be tens of thousands to write after a tick, of tens of kilobytes each; `json` takes 9 times as long."""
    try:
        return msgspec.json.encode(memory).decode()
    except UnicodeEncodeError:
        return json.dumps(memory, ensure_ascii=True)  # a label that is no valid Unicode


def load_memory(text: str | bytes) -> Memory:
    """What `dump_memory` wrote. Raises ValueError for what is damaged, TypeError for what is no object."""
    try:
        memory: Memory = msgspec.json.decode(text)
    except msgspec.DecodeError:
        memory = json.loads(text)  # what only `json` could write
    if not isinstance(memory, dict):
        raise TypeError("memory is a JSON object")
    return memory


def dump_alert(alert: Alert) -> str:
    body = msgspec.to_builtins(alert)
    body["finding"] = _finding_to_json(alert.finding)
    body["peak"] = _finding_to_json(alert.peak)
    return json.dumps(body, ensure_ascii=True)


def load_alert(text: str) -> Alert:
    body = json.loads(text)
    return Alert(
        **body
        | {
            "key": _key(body["key"]),
            "state": State(body["state"]),
            "severity": Severity(body["severity"]),
            "finding": _finding_from_json(body["finding"]),
            "peak": _finding_from_json(body["peak"]),
        }
    )


def dump_evaluation(evaluation: Evaluation) -> str:
    return json.dumps(msgspec.to_builtins(evaluation), ensure_ascii=True)


def dump_message(message: Message) -> str:
    return json.dumps(msgspec.to_builtins(message), ensure_ascii=True)


def load_message(text: str) -> Message:
    return msgspec.convert(json.loads(text), Message)


def _key(pairs: list[list[Any]]) -> Key:
    return tuple((name, value) for name, value in pairs)


def _finding_to_json(finding: Finding) -> dict[str, Any]:
    evidence = finding.evidence
    body: dict[str, Any] = msgspec.to_builtins(finding)
    body["evidence"] |= {"bad": condition.to_json(evidence.bad), "baseline": condition.to_json(evidence.baseline)}
    return body


def _finding_from_json(body: dict[str, Any]) -> Finding:
    evidence = body["evidence"]
    compare = evidence["compare_with"]
    return Finding(
        **body
        | {
            "key": _key(body["key"]),
            "reason": Reason(body["reason"]),
            "expected": Expected(**body["expected"]),
            "evidence": Evidence(
                interval=Interval(**evidence["interval"]),
                bad=condition.from_json(evidence["bad"]),
                baseline=condition.from_json(evidence["baseline"]),
                compare_with=Interval(**compare) if compare else None,
            ),
        }
    )
