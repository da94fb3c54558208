"""Whatever happens to the files and to us, every complete line is stored exactly once."""

import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from daemon.clock import ManualClock
from daemon.errors import StoreUnavailable
from daemon.ingest.ingest import Ingest
from daemon.ingest.quarantine import read_quarantine
from daemon.store.base import Appended, Batch
from daemon.store.reference import ReferenceStore
from rules.model import IngestConfig
from tests.support.logs import NOW_MS, Log
from tests.support.tailing import PAUSE_MS

BANNER = b"=== service started ==="
RESTED_MS = 1_000 * PAUSE_MS
KINDS = st.lists(st.sampled_from(["own", "foreign", "malformed"]), min_size=1, max_size=8)


class Outage(ReferenceStore):
    """A store that can be out of reach, before it stored a batch or (its answer lost) after."""

    def __init__(self) -> None:
        super().__init__()
        self.down_before = self.down_after = False
        self.duplicates = 0

    def append(self, batch: Batch) -> Appended:
        if self.down_before:
            raise StoreUnavailable("the store is down")
        appended = super().append(batch)
        self.duplicates += appended.duplicates
        if self.down_after:
            raise StoreUnavailable("the answer was lost")
        return appended

    def stored(self) -> Counter[str]:
        return Counter(event.request_id or "" for event in self._events.values())


class Tailing(RuleBasedStateMachine):
    """Two services, one with the same first line in every file, their rotations, and our stops and starts."""

    @initialize(small=st.booleans(), globs=st.sampled_from([("*.log",), ("*.log", "*.log.*"), ("**",)]))
    def begin(self, small: bool, globs: tuple[str, ...]) -> None:
        self.holder = tempfile.TemporaryDirectory()
        self.folder = Path(self.holder.name)
        self.clock = ManualClock(NOW_MS)
        self.store = Outage()
        self.config = IngestConfig(paths=tuple(str(self.folder / "logs" / glob) for glob in globs))
        self.pad = "" if small else "x" * 700
        self.rest = b""
        self.logs = [Log(self.folder / "logs" / "a.log"), Log(self.folder / "logs" / "b.log", banner=BANNER)]
        self.lossy = False
        self.start()
        self.ingest.poll()

    def start(self) -> None:
        quarantine = self.folder / "quarantine"
        limits = {"batch_lines": 3, "open_limit": 3, "superseded_idle_ms": RESTED_MS}
        self.ingest = Ingest(self.config, self.store, quarantine, self.clock, **limits)

    @rule(which=st.integers(0, 1), kinds=KINDS)
    def write(self, which: int, kinds: list[str]) -> None:
        log = self.logs[which]
        make = {"own": log.own, "foreign": log.foreign, "malformed": log.malformed}
        if not log.partial:
            log.write(*(make[kind](error=self.pad) for kind in kinds))

    @precondition(lambda self: not any(log.partial for log in self.logs))
    @rule(which=st.integers(0, 1), cut=st.integers(1, 60))
    def write_half_a_line(self, which: int, cut: int) -> None:
        log = self.logs[which]
        line = log.own()
        log.begin(line[:cut])
        self.rest = line[cut:]

    @precondition(lambda self: any(log.partial for log in self.logs))
    @rule()
    def write_the_other_half(self) -> None:
        next(log for log in self.logs if log.partial).write(self.rest)

    @rule(which=st.integers(0, 1))
    def rename(self, which: int) -> None:
        self.logs[which].rename()

    @rule(which=st.integers(0, 1))
    def reopen(self, which: int) -> None:
        if not self.logs[which].partial:
            self.logs[which].reopen()

    @rule(which=st.integers(0, 1))
    def copy_truncate(self, which: int) -> None:
        log = self.logs[which]
        if not log.partial and log.path.exists():
            log.reopen()
            log.copy_truncate()

    @rule(which=st.integers(0, 1), number=st.integers(1, 3))
    def compress(self, which: int, number: int) -> None:
        log = self.logs[which]
        if not log.partial and log.path.exists() and log.rotated(number).exists():
            log.reopen()
            log.compress(number)

    @rule()
    def poll(self) -> None:
        self.clock.advance_ms(PAUSE_MS)
        self.ingest.poll()

    @rule(after=st.booleans())
    def poll_while_the_store_is_down(self, after: bool) -> None:
        self.store.down_after, self.store.down_before = after, not after
        self.lossy |= after
        self.ingest.poll()
        self.store.down_after = self.store.down_before = False

    @rule()
    def crash_and_start(self) -> None:
        self.ingest.close()
        self.start()

    @precondition(lambda self: not any(log.partial for log in self.logs))
    @rule()
    def long_time_passes(self) -> None:
        self.clock.advance_ms(RESTED_MS)

    def teardown(self) -> None:
        if not hasattr(self, "ingest"):
            return
        try:
            self.judge()
        finally:
            self.ingest.close()
            for log in self.logs:
                log.close()
            self.holder.cleanup()

    def judge(self) -> None:
        for log in self.logs:
            if log.partial:
                log.write(self.rest)
        for _ in range(4):
            while self.ingest.poll().behind:
                pass
            self.clock.advance_ms(RESTED_MS)
        lines = [line for log in self.logs for line in log.complete]
        misfits = Counter(line for line in lines if line.startswith(b"not JSON"))
        wanted = Counter(line.split(b'"request_id":"')[1].split(b'"')[0].decode() for line in lines if line[:1] == b"{")
        kept = Counter(entry.line for entry in read_quarantine(self.folder / "quarantine") if entry.line != BANNER)
        assert wanted == self.store.stored()
        assert misfits == kept
        if not self.lossy:
            assert self.store.duplicates == 0


Tailing.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TestTailing = Tailing.TestCase
