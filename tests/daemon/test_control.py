"""The daemon's socket: answers, faults and strangers."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.control import Control, NotRunning, call
from daemon.errors import WumuError


def echo(arguments: Mapping[str, Any]) -> Any:
    return dict(arguments)


def refuse(arguments: Mapping[str, Any]) -> Any:
    raise WumuError("not so", hint="like this")


def bug(arguments: Mapping[str, Any]) -> Any:
    raise ZeroDivisionError("a bug")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A socket whose path is longer than the 108 bytes a Unix address may have."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    control = Control(folder / "control.sock", {"echo": echo, "refuse": refuse, "bug": bug})
    yield folder / "control.sock"
    control.close()


def test_an_answer_comes_back(path: Path) -> None:
    assert call(path, "echo", {"text": "百\u200b\n", "n": 1}) == {"text": "百\u200b\n", "n": 1}


def test_a_foreseen_fault_keeps_its_words(path: Path) -> None:
    with pytest.raises(WumuError, match="not so") as fault:
        call(path, "refuse", {})
    assert fault.value.hint == "like this"


def test_a_bug_is_told_and_the_door_stays_open(path: Path) -> None:
    with pytest.raises(WumuError, match="ZeroDivisionError"):
        call(path, "bug", {})
    assert call(path, "echo", {}) == {}


@pytest.mark.parametrize("line", [b"", b"\n", b"[]\n", b"{}\n", b"\xff\n", b'{"verb": "none", "arguments": {}}\n'])
def test_what_is_no_request_gets_an_error(path: Path, line: bytes) -> None:
    folder = os.open(path.parent, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        answer = json.loads(connection.makefile("rb").read())
    os.close(folder)
    assert "doesn't know this request" in answer["error"]


def test_only_the_owner_may_ask(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        call(tmp_path / "control.sock", "echo", {})
    with pytest.raises(NotRunning):
        call(tmp_path / "no such folder" / "control.sock", "echo", {})


def test_a_socket_that_a_crash_left_behind_means_no_daemon_and_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(NotRunning):
        call(path, "echo", {})
    control = Control(path, {"echo": echo})
    assert call(path, "echo", {"a": 1}) == {"a": 1}
    control.close()
    assert not path.exists()
