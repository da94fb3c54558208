"""The store or the quarantine fails: nothing is lost, nothing is told twice, and memory holds no line."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.clock import ManualClock
from daemon.errors import StoreError, StoreUnavailable
from daemon.ingest.ingest import Ingest
from daemon.store.base import Appended, Batch
from daemon.store.reference import ReferenceStore
from recognizer.events import Malformed, MalformedReason
from rules.model import IngestConfig
from tests.support.logs import NOW_MS, Log
from tests.support.tailing import Tailing, names


class Moody(ReferenceStore):
    """A store that raises what it is told to, or refuses lines that hold a word."""

    def __init__(self) -> None:
        super().__init__()
        self.mood: StoreError | None = None
        self.refuse = b"unheard of"
        self.asked = 0

    def append(self, batch: Batch) -> Appended:
        self.asked += 1
        if self.mood is not None:
            raise self.mood
        kept = [(event, line) for event, line in zip(batch.events, batch.lines, strict=True) if self.refuse not in line]
        refused = tuple(
            Malformed(line, MalformedReason.REFUSED_BY_STORE, "mapping conflict", "mend the mapping")
            for line in batch.lines
            if self.refuse in line
        )
        stored = super().append(Batch([event for event, _ in kept], [line for _, line in kept], batch.checkpoint))
        return Appended(stored.stored, stored.duplicates, refused)


@pytest.fixture
def store() -> Moody:
    return Moody()


@pytest.fixture
def tailing(tmp_path: Path, store: Moody) -> Iterator[Tailing]:
    tailing = Tailing(tmp_path, lambda: store)
    yield tailing
    tailing.close()


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.message) for record in caplog.records if "log files are" in record.message]


def test_a_store_that_is_down_is_told_once_and_read_up_to_when_it_is_back(
    tailing: Tailing, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    log = tailing.log()
    log.write(log.own())
    tailing.drain()
    store.mood = StoreUnavailable("can't reach the store", hint="start it")
    for _ in range(5):
        log.write(log.own(), log.malformed())
        report = tailing.ingest.poll()
        assert report.trouble == "can't reach the store; start it"
        assert report.lag_bytes > 0
        assert not report.behind
    assert tailing.ingest.counters().trouble == report.trouble
    store.mood = None
    assert tailing.drain().trouble is None
    assert told(caplog) == [
        (
            logging.ERROR,
            f"log files are not read on for now; nothing is lost while they stay where they are: {report.trouble}",
        ),
        (logging.WARNING, "log files are read again, from where reading had stopped"),
    ]
    assert tailing.stored() == names(log)
    assert tailing.ingest.counters().malformed_total == {MalformedReason.NOT_JSON: 5}
    assert len(tailing.quarantined()) == 5
    assert sum(path.read_bytes().count(b"\n") for path in tailing.quarantine.iterdir()) == 5


def test_a_store_that_is_down_at_the_start_delays_and_loses_nothing(tailing: Tailing, store: Moody) -> None:
    store.mood = StoreUnavailable("can't reach the store")
    log = tailing.log()
    log.write(log.own())
    log.rename()
    log.reopen()
    past = names(log)
    log.write(log.own())
    assert tailing.drain().trouble
    log.rename()
    log.reopen()
    log.write(log.own())
    store.mood = None
    tailing.settle()
    assert tailing.stored() == names(log) - past


def test_an_operators_fault_keeps_the_place(tailing: Tailing, store: Moody) -> None:
    store.mood = StoreError("the index is read-only", hint="lift the block")
    log = tailing.log()
    log.write(log.own())
    assert tailing.drain().trouble == "the index is read-only; lift the block"
    store.mood = None
    tailing.drain()
    assert tailing.stored() == names(log)


def test_a_changed_file_is_not_mistaken_while_the_store_is_down(tailing: Tailing, store: Moody) -> None:
    log = tailing.log()
    tailing.drain()
    store.mood = StoreUnavailable("away")
    log.write(log.malformed())
    tailing.drain()
    log.copy_truncate()
    log.write(log.malformed())
    tailing.drain()
    store.mood = None
    tailing.settle()
    assert sorted(entry.line for entry in tailing.quarantined()) == sorted(log.complete)


def test_a_line_the_store_refuses_is_put_aside_with_its_place(tailing: Tailing, store: Moody) -> None:
    store.refuse = b"app.log-1"
    log = tailing.log()
    log.write(*(log.own() for _ in range(3)))
    report = tailing.drain()
    [entry] = tailing.quarantined()
    assert (entry.line, entry.offset) == (log.complete[1], len(log.complete[0]) + 1)
    assert (entry.reason, entry.detail) == (MalformedReason.REFUSED_BY_STORE, "mapping conflict")
    assert report.malformed == {MalformedReason.REFUSED_BY_STORE: 1}
    assert report.events == 2


def test_a_refused_line_waits_for_a_quarantine_that_can_be_written(tailing: Tailing, store: Moody) -> None:
    store.refuse = b"app.log-0"
    tailing.quarantine.write_text("a file where the folder should be")
    log = tailing.log()
    log.write(log.own(), log.own())
    assert tailing.drain().trouble
    tailing.quarantine.unlink()
    assert tailing.drain().trouble is None
    assert [entry.line for entry in tailing.quarantined()] == log.complete[:1]
    assert tailing.ingest.counters().malformed_total == {MalformedReason.REFUSED_BY_STORE: 1}
    assert tailing.ingest.counters().events_total == 1


def test_nothing_is_read_past_a_malformed_line_that_cannot_be_kept(tailing: Tailing) -> None:
    tailing.quarantine.write_text("a file where the folder should be")
    log = tailing.log()
    log.write(log.own(), log.malformed())
    trouble = tailing.drain().trouble
    assert trouble is not None
    assert trouble.startswith(f"can't write malformed lines to {tailing.quarantine}/")
    assert tailing.stored() == {}
    tailing.quarantine.unlink()
    tailing.drain()
    assert tailing.stored() == names(log)
    assert len(tailing.quarantined()) == 1


def test_a_store_in_trouble_is_left_alone_for_longer_and_longer(tailing: Tailing, store: Moody) -> None:
    tailing.ingest.poll()
    store.mood = StoreUnavailable("away")
    asked_at_s = []
    log = tailing.log()
    log.write(log.own())
    for second in range(100):
        before = store.asked
        assert tailing.ingest.poll().trouble == "away"
        if store.asked > before:
            asked_at_s.append(second)
        tailing.clock.advance_ms(1_000)
    assert asked_at_s == [0, 1, 3, 7, 15, 31, 61, 91]
    store.mood = None
    tailing.drain()
    assert tailing.stored() == names(log)


def test_a_pass_ends_after_its_share_and_takes_turns(tmp_path: Path, store: Moody) -> None:
    logs = [Log(tmp_path / f"{number}.log") for number in range(5)]
    for log in logs:
        log.write(log.own())
        log.close()
    config = IngestConfig(paths=(str(tmp_path / "*.log"),))
    ingest = Ingest(config, store, tmp_path / "quarantine", ManualClock(NOW_MS), pass_bytes=1)
    reports = [ingest.poll() for _ in range(6)]
    ingest.close()
    assert [report.events for report in reports] == [1, 1, 1, 1, 1, 0]
    assert [report.behind for report in reports] == [True] * 5 + [False]


def test_the_order_of_wall_time_does_not_matter(tailing: Tailing) -> None:
    log = tailing.log()
    for jump_ms in (0, 3_000_000, -9_000_000, 86_400_000):
        tailing.clock.advance_ms(jump_ms)
        log.write(log.own())
        tailing.drain()
    log.rename()
    log.begin(log.own())
    tailing.drain()
    assert sum(tailing.stored().values()) == 4 - len(tailing.quarantined())
