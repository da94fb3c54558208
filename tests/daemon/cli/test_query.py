"""`wumu query`: what is found, how it is shown, what is said when it can't be found."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli.main import main
from tests.support.console import HOSTILE_PATH, LONG_FOLDER, Place, verb
from tests.support.daemon import WUMU


def test_events_come_oldest_first_as_json(seen: Place) -> None:
    result = verb("query", "request_id: req-3", "--json", *seen.options)
    events = json.loads(result.stdout)
    assert [event["event_type"] for event in events] == ["input_start", "inference_complete", "business_output"]
    assert result.exit_code == 0


def test_the_limit_keeps_the_newest(seen: Place) -> None:
    events = json.loads(verb("query", "host: gpu-1", "--limit", "2", "--json", *seen.options).stdout)
    assert [event["file_path"] for event in events] == ["/data/upload/1.png\u200b", "/data/upload/2.png\u200b"]


def test_a_long_path_is_shown_whole(seen: Place) -> None:
    assert f"{LONG_FOLDER}/y.png" in verb("query", "request_id: r2", *seen.options).stdout


def test_hostile_text_stays_on_its_line_and_colours_nothing(seen: Place) -> None:
    result = verb("query", "reason: path_bidi_control", *seen.options)
    heading, row = result.stdout.splitlines()
    assert heading.split() == ["time", "event", "host", "path", "more"]
    assert "/data/a‹U+000A›b‹U+001B›[2J‹U+202E›gnp.exe" in row
    assert "[bold]x[/bold]" in row
    assert row.isprintable()


def test_json_is_harmless_on_a_terminal_and_says_the_same(seen: Place) -> None:
    result = verb("query", "reason: path_bidi_control", "--json", *seen.options)
    assert json.loads(result.stdout)[0]["file_path"] == HOSTILE_PATH
    assert result.stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_nothing_found_is_exit_code_1(seen: Place, options: tuple[str, ...]) -> None:
    result = verb("query", "host: nobody", *options, *seen.options)
    assert result.exit_code == 1
    assert "no event matches" in result.stderr
    assert not options or json.loads(result.stdout) == []


def test_a_wrong_filter_is_shown_with_a_caret_at_its_place(seen: Place) -> None:
    result = verb("query", "host: a and event_tipe: x", *seen.options)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        'KQL:1:13: error: no event has a field "event_tipe" [bad_condition]',
        "    1 | host: a and event_tipe: x",
        "      |             ^^^^^^^^^^",
        "        hint: did you mean event_type?",
    ]


@pytest.mark.parametrize("options", [("--since", "5x"), ("--since", "99999999d"), ("--limit", "0"), ("--nonsense",)])
def test_a_wrong_option_is_exit_code_2(seen: Place, options: tuple[str, ...]) -> None:
    result = verb("query", "host: a", *options, *seen.options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error:" in result.stderr


def test_a_byte_that_is_no_text_finds_nothing(seen: Place) -> None:
    assert verb("query", 'host: "\udcff"', *seen.options).exit_code == 1


def test_without_a_state_it_says_so_and_makes_none(seen: Place, empty: Path) -> None:
    result = verb("query", "host: a", "--config", seen.config, "--state", empty)
    assert result.exit_code == 3
    assert result.stderr == (
        f"wumu: there is no ledger at {empty}/ledger.sqlite\n"
        "  what to do: start the daemon first: wumu run; or name its state folder with --state or WUMU_STATE\n"
    )
    assert not empty.exists()


def test_a_store_that_is_damaged_is_said(seen: Place, empty: Path) -> None:
    empty.mkdir()
    (empty / "ledger.sqlite").write_bytes((seen.state / "ledger.sqlite").read_bytes())
    (empty / "events.duckdb").write_bytes(b"no database" * 1_000)
    result = verb("query", "host: a", "--config", seen.config, "--state", empty)
    assert result.exit_code == 3
    assert "is damaged or no event file" in result.stderr
    assert "set it aside" in result.stderr


def test_a_configuration_that_is_missing_is_exit_code_2(seen: Place, tmp_path: Path) -> None:
    result = verb("query", "host: a", "--config", tmp_path / "none.yaml", "--state", seen.state)
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr
    assert f"{tmp_path}/none.yaml can't be used: 1 error" in result.stderr


def test_a_reader_that_has_seen_enough_is_no_fault(seen: Place) -> None:
    command = [*WUMU, "query", "host: gpu-1", "--json", *map(str, seen.options)]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_under_the_output_is_said(seen: Place) -> None:
    command = [*WUMU, "query", "host: gpu-1", *map(str, seen.options)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("wumu: the system refused: No space left on device\n")


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_encoding_without_chinese_ends_nothing(seen: Place, options: tuple[str, ...]) -> None:
    arguments = ["query", "top1_label: *", *options, *map(str, seen.options)]
    result = CliRunner(charset="iso-8859-1").invoke(main, arguments, catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    assert r"\u72d7" in result.stdout
    assert not options or json.loads(result.stdout)[0]["top1_label"] == "狗\u200b"
