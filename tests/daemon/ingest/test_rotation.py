"""Files that are renamed, copied, cut, compressed, replaced and deleted, while we run and while we don't."""

import gzip
import os
import shutil

import pytest

from tests.daemon.ingest.conftest import MakeTailing
from tests.support.logs import Log
from tests.support.tailing import Tailing, names

LONG = "x" * 700
"""Makes a few lines exceed the 1,024 bytes of a full identity."""


def write_some(log: Log, count: int = 3, *, error: str = LONG) -> None:
    log.write(*(log.own(error=error) if number % 2 else log.foreign(error=error) for number in range(count)))


@pytest.fixture(params=[LONG, "x"], ids=["long", "short"])
def error(request: pytest.FixtureRequest) -> str:
    """Files beyond the 1,024 bytes of a full identity, and files within them."""
    return str(request.param)


def test_a_renamed_file_is_read_to_its_end_and_then_the_new_one(tailing: Tailing, error: str) -> None:
    log = tailing.log()
    write_some(log, error=error)
    tailing.drain()
    log.rename()
    write_some(log, error=error)
    tailing.drain()
    log.reopen()
    write_some(log, error=error)
    tailing.settle()
    assert tailing.stored() == names(log)
    assert tailing.duplicates == 0


def test_several_rotations_while_stopped_are_all_read(tailing: Tailing, error: str) -> None:
    log = tailing.log()
    write_some(log, error=error)
    tailing.drain()
    tailing.stop()
    for _ in range(3):
        write_some(log, 2, error=error)
        log.rename()
        log.reopen()
    write_some(log, error=error)
    tailing.start()
    tailing.settle()
    assert tailing.stored() == names(log)
    assert tailing.duplicates == 0


def test_the_rest_of_a_file_cut_after_copying_is_read_from_the_copy(make_tailing: MakeTailing, error: str) -> None:
    tailing = make_tailing("*.log", "*.log.*")
    log = tailing.log()
    write_some(log, error=error)
    tailing.drain()
    write_some(log, error=error)
    log.copy_truncate()
    write_some(log, 1, error=error)
    tailing.settle()
    assert tailing.stored() == names(log)
    assert tailing.duplicates == 0


def test_a_file_cut_and_grown_beyond_its_old_length_is_seen_through(tailing: Tailing, error: str) -> None:
    log = tailing.log()
    write_some(log, 2, error=error)
    tailing.drain()
    log.copy_truncate()
    write_some(log, 9, error=error)
    tailing.settle()
    assert tailing.stored() == names(log)
    assert tailing.duplicates == 0


def test_a_cut_while_stopped_is_seen_through(tailing: Tailing, error: str) -> None:
    log = tailing.log()
    write_some(log, 4, error=error)
    tailing.drain()
    write_some(log, 4, error=error)
    tailing.stop()
    log.copy_truncate()
    write_some(log, 20, error=error)
    log.copy_truncate()
    write_some(log, 2, error=error)
    tailing.start()
    tailing.settle()
    assert tailing.stored() == names(log)
    assert tailing.duplicates == 0


def test_a_copy_that_the_glob_matches_is_not_read_while_the_original_lives(tailing: Tailing, error: str) -> None:
    log = tailing.log()
    write_some(log, error=error)
    tailing.drain()
    shutil.copyfile(log.path, tailing.logs / "backup.log")
    tailing.settle()
    tailing.restart()
    tailing.settle()
    assert tailing.stored() == names(log)
    assert tailing.duplicates == 0


def test_a_compressed_file_that_has_been_read_is_not_read_again(tailing: Tailing, error: str) -> None:
    log = tailing.log()
    write_some(log, error=error)
    tailing.drain()
    log.rename()
    log.reopen()
    write_some(log, error=error)
    tailing.drain()
    log.compress(1)
    tailing.settle()
    tailing.restart()
    tailing.settle()
    assert tailing.stored() == names(log)
    assert tailing.duplicates == 0


