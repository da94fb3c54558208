"""Work for processes that tests start beside themselves: to be killed, to hold a file, to run into a limit."""

import itertools
import resource
from multiprocessing.connection import Connection
from pathlib import Path

from daemon.errors import StoreUnavailable
from daemon.store.base import Ask, Batch, Checkpoint
from daemon.store.conformance.support import batch, event
from daemon.store.duckdb.parameters import DuckDBParameters
from daemon.store.duckdb.store import DuckDBStore
from detectors.frame import Interval
from detectors.query import Query

BATCH = 40
IDENTITY = "log-1"
ALWAYS = Interval(0, 2**62)
SMALL = DuckDBParameters(fold_events=150, wal_limit="1MB")
"""Folds every few batches in the background, and parts every fourth."""


def batch_number(number: int) -> Batch:
    """The events of one stretch of the imagined log, with the place behind it."""
    events = [event(number * BATCH + i, event_id=f"{number}-{i}", extra={"n": number}) for i in range(BATCH)]
    return batch(events, Checkpoint(IDENTITY, "/log", number + 1))


def place(store: DuckDBStore) -> int:
    """How many batches the store says it has."""
    checkpoint = store.checkpoints().get(IDENTITY)
    return checkpoint.offset if checkpoint is not None else 0


def append_for_ever(path: Path, told: Connection) -> None:
    """Tells where it takes up and how many events are there, then the number of each batch once it is accepted."""
    store = DuckDBStore(path, SMALL)
    number = place(store)
    told.send((number, store.health().events))
    while True:
        store.append(batch_number(number))
        number += 1
        told.send(number)
        if number % 7 == 0:
            store.ask([Ask(Query(bucket_ms=0), ALWAYS, 0)])


def hold(path: Path, told: Connection) -> None:
    """Keeps the file open until the other end says so."""
    store = DuckDBStore(path)
    told.send(store.health().ok)
    told.recv()
    store.close()


def fill_up(path: Path, told: Connection) -> None:
    """Appends until the files may not grow any more, tells the error; then they may, and it goes on for a while."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))
    store = DuckDBStore(path, SMALL)
    for number in itertools.count():
        try:
            store.append(batch_number(number))
        except StoreUnavailable as error:
            told.send((str(error), error.hint))
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    for later in range(number, number + 20):
        store.append(batch_number(later))
    told.send((place(store), store.health().events))
    store.close()
