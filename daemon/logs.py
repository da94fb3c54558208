"""The daemon's own log: one line an entry on stderr, safe to look at in a terminal."""

import logging
import os
import sys

from recognizer.paths import visible

MAX_LINE = 4_000
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _Line(logging.Formatter):
    """Whatever a file name or a server's answer brought into a message is shown, not obeyed, by the terminal.

    Under systemd the journal keeps the time and takes the level from the ``<n>`` prefix.
    """

    def __init__(self, *, journal: bool) -> None:
        super().__init__("%(name)s: %(message)s" if journal else "%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = super().format(record).split("\n") if record.exc_info else [super().format(record)]
        lines = [visible(first, MAX_LINE), *rest]
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>" if self._journal else ""
        return "\n".join(prefix + line for line in lines)


def log_to_stderr(level: str) -> None:
    """Send everything from ``level`` on to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(journal="JOURNAL_STREAM" in os.environ))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("apscheduler", "elastic_transport", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
