"""What ingest says to the operator: each fault once when it begins and once when it ends, never once a line."""

import errno
import logging

from daemon.errors import WumuError
from daemon.ingest.files import shown

logger = logging.getLogger(__name__)

_REMEMBERED = 10_000
"""Distinct complaints to remember; beyond that they are told again."""
_HINTS = {
    errno.EACCES: "let the daemon's user read it, for example by SupplementaryGroups= of the unit",
    errno.EPERM: "let the daemon's user read it, for example by SupplementaryGroups= of the unit",
    errno.EMFILE: "raise LimitNOFILE= of the unit",
    errno.ENFILE: "raise fs.file-max of the machine",
    errno.EIO: "the disk fails: look at the kernel's log",
    errno.ESTALE: "the network file system lost the file: mount it again",
    errno.ELOOP: "a symbolic link leads to itself: mend it",
}


def problem(error: OSError | WumuError) -> str:
    """Why a file or folder can't be read and what to do, in one line."""
    if isinstance(error, OSError):
        hint = _HINTS.get(error.errno or 0, "")
        return f"{error.strerror}; {hint}" if hint else str(error.strerror)
    return sentence(error)


def sentence(error: WumuError) -> str:
    """A foreseen fault with its way out, in one line."""
    return f"{error}; {error.hint}" if error.hint else str(error)


class Teller:
    """Remembers what has been said."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self.trouble: str | None = None
        self._said: set[tuple[str, str]] = set()

    def once(self, file: str, kind: str, text: str) -> None:
        """Say something about a file, unless the same kind of thing has been said about it."""
        if (file, kind) in self._said:
            return
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said.add((file, kind))
        logger.warning("%s: %s (further ones are only counted)", file, text)

    def unreadable(self, problems: dict[str, str]) -> None:
        """The paths that can't be read now: tell the new ones, and the ones that can be read again."""
        for path, text in problems.items():
            if self.problems.get(path) != text:
                logger.warning("can't read %s: %s", shown(path), text)
        for path in self.problems.keys() - problems.keys():
            logger.info("%s can be read again, or is gone", shown(path))
        self.problems = problems

    def troubled(self, error: WumuError) -> None:
        """A fault that stops ingest as a whole: told when it begins or changes."""
        text = sentence(error)
        if text != self.trouble:
            logger.error("log files are not read on for now; nothing is lost while they stay where they are: %s", text)
        self.trouble = text

    def recovered(self) -> None:
        """A pass went through to its end."""
        if self.trouble is not None:
            logger.warning("log files are read again, from where reading had stopped")
        self.trouble = None
