"""The embedded store and the end of its process: killed at random moments, out of disk space, or held by another."""

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import StoreUnavailable
from daemon.store.conformance.support import batch, event
from daemon.store.duckdb.store import DuckDBStore
from tests.daemon.store import duckdb_child
from tests.daemon.store.duckdb_child import BATCH, SMALL, place

KILLS = 30
PATIENCE_S = 60.0

Work = Callable[[Path, Connection], None]


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Children that start fast: they are forked from a process that has loaded the store, but opened none."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.daemon.store.duckdb_child"])
    return context


@contextmanager
def _child(
    processes: multiprocessing.context.ForkServerContext, work: Work, path: Path
) -> Iterator[tuple[multiprocessing.context.ForkServerProcess, Connection]]:
    ours, theirs = processes.Pipe()
    child = processes.Process(target=work, args=(path, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        yield child, ours
    finally:
        child.kill()
        child.join()
        ours.close()


def _heard(told: Connection, within_s: float = PATIENCE_S) -> Any:
    assert told.poll(within_s), "the child said nothing"
    return told.recv()


def _last_accepted(told: Connection, until: float, last: int) -> int:
    """The last batch that the child says was accepted; listens until that moment."""
    while (left := until - time.monotonic()) > 0 and told.poll(left):
        last = told.recv()
    return last


def _drained(told: Connection, last: int) -> int:
    """What the child had still said before it died."""
    try:
        while told.poll():
            last = told.recv()
    except EOFError:
        pass
    return last


@pytest.mark.slow
def test_no_kill_loses_or_doubles_an_event(
    tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    """After each of 30 kills the store holds exactly the events its checkpoint tells of, and all that were accepted."""
    moments = random.Random(20260329)
    path = tmp_path / "events.duckdb"
    accepted = 0
    for _ in range(KILLS):
        with _child(processes, duckdb_child.append_for_ever, path) as (child, told):
            begun, events = _heard(told)
            assert begun >= accepted
            assert events == begun * BATCH
            accepted = _last_accepted(told, time.monotonic() + moments.uniform(0.0, 0.3), begun)
            child.kill()
            child.join()
            accepted = _drained(told, accepted)
    with_all = DuckDBStore(path, SMALL)
    assert with_all.health().events == place(with_all) * BATCH
    assert place(with_all) in {accepted, accepted + 1}
    assert with_all.append(duckdb_child.batch_number(0)).duplicates == BATCH
    with_all.close()
    assert accepted > KILLS


def test_a_full_disk_refuses_batches_and_loses_none(
    tmp_path: Path, processes: multiprocessing.context.ForkServerContext
) -> None:
    """When the files can't grow the append says so; once they can, the same store goes on without a gap."""
    path = tmp_path / "events.duckdb"
    with _child(processes, duckdb_child.fill_up, path) as (child, told):
        message, hint = _heard(told)
        assert "can't be written" in message
        assert "disk space" in hint
        batches, events = _heard(told)
        assert events == batches * BATCH > 0
        child.join(PATIENCE_S)
    store = DuckDBStore(path)
    assert (place(store), store.health().events) == (batches, events)
    store.close()


def test_a_file_in_use_names_the_process(tmp_path: Path, processes: multiprocessing.context.ForkServerContext) -> None:
    """A second process is told who holds the file, and gets it as soon as that one lets go."""
    path = tmp_path / "events.duckdb"
    store = DuckDBStore(path)
    with _child(processes, duckdb_child.hold, path) as (child, told):
        assert _heard(told) is True
        with pytest.raises(StoreUnavailable, match=f"in use by process {child.pid}"):
            store.append(batch([event()]))
        assert not store.health().ok
        told.send("let go")
        child.join(PATIENCE_S)
    assert store.append(batch([event()])).stored == 1
    store.close()
