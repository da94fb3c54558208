"""`wumu fix-paths`: its script is run in a real bash, in folders whose names try to break out of it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.console import verb
from tests.support.daemon import WUMU

GBK = os.fsdecode("百灵.png".encode("gbk"))
BIG5 = os.fsdecode("臺灣.png".encode("big5"))

RENAMED = {
    "百灵\u200b.png": "百灵.png",
    "ｂａｉ．png": "bai.png",
    "cafe\u0301.png": "café.png",
    "鐧剧伒 2.png": "百灵 2.png",
    "涓婁紶.png": "上传.png",
    " leading.png": "leading.png",
    "-rf\u200b": "-rf",
    "--help .png ": "--help .png",
    "line\nbreak.png": "linebreak.png",
    "$(touch canary)\u200b": "$(touch canary)",
    "a`touch canary`b\u200b": "a`touch canary`b",
    "'; touch canary; '\u200b.png": "'; touch canary; '.png",
    "x\ny; touch canary": "xy; touch canary",
    "%E7%99%BE.png": "百.png",
    "bidi\u202egnp.exe": "bidignp.exe",
    GBK: "百灵.png",
    BIG5: "臺灣.png",
    "good.png": "good.png",
    "照片（1）.png": "照片（1）.png",
}


def script(folder: Path) -> bytes:
    result = verb("fix-paths", folder, "--dry-run")
    assert result.exit_code in {0, 1}, result.stderr
    return result.stdout_bytes


def run(text: bytes, folder: Path, locale: str = "C") -> "subprocess.CompletedProcess[bytes]":
    environment = {"LC_ALL": locale, "PATH": "/usr/bin:/bin"}
    return subprocess.run(["bash", "-s"], input=text, cwd=folder, env=environment, capture_output=True, check=False)


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(("old", "new"), RENAMED.items(), ids=ascii)
def test_the_script_gives_the_file_its_better_name_and_nothing_else(
    tmp_path: Path, locale: str, old: str, new: str
) -> None:
    """In a UTF-8 locale and in none; run from elsewhere."""
    folder, elsewhere = tmp_path / "upload", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / old).write_bytes(os.fsencode(old))
    done = run(script(folder), elsewhere, locale)
    assert (done.returncode, done.stderr) == (0, b"")
    assert os.listdir(folder) == [new]
    assert (folder / new).read_bytes() == os.fsencode(old)
    assert os.listdir(elsewhere) == []
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "upload"]


def test_the_command_writes_the_same_script(tmp_path: Path) -> None:
    """In a process of its own, to a pipe, in a locale without UTF-8."""
    for name in RENAMED:
        (tmp_path / name).write_bytes(b"x")
    command = [*WUMU, "fix-paths", tmp_path, "--dry-run"]
    done = subprocess.run(command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert run(done.stdout, tmp_path).returncode == 0
    assert "%E7%99%BE.png" not in os.listdir(tmp_path)


def test_folders_are_renamed_after_what_is_in_them(tmp_path: Path) -> None:
    """Three levels of faulty names, under a folder whose own name needs quotes."""
    root = tmp_path / "it's $HOME"
    inner = root / "上\u200b传" / "ｄｉｒ"
    inner.mkdir(parents=True)
    (inner / "a\u200b.png").write_bytes(b"x")
    assert run(script(root), tmp_path).returncode == 0
    assert [str(path.relative_to(root)) for path in root.rglob("*.png")] == ["上传/dir/a.png"]


@pytest.mark.parametrize(
    "names", [("a\u200b.png", "a.png"), ("a\u200b.png", "a\ufeff.png"), ("\u200ba.png", "a\u200b.png")]
)
def test_names_that_would_meet_keep_theirs(tmp_path: Path, names: tuple[str, str]) -> None:
    """Both that exist already and that would become the same; the script lists them."""
    for name in names:
        (tmp_path / name).write_bytes(os.fsencode(name))
    text = script(tmp_path)
    assert b"keeps its name" in text
    assert run(text, tmp_path).returncode == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {one: os.fsencode(one) for one in names}


def test_a_name_that_was_taken_after_the_script_was_made_is_not_overwritten(tmp_path: Path) -> None:
    """Also not by a link that leads nowhere, nor is the file moved into a folder of that name."""
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}\u200b.png").write_bytes(b"faulty")
    text = script(tmp_path)
    (tmp_path / "a.png").write_bytes(b"good")
    (tmp_path / "b.png").symlink_to("nowhere")
    (tmp_path / "c.png").mkdir()
    done = run(text, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count(b"not renamed") == 3
    assert (tmp_path / "a.png").read_bytes() == b"good"
    assert os.listdir(tmp_path / "c.png") == []
    assert len(os.listdir(tmp_path)) == 6


def test_bytes_that_no_encoding_uses_get_no_name_of_private_characters(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff\xfe.jpg")).write_bytes(b"x")
    text = script(tmp_path)
    assert b"move ./" not in text
    assert b"no better name is known" in text


def test_a_backslash_in_a_name_makes_no_folder(tmp_path: Path) -> None:
    """What would be a path is no name; an archive of Windows leaves such files."""
    (tmp_path / "图片\\百灵.png").write_bytes(b"x")
    (tmp_path / "..%2fout.png").write_bytes(b"x")
    text = script(tmp_path)
    assert b"move ./" not in text
    assert text.count(b"keeps its name") == 2


def test_hidden_folders_and_links_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a\u200b").write_bytes(b"x")
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "out" / "b\u200b").write_bytes(b"x")
    (tmp_path / "in" / "link").symlink_to("../out")
    assert b"move '" not in script(tmp_path / "in")
    assert b".git" not in script(tmp_path)


def test_it_renames_nothing_itself(tmp_path: Path) -> None:
    (tmp_path / "a\u200b.png").write_bytes(b"x")
    result = verb("fix-paths", tmp_path)
    assert result.exit_code == 2
    assert "--dry-run" in result.stderr
    assert verb("fix-paths", tmp_path, "--dry-run").exit_code == 1
    assert os.listdir(tmp_path) == ["a\u200b.png"]


def test_a_folder_without_faults_is_exit_code_0(tmp_path: Path) -> None:
    (tmp_path / "百灵（1）.png").write_bytes(b"x")
    result = verb("fix-paths", tmp_path, "--dry-run")
    assert (result.exit_code, result.stderr) == (0, "0 faulty names, 0 of them with a better one\n")