def test_the_unread_end_of_a_compressed_file_is_read(tailing: Tailing, error: str) -> None:
    log = tailing.log()
    write_some(log, error=error)
    tailing.drain()
    tailing.stop()
    for _ in range(3):
        write_some(log, 5, error=error)
        log.rename()
        log.reopen()
    for number in (1, 2, 3):
        log.compress(number)
    tailing.start()
    tailing.settle()
    assert tailing.stored() == names(log)
    assert tailing.duplicates == 0


def test_a_compressed_file_that_the_glob_names_is_read_to_its_end_at_once(make_tailing: MakeTailing) -> None:
    tailing = make_tailing("*.gz")
    log = tailing.log()
    lines = [log.own(), log.foreign()]
    (tailing.logs / "old.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    tailing.drain()
    log.complete += lines
    assert tailing.stored() == names(log)
    assert tailing.ingest.counters().files_open == 0


def test_half_a_gzip_file_is_named_and_read_once_it_is_whole(
    tailing: Tailing, caplog: pytest.LogCaptureFixture
) -> None:
    log = tailing.log()
    tailing.drain()
    half = tailing.logs / "other.log.1.gz"
    line = log.foreign()
    packed = gzip.compress(
        b"".join(f"{number * number} is no event\n".encode() for number in range(999)) + line + b"\n"
    )
    half.write_bytes(packed[: len(packed) // 2])
    tailing.drain()
    tailing.drain()
    [told] = [record.message for record in caplog.records if "complete gzip" in record.message]
    assert told == (
        f"can't read {half}: it is not a complete gzip file (Compressed file ended before the end-of-stream marker was "
        "reached); it is read once it is whole; if no program is writing it any more, restore it from a copy"
    )
    assert list(tailing.ingest.counters().problems) == [str(half)]
    half.write_bytes(packed)
    tailing.settle()
    log.complete.append(line)
    assert tailing.stored() == names(log)
    assert tailing.ingest.counters().problems == {}


def test_what_was_rotated_before_the_glob_was_first_watched_is_the_past(tailing: Tailing) -> None:
    log = tailing.log()
    write_some(log)
    log.rename()
    log.reopen()
    write_some(log)
    log.rename()
    log.compress(2)
    log.reopen()
    log.complete.clear()
    write_some(log)
    tailing.settle()
    log.rename()
    log.reopen()
    write_some(log)
    tailing.settle()
    tailing.restart()
    tailing.settle()
    assert tailing.stored() == names(log)


def test_a_service_born_and_rotated_while_we_were_stopped_is_read_whole(tailing: Tailing) -> None:
    tailing.drain()
    tailing.stop()
    log = tailing.log("newborn.log")
    write_some(log)
    log.rename()
    log.reopen()
    write_some(log)
    tailing.start()
    tailing.settle()
    assert tailing.stored() == names(log)


def test_dates_in_the_middle_of_the_name_are_rotations_too(make_tailing: MakeTailing) -> None:
    tailing = make_tailing("app.log")
    log = tailing.log()
    write_some(log)
    tailing.drain()
    tailing.stop()
    write_some(log)
    log.path.rename(tailing.logs / "app-20260131.log")
    log.reopen()
    write_some(log)
    tailing.start()
    tailing.settle()
    assert tailing.stored() == names(log)


def test_a_deleted_file_is_read_to_its_end(tailing: Tailing) -> None:
    log = tailing.log()
    write_some(log)
    tailing.drain()
    log.path.unlink()
    write_some(log)
    log.begin(log.own())
    tailing.settle()
    log.write(b"")
    assert tailing.stored() == names(log)
    assert tailing.ingest.counters().files_open == 0


def test_a_file_replaced_by_another_while_stopped_is_new(tailing: Tailing, error: str) -> None:
    log = tailing.log()
    write_some(log, error=error)
    tailing.drain()
    tailing.stop()
    other = tailing.log("app.tmp")
    write_some(other, 2, error=error)
    other.path.replace(log.path)
    tailing.start()
    tailing.settle()
    assert tailing.stored() == names(log) + names(other)


def test_the_same_first_line_in_every_file_hides_nothing(tailing: Tailing, error: str) -> None:
    log = tailing.log(banner=b"=== service started ===")
    for _ in range(4):
        write_some(log, error=error)
        tailing.drain()
        log.rename()
        log.reopen()
        tailing.restart()
    tailing.settle()
    assert tailing.stored() == names(log)


def test_two_services_that_begin_alike_are_both_read(tailing: Tailing) -> None:
    logs = [tailing.log(name, banner=b"=== service started ===") for name in ("a.log", "b.log")]
    for log in logs:
        write_some(log, 1, error="x")
    tailing.drain()
    for log in logs:
        write_some(log)
    tailing.settle()
    assert tailing.stored() == names(logs[0]) + names(logs[1])


def test_a_file_whose_end_a_power_loss_took_is_read_on(tailing: Tailing, caplog: pytest.LogCaptureFixture) -> None:
    log = tailing.log()
    write_some(log, 5)
    tailing.drain()
    os.truncate(log.path, log.path.stat().st_size - 100)
    tailing.drain()
    write_some(log, 3)
    tailing.settle()
    assert tailing.stored() == names(log)
    assert "going on from its new end" in caplog.text


def test_a_file_that_lost_its_end_while_stopped_is_read_again_and_stored_once(
    tailing: Tailing, caplog: pytest.LogCaptureFixture
) -> None:
    log = tailing.log()
    write_some(log, 5)
    tailing.drain()
    tailing.stop()
    os.truncate(log.path, log.path.stat().st_size - 100)
    log.write(b"", *(log.own() for _ in range(9)))
    tailing.start()
    tailing.settle()
    log.complete = [line for line in log.complete if line]
    assert tailing.stored() == names(log)
    assert "reading it again from the beginning" in caplog.text


def test_a_file_shorter_than_what_was_read_goes_on_from_its_end(tailing: Tailing) -> None:
    log = tailing.log()
    write_some(log, 5)
    tailing.drain()
    tailing.stop()
    os.truncate(log.path, log.path.stat().st_size - 100)
    tailing.start()
    tailing.drain()
    write_some(log, 1)
    tailing.settle()
    assert tailing.stored() == names(log)


def test_a_move_out_of_sight_loses_nothing_that_is_still_written(tailing: Tailing) -> None:
    log = tailing.log()
    write_some(log)
    tailing.drain()
    hidden = tailing.folder / "elsewhere"
    log.path.rename(hidden)
    write_some(log)
    tailing.drain()
    write_some(log)
    tailing.settle()
    assert tailing.stored() == names(log)


def test_an_original_longer_than_its_copy_is_read_to_its_end(tailing: Tailing, error: str) -> None:
    log = tailing.log()
    write_some(log, error=error)
    shutil.copyfile(log.path, tailing.logs / "backup.log")
    os.utime(tailing.logs / "backup.log", (1, 1))
    write_some(log, error=error)
    tailing.settle()
    assert tailing.stored() == names(log)
    assert tailing.duplicates == 0


def test_a_file_that_only_begins_like_another_is_named(tailing: Tailing) -> None:
    first = tailing.log("a.log", banner=b"#" * 2_000)
    write_some(first, 9)
    tailing.drain()
    second = tailing.log("b.log", banner=b"#" * 2_000)
    write_some(second, 5)
    tailing.settle()
    assert tailing.stored() == names(first)
    [(path, problem)] = tailing.ingest.counters().problems.items()
    assert path == str(second.path)
    assert problem.startswith(f"it begins with the same 1024 bytes as {first.path} and goes on differently; let every")
