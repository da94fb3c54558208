"""The embedded event store: one DuckDB file, owned by one process."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from daemon.errors import StoreError
from daemon.store.base import Appended, Ask, Batch, Checkpoint, Sample, StoreHealth
from daemon.store.contract import check_ask, check_sample
from daemon.store.duckdb import decode, schema
from daemon.store.duckdb.compile import compile_ask, compile_sample
from daemon.store.duckdb.condition import Sql
from daemon.store.duckdb.faults import BROKEN, explained
from daemon.store.duckdb.parameters import DuckDBParameters
from daemon.store.duckdb.writer import Writer
from detectors.frame import Frame
from recognizer.events import Event

FILE_NAME = "events.duckdb"


class DuckDBStore:
    """An `EventStore` in a DuckDB file, or in memory when ``path`` is None.

    The file is opened at the first call and stays ours until `close`. Calls may come from several threads: writers
    wait for each other, readers wait for nobody and see a state between two batches. After a fault that leaves the
    database unusable (a full disk in the middle of a commit) the next call opens it anew.
    """

    def __init__(self, path: Path | None, parameters: DuckDBParameters | None = None) -> None:
        self._path = path
        self._parameters = parameters or DuckDBParameters()
        self._place = str(path) if path is not None else "the event store in memory"
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._closed = False
        self._opening = threading.Lock()
        self._writer = Writer(path, self._parameters.fold_events, self._cursor)

    def append(self, batch: Batch) -> Appended:
        """Returns when the batch is safe. Lines that no table can hold come to light later, when the journal is folded:
        they are told as refused by the append after that."""
        return self._writer.append(batch)

    def checkpoints(self) -> Mapping[str, Checkpoint]:
        with self._snapshot() as cursor:
            rows = cursor.execute("SELECT identity, path, position FROM checkpoints").fetchall()
        return {row[0]: Checkpoint(*row) for row in rows}

    def ask(self, asks: Sequence[Ask]) -> tuple[Frame, ...]:
        for ask in asks:
            check_ask(ask)
        with self._snapshot() as cursor:
            return tuple(_answer(cursor, ask) for ask in asks)

    def sample(self, samples: Sequence[Sample]) -> tuple[tuple[Event, ...], ...]:
        for sample in samples:
            check_sample(sample)
        with self._snapshot() as cursor:
            return tuple(decode.events(_rows(cursor, compile_sample(sample))) for sample in samples)

    def explain(self, ask: Ask) -> str:
        check_ask(ask)
        return "\n\n".join(
            f"{sql.text};\n-- parameters: {', '.join(map(repr, sql.parameters))}"
            for sql in compile_ask(ask).statements()
        )

    def expire(self, before_ms: int) -> int:
        with self._writer.settled(), self._cursor() as cursor:
            (count,) = cursor.execute("DELETE FROM events WHERE timestamp < ?", [before_ms]).fetchall()[0]
            if count:
                # gives the space of the deleted events back
                cursor.execute("CHECKPOINT")
        return int(count)

    def health(self) -> StoreHealth:
        try:
            with self._snapshot() as cursor:
                count, newest_ms = cursor.execute("SELECT count(*), max(timestamp) FROM events").fetchall()[0]
        except StoreError as error:
            return StoreHealth(ok=False, detail=f"{error} ({error.hint})" if error.hint else str(error))
        until = (
            f", the newest of {datetime.fromtimestamp(newest_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC" if count else ""
        )
        return StoreHealth(
            ok=True, detail=f"{count:,} events in {self._place}{until}", events=count, newest_ms=newest_ms
        )

    def close(self) -> None:
        self._writer.close()
        with self._opening:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of its own for this call. Faults come out as StoreError; a broken database is let go."""
        try:
            cursor = self._open().cursor()
            try:
                yield cursor
            finally:
                cursor.close()
        except duckdb.Error as error:
            if isinstance(error, BROKEN):
                self._let_go()
            raise explained(error, self._place) from error

    @contextmanager
    def _snapshot(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor whose reads all see the same state: everything that was appended."""
        with self._writer.settled():
            pass
        with self._cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            yield cursor
            cursor.execute("COMMIT")

    def _open(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._closed:
                raise StoreError("the event store is closed")
            if self._connection is None:
                self._connection = _connected(self._path, self._parameters)
            return self._connection

    def _let_go(self) -> None:
        with self._opening:
            if self._connection is not None and self._path is not None:
                self._connection.close()
                self._connection = None


def _connected(path: Path | None, parameters: DuckDBParameters) -> duckdb.DuckDBPyConnection:
    """Opens the file and makes its tables."""
    connection = duckdb.connect(
        str(path) if path is not None else ":memory:",
        config={
            "memory_limit": parameters.memory_limit,
            "threads": str(parameters.threads),
            "checkpoint_threshold": parameters.wal_limit,
            # what we need is built in: nothing is fetched from the network
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    try:
        schema.prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _answer(cursor: duckdb.DuckDBPyConnection, ask: Ask) -> Frame:
    compiled = compile_ask(ask)
    rows = _rows(cursor, compiled.cells)
    return decode.frame(ask, rows, {measure.name: _rows(cursor, sql) for measure, sql in compiled.apart})


def _rows(cursor: duckdb.DuckDBPyConnection, sql: Sql) -> list[tuple[Any, ...]]:
    return cursor.execute(sql.text, sql.parameters).fetchall()
