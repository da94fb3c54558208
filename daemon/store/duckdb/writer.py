"""The writing side of the embedded store: batches to a journal, full journals to the tables in the background."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Self

import duckdb

from daemon.errors import StoreError, StoreUnavailable
from daemon.store.base import Appended, Batch, Checkpoint
from daemon.store.contract import refused
from daemon.store.duckdb.fold import fold, folded_generation, known_ids
from daemon.store.duckdb.journal import Journal, journal_line, recovered
from recognizer.events import Event, Malformed

logger = logging.getLogger(__name__)

_EVENT_ID, _TIMESTAMP, _EXTRA = map(attrgetter, ("event_id", "timestamp", "extra"))
"""In C: they are called for every event."""

OpenCursor = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]


@dataclass(frozen=True, slots=True)
class _Ids:
    """The event_ids of a batch and the span of its times, both ends included."""

    names: set[str]
    oldest_ms: int
    newest_ms: int

    @classmethod
    def of(cls, events: Sequence[Event]) -> Self:
        names = set(map(_EVENT_ID, events))
        names.discard(None)
        times = list(map(_TIMESTAMP, events))
        return cls(names, min(times, default=0), max(times, default=0))

    def meets(self, oldest_ms: int, newest_ms: int) -> bool:
        """Whether the spans have a moment in common."""
        return oldest_ms <= self.newest_ms and self.oldest_ms <= newest_ms


class Writer:
    """Takes batches and folds them. Every method may be called from any thread; one call at a time gets in.

    While a full journal is folded in the background the next one takes batches. A fold that failed (a full disk) is
    tried again by the next call, which fails as long as it does.
    """

    def __init__(self, database: Path | None, fold_events: int, cursor: OpenCursor) -> None:
        self._database = database
        self._fold_events = fold_events
        self._cursor = cursor
        self._lock = threading.RLock()
        self._folder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fold")
        self._recovered = False
        self._generation = 0
        self._open: Journal | None = None
        self._full: Journal | None = None
        self._folding: Future[list[Malformed]] | None = None
        self._open_ids: list[_Ids] = []
        self._full_ids: list[_Ids] = []
        self._span_ms: tuple[int, int] | None = None
        self._refused: list[Malformed] = []

    def append(self, batch: Batch) -> Appended:
        """Accepts a batch: when this returns it survives a crash."""
        with self._lock:
            self._recover()
            self._make_room()
            lines, ids, malformed = self._fresh(batch)
            if lines or batch.checkpoint is not None:
                self._accept(lines, ids, batch.checkpoint)
            if self._full is None:
                self._make_room()
            reported, self._refused = self._refused, []
            duplicates = len(batch.events) - len(lines) - len(malformed)
            return Appended(len(lines), duplicates, (*malformed, *reported))

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Folds what is in the journals: every accepted event can be asked for. Nothing is written within the block."""
        with self._lock:
            self._recover()
            self._finish()
            if self._open is not None:
                self._full, self._full_ids = self._open, self._open_ids
                self._open, self._open_ids = None, []
                self._finish()
            yield

    def close(self) -> None:
        """Folds what it can; what it can't stays in its file for the next process."""
        with self._lock:
            try:
                if self._recovered:
                    with self.settled():
                        pass
            except StoreError as error:
                logger.warning("%s: the newest events stay in their journal until the next start", error)
            self._folder.shutdown(wait=True)
            for journal in (self._full, self._open):
                if journal is not None:
                    journal.close(keep=True)
            self._full = self._open = None
            self._recovered = False

    def _recover(self) -> None:
        """Once: folds what an earlier process left behind. Raises StoreError when the store is closed."""
        if self._recovered:
            return
        with self._cursor() as cursor:
            self._generation = folded_generation(cursor)
            left = recovered(self._database, self._generation)
            while left:
                try:
                    self._refused += fold(cursor, left[0])
                except BaseException:
                    for journal in left:
                        journal.close(keep=True)
                    raise
                self._generation = left[0].generation
                left.pop(0).close(keep=False)
            self._span_ms = _span_ms(cursor)
        self._recovered = True

    def _fresh(self, batch: Batch) -> tuple[Sequence[bytes], _Ids, list[Malformed]]:
        """The lines of the batch's events that are not there yet, their ids, and what can't be written as JSON."""
        ids = _Ids.of(batch.events)
        known = self._known(batch.events, ids)
        if not known and len(ids.names) == len(batch.events) and not any(map(_EXTRA, batch.events)):
            return batch.lines, ids, []
        lines: list[bytes] = []
        malformed: list[Malformed] = []
        for event, line in zip(batch.events, batch.lines, strict=True):
            if event.event_id in known:
                continue
            try:
                lines.append(journal_line(event, line))
            except (ValueError, TypeError, RecursionError) as error:
                malformed.append(refused(line, f"the event can't be written as JSON: {error}"))
            if event.event_id is not None:
                known.add(event.event_id)
        return lines, ids, malformed

    def _known(self, events: Sequence[Event], ids: _Ids) -> set[str]:
        """Which of the batch's event_ids are in a journal or in the table."""
        known: set[str] = set()
        for pending in (*self._full_ids, *self._open_ids):
            if ids.meets(pending.oldest_ms, pending.newest_ms):
                known |= ids.names & pending.names
        if self._span_ms is not None and ids.meets(*self._span_ms):
            oldest_ms, newest_ms = self._span_ms
            within = [event for event in events if oldest_ms <= event.timestamp <= newest_ms]
            suspects = {event.event_id for event in within if event.event_id is not None} - known
            if suspects:
                span_ms = max(oldest_ms, ids.oldest_ms), min(newest_ms, ids.newest_ms)
                with self._cursor() as cursor:
                    known |= known_ids(cursor, suspects, span_ms)
        return known

    def _make_room(self) -> None:
        if self._open is not None and self._open.is_full(self._fold_events):
            self._rotate()

    def _accept(self, lines: Sequence[bytes], ids: _Ids, checkpoint: Checkpoint | None) -> None:
        if self._open is None:
            self._open = self._next()
        room = self._fold_events - self._open.events
        if len(lines) <= room:
            self._open.append(lines, checkpoint)
            self._open_ids.append(ids)
        else:
            self._accept_parted(lines, room, ids, checkpoint)

    def _accept_parted(self, lines: Sequence[bytes], room: int, ids: _Ids, checkpoint: Checkpoint | None) -> None:
        """Fills the open journal with whole groups of rows; the rest of the batch begins the next one."""
        assert self._open is not None  # noqa: S101  # the caller has opened it
        self._finish()
        self._open.append(lines[:room], None, continued=True)
        rest: Journal | None = None
        try:
            rest = self._next()
            rest.append(lines[room:], checkpoint)
        except StoreUnavailable:
            self._open.retract()
            if rest is not None:
                rest.close(keep=False)
            raise
        self._open_ids.append(ids)
        self._rotate()
        self._open, self._open_ids = rest, [ids]

    def _next(self) -> Journal:
        self._generation += 1
        return Journal(self._database, self._generation)

    def _rotate(self) -> None:
        """Begins to fold the journal that takes batches; the next batch gets a new one."""
        self._finish()
        self._full, self._full_ids = self._open, self._open_ids
        self._open, self._open_ids = None, []
        if self._full is not None:
            self._folding = self._folder.submit(self._fold, self._full)

    def _finish(self) -> None:
        """Waits for the fold in progress; folds here what has not been folded."""
        if self._full is None:
            return
        folding, self._folding = self._folding, None
        self._refused += folding.result() if folding is not None else self._fold(self._full)
        self._full.close(keep=False)
        self._full, self._full_ids = None, []

    def _fold(self, journal: Journal) -> list[Malformed]:
        with self._cursor() as cursor:
            bad = fold(cursor, journal)
            self._span_ms = _span_ms(cursor)
        if bad:
            logger.error("%d lines can't be stored, the first: %s", len(bad), bad[0].detail)
        return bad


def _span_ms(cursor: duckdb.DuckDBPyConnection) -> tuple[int, int] | None:
    """The times of the oldest and the newest event in the table."""
    (span,) = cursor.execute("SELECT min(timestamp), max(timestamp) FROM events").fetchall()
    return None if span[0] is None else span
