"""`wumu once`: a turn over what is there."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from daemon.app import LEDGER, only_daemon
from daemon.ledger.ledger import Ledger
from tests.support.console import Place, verb
from tests.support.daemon import wumu


def test_a_turn_reads_judges_and_tells_by_its_exit_code(first_turn: CompletedProcess[str]) -> None:
    told = json.loads(first_turn.stdout)
    assert (told["events"], told["malformed"], told["failed"], told["trouble"]) == (9, 2, 0, None)
    assert told["alerts"]["firing"] >= 2
    assert first_turn.returncode == 1
    assert "nobody is told" in first_turn.stderr
    assert "malformed" in first_turn.stderr


def test_what_was_read_once_is_not_read_again(seen: Place) -> None:
    again = wumu("once", *seen.options)
    assert again.stdout.startswith("read 0 events, put 0 lines aside\njudged ")
    assert again.returncode == 1


def test_a_rule_that_is_judged_up_to_a_planned_change_and_after_it_is_one_rule(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write(
        rules=[{"id": "slow", "kind": "latency"}, {"id": "many", "kind": "count", "at_least": 1, "within": "5m"}]
    )
    place.state.mkdir()
    Ledger.open(place.state / LEDGER).close()
    assert verb("mark", "model v2", "--at", "2m", *place.options).exit_code == 0
    assert json.loads(wumu("once", "--json", *place.options).stdout)["rules"] == 2


def test_a_state_that_somebody_works_on_is_left_alone(seen: Place) -> None:
    with only_daemon(seen.state):
        result = wumu("once", *seen.options)
    assert (result.returncode, result.stdout) == (3, "")
    assert "wumu: another wumu (pid " in result.stderr
    assert "what to do: stop it first" in result.stderr


def test_a_store_that_is_down_is_exit_code_3(tmp_path: Path) -> None:
    down = Place(tmp_path)
    down.write(store={"kind": "elasticsearch", "urls": ["http://127.0.0.1:1"]})
    result = wumu("once", "--json", *down.options)
    assert json.loads(result.stdout)["events"] == 0
    assert result.returncode == 3
    assert "wumu: the logs are not read to their end: Elasticsearch at http://127.0.0.1:1" in result.stderr


@pytest.mark.parametrize("name", ["once", "run", "query", "trace", "explain"])
def test_a_configuration_that_is_wrong_ends_a_verb_before_it_begins(tmp_path: Path, name: str) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("version: 1\nrules:\n  - id: a\n    kind: cuont\n")
    argument = {"query": ["host: a"], "trace": ["a"], "explain": ["a"]}.get(name, [])
    result = verb(name, *argument, "--config", config, "--state", tmp_path / "state")
    assert result.exit_code == 2
    assert f"{config}:4:11: error:" in result.stderr
    assert "did you mean count?" in result.stderr
    assert f"wumu: {config} can't be used: 1 error\n" in result.stderr
    assert not (tmp_path / "state").exists()
