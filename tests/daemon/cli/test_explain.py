"""`wumu explain`: what a rule asked and what it made of the answer."""

import json
from pathlib import Path

import pytest

from daemon.cli.explain import show_series
from tests.support.console import Place, verb


def test_a_rule_that_fired_is_explained(seen: Place) -> None:
    result = verb("explain", "path-errors-in-a-row", *seen.options)
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines()[:4])
    assert lines["rule"] == "path-errors-in-a-row (streak)"
    assert lines["looks"].startswith('at       (event_type: "input_error" and (reason: path_*')
    assert " firing host=gpu-1\n" in result.stdout
    assert " found\n" in result.stdout
    assert "FROM events" in result.stdout
    assert result.exit_code == 0


def test_as_json_it_holds_the_turns_and_the_request(seen: Place) -> None:
    answer = json.loads(verb("explain", "path-errors-in-a-row", "--turns", "1", "--json", *seen.options).stdout)
    (turn,) = answer["turns"]
    assert (turn["findings"] >= 1, turn["error"], answer["group_by"]) == (True, "", ["host"])
    assert {alert["state"] for alert in answer["alerts"]} == {"firing"}
    assert "SELECT" in answer["request"]


def test_a_quiet_rule_says_so(seen: Place) -> None:
    shown = verb("explain", "low-scores", *seen.options).stdout
    assert " quiet\n" in shown
    assert " found\n" not in shown


def test_a_rule_that_is_not_there_is_exit_code_2(seen: Place) -> None:
    result = verb("explain", "slow-\x1b[31minference", *seen.options)
    assert result.exit_code == 2
    assert "wumu: there is no rule slow-‹U+001B›[31minference\n" in result.stderr
    assert "the rules are: path-errors-in-a-row, unsafe-paths" in result.stderr


def test_without_a_state_it_says_so(seen: Place, empty: Path) -> None:
    result = verb("explain", "low-scores", "--config", seen.config, "--state", empty)
    assert result.exit_code == 3
    assert "there is no ledger" in result.stderr
    assert not empty.exists()


def test_one_bucket_is_not_buckets(capsys: pytest.CaptureFixture[str]) -> None:
    """What a series has learned is told as people say it."""
    learned = {"key": {"host": "gpu-1"}, "stage": "warming_up", "needed": 60, "unit": "buckets", "promised_days": 30.0}
    show_series([learned | {"seen": 1}, learned | {"seen": 2}])
    shown = capsys.readouterr().out
    assert "1 bucket " in shown
    assert "2 buckets " in shown
