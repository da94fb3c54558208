"""Whatever becomes of the process, the disk or the values: what was accepted is in the file, what was lost is told."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from recognizer.emit import configure, log_event
from recognizer.sinks import FileSink, MemorySink
from tests.support.disks import remount, tiny_disk
from tests.support.emission import emitting_to, rotated, until
from tests.support.odd_values import log_every_odd_value_in_every_field

DEATHS = int(os.environ.get("WUMU_DEATHS", "3"))
"""Of each manner; the full measure is 20."""
WRITERS = 2
MANNERS = {
    "kill -9": "os.kill(os.getpid(), signal.SIGKILL)",
    "segfault": "faulthandler._sigsegv()",
    "os._exit": "os._exit(3)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM); threading.Event().wait()",
    "exception": "raise RuntimeError('nobody handles this')",
}
WRITER = """
import faulthandler, mmap, os, resource, signal, struct, sys, threading
from recognizer.emit import configure, log_event
from recognizer.sinks import FileSink

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
path, counts, run, until = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
accepted = mmap.mmap(os.open(counts, os.O_RDWR), 0)
configure(FileSink(path, max_bytes=200_000, keep=10_000))
enough = threading.Event()

def write(thread):
    n = 0
    while True:
        log_event("a", run=run, thread=thread, n=n, text="百" * (n % 900))
        n += 1
        struct.pack_into("q", accepted, 8 * thread, n)
        if n == until:
            enough.set()

for thread in range(len(accepted) // 8):
    threading.Thread(target=write, args=(thread,), daemon=True).start()
enough.wait()
"""


def test_no_death_loses_what_was_accepted_or_tears_what_others_write(tmp_path: Path) -> None:
    """Writers with threads die in five manners, one after the other, on one file that rotates.

    A line torn by a death is the last of its writer, closed off by the next one.
    """
    path, moments = tmp_path / "logs" / "events.jsonl", random.Random(20_261_122)
    manners = list(MANNERS) * DEATHS
    accepted: dict[tuple[int, int], int] = {}
    for run, manner in enumerate(manners):
        counts = tmp_path / "counts"
        counts.write_bytes(bytes(8 * WRITERS))
        code = WRITER + MANNERS[manner]
        arguments = [str(path), str(counts), str(run), str(moments.randrange(20, 400))]
        died = subprocess.run([sys.executable, "-c", code, *arguments], stderr=subprocess.DEVNULL, check=False)
        assert died.returncode != 0
        for thread, count in enumerate(struct.unpack(f"{WRITERS}q", counts.read_bytes())):
            accepted[run, thread] = count
    found: Counter[tuple[int, int, int]] = Counter()
    for file in rotated(path.parent):
        events = list(_events(file.read_bytes()))
        found.update((event["run"], event["thread"], event["n"]) for event in events if event)
        for event, following in pairwise(events):
            assert event or (following and following["n"] <= 1), "a torn line is followed by its own writer"
    assert set(found.values()) == {1}
    for (run, thread), count in accepted.items():
        assert all((run, thread, n) in found for n in range(count)), manners[run]
    assert len(found) <= sum(accepted.values()) + len(accepted), "more than one event in flight a thread"


def _events(content: bytes) -> Iterator[dict[str, Any] | None]:
    """Each line's event; None for a torn line."""
    for line in content.splitlines():
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            yield None


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with tiny_disk(tmp_path) as mounted:
        yield mounted


def _settled(path: Path) -> None:
    """A sink on the path, after what earlier tests had lost was told."""
    configure(MemorySink())
    log_event("settle")
    configure(FileSink(path, max_bytes=0))


def _account(contents: Iterable[bytes]) -> tuple[int, int]:
    """How many events there are, and how many they say were lost."""
    events = [event for content in contents for event in _events(content) if event]
    return len(events), sum(event["dropped_before"] for event in events)


def _until_written(path: Path) -> int:
    """Log until an event is in the file; how many that took."""
    logged = 0

    def log() -> None:
        nonlocal logged
        log_event("again", mark="recovered")
        logged += 1

    until(lambda: path.exists() and b'"recovered"' in path.read_bytes(), every=log)
    return logged


def test_a_full_disk_is_told_to_the_event(disk: Path) -> None:
    path = disk / "events.jsonl"
    _settled(path)
    for number in range(500):
        log_event("a", n=number, text="x" * (number % 3_000))
    before, _ = _account([path.read_bytes()])
    remount(disk, "size=4m")
    logged = 500 + _until_written(path)
    configure(None)
    written, dropped = _account([path.read_bytes()])
    assert 0 < before < 500
    assert (written + dropped, dropped > 0) == (logged, True)


def test_a_read_only_disk_is_told_to_the_event(disk: Path) -> None:
    path = disk / "logs" / "events.jsonl"
    remount(disk, "ro")
    _settled(path)
    for number in range(200):
        log_event("a", n=number)
    assert not path.exists()
    remount(disk, "rw")
    logged = 200 + _until_written(path)
    configure(None)
    written, dropped = _account([path.read_bytes()])
    assert written + dropped == logged
    assert dropped >= 200


@pytest.mark.parametrize("blocked", [False, True], ids=["made anew", "in the way"])
def test_a_deleted_folder_is_made_anew_and_what_was_lost_meanwhile_is_told(tmp_path: Path, *, blocked: bool) -> None:
    """Nothing can tell of the lines that still went into the deleted file: they are counted through its descriptor."""
    path = tmp_path / "logs" / "events.jsonl"
    _settled(path)
    log_event("a")
    deleted = path.open("rb")
    shutil.rmtree(path.parent)
    logged = 1
    if blocked:
        path.parent.write_text("a file")
        lost = os.fstat(deleted.fileno()).st_size
        while lost != (lost := os.fstat(deleted.fileno()).st_size) or logged < 100:
            log_event("a")
            logged += 1
        path.parent.unlink()
    logged += _until_written(path)
    configure(None)
    with deleted:
        written, dropped = _account([deleted.read(), path.read_bytes()])
    assert written + dropped == logged


def test_every_odd_value_in_every_field_is_a_line_that_every_reader_takes() -> None:
    with emitting_to(MemorySink()) as sink:
        logged = log_every_odd_value_in_every_field()
    assert len(sink.lines) == logged
    for line in sink.lines:
        assert line.count(b"\n") == 1
        assert b"\0" not in line
        event = orjson.loads(line)
        assert json.loads(line.decode("utf-8", "strict"), parse_constant=pytest.fail) == event
        assert msgspec.json.decode(line) == event
