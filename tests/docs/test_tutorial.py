"""The tutorial is done as it is written, in another folder and without the installation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import running
from tests.support.pages import ROOT, blocks

PAGE = ROOT / "docs" / "tutorial" / "first-alert.md"
FOLDER = "/tmp/first"


class Reader:
    """Somebody who types what the page says; the page's folder is ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = Path(sys.executable).parent

    def type(self, code: str) -> str:
        """What a block prints, to stdout and stderr together."""
        environment = os.environ | {"PATH": f"{self._bin}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        environment.pop("WUMU_CONFIG", None)
        done = subprocess.run(
            ["bash", "-uc", self.moved(code)],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return done.stdout

    def moved(self, code: str) -> str:
        return code.replace(FOLDER, str(self.folder))


def test_the_page_keeps_its_word(tmp_path: Path) -> None:
    """One after the other: the steps build on each other."""
    (install, configure, service, good, bad, judge, trace, run) = (code for _, code in blocks(PAGE))
    assert install.startswith("make .venv/ready\n")
    reader = Reader(tmp_path)
    (tmp_path / "data").mkdir()

    said = reader.type(configure)
    assert "warning: nobody is told" in said
    assert "alerts.yaml: 19 rules, 0 channels, 1 warning\n" in said

    (tmp_path / "service.py").write_text(reader.moved(service))
    assert reader.type(good) == ""
    assert reader.type(bad).count("No such file or directory") == 3

    said = reader.type(judge)
    assert "read 8 events, put 0 lines aside\n" in said
    assert "alerts: 2 firing\n" in said
    assert {line.split()[3] for line in said.splitlines() if " firing " in line and "alerts:" not in line} == {
        "path-errors-in-a-row",
        "unsafe-paths",
    }

    said = reader.type(trace)
    assert "path     data/bird.png‹U+200B›\n" in said
    assert said.count("Character 14 of 14 is U+200B ZERO WIDTH SPACE\n") == 3
    assert "A file exists at the cleaned path data/bird.png\n" in said

    assert run == "wumu run --state state\n"
    with running(tmp_path / "alerts.yaml", tmp_path / "state") as daemon:
        assert daemon.alive()


@pytest.mark.parametrize("text", ["make .venv/ready", "Ten minutes"])
def test_it_still_begins_where_a_reader_begins(text: str) -> None:
    assert text in PAGE.read_text(encoding="utf-8")
