"""Which files the globs lead to, and those that can't be read."""

import logging
import os
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.ingest.discover import scan
from daemon.store.reference import ReferenceStore
from tests.daemon.ingest.conftest import MakeTailing
from tests.support.tailing import Tailing, names

NOBODY = 65534


def found(folder: Path, *globs: str) -> dict[str, bool]:
    """The paths below the folder, and whether each is a rotated one."""
    files = scan([str(folder / glob) for glob in globs]).files
    return {str(Path(file.path).relative_to(folder)): file.rotated for file in files}


def touch(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read anything; so that a test as root meets a refusal, it reads as somebody else."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_globs_name_files_and_the_names_of_rotated_ones_follow(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "a.log",
        "a.log.1",
        "a.log.2.gz",
        "a.log-20260131",
        "a.log.old",
        "a.log.2026-01-31_00-00-00",
        "a.1.log",
    )
    touch(tmp_path, "a.log.swp", "a.txt", ".hidden.log", "deep/b.log", "a.log.lock")
    rotated = ("a.log.1", "a.log.2.gz", "a.log-20260131", "a.log.old", "a.log.2026-01-31_00-00-00")
    assert found(tmp_path, "*.log") == {"a.log": False, "a.1.log": False} | dict.fromkeys(rotated, True)


def test_a_name_without_wildcard_has_rotated_ones_too(tmp_path: Path) -> None:
    touch(tmp_path, "a.log", "a.log.1", "aa.log", "a-20260131.log.gz", "b.log")
    assert found(tmp_path, "a.log") == {"a.log": False, "a.log.1": True, "a-20260131.log.gz": True}


def test_two_stars_stand_for_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "a.log", "x/b.log", "x/y/z/c.log", ".git/d.log")
    assert set(found(tmp_path, "**/*.log")) == {"a.log", "x/b.log", "x/y/z/c.log"}
    assert set(found(tmp_path, "**")) == {"a.log", "x/b.log", "x/y/z/c.log"}
    assert set(found(tmp_path, "*/b.log", "x/*/z/*.log")) == {"x/b.log", "x/y/z/c.log"}


def test_a_file_reached_in_several_ways_is_one_file(tmp_path: Path) -> None:
    touch(tmp_path, "a.log")
    (tmp_path / "link.log").symlink_to("a.log")
    (tmp_path / "hard.log").hardlink_to(tmp_path / "a.log")
    assert len(found(tmp_path, "*.log", "a.*", "**")) == 1


def test_folders_pipes_sockets_and_links_to_nowhere_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.log", "loop/b.log")
    (tmp_path / "folder.log").mkdir()
    os.mkfifo(tmp_path / "pipe.log")
    (tmp_path / "nowhere.log").symlink_to("missing")
    for name in ("one", "two"):
        (tmp_path / "loop" / name).symlink_to("..")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.log"))
        assert set(found(tmp_path, "*.log", "**/*.log")) == {"a.log", "loop/b.log"}


def test_a_link_to_itself_is_told_and_the_others_are_read(tailing: Tailing) -> None:
    log = tailing.log()
    log.write(log.own())
    loop = tailing.logs / "loop.log"
    loop.symlink_to("loop.log")
    tailing.drain()
    assert tailing.stored() == names(log)
    assert tailing.ingest.counters().problems == {
        str(loop): "Too many levels of symbolic links; a symbolic link leads to itself: mend it"
    }


@pytest.mark.parametrize("make_store", ["reference"], indirect=True)  # nobody may not open the other's file
def test_a_file_that_may_not_be_read_is_told_once_and_the_others_go_on(
    tailing: Tailing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    log, closed = tailing.log(), tailing.log("closed.log")
    for folder in (tailing.folder, *tailing.folder.parents):
        if folder.is_relative_to(tempfile.gettempdir()) and folder != Path(tempfile.gettempdir()):
            folder.chmod(0o755)
    for each in (log, closed):
        each.write(each.own())
    closed.path.chmod(0)
    with as_nobody():
        tailing.drain()
        tailing.drain()
    problem = "Permission denied; let the daemon's user read it, for example by SupplementaryGroups= of the unit"
    assert tailing.ingest.counters().problems == {str(closed.path): problem}
    assert tailing.stored() == names(log)
    closed.path.chmod(0o644)
    tailing.drain()
    told = [record.message for record in caplog.records if str(closed.path) in record.message]
    assert told == [f"can't read {closed.path}: {problem}", f"{closed.path} can be read again, or is gone"]
    assert tailing.stored() == names(log) + names(closed)


@pytest.mark.parametrize("make_store", ["reference"], indirect=True)
def test_a_folder_that_may_not_be_listed_is_told(make_tailing: MakeTailing) -> None:
    tailing = make_tailing("secret/*.log")
    tailing.drain()
    secret = tailing.logs / "secret"
    secret.mkdir(mode=0)
    with as_nobody():
        tailing.drain()
    secret.chmod(0o755)
    assert set(tailing.ingest.counters().problems) <= {str(secret), str(tailing.logs)}
    assert tailing.ingest.counters().problems
    tailing.drain()
    assert tailing.ingest.counters().problems == {}


def test_a_thousand_files_with_few_descriptors(make_tailing: MakeTailing) -> None:
    tailing = make_tailing("**/*.log", open_limit=20)
    count = 1000 if isinstance(tailing.store, ReferenceStore) else 100
    logs = [tailing.log(f"{number % 10}/{number}.log") for number in range(count)]
    for log in logs:
        log.write(log.own())
        log.close()
    report = tailing.drain()
    assert report.files == count
    assert tailing.ingest.counters().files_open <= 20
    for log in logs:
        log.reopen()
        log.write(log.own())
        log.close()
    tailing.drain()
    assert tailing.stored() == sum((names(log) for log in logs), start=Counter())
    assert tailing.duplicates == 0


def test_nothing_there_yet_is_no_problem(make_tailing: MakeTailing) -> None:
    tailing = make_tailing("later/*.log")
    assert tailing.drain().files == 0
    assert tailing.ingest.counters().problems == {}
    log = tailing.log("later/app.log")
    log.write(log.own())
    tailing.drain()
    assert tailing.stored() == names(log)
