"""`wumu recognize`: one line a picture whatever happens to it, exit codes that tell, no daemon needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from daemon.cli.recognize import command
from recognizer.files import expand
from recognizer.hints import HINTS
from recognizer.reasons import InputReason
from recognizer.train import draw, load_digits
from tests.support.model import Trained
from tests.support.pictures import encoded


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """upload/ with three digits, a text file and a hidden folder; beside it an empty file."""
    random = np.random.default_rng(4)
    _, held_out = load_digits(0)
    folder = tmp_path / "upload"
    (folder / "客户" / ".cache").mkdir(parents=True)
    for index, name in enumerate(("b.png", "a.jpg", "客户/百灵.PNG")):
        kind = "JPEG" if name.endswith("jpg") else "PNG"
        (folder / name).write_bytes(encoded(draw(held_out.strokes[index], 80, random), kind))
    (folder / "notes.txt").write_text("no picture")
    (folder / "客户" / ".cache" / "thumb.png").write_bytes(b"")
    (tmp_path / "empty.png").write_bytes(b"")
    return folder


def wumu(*arguments: str | Path, stdin: bytes = b"", model: Path | None = None) -> Result:
    """The verb in this process: torch is loaded once for all tests."""
    environment = {"WUMU_MODEL": None if model is None else str(model)}
    return CliRunner().invoke(command, [str(one) for one in arguments], input=stdin, env=environment)


def test_every_kind_of_argument_and_every_fault_gets_its_line(
    digits_model: Trained, pictures: Path, tmp_path: Path
) -> None:
    """A folder, a pattern, a list on stdin and what is not there, in one call; the events go to the log."""
    log = tmp_path / "events.jsonl"
    listed = f"{pictures}/b.png\n{pictures}/b.png\u200b\n\n".encode() + os.fsencode(tmp_path) + b"/\xb0\xd9.png"
    script = "from daemon.cli.main import main; main(prog_name='wumu')"
    call: list[str | Path] = [
        sys.executable,
        "-c",
        script,
        "recognize",
        "--model",
        digits_model.folder,
        "--json",
        "--log",
        log,
        pictures,
        f"{pictures}/*.jpg",
        "-",
        tmp_path / "empty.png",
        f"{tmp_path}/none*.png",
    ]
    done = subprocess.run(call, input=listed, capture_output=True, check=False, timeout=120)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    outcomes = [(Path(line["file_path"]).name, line.get("reason")) for line in lines]
    assert outcomes == [
        ("a.jpg", None),
        ("b.png", None),
        ("百灵.PNG", None),
        ("a.jpg", None),
        ("b.png", None),
        ("b.png\u200b", "path_invisible_character"),
        ("‹U+DCB0›‹U+DCD9›.png", "path_undecodable"),
        ("empty.png", "file_empty"),
        ("none*.png", "file_missing"),
    ]
    assert done.returncode == 1
    assert b"5 recognised, 4 failed" in done.stderr
    events = [json.loads(line) for line in log.read_bytes().splitlines()]
    loaded, *told = events
    assert (loaded["event_type"], loaded["status"]) == ("model_loaded", "success")
    assert len(told) == 5 * 5 + 4 * 2
    assert {event["request_id"] for event in told} == {line["request_id"] for line in lines}


def test_people_see_the_reason_the_character_and_what_to_do(digits_model: Trained, pictures: Path) -> None:
    done = wumu(f"{pictures}/b.png\u200b", f"{pictures}/b.png", model=digits_model.folder)
    text = done.stdout
    assert done.exit_code == 1
    assert "path_invisible_character" in text
    assert "b.png‹U+200B›" in text
    assert "\u200b" not in text
    assert f"a file stands at the cleaned path {pictures}/b.png" in text
    assert f"what to do: {HINTS[InputReason.PATH_INVISIBLE_CHARACTER]}" in text
    assert "\x1b" not in text


def test_text_from_outside_can_not_write_to_the_terminal(digits_model: Trained) -> None:
    """Escape sequences, markup and line breaks in a name come out as visible text."""
    done = wumu("/none/\x1b[31m[bold]x[/bold]\r\n.png", model=digits_model.folder)
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert "‹U+001B›[31m[bold]x[/bold]‹U+000D›‹U+000A›.png" in done.stdout


def test_names_separated_by_nul(digits_model: Trained, pictures: Path) -> None:
    """What find -print0 writes: a name may hold a line break."""
    (pictures / "two\nlines.png").write_bytes((pictures / "b.png").read_bytes())
    listed = f"{pictures}/two\nlines.png\0{pictures}/b.png\0".encode()
    done = wumu("--json", "-0", "-", stdin=listed, model=digits_model.folder)
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["success", "success"]
    assert done.exit_code == 0


def test_without_a_model_the_way_to_one_is_told(tmp_path: Path) -> None:
    done = wumu("a.png")
    assert done.exit_code == 3
    assert "python -m recognizer.train" in done.stderr
    done = wumu("--model", tmp_path / "none", "a.png")
    assert done.exit_code == 3
    assert "not_found" in done.stderr


def test_wrong_calls_end_with_2(digits_model: Trained, tmp_path: Path) -> None:
    assert wumu().exit_code == 2
    assert wumu("--batch-size", "0", "a.png").exit_code == 2
    (tmp_path / "nothing").mkdir()
    done = wumu(tmp_path / "nothing", model=digits_model.folder)
    assert done.exit_code == 2
    assert "no picture" in done.stderr


def test_a_list_from_a_closed_standard_input_is_a_wrong_call() -> None:
    call = f"exec {sys.executable} -m daemon.cli recognize --model digits - <&-"
    done = subprocess.run(["/bin/sh", "-c", call], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("wumu recognize: standard input is closed\n  what to do: ")


def test_the_command_needs_nothing_of_the_daemon() -> None:
    """With the [recognizer] extra alone neither pydantic nor DuckDB is there; --help needs no torch either."""
    script = (
        "import sys\n"
        "for name in ('pydantic', 'duckdb', 'lark', 'ruamel', 'requests', 'jinja2', 'sklearn', 'PIL'):\n"
        "    sys.modules[name] = None\n"
        "import daemon.cli.recognize\n"
        "assert 'torch' not in sys.modules\n"
        "import recognizer.pipeline\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=120)


def test_a_folder_is_walked_in_order_without_what_is_hidden_or_no_picture(pictures: Path) -> None:
    names = [os.path.relpath(path, pictures) for path in expand([str(pictures)])]
    assert names == ["a.jpg", "b.png", "客户/百灵.PNG"]


def test_a_picture_whose_suffix_has_a_fault_is_found_too(tmp_path: Path) -> None:
    names = ["a.png\u200b", "b.jpg ", "ｃ．ｐｎｇ", "d.txt\u200b"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert [Path(path).name for path in expand([str(tmp_path)])] == names[:3]


def test_a_folder_that_cannot_be_read_stands_for_itself(tmp_path: Path) -> None:
    """So that it gets its line, as every picture does: here its path has become too long to be opened."""
    (tmp_path / "a.png").write_bytes(b"")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    picture, folder = expand([str(tmp_path)])
    assert picture == f"{tmp_path}/a.png"
    assert folder.endswith("d" * 250)
    assert len(folder) > 4096


def test_a_name_with_brackets_that_exists_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].png").write_bytes(b"")
    (tmp_path / "a1.png").write_bytes(b"")
    assert list(expand([f"{tmp_path}/a[1].png"])) == [f"{tmp_path}/a[1].png"]
    assert list(expand([f"{tmp_path}/a[12].png"])) == [f"{tmp_path}/a1.png"]


def test_every_reason_has_a_hint_of_one_line() -> None:
    assert set(HINTS) == set(InputReason)
    assert all("\n" not in hint and 10 < len(hint) < 120 for hint in HINTS.values())
