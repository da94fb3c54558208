"""`wumu mark`, `wumu expected` and `wumu alerts --retry`, without a daemon and beside one."""

import contextlib
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from daemon.app import LEDGER
from daemon.errors import DeliveryReason
from daemon.ledger.ledger import Ledger
from daemon.ledger.outbox import Outbox
from daemon.notify.channel import Message, Occasion
from tests.acceptance.scenario import bare, settings, write_log
from tests.support.console import Place, verb
from tests.support.daemon import running, wumu


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place that was judged once, with one dead letter."""
    place = Place(tmp_path_factory.mktemp("orders"))
    place.write()
    assert wumu("once", *place.options).returncode == 1
    return place


def bury(state: Path, name: str) -> None:
    """A message to a channel that is there no more."""
    ledger = Ledger.open(state / LEDGER)
    message = Message(
        id=name, thread="t-" + name, occasion=Occasion.DRILL, created_at_ms=1, subject="s\x1b[31m", text="t", html=""
    )
    ledger.post("gone", message, 1)
    Outbox(ledger).dead(name, 2, DeliveryReason.REFUSED, "no\nsuch user", ())
    ledger.close()


def test_a_change_is_marked_and_listed(judged: Place, request: pytest.FixtureRequest) -> None:
    name = f"model {request.node.name}"
    said = verb("mark", name, "--at", "10m", *judged.options)
    assert said.exit_code == 0, said.stderr
    assert said.stdout.startswith(f"{name} is marked: 2")
    marks = json.loads(verb("mark", "--list", "--json", "--state", judged.state).stdout)
    assert [mark["name"] for mark in marks if mark["name"] == name] == [name]
    assert name in verb("mark", "--list", "--state", judged.state).stdout


def test_what_can_not_be_done_is_one_line(judged: Place) -> None:
    unknown = verb("mark", "x", "--rule", "no-\x1b[31mrule", *judged.options)
    assert (unknown.exit_code, "wumu: there is no rule no-‹U+001B›[31mrule\n" in unknown.stderr) == (2, True)
    assert verb("mark", *judged.options).exit_code == 2
    assert verb("mark", "x", "--at", "yesterday", *judged.options).exit_code == 2
    nobody = verb("expected", "ffff\n", *judged.options)
    assert (nobody.exit_code, "there is no alert ffff‹U+000A›" in nobody.stderr) == (2, True)
    alerts = json.loads(verb("alerts", "--json", "--state", judged.state).stdout)
    streak = next(alert["id"] for alert in alerts if alert["rule"] == "path-errors-in-a-row")
    fixed = verb("expected", streak, *judged.options)
    assert (fixed.exit_code, "whose kind streak learns nothing" in fixed.stderr) == (2, True)


def test_dead_letters_are_listed_and_sent_again(judged: Place, request: pytest.FixtureRequest) -> None:
    name = f"m-{request.node.name}"
    bury(judged.state, name)
    listed = verb("alerts", "--dead", *judged.options)
    (line,) = [line for line in listed.stdout.splitlines() if f"t-{name} " in line]
    assert all(part in line for part in ("refused  no‹U+000A›such user  ", "s‹U+001B›[31m"))
    again = verb("alerts", f"t-{name}", "--retry", "--json", *judged.options)
    assert [letter["id"] for letter in json.loads(again.stdout)] == [name]
    assert again.exit_code == 0


def test_without_a_state_nothing_is_made(quiet: Place, empty: Path) -> None:
    result = verb("mark", "x", "--config", quiet.config, "--state", empty)
    assert (result.exit_code, "there is no ledger" in result.stderr, empty.exists()) == (3, True, False)


def slowdown(log: Path) -> None:
    """Two hours of a host, the last six minutes of them slow."""
    chance = random.Random(5)
    now_ms = time.time_ns() // 1_000_000 - 90_000
    write_log(
        log,
        [
            bare(
                now_ms - (120 * 60 - second) * 1_000,
                "inference_complete",
                "gpu-7",
                duration_ms=chance.lognormvariate(4, 0.2) * (5 if second >= 114 * 60 else 1),
                request_id=f"r{second}",
            )
            for second in range(0, 120 * 60, 2)
        ],
    )


@pytest.mark.parametrize("beside", ["files", "daemon"])
def test_an_alert_that_was_normal_ends_and_does_not_come_again(tmp_path: Path, beside: str) -> None:
    place = Place(tmp_path)
    slowdown(place.log)
    settings(place.config, place.log)
    assert wumu("once", *place.options).returncode == 1
    (alert,) = _firing(place)
    assert (alert["rule"], alert["key"]) == ("slow-inference", {"host": "gpu-7", "model_name": "m"})
    series = json.loads(verb("explain", "slow-inference", "--json", *place.options).stdout)["series"]
    assert [one["stage"] for one in series] == ["alarmed"]
    with running(place.config, place.state) if beside == "daemon" else contextlib.nullcontext():
        if beside == "daemon":
            assert "ok   rule slow-inference: 1 series alarmed\n" in verb("doctor", *place.options).stdout
        said = verb("expected", alert["id"][:7], *place.options)
        assert said.stdout.startswith(f"alert {alert['id']} has ended: rule slow-inference takes it for usual"), (
            said.stderr
        )
        assert verb("expected", alert["id"], *place.options).exit_code == 2
    wumu("once", *place.options)
    assert _firing(place) == []
    (ended,) = json.loads(verb("alerts", alert["id"], "--json", "--state", place.state).stdout)
    assert ended["transitions"][-1]["cause"] == "declared_normal"


def _firing(place: Place) -> list[dict[str, Any]]:
    alerts = json.loads(verb("alerts", "--json", "--state", place.state).stdout)
    return [alert for alert in alerts if alert["rule"] == "slow-inference"]
