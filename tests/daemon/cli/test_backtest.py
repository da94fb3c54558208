"""`wumu backtest` and `wumu tune`: from the files, beside a daemon, and in pictures."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.plugins import registry
from rules.load import load_file
from tests.acceptance.scenario import history, settings, write_log
from tests.support.console import Place, verb
from tests.support.daemon import wumu

RULES = ("errors-by-directory", "http-errors", "slow-inference")


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Half an hour in which one folder fails and one host answers with errors, read by `wumu once`."""
    place = Place(tmp_path_factory.mktemp("backtest"))
    write_log(place.log, history(time.time_ns() // 60_000_000_000 * 60_000 - 60_000))
    (place.folder / "until").write_text(datetime.now(UTC).isoformat())
    settings(place.config, place.log)
    assert wumu("once", *place.options).returncode == 1
    return place


def backtest(place: Place, *arguments: str | Path) -> dict[str, dict[str, Any]]:
    result = verb("backtest", *RULES, "--json", *arguments, *place.options)
    assert result.exit_code == 0, result.stderr
    return {one["rule"]: one for one in json.loads(result.stdout)["rules"]}


def test_it_finds_what_the_daemon_found(judged: Place) -> None:
    """The alerts have the keys and the reasons of the ledger's own, whoever holds the store."""
    found = backtest(judged, "--since", "2h")
    live = json.loads(verb("alerts", "--all", "--json", "--state", judged.state).stdout)
    for rule in RULES:
        expected = {(json.dumps(alert["key"]), alert["reason"]) for alert in live if alert["rule"] == rule}
        assert {(json.dumps(alert["key"]), alert["reason"]) for alert in found[rule]["alerts"]} == expected
    assert found["http-errors"]["observed"] == 1
    assert found["http-errors"]["promised"] is None
    assert found["errors-by-directory"]["series"] == 5


def test_the_table_says_what_it_cost_and_why(quiet: Place) -> None:
    shown = verb("backtest", *RULES, "--since", "2h", *quiet.options).stdout
    lines = [line.split() for line in shown.splitlines() if line.startswith("http-errors ")]
    assert lines[0][:3] == ["http-errors", "2", "1"]
    assert lines[1][-8:] == ["host=gpu-2", "ratio_too_high", "100", "%", "at", "most", "5", "%"]


def test_a_picture_of_each_rule_is_drawn(quiet: Place, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    backtest(quiet, "--picture", tmp_path / "pictures")
    drawn = sorted((tmp_path / "pictures").iterdir())
    assert [picture.name for picture in drawn] == [f"{rule}.png" for rule in sorted(RULES)]
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in drawn)


def test_without_the_extra_pictures_are_refused_at_once(
    quiet: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine where matplotlib is not installed."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = verb("backtest", "--picture", tmp_path / "pictures", *quiet.options)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "wumu: pictures need the module matplotlib, which is not installed\n" in result.stderr
    assert "what to do: pip install 'wumu[pictures]'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("no-\x1brule",), "there is no rule no-‹U+001B›rule\n  what to do: the rules are: path-errors-in-a-row", 2),
        (("--since", "1h", "--until", "2h"), "--since must lie before --until", 2),
        (("--since", "40d", "--until", "39d"), "there are no events in that time", 3),
        (("--since", "soon"), "'soon' is no time", 2),
    ],
)
def test_what_can_not_be_replayed_is_one_line(quiet: Place, arguments: tuple[str, ...], said: str, code: int) -> None:
    result = verb("backtest", *arguments, *quiet.options)
    assert (said in result.stderr, result.exit_code) == (True, code)


def test_without_a_state_it_says_so(quiet: Place, empty: Path) -> None:
    result = verb("backtest", "--config", quiet.config, "--state", empty)
    assert (result.exit_code, "there is no ledger" in result.stderr, empty.exists()) == (3, True, False)


def test_tune_proposes_lines_to_paste(judged: Place, tmp_path: Path) -> None:
    """A rule with its name is tried with other settings; the configuration stays as it is."""
    before = judged.config.read_bytes()
    until = (judged.folder / "until").read_text()
    arguments = ("tune", "errors-by-directory", "--since", "2h", "--until", until, "--at-most", "0", *judged.options)
    result = verb(*arguments, "--picture", tmp_path / "costs.png")
    assert result.exit_code == 0, result.stderr
    said = result.stdout.split("\n# errors-by-directory: 0 notices a day instead of ")[1]
    assert ". In its rule write:\n" in said
    assert said.endswith("\n    for: 15m\n")
    assert (tmp_path / "costs.png").read_bytes().startswith(b"\x89PNG")
    answer = json.loads(verb(*arguments, "--json").stdout)
    (tuned,) = answer["rules"]
    assert tuned["candidates"][0]["setting"] == {}
    assert tuned["proposed"]["for"] == "15m"
    assert judged.config.read_bytes() == before


def test_tune_leaves_quiet_rules_alone(quiet: Place) -> None:
    shown = verb("tune", "--at-most", "1000", "--since", "2h", *quiet.options).stdout
    config = load_file(quiet.config, registry()).config
    assert config is not None
    assert shown.count("(as it is)") == len(config.rules)
    assert shown.endswith("every rule is quiet enough as it is\n")


def test_tune_says_where_nothing_helps(quiet: Place) -> None:
    """A host on which every answer is an error has no setting that is quiet."""
    shown = verb("tune", "http-errors", "--since", "2h", "--at-most", "0", *quiet.options).stdout
    assert "# http-errors: nothing that was tried costs as little as 0 notices a day\n" in shown
