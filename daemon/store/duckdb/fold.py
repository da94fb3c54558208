"""A journal into the tables: in one transaction with its checkpoints, and no line may spoil the others."""
# ruff: noqa: S608  # what stands in the text are identifiers of the event contract; values are parameters

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import duckdb

from daemon.store.contract import refused
from daemon.store.duckdb.faults import DATA_ERRORS
from daemon.store.duckdb.journal import Journal, is_trailer
from daemon.store.duckdb.schema import quoted, sql_types
from recognizer.events import Malformed
from recognizer.paths import visible

_COLUMNS = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in sql_types().items())
_NAMES = ", ".join(map(quoted, sql_types()))
_INSERT = f"""
INSERT INTO events ({_NAMES})
SELECT {_NAMES}
FROM read_json(?, format = 'newline_delimited', compression = 'uncompressed', maximum_object_size = ?,
  columns = {{{_COLUMNS}}})
WHERE timestamp IS NOT NULL"""  # a trailer has none
_CHECKPOINT = """
INSERT INTO checkpoints VALUES (?, ?, ?)
ON CONFLICT (identity) DO UPDATE SET path = excluded.path, position = excluded.position"""
_KNOWN = """
SELECT event_id FROM events
WHERE timestamp BETWEEN ? AND ? AND event_id IN (SELECT unnest(CAST(? AS VARCHAR[])))"""


def fold(cursor: duckdb.DuckDBPyConnection, journal: Journal) -> list[Malformed]:
    """Moves the journal's events and checkpoints into the tables, once; the lines that no table can hold come back.

    Raises duckdb.Error when the place is at fault; then nothing has changed.
    """
    if folded_generation(cursor) >= journal.generation:
        return []
    try:
        _commit(cursor, journal, journal)
    except DATA_ERRORS:
        cursor.execute("ROLLBACK")
        good, bad = _sifted(cursor, [line.rstrip(b"\n") for line in journal.lines() if not is_trailer(line)])
        with _in_memory(good) as source:
            _commit(cursor, journal, source)
        return bad
    return []


def folded_generation(cursor: duckdb.DuckDBPyConnection) -> int:
    """The generation of the last journal that has been folded."""
    (row,) = cursor.execute("SELECT folded FROM layout").fetchall()
    return int(row[0])


def known_ids(cursor: duckdb.DuckDBPyConnection, ids: Collection[str], span_ms: tuple[int, int]) -> set[str]:
    """Which of these event_ids are in the table already, within a span of event time, both ends included."""
    return {event_id for (event_id,) in cursor.execute(_KNOWN, [*span_ms, list(ids)]).fetchall()}


def _commit(cursor: duckdb.DuckDBPyConnection, journal: Journal, source: Journal) -> None:
    """Stores what ``source`` holds as the content of ``journal``."""
    cursor.execute("BEGIN TRANSACTION")
    _insert(cursor, source)
    for checkpoint in journal.checkpoints.values():
        cursor.execute(_CHECKPOINT, [checkpoint.identity, checkpoint.path, checkpoint.offset])
    cursor.execute("UPDATE layout SET folded = ?", [journal.generation])
    cursor.execute("COMMIT")


def _insert(cursor: duckdb.DuckDBPyConnection, source: Journal) -> None:
    if source.events:
        cursor.execute(_INSERT, [source.path, source.longest_line + 2])


@contextmanager
def _in_memory(lines: Sequence[bytes]) -> Iterator[Journal]:
    journal = Journal(None, 0)
    try:
        journal.append(lines, None)
        yield journal
    finally:
        journal.close(keep=False)


def _sifted(cursor: duckdb.DuckDBPyConnection, lines: Sequence[bytes]) -> tuple[list[bytes], list[Malformed]]:
    """Parts the lines that can be stored from those that can't, by halving what fails; stores nothing."""
    if not lines:
        return [], []
    cursor.execute("BEGIN TRANSACTION")
    try:
        with _in_memory(lines) as source:
            _insert(cursor, source)
    except DATA_ERRORS as error:
        problem = visible(" ".join(str(error).split()), 300)
    else:
        return list(lines), []
    finally:
        cursor.execute("ROLLBACK")
    if len(lines) == 1:
        return [], [refused(lines[0], f"the event store can't hold it: {problem}")]
    middle = len(lines) // 2
    good, bad = _sifted(cursor, lines[:middle])
    more_good, more_bad = _sifted(cursor, lines[middle:])
    return good + more_good, bad + more_bad
