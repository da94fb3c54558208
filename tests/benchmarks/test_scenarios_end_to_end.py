"""The scenario suite from end to end: a past, three incidents, the shipped rules, a verdict."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]


def run(module: str, *options: str) -> dict[str, Any]:
    """What a benchmark of the suite prints."""
    command = [sys.executable, "-m", f"benchmarks.scenarios.{module}", *options]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The shipped rules that learn nothing: to learn from a day of traffic takes longer than a test should."""
    yaml = YAML()
    document = yaml.load((ROOT / "alerts.yaml").read_text(encoding="utf-8"))
    plain = {"streak", "count", "ratio", "absence", "unsafe_path"}
    document["rules"] = [rule for rule in document["rules"] if rule["kind"] in plain]
    path = tmp_path / "alerts.yaml"
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return path


def test_three_kinds_through_the_shipped_rules(rules: Path) -> None:
    """A host that falls silent and paths from a chat are caught and named; twice the traffic is nobody's trouble."""
    kinds = ("host_silent", "paths_from_a_chat", "traffic_doubled")
    report = run("run", "--quick", "--days", "1", "--rules", str(rules), "--kinds", *kinds)
    ours = report["shipped_rules"]["kinds"]
    assert set(ours) == set(kinds)
    for kind in ("host_silent", "paths_from_a_chat"):
        assert ours[kind]["recall"] == 1.0
        assert ours[kind]["cause_first"] == 1.0
    assert ours["traffic_doubled"]["recall"] is None
    assert ours["traffic_doubled"]["alarms"]["wrong"] == 0
    assert report["elastalert_style"]["kinds"]["host_silent"]["recall"] == 1.0


def test_the_cause_of_a_planted_incident_is_named() -> None:
    """The benchmark of suspects knows a slow host and a failing one from the rest."""
    report = run("suspects", "--seeds", "1", "--draws", "1", "--kinds", "fallen_back_to_cpu", "server_errors")
    assert report["scenarios"] == 2
    assert report["cause_first"] == 1.0
