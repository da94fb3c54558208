"""A tailer over a folder of logs, its store and its quarantine, stopped and started like the daemon."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from daemon.clock import ManualClock
from daemon.ingest.ingest import Ingest
from daemon.ingest.quarantine import Quarantined, read_quarantine
from daemon.ingest.report import IngestReport
from daemon.store.base import EventStore, Sample
from detectors.condition import Always
from detectors.frame import Interval
from rules.model import IngestConfig
from tests.support.logs import NOW_MS, Log

MINUTE_MS = 61_000
"""A little more than a rotated file must rest before its last line is taken as it is."""

PAUSE_MS = 30_000
"""The longest time for which a store in trouble is left alone; a rotated file still has a writer after it."""


class Tailing:
    """What a test needs to make an `Ingest` work, crash and answer for what it stored."""

    def __init__(
        self, folder: Path, store: Callable[[], EventStore], *globs: str, open_limit: int | None = None
    ) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.quarantine = folder / "quarantine"
        self.clock = ManualClock(NOW_MS)
        self.duplicates = 0
        self._make_store = store
        self._open_limit = open_limit
        self._opened: list[Log] = []
        self.config = IngestConfig(paths=tuple(str(self.logs / glob) for glob in globs or ("*.log",)))
        self.logs.mkdir(exist_ok=True)
        self.start()

    def log(self, name: str = "app.log", *, banner: bytes = b"") -> Log:
        log = Log(self.logs / name, banner=banner)
        self._opened.append(log)
        return log

    def start(self) -> None:
        self.store = self._make_store()
        self.ingest = Ingest(self.config, self.store, self.quarantine, self.clock, open_limit=self._open_limit)

    def stop(self) -> None:
        self.ingest.close()
        self.store.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop()
        for log in self._opened:
            log.close()

    def drain(self) -> IngestReport:
        """Poll until nothing more is there, after any pause for a store in trouble; the last report."""
        self.clock.advance_ms(PAUSE_MS)
        report = self.ingest.poll()
        self.duplicates += report.duplicates
        while report.behind:
            report = self.ingest.poll()
            self.duplicates += report.duplicates
        return report

    def settle(self) -> None:
        """Poll, let a minute pass, and poll again: whatever will ever be read has been read then."""
        self.drain()
        self.clock.advance_ms(MINUTE_MS)
        self.drain()
        self.drain()

    def stored(self) -> Counter[str]:
        """The request_id of every stored event."""
        everything = Sample(Always(), Interval(0, 2 * NOW_MS), limit=10_000)
        return Counter(event.request_id or "" for event in self.store.sample([everything])[0])

    def quarantined(self) -> list[Quarantined]:
        return list(read_quarantine(self.quarantine))


def names(log: Log) -> Counter[str]:
    """The request_id of every complete event line of a log."""
    return Counter(
        line.split(b'"request_id":"')[1].split(b'"')[0].decode() for line in log.complete if line.startswith(b"{")
    )
