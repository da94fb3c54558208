"""Sinks: whole lines whatever happens to the file, the disk and the processes, and never an exception."""

import errno
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recognizer.sinks import FileSink, MemorySink, StdoutSink
from tests.support.disks import remount, tiny_disk
from tests.support.emission import ended_well, in_child, rotated, until

LINE = b'{"a":1}\n'


@pytest.fixture(name="tiny_disk")
def tiny_disk_(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    with tiny_disk(tmp_path) as mounted:
        yield mounted


def test_memory_keeps_lines_and_shows_events():
    sink = MemorySink()
    assert sink.write(LINE)
    assert sink.events == [{"a": 1}]


def test_a_file_and_its_folder_are_made_and_appended_to(tmp_path):
    path = tmp_path / "a" / "b" / "events.jsonl"
    for _ in range(2):
        sink = FileSink(path)
        assert sink.write(LINE)
        sink.close()
    assert path.read_bytes() == LINE * 2
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


def test_after_closing_lines_are_lost_not_written_elsewhere(tmp_path):
    sink = FileSink(tmp_path / "events.jsonl")
    sink.write(LINE)
    sink.close()
    assert not sink.write(LINE)


@pytest.mark.parametrize(("max_bytes", "keep"), [(-1, 1), (10, 0)])
def test_impossible_settings_are_refused_at_start(tmp_path, max_bytes, keep):
    with pytest.raises(ValueError, match="max_bytes"):
        FileSink(tmp_path / "x", max_bytes=max_bytes, keep=keep)


def test_rotation_keeps_the_newest_files_and_loses_no_line_of_them(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = FileSink(path, max_bytes=100, keep=2)
    lines = [b'{"n":%04d}\n' % number for number in range(100)]
    assert all(sink.write(line) for line in lines)
    parts = [Path(f"{path}.2"), Path(f"{path}.1"), path]
    kept = b"".join(part.read_bytes() for part in parts if part.exists())
    assert b"".join(lines).endswith(kept)
    assert len(kept) >= 2 * 100
    assert not Path(f"{path}.3").exists()


@pytest.mark.parametrize("change", ["rename", "delete", "truncate", "delete folder"])
def test_a_file_changed_from_outside_is_noticed(tmp_path, change):
    path = tmp_path / "logs" / "events.jsonl"
    sink = FileSink(path)
    assert sink.write(LINE)
    if change == "rename":
        path.rename(tmp_path / "old")
    elif change == "truncate":
        os.truncate(path, 0)
    else:
        path.unlink()
        if change == "delete folder":
            path.parent.rmdir()
    until(lambda: path.exists() and path.stat().st_size > 0, every=lambda: sink.write(LINE))
    assert set(path.read_bytes().splitlines(keepends=True)) == {LINE}
    if change == "rename":
        assert set((tmp_path / "old").read_bytes().splitlines(keepends=True)) == {LINE}


def test_a_descriptor_that_the_service_closed_and_gave_away_is_not_written_to_for_long(tmp_path):
    path, other = tmp_path / "events.jsonl", tmp_path / "other"
    sink = FileSink(path)
    sink.write(LINE)
    stolen = sink._fd
    os.close(stolen)
    theirs = os.open(other, os.O_RDWR | os.O_CREAT)
    assert theirs == stolen
    try:
        until(lambda: path.stat().st_size > len(LINE), every=lambda: sink.write(LINE))
        before = other.stat().st_size
        assert sink.write(LINE)
        assert other.stat().st_size == before
    finally:
        os.close(theirs)


def test_a_closed_descriptor_is_opened_anew(tmp_path, capfd):
    path = tmp_path / "events.jsonl"
    sink = FileSink(path)
    sink.write(LINE)
    os.close(sink._fd)
    assert not sink.write(LINE)
    until(lambda: path.read_bytes() == LINE * 2, every=lambda: path.read_bytes() == LINE and sink.write(LINE))


def test_a_path_that_can_not_be_written_loses_lines_and_says_so_once(tmp_path, capfd):
    folder = tmp_path / "file"
    folder.write_text("in the way")
    sink = FileSink(folder / "events.jsonl")
    assert not any(sink.write(LINE) for _ in range(1_000))
    assert capfd.readouterr().err.count("events are lost") == 1
    folder.unlink()
    until(lambda: sink.write(LINE))
    assert (folder / "events.jsonl").read_bytes() == LINE
    assert capfd.readouterr().err.count("events are written again") == 1


def test_a_full_device_loses_lines_without_raising(capfd):
    sink = FileSink("/dev/full", max_bytes=4)
    assert not any(sink.write(LINE) for _ in range(100))
    assert os.strerror(errno.ENOSPC) in capfd.readouterr().err
    assert Path("/dev/full").is_char_device()


def test_a_full_disk_tears_no_line_but_one_and_recovers(tiny_disk, capfd):
    path = tiny_disk / "events.jsonl"
    sink = FileSink(path, max_bytes=0)
    line = b'{"text":"' + b"x" * 3_000 + b'"}\n'
    taken = 0
    while sink.write(line):
        taken += 1
    (tiny_disk / "room").unlink(missing_ok=True)
    whole = path.read_bytes()
    assert whole.count(line) == taken
    torn = whole[taken * len(line) :]
    remount(tiny_disk, "size=1m")
    until(lambda: sink.write(line))
    assert path.read_bytes() == line * taken + torn + (b"\n" if torn else b"") + line


def test_a_full_disk_takes_the_first_of_several_lines_and_says_how_many(tiny_disk):
    path = tiny_disk / "events.jsonl"
    sink = FileSink(path, max_bytes=0)
    lines = [b'{"text":"' + b"%06d" % n + b"x" * 3_000 + b'"}\n' for n in range(20_000)]
    taken = sink.write(b"".join(lines), len(lines))
    whole = b"".join(lines[:taken])
    left = path.read_bytes()[len(whole) :]
    assert 0 < taken < len(lines)
    assert path.read_bytes().startswith(whole)
    assert lines[taken].startswith(left)
    remount(tiny_disk, "size=64m")
    until(lambda: sink.write(b"".join(lines[-2:]), 2) == 2)
    assert path.read_bytes() == whole + left + (b"\n" if left else b"") + b"".join(lines[-2:])


def test_a_torn_line_of_a_dead_writer_is_closed_off_first(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(LINE + b'{"torn":')
    assert FileSink(path).write(LINE)
    assert path.read_bytes() == LINE + b'{"torn":\n' + LINE


def test_a_rotation_that_fails_keeps_the_events_and_is_said(tmp_path, capfd):
    path = tmp_path / "events.jsonl"
    (tmp_path / "events.jsonl.lock").mkdir()
    sink = FileSink(path, max_bytes=40)
    assert all(sink.write(LINE) for _ in range(20))
    assert path.read_bytes() == LINE * 20
    assert 1 <= capfd.readouterr().err.count("cannot rotate") <= 5


def test_two_processes_rotate_the_same_file_and_lose_nothing(tmp_path):
    path = tmp_path / "events.jsonl"
    each = 3_000

    def writer(name: str) -> Callable[[], None]:
        def work() -> None:
            sink = FileSink(path, max_bytes=20_000, keep=1_000)
            for number in range(each):
                assert sink.write(b'{"from":"%b","n":%d}\n' % (name.encode(), number))

        return work

    children = [in_child(writer(name)) for name in ("a", "b", "c")]
    assert ended_well(children)
    files = rotated(tmp_path)
    assert len(files) > 1
    seen = Counter((e["from"], e["n"]) for part in files for e in map(json.loads, part.read_bytes().splitlines()))
    assert seen == Counter({(name, number): 1 for name in "abc" for number in range(each)})


def test_threads_write_and_rotate_together(tmp_path):
    path = tmp_path / "events.jsonl"
    sink = FileSink(path, max_bytes=5_000, keep=1_000)

    def work(name: int) -> None:
        for number in range(1_000):
            assert sink.write(b'{"from":%d,"n":%d}\n' % (name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = rotated(tmp_path)
    seen = Counter((e["from"], e["n"]) for part in files for e in map(json.loads, part.read_bytes().splitlines()))
    assert seen == Counter({(name, number): 1 for name in range(4) for number in range(1_000)})


def test_standard_output_takes_whole_lines(tmp_path):
    code = (
        "from recognizer.sinks import StdoutSink; s = StdoutSink(); "
        "print(s.write(b'1\\n'), s.write(b'2\\n3\\n', 2), file=__import__('sys').stderr); s.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"1\n2\n3\n", b"1 2\n")


def test_standard_output_that_nobody_reads_any_more_loses_lines_without_raising(tmp_path):
    code = (
        "import os, signal; from recognizer.sinks import StdoutSink; s = StdoutSink(); os.read(0, 1);"
        "print(s.write(b'{}\\n' * 2, 2), file=__import__('sys').stderr)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdin
    assert child.stdout
    assert child.stderr
    child.stdout.close()
    child.stdin.write(b"x")
    child.stdin.close()
    told = child.stderr.read().decode()
    child.stderr.close()
    assert child.wait() == 0
    assert told.endswith("0\n")
    assert "standard output" in told


def test_a_closed_standard_output_sink_takes_nothing():
    sink = StdoutSink()
    sink.close()
    assert not sink.write(LINE)
