"""How one ask is answered: which searches it sends, and what it asks on when the first answers leave something open.

Each ask is a generator that yields the searches it wants next and is sent their replies; `converse` runs the
generators of all asks in step, so that every round is one ``_msearch``. One round is enough unless a list of keys
was longer than a page, outcomes interleave, or ``top`` is wanted per bucket.
"""

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from daemon.store.base import Ask
from daemon.store.contract import Kind, columns
from daemon.store.elastic import decode, searches
from daemon.store.elastic.decode import Cell, Row
from daemon.store.elastic.filters import Clause, one_of
from daemon.store.elastic.replies import Reply
from daemon.store.elastic.runs import from_outcomes, from_spans
from daemon.store.elastic.searches import Search, bucket_length_ms
from detectors.frame import Counts, Frame, Interval, Key, Value
from detectors.query import Histogram, Measure, Runs, Statistic, Tally, Unmatched

_log = logging.getLogger(__name__)

MAX_OUTCOME_PAGES = 20
"""Events that are read one by one for the `Runs` of one ask: this many pages of `searches.RAW_PAGE`. Beyond it the
frame says that it is not complete."""
_KEYS_NAMED = 100
"""More keys than these are not named in a follow-up; all of them are read."""

Result = TypeVar("Result")
Steps: TypeAlias = Generator[list[Search], list[Reply], Result]


def converse(steps: Sequence[Steps[Result]], exchange: Callable[[list[Search]], list[Reply]]) -> tuple[Result, ...]:
    """Runs the generators to their ends; everything that they want at the same time goes into one exchange."""
    conversation = _together(steps)
    replies: list[Reply] | None = None
    while True:
        try:
            wanted = next(conversation) if replies is None else conversation.send(replies)
        except StopIteration as stop:
            results: list[Result] = stop.value
            return tuple(results)
        replies = exchange(wanted)


def _together(steps: Sequence[Steps[Result]]) -> Steps[list[Result]]:
    """Several generators as one, which wants what all of them want at a time."""
    results: dict[int, Result] = {}
    wanted: dict[int, list[Search]] = {}

    def advance(index: int, replies: list[Reply] | None) -> None:
        try:
            wanted[index] = next(steps[index]) if replies is None else steps[index].send(replies)
        except StopIteration as stop:
            results[index] = stop.value

    for index in range(len(steps)):
        advance(index, None)
    while wanted:
        turn, wanted = wanted, {}
        replies = iter((yield [search for part in turn.values() for search in part]))
        for index, part in turn.items():
            advance(index, [next(replies) for _ in part])
    return [results[index] for index in range(len(steps))]


def first_searches(ask: Ask) -> list[Search]:
    """What an ask sends first: for explanations."""
    return next(answer(ask))


def answer(ask: Ask) -> Steps[Frame]:
    """One ask from its first searches to its frame."""
    if ask.query.top is not None and ask.query.bucket_ms:
        return (yield from _top_by_bucket(ask, ask.query.top))
    return (yield from _answer(ask, None, ()))


def _top_by_bucket(ask: Ask, top: int) -> Steps[Frame]:
    """First the keys, over the whole interval, then their buckets."""
    reply = yield from _pages([_ranking(ask, top, ask.query.measures[:1])])
    rows = _ranked_rows(reply[0], ask)
    kept = decode.top_keys(rows, _first(ask), top)
    if not kept:
        return decode.frame(ask, {}, complete=reply[0].complete)
    raw = [_raw_key(ask, cell, row) for cell, row in rows.items() if cell[0] in kept]
    found = yield from _answer(ask, kept, (one_of([searches.key_clause(key) for key in raw]),))
    return found if reply[0].complete else decode.frame(ask, {}, complete=False)


def _answer(ask: Ask, kept: frozenset[Key] | None, restriction: tuple[Clause, ...]) -> Steps[Frame]:
    """The frame; ``kept`` are the keys that may stand in it (None: all, or the top ones of a single bucket)."""
    query = ask.query
    pairs = [measure for measure in query.measures if isinstance(measure, Unmatched)]
    (rows, complete), *losses = yield from _together(
        [_rows(ask, kept, restriction), *(_unmatched(ask, pair, restriction) for pair in pairs)]
    )
    values: dict[Cell, list[Value]] = {cell: [] for cell in rows}
    for position, measure in enumerate(query.measures):
        all_read = True
        if isinstance(measure, Unmatched):
            lost, all_read = losses[pairs.index(measure)]
            found: dict[Cell, Value] = {cell: lost.get(cell, 0.0) for cell in rows}
        elif isinstance(measure, Runs):
            found, all_read = yield from _runs(ask, measure, position, rows)
        elif isinstance(measure, Tally):
            found, all_read = yield from _tallies(ask, measure, position, rows)
        elif isinstance(measure, Histogram):
            found = {cell: decode.bins(row, position) for cell, row in rows.items()}
        else:
            found = {cell: decode.measured(measure, row, position) for cell, row in rows.items()}
        complete = complete and all_read
        for cell, value in found.items():
            values[cell].append(value)
    return decode.frame(ask, values, complete=complete)


def _rows(
    ask: Ask, kept: frozenset[Key] | None, restriction: tuple[Clause, ...]
) -> Steps[tuple[dict[Cell, Any], bool]]:
    """The rows of the frame, and whether all indices could be read."""
    query = ask.query
    if query.top is not None and kept is None:
        replies = yield from _pages([_ranking(ask, query.top, query.measures)])
        rows = _ranked_rows(replies[0], ask)
        kept = decode.top_keys(rows, _first(ask), query.top)
    else:
        replies = yield from _pages([searches.table(ask, query.measures, *restriction, bucket_ms=query.bucket_ms)])
        rows = decode.cells(replies[0], ask)
    return {cell: row for cell, row in rows.items() if kept is None or cell[0] in kept}, replies[0].complete


