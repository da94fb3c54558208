"""The command as a whole: help, exit codes, and extras that are not installed."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from daemon.cli.main import VERBS
from tests.support.console import Place, verb
from tests.support.daemon import WUMU

WITHOUT = """
import sys
for name in {missing!r}.split():
    sys.modules[name] = None
from daemon.cli.main import main
main(prog_name="wumu")
"""


def without(missing: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """wumu in an environment in which some modules can't be imported."""
    code = WITHOUT.format(missing=missing)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help_with_examples_that_are_calls_of_it(name: str) -> None:
    text = verb(name, "--help").stdout
    examples = text.split("Examples:")[1].split("Options:")[0]
    assert f"wumu {name}" in examples


def test_the_exit_codes_are_in_the_help() -> None:
    text = verb("--help").stdout
    assert [f"  {code}  " in text for code in range(4)] == [True] * 4
    assert all(f"  {name} " in text for name in VERBS)


def test_a_verb_that_is_not_there_is_exit_code_2() -> None:
    result = verb("alrets")
    assert result.exit_code == 2
    assert "No such command 'alrets'" in result.stderr


def test_without_any_extra_it_says_which_to_install() -> None:
    result = without("click", "query", "host: a")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "wumu: the command needs an extra: pip install 'wumu[daemon]' or 'wumu[recognizer]'\n"


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("pydantic", ("query", "host: a"), "daemon"),
        ("cv2", ("demo",), "demo"),
        ("rich", ("recognize", "a.png"), "recognizer"),
    ],
)
def test_a_missing_module_names_its_extra(missing: str, arguments: tuple[str, ...], extra: str, tmp_path: Path) -> None:
    result = without(missing, *arguments)
    assert result.returncode == 3
    assert result.stderr == (
        f"wumu {arguments[0]} needs the module {missing}, which is not installed: pip install 'wumu[{extra}]'\n"
    )


def test_a_module_that_is_needed_late_is_named_too(seen: Place) -> None:
    result = without("duckdb", "query", "host: a", *seen.options)
    assert result.returncode == 3
    assert result.stderr.endswith("needs the module duckdb, which is not installed: pip install 'wumu[daemon]'\n")


def test_a_library_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    """As opencv-python without the system's libGL: it is installed, and the loader refuses it."""
    library = tmp_path / f"cv2{sysconfig.get_config_var('EXT_SUFFIX')}"
    library.write_bytes(b"\x7fELF, and no more")
    done = subprocess.run(
        [*WUMU, "recognize", "--model", "m", "a.png"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    said, remedy = done.stderr.splitlines()
    assert said.startswith(f"wumu recognize: what it needs can't be loaded: {library}: ")
    assert remedy.startswith("  what to do: install the library that is named")


@pytest.mark.parametrize("arguments", [("doctor-path", "a.png"), ("fix-paths", ".", "--dry-run")])
def test_what_the_system_refuses_is_one_line_of_any_verb(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """A full disk under the output; and a reader that went away is no fault."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*WUMU, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"wumu {arguments[0]}: the system refused: No space left on device",
        "  what to do: see permissions and room: ls -l, df -h",
    ]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*WUMU, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    script = f"cd {tmp_path} && mkdir gone && cd gone && rmdir ../gone && exec {' '.join(WUMU)} fix-paths . --dry-run"
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert "No such file or directory" in done.stderr


def test_the_daemon_s_verbs_need_neither_torch_nor_opencv(seen: Place) -> None:
    result = without("torch cv2 sklearn safetensors elasticsearch aiosmtpd", "query", "host: gpu-1", *seen.options)
    assert (result.returncode, result.stderr) == (0, "")
