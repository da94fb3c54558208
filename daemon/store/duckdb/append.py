"""Storing a batch: in one transaction with its checkpoint, each event once, and no line may spoil the others."""
# ruff: noqa: S608  # what stands in the text are identifiers of the event contract; values are parameters

from collections.abc import Sequence
from itertools import islice
from typing import TypeAlias

import duckdb

from daemon.store.base import Appended, Batch, Checkpoint
from daemon.store.contract import refused
from daemon.store.duckdb.faults import DATA_ERRORS
from daemon.store.duckdb.schema import quoted, sql_types
from daemon.store.duckdb.spool import spool_line, spooled
from recognizer.events import Event, Malformed

CHUNK_EVENTS = 20_000
"""So many events are read at a time: bounds the memory of a batch of any size."""

Entry: TypeAlias = tuple[Event, bytes, bytes]
"""An event, its own line and its line in the spool."""

_COLUMNS = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in sql_types().items())
_INSERT = f"""
INSERT INTO events
SELECT * FROM read_json(?, format = 'newline_delimited', compression = 'uncompressed',
  maximum_object_size = ?, columns = {{{_COLUMNS}}}) AS arrived"""
_NEW_ONLY = """
ANTI JOIN (SELECT event_id, timestamp FROM events WHERE timestamp BETWEEN ? AND ?) AS present
  ON arrived.event_id = present.event_id AND arrived.timestamp = present.timestamp"""
_CHECKPOINT = """
INSERT INTO checkpoints VALUES (?, ?, ?)
ON CONFLICT (identity) DO UPDATE SET path = excluded.path, position = excluded.position"""


def append(cursor: duckdb.DuckDBPyConnection, batch: Batch) -> Appended:
    """Stores the batch and its checkpoint, both or neither. Raises duckdb.Error when the place is at fault."""
    entries, malformed = _entries(batch)
    try:
        stored = _commit(cursor, entries, batch.checkpoint)
    except DATA_ERRORS:
        cursor.execute("ROLLBACK")
        entries, rejected = _sifted(cursor, entries)
        malformed += rejected
        stored = _commit(cursor, entries, batch.checkpoint)
    duplicates = len(batch.events) - len(malformed) - stored
    return Appended(stored, duplicates, tuple(malformed))


def _entries(batch: Batch) -> tuple[list[Entry], list[Malformed]]:
    """The batch's distinct events ready to be spooled, and those that JSON can't hold."""
    entries: dict[tuple[str | None, int], Entry] = {}
    malformed = []
    for event, line in zip(batch.events, batch.lines, strict=True):
        try:
            entries.setdefault((event.event_id, event.timestamp), (event, line, spool_line(event)))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            malformed.append(refused(line, f"the event can't be written as JSON: {error}"))
    return list(entries.values()), malformed


def _commit(cursor: duckdb.DuckDBPyConnection, entries: Sequence[Entry], checkpoint: Checkpoint | None) -> int:
    cursor.execute("BEGIN TRANSACTION")
    stored = _insert(cursor, entries)
    if checkpoint is not None:
        cursor.execute(_CHECKPOINT, [checkpoint.identity, checkpoint.path, checkpoint.offset])
    cursor.execute("COMMIT")
    return stored


def _insert(cursor: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> int:
    """How many were new."""
    stored = 0
    remaining = iter(entries)
    while chunk := list(islice(remaining, CHUNK_EVENTS)):
        lines = [line for _, _, line in chunk]
        times = [event.timestamp for event, _, _ in chunk]
        with spooled(lines) as path:
            parameters = [path, max(map(len, lines)) + 2, min(times), max(times)]
            stored += cursor.execute(_INSERT + _NEW_ONLY, parameters).fetchall()[0][0]
    return stored


def _sifted(cursor: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> tuple[list[Entry], list[Malformed]]:
    """Parts the entries that can be stored from those that can't, by halving what fails; stores nothing."""
    if not entries:
        return [], []
    cursor.execute("BEGIN TRANSACTION")
    try:
        _insert(cursor, entries)
    except DATA_ERRORS as error:
        problem = " ".join(str(error).split())
    else:
        return list(entries), []
    finally:
        cursor.execute("ROLLBACK")
    if len(entries) == 1:
        return [], [refused(entries[0][1], f"the event store can't hold it: {problem}")]
    middle = len(entries) // 2
    good, bad = _sifted(cursor, entries[:middle])
    more_good, more_bad = _sifted(cursor, entries[middle:])
    return good + more_good, bad + more_bad
