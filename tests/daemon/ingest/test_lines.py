"""What stands in a line, and where a line ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.ingest.source import BLOCK_BYTES, KEPT_OF_LONG_LINE_BYTES
from recognizer.events import MAX_LINE_BYTES, MalformedReason
from tests.support.logs import NOW_MS, event_line
from tests.support.tailing import MINUTE_MS, Tailing, names


def test_half_a_line_waits_for_its_other_half(tailing: Tailing) -> None:
    log = tailing.log()
    line = log.own()
    log.write(log.own())
    for piece in (line[:1], line[1:40]):
        log.begin(piece)
        tailing.settle()
    assert tailing.stored() == names(log)
    log.write(line[40:])
    tailing.drain()
    assert tailing.stored() == names(log)
    assert tailing.quarantined() == []


def test_the_last_line_of_a_rotated_file_is_taken_once_the_file_rests(tailing: Tailing) -> None:
    log = tailing.log()
    log.write(log.own())
    log.begin(log.own())
    tailing.drain()
    log.rename()
    tailing.drain()
    tailing.ingest.poll()
    assert tailing.stored() == names(log)
    tailing.clock.advance_ms(MINUTE_MS)
    tailing.drain()
    assert sum(tailing.stored().values()) == 2
    tailing.restart()
    tailing.settle()
    assert sum(tailing.stored().values()) == 2
    assert tailing.duplicates == 0


@pytest.mark.parametrize("length", [MAX_LINE_BYTES + 1, BLOCK_BYTES - 7, BLOCK_BYTES, 3 * BLOCK_BYTES + 5])
def test_a_line_that_is_too_long_is_put_aside_and_the_next_one_read(tailing: Tailing, length: int) -> None:
    log = tailing.log()
    log.write(log.own(), b"[" * length, log.own())
    report = tailing.drain()
    assert sum(tailing.stored().values()) == 2
    [entry] = tailing.quarantined()
    assert entry.reason == MalformedReason.LINE_TOO_LONG
    assert entry.length == length
    assert entry.line == b"[" * KEPT_OF_LONG_LINE_BYTES
    assert entry.offset == len(log.complete[0]) + 1
    assert report.lag_bytes == 0


def test_a_long_line_without_end_is_searched_only_as_it_grows(tailing: Tailing) -> None:
    log = tailing.log()
    log.begin(b"x" * (2 * BLOCK_BYTES))
    assert tailing.drain().lag_bytes == 2 * BLOCK_BYTES
    log.begin(b"x" * 10)
    tailing.drain()
    assert tailing.quarantined() == []
    log.write(b"", log.own())
    tailing.drain()
    assert [entry.length for entry in tailing.quarantined()] == [2 * BLOCK_BYTES + 10]
    assert sum(tailing.stored().values()) == 1


def test_the_memory_for_a_line_of_a_quarter_gibibyte_is_bounded(tmp_path: Path) -> None:
    """A process that reads it grows by less than a quarter of the line."""
    log = tmp_path / "app.log"
    with log.open("wb") as file:
        for _ in range(64):
            file.write(b"y" * BLOCK_BYTES)
        file.write(b"\n" + event_line("after", request_id="after") + b"\n")
    child = subprocess.run(
        [sys.executable, "-c", _TAIL_ONCE, str(log), str(tmp_path / "quarantine"), str(NOW_MS)],
        check=True, capture_output=True, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    events, malformed, grown_mib = child.stdout.split()
    assert (events, malformed) == ("1", "1")
    assert int(grown_mib) < 64


_TAIL_ONCE = """
import resource, sys
from pathlib import Path
from daemon.clock import ManualClock
from daemon.ingest.ingest import Ingest
from daemon.store.reference import ReferenceStore
from rules.model import IngestConfig
log, quarantine, now_ms = sys.argv[1:]
ingest = Ingest(IngestConfig(paths=(log,)), ReferenceStore(), Path(quarantine), ManualClock(int(now_ms)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
while ingest.poll().behind:
    pass
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
total = ingest.counters()
print(total.events_total, sum(total.malformed_total.values()), grown // 1024)
"""


def test_nuls_of_a_power_loss_spoil_only_the_line_they_tore(tailing: Tailing) -> None:
    log = tailing.log()
    log.write(log.own())
    log.begin(log.own()[:30] + b"\0" * 5_000)
    log.write(log.own(), log.own())
    log.begin(b"\0" * (BLOCK_BYTES + 17))
    log.write(log.own())
    tailing.drain()
    assert sum(tailing.stored().values()) == 4
    assert [entry.length for entry in tailing.quarantined()] == [30]


def test_nuls_at_the_end_wait_for_what_follows(tailing: Tailing) -> None:
    log = tailing.log()
    log.write(log.own())
    log.begin(b"\0" * 100)
    tailing.settle()
    line = log.own()
    with log.path.open("r+b") as file:
        file.seek(len(log.complete[0]) + 1)
        file.write((line + b"\n").ljust(100, b"\0"))
    tailing.settle()
    assert sum(tailing.stored().values()) == 2


def test_a_hole_larger_than_the_disk_is_stepped_over(tailing: Tailing) -> None:
    log = tailing.log()
    log.write(log.own())
    tailing.drain()
    with log.path.open("r+b") as file:
        file.truncate(0)
        file.seek(1 << 40)
        file.write(log.own() + b"\n")
    tailing.drain()
    assert sum(tailing.stored().values()) == 2
    tailing.restart()
    tailing.settle()
    assert tailing.duplicates == 0


def test_lines_end_and_begin_in_other_ways_too(tailing: Tailing) -> None:
    log = tailing.log()
    log.write(b"\xef\xbb\xbf" + log.own(), log.own() + b"\r", b"", b"  \t", log.own())
    tailing.drain()
    assert sum(tailing.stored().values()) == 3
    assert tailing.quarantined() == []


def test_malformed_lines_are_kept_with_file_place_and_reason(tailing: Tailing) -> None:
    log = tailing.log()
    log.write(
        log.own(),
        b"what?",
        b'"\xff\xfe"',
        log.foreign(),
        b"[1]",
        event_line("old", timestamp_ms=NOW_MS - 40 * 86_400_000),
    )
    report = tailing.ingest.poll()
    places = dict(zip((line for line in log.complete), _starts(log.complete), strict=True))
    entries = tailing.quarantined()
    assert {entry.line: (entry.file, entry.offset) for entry in entries} == {
        line: (str(log.path), places[line]) for line in log.complete if line not in (log.complete[0], log.complete[3])
    }
    assert [entry.reason for entry in entries] == [
        MalformedReason.NOT_JSON,
        MalformedReason.NOT_UTF8,
        MalformedReason.NOT_AN_OBJECT,
        MalformedReason.TIMESTAMP_PAST,
    ]
    assert all(entry.detail and entry.hint for entry in entries)
    assert report.malformed == dict.fromkeys((entry.reason for entry in entries), 1)
    assert report.events == 2


def _starts(lines: list[bytes]) -> list[int]:
    return [sum(len(earlier) + 1 for earlier in lines[:number]) for number in range(len(lines))]


def test_oddities_that_were_mended_are_counted_and_told_once(
    tailing: Tailing, caplog: pytest.LogCaptureFixture
) -> None:
    log = tailing.log()
    log.write(*(event_line(f"e{number}", timestamp_ms=NOW_MS // 1000, request_id=f"r{number}") for number in range(5)))
    tailing.drain()
    assert tailing.ingest.counters().notes_total == {"timestamp_seconds": 5}
    assert sum("seconds" in record.message for record in caplog.records) == 1
    assert sum(tailing.stored().values()) == 5


def test_a_file_name_that_is_not_utf8_is_read(tailing: Tailing) -> None:
    path = os.fsencode(tailing.logs) + b"/gbk\xc4\xe3\xe2\x80\x8b.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, event_line("a", request_id="a") + b"\nwhat?\n")
    os.close(descriptor)
    tailing.drain()
    tailing.restart()
    assert tailing.stored() == {"a": 1}
    [entry] = tailing.quarantined()
    assert entry.file.endswith("‹U+DCC4›‹U+DCE3›‹U+200B›.log")
