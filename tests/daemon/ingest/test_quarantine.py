"""The quarantine keeps what it is given, within its bounds, and can be read whatever happened to it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.ingest.quarantine import (
    LINE_LIMIT_BYTES,
    Misfit,
    Quarantine,
    QuarantineError,
    expire_quarantine,
    not_kept,
    read_quarantine,
)
from recognizer.events import Malformed, MalformedReason

NOON_MS = round(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000


def misfit(line: bytes, offset: int = 0) -> Misfit:
    malformed = Malformed(line, MalformedReason.NOT_JSON, "it is no JSON", "write JSON")
    return Misfit("/var/log/app.log", "24-00ff", offset, malformed, len(line))


@pytest.mark.parametrize(
    "line", [b"plain", "中文\u202e".encode(), b"\xff\x00\xfe", b"", b"a\nb", b"x" * (LINE_LIMIT_BYTES + 9)]
)
def test_a_line_comes_back_as_it_was(tmp_path: Path, line: bytes) -> None:
    assert Quarantine(tmp_path / "q").put([misfit(line, 7)], NOON_MS) == 0
    [entry] = read_quarantine(tmp_path / "q")
    assert entry.line == line[:LINE_LIMIT_BYTES]
    assert (entry.at_ms, entry.file, entry.offset, entry.length) == (NOON_MS, "/var/log/app.log", 7, len(line))
    assert (entry.detail, entry.hint) == ("it is no JSON", "write JSON")


def test_there_is_a_file_a_day(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path)
    quarantine.put([misfit(b"one")], NOON_MS)
    quarantine.put([misfit(b"two")], NOON_MS + DAY_MS)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["2026-01-31.jsonl", "2026-02-01.jsonl"]
    assert [entry.line for entry in read_quarantine(tmp_path)] == [b"one", b"two"]
    assert [entry.line for entry in read_quarantine(tmp_path, day="2026-02-01")] == [b"two"]


def test_old_days_go(tmp_path: Path) -> None:
    Quarantine(tmp_path).put([misfit(b"old")], NOON_MS - 31 * DAY_MS)
    Quarantine(tmp_path).put([misfit(b"kept")], NOON_MS - 30 * DAY_MS)
    Quarantine(tmp_path).put([misfit(b"new")], NOON_MS)
    assert [entry.line for entry in read_quarantine(tmp_path)] == [b"kept", b"new"]


def test_days_that_ended_before_the_retention_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A day goes when it has ended; what can't be removed is said, and stops nothing."""
    for days in (3, 2, 1):
        Quarantine(tmp_path).put([misfit(b"%d" % days)], NOON_MS - days * DAY_MS)
    expire_quarantine(tmp_path, NOON_MS - 2 * DAY_MS)
    assert [entry.line for entry in read_quarantine(tmp_path)] == [b"2", b"1"]
    (tmp_path / "2001-01-01.jsonl").mkdir()
    expire_quarantine(tmp_path, NOON_MS)
    assert [path.name for path in tmp_path.glob("*")] == ["2001-01-01.jsonl"]
    assert "2001-01-01" in caplog.text


def test_what_exceeds_the_day_is_counted(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, day_limit_bytes=1_000)
    left_out = sum(quarantine.put([misfit(b"x" * 50, number)], NOON_MS) for number in range(20))
    kept = len(list(read_quarantine(tmp_path)))
    assert 0 < kept < 20
    assert not_kept(tmp_path) == {MalformedReason.NOT_JSON: 20 - kept}
    assert left_out == 20 - kept


def test_a_line_written_twice_is_told_once(tmp_path: Path) -> None:
    for offset in (0, 0, 5):
        Quarantine(tmp_path).put([misfit(b"same", offset)], NOON_MS)
    assert [entry.offset for entry in read_quarantine(tmp_path)] == [0, 5]


def test_half_a_record_of_a_crash_spoils_no_other(tmp_path: Path) -> None:
    Quarantine(tmp_path).put([misfit(b"one"), misfit(b"two", 4)], NOON_MS)
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    Quarantine(tmp_path).put([misfit(b"two", 4)], NOON_MS)
    assert [entry.line for entry in read_quarantine(tmp_path)] == [b"one", b"two"]


def test_an_empty_or_missing_quarantine_can_be_read(tmp_path: Path) -> None:
    assert Quarantine(tmp_path / "q").put([], NOON_MS) == 0
    assert list(read_quarantine(tmp_path / "q")) == []
    assert not_kept(tmp_path / "q") == {}


def test_a_full_disk_is_an_error_that_says_so() -> None:
    with pytest.raises(QuarantineError, match=r"can't write malformed lines to /dev/full"):
        Quarantine(Path("/dev/full")).put([misfit(b"x")], NOON_MS)
