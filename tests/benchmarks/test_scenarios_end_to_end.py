"""The scenario suite from end to end: a past, three incidents, the shipped rules, a verdict."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run(module: str, *options: str) -> dict[str, Any]:
    """What a benchmark of the suite prints."""
    command = [sys.executable, "-m", f"benchmarks.scenarios.{module}", *options]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_three_kinds_through_the_shipped_rules() -> None:
    """A host that falls silent and paths from a chat are caught and named; twice the traffic is judged as well."""
    kinds = ("host_silent", "paths_from_a_chat", "traffic_doubled")
    report = run("run", "--quick", "--days", "1", "--kinds", *kinds)
    ours = report["shipped_rules"]["kinds"]
    assert set(ours) == set(kinds)
    for kind in ("host_silent", "paths_from_a_chat"):
        assert ours[kind]["recall"] == 1.0
        assert ours[kind]["cause_first"] == 1.0
    assert ours["traffic_doubled"]["recall"] is None
    assert report["elastalert_style"]["kinds"]["host_silent"]["recall"] == 1.0


def test_the_cause_of_a_planted_incident_is_named() -> None:
    """The benchmark of suspects knows a slow host and a failing one from the rest."""
    report = run("suspects", "--seeds", "1", "--draws", "1", "--kinds", "fallen_back_to_cpu", "server_errors")
    assert report["scenarios"] == 2
    assert report["cause_first"] == 1.0
