"""What the checks are written with: events by the line, answers as plain mappings, failures that can be read."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from daemon.errors import StoreError
from daemon.store.base import Ask, Batch, Checkpoint, EventStore, Sample
from detectors.condition import Always, Condition
from detectors.frame import Frame, Interval, Value
from detectors.query import Query
from recognizer.events import Event, fields

MakeStore: TypeAlias = Callable[[], EventStore]
"""Gives a fresh, empty store whose appended events can be asked for as soon as `append` returns."""

Answer: TypeAlias = dict[tuple[str | None, ...], dict[int, tuple[Value, ...]]]
"""A frame as a mapping: values of the key → start of the bucket → values in the order of the query's measures."""

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
START_MS = int(datetime(2026, 3, 29, tzinfo=UTC).timestamp() * 1_000)
"""A UTC midnight. On this day the clocks of Europe jump from one to three at 01:00 UTC; stores must not care."""
DAY = Interval(START_MS, START_MS + DAY_MS)

EVERYTHING = Always()

_ids = itertools.count()


class ConformanceError(AssertionError):
    """A store does not do what the protocol says."""


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """One promise of the protocol. ``run`` raises ConformanceError where the store breaks it."""

    name: str
    run: Callable[[EventStore], None]


def expect(actual: object, expected: object, what: str) -> None:
    """Raises ConformanceError unless both are equal."""
    if actual != expected:
        raise ConformanceError(f"{what}:\n  expected {expected!r}\n  got      {actual!r}")


def expect_true(holds: bool, what: str) -> None:  # noqa: FBT001  # the truth itself is what is judged
    """Raises ConformanceError unless ``what`` holds."""
    if not holds:
        raise ConformanceError(f"expected: {what}")


def expect_store_error(call: Callable[[], object], *, naming: str) -> None:
    """The call must raise a StoreError that mentions ``naming``."""
    try:
        answer = call()
    except StoreError as error:
        text = f"{error} {error.hint}"
        if naming not in text:
            raise ConformanceError(f"the error should name {naming!r}: {text}") from error
        return
    raise ConformanceError(f"a StoreError naming {naming!r} was due, the answer was {answer!r}")


def event(offset_ms: int = 0, event_type: str = "inference_complete", **more: Any) -> Event:
    """An event ``offset_ms`` after START_MS, with a unique event_id unless one is given."""
    more.setdefault("event_id", f"e-{next(_ids):08}")
    return Event(timestamp=START_MS + offset_ms, event_type=event_type, **more)


def batch(events: Sequence[Event], checkpoint: Checkpoint | None = None) -> Batch:
    """The events as ingest hands them over."""
    return Batch(events, [msgspec.json.encode(fields(each)) for each in events], checkpoint)


def put(store: EventStore, *events: Event) -> None:
    """Stores events that must be taken, every one."""
    appended = store.append(batch(events))
    expect((appended.stored, appended.refused), (len(events), ()), "events stored and refused")


def ask(store: EventStore, query: Query, interval: Interval = DAY) -> Frame:
    """The answer to one query."""
    (frame,) = store.ask([Ask(query, interval, interval.start_ms)])
    return frame


def answer(store: EventStore, query: Query, interval: Interval = DAY) -> Answer:
    """The answer to one query as a mapping."""
    return as_mapping(ask(store, query, interval), query)


def as_mapping(frame: Frame, query: Query) -> Answer:
    """A frame as a mapping. Raises ConformanceError where its shape is wrong."""
    expect_true(frame.complete, "a complete frame")
    names = [measure.name for measure in query.measures]
    found: Answer = {}
    for series in frame.series:
        expect(tuple(name for name, _ in series.key), query.group_by, "names of the key")
        expect(sorted(series.values), sorted(names), "names of the measures")
        expect(list(series.bucket_start_ms), sorted(set(series.bucket_start_ms)), "buckets in time order")
        columns = [series.values[name] for name in names]
        expect({len(column) for column in columns} - {len(series.bucket_start_ms)}, set(), "lengths of the columns")
        rows = {start: tuple(column[i] for column in columns) for i, start in enumerate(series.bucket_start_ms)}
        found[tuple(value for _, value in series.key)] = rows
    expect(len(found), len(frame.series), "series with keys of their own")
    return found


def one(store: EventStore, query: Query, interval: Interval = DAY) -> tuple[Value, ...]:
    """The values of the only bucket of the only key."""
    found = answer(store, query, interval)
    if len(found) != 1 or len(next(iter(found.values()))) != 1:
        raise ConformanceError(f"one key with one bucket was due, got {found!r}")
    ((values,),) = (rows.values() for rows in found.values())
    return values


def picked(store: EventStore, where: Condition = EVERYTHING, **more: Any) -> list[str | None]:
    """The event_ids a sample of the day gives, oldest first unless told otherwise."""
    settings: Mapping[str, Any] = {"interval": DAY, "limit": 1_000, "newest_first": False} | more
    (events,) = store.sample([Sample(where, **settings)])
    return [each.event_id for each in events]
