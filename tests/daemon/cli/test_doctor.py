"""`wumu doctor`: everything well, and each thing that is not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.app import LEDGER
from daemon.ledger.ledger import Ledger
from tests.support.console import Place, verb
from tests.support.http_receiver import http_receiver
from tests.support.smtp import smtp_server

NOBODY = {"kind": "webhook", "url": "http://127.0.0.1:1/", "allow_private": True}


def mail(port: int) -> dict[str, Any]:
    return {
        "kind": "mail",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "from": "wumu@example.org",
        "to": ["ops@example.org"],
    }


def examined(place: Place, state: Path | None = None) -> dict[str, Mapping[str, Any]]:
    result = verb("doctor", "--json", "--config", place.config, "--state", state or place.state)
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert result.exit_code == (0 if all(check["ok"] for check in checks.values()) else 1)
    return checks


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_channels_are_connected_to_and_nothing_is_sent(here: Place) -> None:
    with smtp_server() as smtp, http_receiver() as hook:
        channels = {
            "ops": mail(smtp.port),
            "hook": {"kind": "webhook", "url": hook.url, "allow_private": True},
            "dead-mail": mail(1),
            "dead-hook": NOBODY,
        }
        here.write(channels=channels)
        checks = examined(here)
        assert (smtp.mailbox.mails, hook.requests) == ([], [])
    assert {name: check["ok"] for name, check in checks.items() if name.startswith("channel ")} == {
        "channel ops": True,
        "channel hook": True,
        "channel dead-mail": False,
        "channel dead-hook": False,
    }
    assert "refused" in checks["channel dead-mail"]["detail"]
    assert checks["channel dead-mail"]["hint"]


def test_a_secret_that_is_missing_is_found_before_the_night(here: Place) -> None:
    here.write(channels={"hook": NOBODY | {"secret": {"file": str(here.folder / "none")}}})
    check = examined(here)["channel hook"]
    assert (check["ok"], str(here.folder / "none") in check["detail"]) == (False, True)


def test_what_is_not_well_comes_with_what_to_do(here: Place) -> None:
    here.write(ingest={"paths": [str(here.folder / "nothing-*.log")]})
    checks = examined(here)
    bad = {name for name, check in checks.items() if not check["ok"]}
    assert bad == {"daemon", "logs", "channels"}
    assert all(checks[name]["hint"] for name in bad)
    assert checks["logs"]["detail"] == f"0 files match {here.folder}/nothing-*.log"


def test_a_configuration_that_is_wrong_does_not_hide_the_rest(here: Place) -> None:
    here.config.write_text("version: [")
    checks = examined(here)
    assert checks["configuration"]["ok"] is False
    assert {"installation", "state folder"} <= checks.keys()


def test_a_store_that_is_damaged_is_found(here: Place) -> None:
    here.write()
    here.state.mkdir()
    Ledger.open(here.state / LEDGER).close()
    (here.state / "events.duckdb").write_bytes(b"no database" * 1_000)
    check = examined(here)["store"]
    assert (check["ok"], "damaged" in check["detail"]) == (False, True)


def test_the_text_names_the_way_out_below_each_trouble(here: Place) -> None:
    here.write()
    lines = verb("doctor", *here.options).stdout.splitlines()
    assert "BAD  channels: nobody is told" in lines
    assert lines[lines.index("BAD  channels: nobody is told") + 1].startswith("       what to do: ")


@pytest.mark.parametrize("started", [False, True], ids=["before the first start", "in an empty state folder"])
def test_it_makes_nothing(here: Place, started: bool) -> None:
    here.write()
    if started:
        here.state.mkdir()
    before = sorted(here.folder.rglob("*"))
    examined(here)
    assert sorted(here.folder.rglob("*")) == before