def _unmatched(ask: Ask, measure: Unmatched, restriction: tuple[Clause, ...]) -> Steps[tuple[dict[Cell, Any], bool]]:
    """The counts of the cells that are not zero, and whether everything could be read."""
    buckets = searches.lost_buckets(ask)
    if buckets:
        replies = yield from _pages([searches.lost(ask, measure, bucket, *restriction) for bucket in buckets])
        listed = decode.lost(dict(zip(buckets, replies, strict=True)), ask)
        if listed is not None:
            return listed, all(reply.complete for reply in replies)
    replies = yield from _pages([searches.starts(ask, measure, *restriction), searches.ends(ask, measure)])
    return decode.unmatched(replies[0], replies[1], ask), all(reply.complete for reply in replies)


def _runs(ask: Ask, measure: Runs, position: int, rows: dict[Cell, Row]) -> Steps[tuple[dict[Cell, Value], bool]]:
    """The summaries of all cells, and whether everything could be read."""
    found: dict[Cell, Value] = {}
    for cell, row in rows.items():
        spans = decode.spans(measure.field, row, position)
        summary = None if spans is None else from_spans(spans, measure.at_least)
        if summary is not None:
            found[cell] = summary
    open_cells = {cell: row for cell, row in rows.items() if cell not in found}
    if not open_cells:
        return found, True
    search = searches.outcomes(ask, measure.field, _reach(ask, open_cells), _clauses(ask, open_cells))
    replies = yield from _pages([search], most=MAX_OUTCOME_PAGES)
    read = decode.outcomes(replies[0].hits, ask, measure.field)
    for cell in open_cells:
        found[cell] = from_outcomes(read.get(cell, [(None, cell[1])]), measure.at_least)
    return found, replies[0].complete


def _tallies(ask: Ask, measure: Tally, position: int, rows: dict[Cell, Row]) -> Steps[tuple[dict[Cell, Value], bool]]:
    """The tallies of all cells, and whether everything could be read. One shard tells the whole; where several left
    values out, all values are counted."""
    found: dict[Cell, Value] = {cell: decode.counts(row, position) for cell, row in rows.items()}
    open_cells = {cell: rows[cell] for cell, value in found.items() if value is None}
    if not open_cells:
        return found, True
    search = searches.values(ask, measure.field, _reach(ask, open_cells), _clauses(ask, open_cells))
    replies = yield from _pages([search])
    read = decode.tallies(replies[0], ask, measure)
    return found | {cell: read.get(cell, Counts()) for cell in open_cells}, replies[0].complete


def _clauses(ask: Ask, cells: dict[Cell, Row]) -> list[Clause]:
    """The keys of the cells, by name where these are few; none: all keys."""
    raw = {tuple(key.items()): key for cell, row in cells.items() for key in [_raw_key(ask, cell, row)]}
    return [searches.key_clause(key) for key in raw.values()] if ask.query.group_by and len(raw) <= _KEYS_NAMED else []


def _reach(ask: Ask, cells: dict[Cell, Row]) -> Interval:
    starts = [bucket for _, bucket in cells]
    return Interval(
        max(ask.interval.start_ms, min(starts)), min(ask.interval.end_ms, max(starts) + bucket_length_ms(ask))
    )


def _pages(wanted: list[Search], most: int | None = None) -> Steps[list[Reply]]:
    """The searches' replies with all their pages, or with ``most`` pages and marked as not complete."""
    replies = yield wanted
    pending = dict(enumerate(replies))
    page = 1
    while True:
        nexts = {
            i: search.after(at) for i, reply in pending.items() if (at := reply.next_position(search := wanted[i]))
        }
        if not nexts:
            return replies
        if most is not None and page >= most:
            _log.warning(
                "outcomes of more than %d events interleave: their runs are not complete", most * searches.RAW_PAGE
            )
            return [replace(reply, complete=False) for reply in replies]
        further = yield list(nexts.values())
        page += 1
        pending = dict(zip(nexts, further, strict=True))
        for index, reply in pending.items():
            replies[index] = replies[index].joined(reply)


def _first(ask: Ask) -> Measure:
    first = ask.query.measures[0]
    assert isinstance(first, Measure)  # noqa: S101  # check_ask has seen to it
    return first


def _listable(ask: Ask) -> str | None:
    """The one text field whose largest values the cluster can pick itself."""
    names = ask.query.group_by
    fits = ask.query.top is not None and searches.fits_one_answer(ask.query.measures, ask.query.top + 1)
    plain = len(names) == 1 and columns()[names[0]].kind is Kind.TEXT and _first(ask).statistic is Statistic.COUNT
    return names[0] if plain and fits else None


def _ranking(ask: Ask, top: int, measures: Sequence[Any]) -> Search:
    field = _listable(ask)
    if field is not None:
        return searches.largest(ask, field, measures, top)
    return searches.table(ask, measures, bucket_ms=0)


def _ranked_rows(reply: Reply, ask: Ask) -> dict[Cell, Row]:
    field = _listable(ask)
    return decode.cells(reply, ask) if field is None else decode.cells_of_largest(reply, ask, field)


def _raw_key(ask: Ask, cell: Cell, row: Row) -> dict[str, Any]:
    """The key's values as Elasticsearch has them; rows of `searches.largest` hold texts, which are the same."""
    return decode.raw_key(row, ask) if isinstance(row.get("key"), dict) else dict(cell[0])
