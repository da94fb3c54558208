"""Whether a file that an event names is there, asked so that nothing can hang on the answer."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

LOG = logging.getLogger("wumu.present")
WAIT_S = 2.0


def exists(path: str) -> bool | None:
    """Whether a file is there; None where it can't be told: a path of another machine, a folder out of sight."""
    file = Path(path)
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False if file.parent.is_dir() else None
    except (OSError, ValueError):
        return None
    return True


class Presence:
    """`exists` with a time limit: None when the file system does not answer within ``wait_s`` seconds.

    A look at a path on a network mount whose server is gone does not return, and that is just when pictures can't be
    read. So each look has a thread of its own, and while one hangs no other is begun.
    """

    def __init__(self, look: Callable[[str], bool | None] = exists, wait_s: float = WAIT_S) -> None:
        self._look = look
        self._wait_s = wait_s
        self._hanging: threading.Thread | None = None

    def __call__(self, path: str) -> bool | None:
        if self._hanging is not None and self._hanging.is_alive():
            return None
        answers: list[bool | None] = []
        thread = threading.Thread(target=lambda: answers.append(self._look(path)), name="present", daemon=True)
        thread.start()
        thread.join(self._wait_s)
        self._hanging = thread if thread.is_alive() else None
        if self._hanging is not None:
            LOG.warning(
                "the file system does not say within %g s whether %s is there: is a network mount down? "
                "Alerts are told without that",
                self._wait_s,
                path,
            )
        return answers[0] if answers else None
