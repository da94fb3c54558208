"""`wumu doctor-path`: what it says, and that it needs neither torch nor the daemon."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recognizer.hints import HINTS
from recognizer.reasons import InputReason
from tests.support.console import verb


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "百灵.png").write_bytes(b"x")
    (tmp_path / "Photo.png").write_bytes(b"x")
    (tmp_path / "cafe\u0301.png").write_bytes(b"x")
    return tmp_path


def test_fault_character_place_and_file_are_named(folder: Path) -> None:
    path = f"{folder}/百灵.png\u200b"
    result = verb("doctor-path", path)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"path_invisible_character  {folder}/百灵.png‹U+200B›",
        f"  path_invisible_character: character {len(path)} of {len(path)} is U+200B ZERO WIDTH SPACE",
        f"  meant: {folder}/百灵.png  (path_invisible_character)",
        "  what to do: use the cleaned path, and clean paths where they enter the system",
    ]


def test_json_says_the_same(folder: Path) -> None:
    result = verb("doctor-path", "--json", f"{folder}/photo.png", f"{folder}/百灵.png")
    bad, good = map(json.loads, result.stdout.splitlines())
    assert (bad["reason"], bad["path_suggested"], bad["certain"]) == ("path_case_mismatch", f"{folder}/Photo.png", True)
    assert (good["reason"], good["exists"], good["issues"]) == (None, True, [])


def test_all_well_is_exit_code_0(folder: Path) -> None:
    assert verb("doctor-path", folder / "百灵.png").exit_code == 0


def test_a_faulty_name_on_the_disk_is_sent_to_fix_paths(folder: Path) -> None:
    assert "wumu fix-paths" in verb("doctor-path", f"{folder}/café.png").stdout


def test_a_path_that_is_no_file_is_not_said_to_be_missing(folder: Path) -> None:
    result = verb("doctor-path", folder, "/nowhere/at/all.png")
    assert result.stdout.splitlines() == [
        f"file_is_directory  {folder}",
        f"  what to do: {HINTS[InputReason.FILE_IS_DIRECTORY]}",
        "file_missing  /nowhere/at/all.png",
        "  no file that could be meant was found",
        f"  what to do: {HINTS[InputReason.FILE_MISSING]}",
    ]


def test_it_looks_below_the_roots_alone(folder: Path) -> None:
    (folder / "in").mkdir()
    result = verb("doctor-path", "--root", folder / "in", f"{folder}/PHOTO.png", f"{folder}/百灵.png")
    assert result.stdout.count("path_outside_roots") == 2
    assert "Photo" not in result.stdout


def test_a_path_of_windows_is_looked_for_below_the_root(folder: Path) -> None:
    result = verb("doctor-path", "D:\\图片\\百灵.png", "--root", folder)
    assert f"perhaps: {folder}/百灵.png" in result.stdout


def test_names_that_are_no_utf8_and_hostile_ones_are_shown_on_one_line(folder: Path) -> None:
    """What a shell hands over, byte for byte."""
    name = os.fsencode(folder) + b"/\xb0\xd9\xc1\xe9.png\n\x1b[31m"
    command: list[str | bytes] = [sys.executable, "-m", "daemon.cli", "doctor-path", name]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 1
    lines = done.stdout.decode("utf-8").splitlines()
    assert lines[0].startswith("path_undecodable")
    assert all(line.isprintable() for line in lines)


def test_it_works_without_torch_and_without_the_daemons_modules(folder: Path) -> None:
    code = (
        "import sys\n"
        "for name in 'torch cv2 numpy pydantic duckdb msgspec apscheduler requests'.split(): sys.modules[name] = None\n"
        "from daemon.cli.main import main\n"
        f"main(['doctor-path', {str(folder / 'PHOTO.png')!r}], prog_name='wumu')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "path_case_mismatch" in done.stdout
