"""`wumu alerts`: what fires, what ended, and the story of one."""

import json
from pathlib import Path

import pytest

from daemon.alerts.lifecycle import advance
from daemon.app import LEDGER
from daemon.ledger.commit import Commit
from daemon.ledger.ledger import Ledger
from tests.support.console import Place, verb
from tests.support.findings import finding, rule


@pytest.fixture
def ended(tmp_path: Path) -> Path:
    """The state of a daemon whose only alert has ended."""
    ledger = Ledger.open(tmp_path / LEDGER)
    alerts, began = advance({}, [finding(60_000)], rule(None), 60_000)
    _, over = advance(alerts, [], rule(None), 120_000)
    ledger.commit(Commit(now_ms=120_000, alerts=(over[0].alert,), transitions=(*began, *over)))
    ledger.close()
    return tmp_path


def test_alerts_that_fire_are_exit_code_1(seen: Place) -> None:
    result = verb("alerts", "--state", seen.state)
    (row,) = [line for line in result.stdout.splitlines() if "path-errors-in-a-row" in line]
    assert row.split()[1:7] == [
        "firing",
        "critical",
        "path-errors-in-a-row",
        "host=gpu-1",
        "path_invisible_character",
        "3",
    ]
    assert result.exit_code == 1


def test_a_long_key_is_shown_whole(seen: Place) -> None:
    assert f"file_dir=/data/{'x' * 300}  " in verb("alerts", "--state", seen.state).stdout


def test_one_alert_is_found_by_the_beginning_of_its_id(seen: Place) -> None:
    row = next(line for line in verb("alerts", "--state", seen.state).stdout.splitlines() if "in-a-row" in line)
    result = verb("alerts", row.split()[0], "--state", seen.state)
    assert "rule      path-errors-in-a-row  host=gpu-1\n" in result.stdout
    assert "observed  3 events, expected at most 2 events\n" in result.stdout
    assert "(new) → firing (found)\n" in result.stdout
    assert result.exit_code == 1


def test_as_json_one_alert_has_its_history(seen: Place) -> None:
    first = json.loads(verb("alerts", "--json", "--state", seen.state).stdout)[0]
    (told,) = json.loads(verb("alerts", first["id"], "--json", "--state", seen.state).stdout)
    assert [moved["after"] for moved in told["transitions"]] == ["firing"]
    assert told["messages"] == []
    assert {name: told[name] for name in first} == first


def test_an_alert_that_ended_is_listed_only_when_asked_for(ended: Path) -> None:
    now = verb("alerts", "--state", ended)
    assert (now.exit_code, now.stdout, now.stderr) == (0, "", "no alert is pending or firing\n")
    (every,) = json.loads(verb("alerts", "--all", "--json", "--state", ended).stdout)
    assert every["state"] == "resolved"
    one = verb("alerts", every["id"], "--state", ended)
    assert one.exit_code == 0
    assert "lasted    1m\n" in one.stdout
    assert "firing → resolved (ceased)\n" in one.stdout


def test_an_id_that_nobody_has_is_exit_code_1(seen: Place) -> None:
    result = verb("alerts", "no\nbody", "--json", "--state", seen.state)
    assert (result.exit_code, json.loads(result.stdout)) == (1, [])
    assert result.stderr == "there is no alert no‹U+000A›body\n"


@pytest.mark.parametrize("more", [(), ("--json",), ("--dead",), ("--retry",)])
def test_an_empty_id_is_no_id(ended: Path, more: tuple[str, ...]) -> None:
    """`wumu alerts "$ID" --retry` with an unset ID must not mean every alert."""
    result = verb("alerts", "", *more, "--state", ended)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("wumu: ALERT_ID is empty\n")


def test_without_a_ledger_it_says_so(empty: Path) -> None:
    result = verb("alerts", "--state", empty)
    assert result.exit_code == 3
    assert result.stderr.startswith(f"wumu: there is no ledger at {empty}/ledger.sqlite\n")


def test_a_ledger_that_is_damaged_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"not a ledger" * 100)
    result = verb("alerts", "--state", tmp_path)
    assert result.exit_code == 3
    assert "can't be used: file is not a database" in result.stderr
    assert f"mv {tmp_path}/ledger.sqlite" in result.stderr


def test_a_file_for_a_folder_is_exit_code_2(seen: Place) -> None:
    assert verb("alerts", "--state", seen.config).exit_code == 2


def test_how_unusual_a_learnt_finding_is(tmp_path: Path) -> None:
    """The ledger keeps it, the table of one alert and JSON show it."""
    ledger = Ledger.open(tmp_path / LEDGER)
    _, began = advance({}, [finding(60_000, chance_days=41.7)], rule(None), 60_000)
    ledger.commit(Commit(now_ms=60_000, alerts=(began[0].alert,), transitions=(*began,)))
    ledger.close()
    (told,) = json.loads(verb("alerts", "--json", "--state", tmp_path).stdout)
    assert told["chance_days"] == 41.7
    assert "by chance one such alarm in 42 days\n" in verb("alerts", told["id"], "--state", tmp_path).stdout
