"""`wumu search` through the whole: from a log, through the store, to the lines on the terminal."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from recognizer.search import fields
from tests.acceptance.scenario import bare, settings, write_log
from tests.support.console import verb
from tests.support.daemon import wumu


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str | Path, ...]:
    """A log of our recognizer and of a foreign service, read by `wumu once`."""
    pytest.importorskip("pypinyin")
    place = tmp_path_factory.mktemp("search")
    now_ms = time.time_ns() // 1_000_000 - 5_000
    events: list[dict[str, Any]] = []
    for number, path in enumerate(["/data/bailing.png", "/data/bai-ling.jpg", "/data/百灵.png\u200b"]):
        request = {"request_id": f"r{number}", "file_path": path}
        events.append(bare(now_ms + number, "input_start", "gpu-1", **request, **fields(path)))
        events.append(bare(now_ms + number, "inference_complete", "gpu-1", top1_label="鸟", top1_score=0.9, **request))
    events.append(bare(now_ms + 9, "input_error", "gpu-2", file_path="/srv/Bailing.png", reason="file_missing"))
    write_log(place / "service.log", events)
    settings(place / "alerts.yaml", place / "service.log")
    found = "--config", place / "alerts.yaml", "--state", place / "state"
    assert wumu("once", *found).returncode in {0, 1}
    return found


def test_written_and_spoken_names_are_found_and_nothing_hides(options: tuple[str | Path, ...]) -> None:
    result = verb("search", "bailing", *options)
    assert result.exit_code == 0
    heading, *rows = result.stdout.splitlines()
    assert heading.split() == ["time", "times", "ended", "host", "path", "request"]
    assert [next(word for word in row.split() if word.startswith("/")) for row in rows] == [
        "/srv/Bailing.png",
        "/data/百灵.png‹U+200B›",
        "/data/bai-ling.jpg",
        "/data/bailing.png",
    ]
    assert "鸟 0.90" in rows[1]
    assert "file_missing" in rows[0]


def test_json_and_the_characters_of_the_name(options: tuple[str | Path, ...]) -> None:
    found = json.loads(verb("search", "百灵", "--json", *options).stdout)
    assert {one["file_path"] for one in found} == {"/data/bailing.png", "/data/bai-ling.jpg", "/data/百灵.png\u200b"}
    assert all(one["top1_label"] == "鸟" for one in found)


def test_synonyms_of_a_file(options: tuple[str | Path, ...], tmp_path: Path) -> None:
    (tmp_path / "birds.txt").write_text("# birds\nlark, 百灵\n", encoding="utf-8")
    assert verb("search", "lark", *options).exit_code == 1
    found = json.loads(verb("search", "lark", "--synonyms", tmp_path / "birds.txt", "--json", *options).stdout)
    assert len(found) == 3


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"a, b\nlonely\n", "line 2: lonely has no synonym"), (b"\xb0\xd9\xc1\xe9,lark", "no UTF-8: byte 0")],
)
def test_a_synonym_file_that_can_not_be_used_is_exit_code_2(
    options: tuple[str | Path, ...], tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "birds.txt").write_bytes(content)
    result = verb("search", "lark", "--synonyms", tmp_path / "birds.txt", *options)
    assert result.exit_code == 2
    assert says in result.stderr


def test_nothing_found_and_nothing_asked(options: tuple[str | Path, ...]) -> None:
    nothing = verb("search", "nightingale\u200b", *options)
    assert (nothing.exit_code, nothing.stderr) == (1, "no picture is called nightingale‹U+200B›\n")
    assert verb("search", " ", *options).exit_code == 2
