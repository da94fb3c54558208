"""`wumu init`: the files to start from are the ones that are tested here."""

import json
from pathlib import Path

import pytest

from tests.support.console import verb

ROOT = Path(__file__).parents[3]


def test_the_files_are_the_shipped_ones_and_the_rules_run_as_they_are(tmp_path: Path) -> None:
    result = verb("init", tmp_path / "etc" / "wumu", "--json")
    folder = tmp_path / "etc" / "wumu"
    assert json.loads(result.stdout) == {
        "written": [f"{folder}/alerts.yaml", f"{folder}/wumu.service"],
        "kept": [],
    }
    assert (folder / "alerts.yaml").read_text() == (ROOT / "alerts.yaml").read_text()
    assert (folder / "wumu.service").read_text() == (ROOT / "deploy" / "wumu.service").read_text()
    assert result.exit_code == 0
    assert verb("check", folder / "alerts.yaml").exit_code == 0


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    own = tmp_path / "alerts.yaml"
    own.write_text("mine")
    kept = verb("init", tmp_path)
    assert (own.read_text(), kept.exit_code) == ("mine", 1)
    assert f"kept {own} as it is; --force replaces it" in kept.stderr
    assert (tmp_path / "wumu.service").exists()
    assert verb("init", tmp_path, "--force").exit_code == 0
    assert own.read_text() == (ROOT / "alerts.yaml").read_text()


def test_a_folder_that_cannot_be_made_is_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = verb("init", tmp_path / "file" / "below")
    assert result.exit_code == 3
    assert "alerts.yaml can't be written: Not a directory\n  what to do: choose a folder" in result.stderr


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a Linux /proc")
def test_a_folder_that_nobody_may_write_is_exit_code_3() -> None:
    """Not even root may, where other read-only folders would let root in."""
    result = verb("init", "/proc/self")
    assert result.exit_code == 3
    assert "/proc/self/alerts.yaml can't be written" in result.stderr
