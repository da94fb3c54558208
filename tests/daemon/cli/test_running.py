"""The verbs beside a running daemon: they ask it, and get the same answers as from the files."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.console import Place, verb
from tests.support.daemon import Daemon, running, wumu
from tests.support.http_receiver import http_receiver

ASKED = (
    ("query", "request_id: req-3"),
    ("query", "reason: path_*"),
    ("trace", "/data/upload/1.png"),
    ("trace", "req-3"),
)


def answers(place: Place) -> list[Any]:
    return [json.loads(verb(*asked, "--json", *place.options).stdout) for asked in ASKED]


def explained(place: Place) -> dict[str, Any]:
    """What a further turn of the same rule leaves as it is."""
    answer = json.loads(verb("explain", "path-errors-in-a-row", "--json", *place.options).stdout)
    return {name: answer[name] for name in ("rule", "kind", "where", "group_by", "every", "notify")} | {
        "alert": answer["alerts"][0]["id"],
        "first_turn": answer["turns"][-1],
    }


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Daemon, list[Any], dict[str, Any]]]:
    """A place after one `wumu once`, the answers from its files, and then a daemon on it."""
    place = Place(tmp_path_factory.mktemp("running"))
    with http_receiver() as hook:
        place.write(
            channels={"hook": {"kind": "webhook", "url": hook.url, "allow_private": True}},
            defaults={"notify": ["hook"]},
        )
        once = wumu("once", *place.options)
        assert once.returncode == 1, once.stderr
        from_files = answers(place), explained(place)
        with running(place.config, place.state) as daemon:
            yield place, daemon, *from_files


def test_the_daemon_answers_as_the_files_did(told: tuple[Place, Daemon, list[Any], dict[str, Any]]) -> None:
    place, _, from_files, _ = told
    assert answers(place) == from_files
    assert all(from_files)


def test_explain_goes_on_where_the_files_ended(told: tuple[Place, Daemon, list[Any], dict[str, Any]]) -> None:
    place, _, _, from_files = told
    answer = json.loads(verb("explain", "path-errors-in-a-row", "--turns", "200", "--json", *place.options).stdout)
    assert from_files["first_turn"] in answer["turns"]
    assert answer["where"] == from_files["where"]
    assert from_files["alert"] in {alert["id"] for alert in answer["alerts"]}


def test_faults_keep_their_words_and_exit_codes_through_the_daemon(
    told: tuple[Place, Daemon, list[Any], dict[str, Any]],
) -> None:
    place = told[0]
    unknown = verb("explain", "no-such-rule", *place.options)
    assert unknown.exit_code == 2
    assert "wumu: there is no rule no-such-rule\n  what to do: the rules are: " in unknown.stderr
    assert verb("trace", "nobody", *place.options).exit_code == 1


def test_alerts_are_read_beside_the_daemon(told: tuple[Place, Daemon, list[Any], dict[str, Any]]) -> None:
    place = told[0]
    result = verb("alerts", "--json", "--state", place.state)
    assert "path-errors-in-a-row" in {alert["rule"] for alert in json.loads(result.stdout)}
    assert result.exit_code == 1


@pytest.mark.parametrize("name", ["run", "once"])
def test_a_second_one_on_the_same_state_is_refused(
    told: tuple[Place, Daemon, list[Any], dict[str, Any]], name: str
) -> None:
    place, daemon, _, _ = told
    second = wumu(name, *place.options)
    assert (second.returncode, second.stdout) == (3, "")
    assert second.stderr == (
        f"wumu: another wumu (pid {daemon.pid}) works on {place.state}\n"
        "  what to do: stop it first, or give this one a folder of its own: --state FOLDER\n"
    )
    assert daemon.alive()


def test_doctor_finds_everything_well(told: tuple[Place, Daemon, list[Any], dict[str, Any]]) -> None:
    place, daemon, _, _ = told
    result = verb("doctor", *place.options)
    assert f"ok   daemon: pid {daemon.pid}, logs read up to " in result.stdout
    assert "ok   channel hook: reachable\n" in result.stdout
    assert ("BAD" in result.stdout, result.exit_code) == (False, 0)
