"""`wumu dead-letters`, without a daemon and beside one: what was put aside is shown, and stored once it is mended."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.scenario import bare, settings, write_log
from tests.support.console import Place, verb
from tests.support.daemon import Daemon, eventually, running, wumu

HOSTILE = 'no event \x1b[31m\u202e "百灵"'


class Letters:
    """A place whose log holds one event and three lines that are none: junk, no stage, a clock a year ahead."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder)
        self.now_ms = time.time_ns() // 1_000_000 - 5_000
        write_log(self.place.log, [bare(self.now_ms, "input_start", "gpu-1", request_id="good")])
        with self.place.log.open("a", encoding="utf-8") as log:
            log.write(HOSTILE + "\n")
            log.write(json.dumps({"timestamp": self.now_ms, "request_id": "stageless"}) + "\n")
            ahead = bare(self.now_ms + 300 * 86_400_000, "input_start", "gpu-1", request_id="ahead")
            log.write(json.dumps(ahead) + "\n")
        settings(self.place.config, self.place.log)

    def listed(self, *options: str) -> list[dict[str, Any]]:
        answer = verb("dead-letters", "list", "--json", *options, *self.place.options)
        found: list[dict[str, Any]] = json.loads(answer.stdout)
        assert answer.exit_code == (1 if found else 0)
        return found

    def replay(self, *arguments: str | Path) -> tuple[int, dict[str, list[Any]]]:
        answer = verb("dead-letters", "replay", "--json", *arguments, *self.place.options)
        return answer.exit_code, json.loads(answer.stdout)

    def stored(self, request_id: str) -> int:
        answer = verb("query", f"request_id: {request_id}", "--json", "--limit", "10000", *self.place.options)
        return len(json.loads(answer.stdout))

    def mend(self, letters: list[dict[str, Any]], **changes: Any) -> Path:
        """A file with the letters, whose events have these fields now."""
        mended = [letter | {"line": json.dumps(json.loads(letter["line"]) | changes, indent=1)} for letter in letters]
        path = self.place.folder / "letters.json"
        path.write_text(json.dumps(mended))
        return path


@pytest.fixture(params=["files", "daemon"])
def put_aside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Letters]:
    made = Letters(tmp_path)
    assert wumu("once", *made.place.options).returncode in {0, 1}
    beside = running(made.place.config, made.place.state) if request.param == "daemon" else contextlib.nullcontext()
    with beside:
        yield made


def test_what_was_put_aside_is_listed_with_its_place_and_made_visible(put_aside: Letters) -> None:
    found = put_aside.listed()
    assert [letter["reason"] for letter in found] == ["not_json", "missing_field", "timestamp_future"]
    assert found[0]["line"] == HOSTILE
    content = put_aside.place.log.read_bytes()
    for letter in found:
        assert letter["file"] == str(put_aside.place.log)
        assert content[letter["offset"] :].startswith(letter["line"].encode() + b"\n")
    shown = verb("dead-letters", "list", "--limit", "3", "--state", put_aside.place.state).stdout
    assert "‹U+001B›[31m‹U+202E›" in shown
    assert [letter["reason"] for letter in put_aside.listed("--limit", "1")] == ["timestamp_future"]
    assert [letter["reason"] for letter in put_aside.listed("--reason", "not_json")] == ["not_json"]


def test_a_mended_line_is_stored_once_and_marked(put_aside: Letters) -> None:
    """Even where it has no name of its own and is mended in another way the second time."""
    before = put_aside.listed("--reason", "missing_field")
    code, told = put_aside.replay("--mended", put_aside.mend(before, event_type="input_start"))
    assert (code, told) == (0, {"stored": [before[0]["id"]], "before": [], "failed": []})
    assert put_aside.replay("--mended", put_aside.mend(before, event_type="input_error"))[1]["before"] == [
        before[0]["id"]
    ]
    assert put_aside.stored("stageless") == 1
    assert before[0]["id"] not in [letter["id"] for letter in put_aside.listed()]
    (marked,) = put_aside.listed("--all", "--reason", "missing_field")
    assert marked["replayed_ms"] >= put_aside.now_ms


def test_what_is_no_event_yet_stays_and_says_why(put_aside: Letters) -> None:
    first, *_ = put_aside.listed()
    code, told = put_aside.replay("--all")
    assert (code, len(told["failed"]), told["stored"]) == (1, 3, [])
    assert [each["reason"] for each in told["failed"] if each["id"] == first["id"]] == ["not_json"]
    assert len(put_aside.listed()) == 3
    shown = verb("dead-letters", "replay", first["id"][:6], *put_aside.place.options)
    assert (shown.exit_code, "0 events stored, 1 can't be stored yet" in shown.stderr) == (1, True)


def test_a_wrong_call_is_one_line(put_aside: Letters) -> None:
    for wrong in ((), ("ffffffff",), ("--mended", put_aside.place.log), ("--all", "--mended", put_aside.place.log)):
        said = verb("dead-letters", "replay", *wrong, *put_aside.place.options)
        assert (said.exit_code, said.stderr.startswith("wumu: ")) == (2, True), said.stderr
    unknown = put_aside.place.folder / "unknown.json"
    unknown.write_text('[{"id": "ffff", "line": "{}"}]')
    said = verb("dead-letters", "replay", "--mended", unknown, *put_aside.place.options)
    assert (said.exit_code, "there is no dead letter ffff" in said.stderr) == (2, True)


def test_lines_that_are_right_once_a_limit_is_raised_are_stored_beside_what_is_read(tmp_path: Path) -> None:
    """The daemon replays while it reads: its own and the replayed events are all there once."""
    made = Letters(tmp_path)
    assert wumu("once", *made.place.options).returncode in {0, 1}
    ingest = {"paths": [str(made.place.log)], "poll": "1s", "max_future": "400d"}
    settings(made.place.config, made.place.log, ingest=ingest)
    with running(made.place.config, made.place.state) as daemon:
        _log_while_replaying(made, daemon)
    assert made.stored("ahead") == 1
    assert [letter["reason"] for letter in made.listed()] == ["not_json", "missing_field"]


def _log_while_replaying(made: Letters, daemon: Daemon) -> None:
    write_log(made.place.log, [bare(made.now_ms, "input_start", "gpu-1", request_id="more") for _ in range(500)])
    for _ in range(5):
        made.replay("--reason", "timestamp_future") if made.stored("ahead") == 0 else made.replay("--all")
    assert daemon.alive()
    eventually(lambda: made.stored("more") == 500, "all that was logged meanwhile is stored")


def test_without_a_state_nothing_is_made(tmp_path: Path) -> None:
    result = verb("dead-letters", "list", "--state", tmp_path / "none")
    assert (result.exit_code, "there is no ledger" in result.stderr, list(tmp_path.iterdir())) == (3, True, [])
