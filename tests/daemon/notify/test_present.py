"""Whether a file is there: yes, no, can't tell, and a file system that does not answer."""

import logging
import threading
from pathlib import Path

import pytest

from daemon.notify.present import Presence


def test_yes_no_and_what_can_not_be_told(tmp_path: Path) -> None:
    present = Presence()
    (tmp_path / "there.jpg").touch()
    assert present(str(tmp_path / "there.jpg")) is True
    assert present(str(tmp_path / "gone.jpg")) is False
    assert present(str(tmp_path / "no-such-folder" / "gone.jpg")) is None
    assert present("a\0b") is None


def test_a_mount_that_hangs_holds_up_one_look_and_no_alert(caplog: pytest.LogCaptureFixture) -> None:
    """While the first look hangs, further ones are answered at once; when it is over, files are looked at again."""
    server, looked = threading.Event(), []

    def look(path: str) -> bool:
        looked.append(path)
        server.wait()
        return True

    present = Presence(look, wait_s=0.05)
    with caplog.at_level(logging.WARNING):
        assert [present(path) for path in ("/mnt/a", "/mnt/b", "/mnt/c")] == [None] * 3
    assert looked == ["/mnt/a"]
    assert caplog.text.count("network mount") == 1
    server.set()
    (hanging,) = [thread for thread in threading.enumerate() if thread.name == "present"]
    hanging.join()
    assert Presence(look)("/mnt/d") is True
    assert present("/mnt/e") is True
