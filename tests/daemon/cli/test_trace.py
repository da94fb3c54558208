"""`wumu trace`: one picture by any of its names, and what nobody sees in its path."""

import json

import pytest

from recognizer.decode import read
from recognizer.fault import InputFault
from tests.acceptance.scenario import ZWSP
from tests.support.console import HOSTILE_PATH, Place, verb

FAULTY = f"/data/upload/1.png{ZWSP}"


def paths(place: Place, what: str) -> list[str]:
    return [event["file_path"] for event in json.loads(verb("trace", what, "--json", *place.options).stdout)]


@pytest.mark.parametrize("name", ["/data/upload/1.png", FAULTY, "/data/upload/1.png‹U+200B›"])
def test_a_bare_event_is_found_by_its_path_as_meant_as_given_and_as_shown(seen: Place, name: str) -> None:
    assert paths(seen, name) == [FAULTY]


def test_an_event_is_found_by_its_id(seen: Place) -> None:
    (event,) = json.loads(verb("trace", FAULTY, "--json", *seen.options).stdout)
    assert paths(seen, event["event_id"]) == [FAULTY]


@pytest.mark.parametrize("name", ["req-3", "/data/[bold]9[/bold].png"])
def test_a_request_is_shown_whole_by_its_id_and_by_its_path(seen: Place, name: str) -> None:
    result = verb("trace", name, *seen.options)
    lines = result.stdout.splitlines()
    assert lines[0] == "request  req-3"
    assert lines[1] == "path     /data/[bold]9[/bold].png"
    steps = [line.split()[3:5] for line in lines[4:7]]
    assert steps == [["0", "input_start"], ["10", "inference_complete"], ["20", "business_output"]]
    assert 'top1_label="狗‹U+200B›"' in result.stdout
    assert result.exit_code == 0


def test_the_character_that_nobody_sees_is_named_with_its_place(seen: Place) -> None:
    shown = verb("trace", str(seen.picture), *seen.options).stdout
    place = len(f"{seen.picture}{ZWSP}")
    assert f"path     {seen.picture}‹U+200B›\n" in shown
    assert f"Character {place} of {place} is U+200B ZERO WIDTH SPACE\n" in shown
    assert f"A file exists at the cleaned path {seen.picture}\n" in shown


def test_the_recognizer_counts_the_same_way(seen: Place) -> None:
    """A place read in an error and one read in a trace are the same character."""
    with pytest.raises(InputFault) as fault:
        read(f"{seen.picture}{ZWSP}")
    place = len(f"{seen.picture}{ZWSP}")
    assert f"U+200B: character {place} of {place}" in str(fault.value)
    with pytest.raises(InputFault, match="NUL: character 3 of 5"):
        read("百\u7075\0bc")
    with pytest.raises(InputFault, match="half a character: character 2 of 3"):
        read("a\ud800b")


def test_a_cleaned_path_that_is_elsewhere_is_not_called_missing(seen: Place) -> None:
    shown = verb("trace", FAULTY, *seen.options).stdout
    assert "The cleaned path is /data/upload/1.png; whether a file is there could not be checked\n" in shown


def test_hostile_text_stays_on_its_line(seen: Place) -> None:
    shown = verb("trace", HOSTILE_PATH, *seen.options).stdout
    assert "request  r‹U+000A›1\n" in shown
    assert "on gpu-9‹U+001B›[31m, pid 1\n" in shown
    assert "Character 14 of 21 is U+202E RIGHT-TO-LEFT OVERRIDE\n" in shown
    assert all(line.isprintable() for line in shown.splitlines())


@pytest.mark.parametrize("name", ["nobody", "", "\udcff", "x" * 100_000, "‹U+FFFFFF›"])
def test_what_nobody_knows_is_exit_code_1(seen: Place, name: str) -> None:
    result = verb("trace", name, "--json", *seen.options)
    assert (result.exit_code, json.loads(result.stdout)) == (1, [])
    assert "nothing is known of" in result.stderr
