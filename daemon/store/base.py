"""The protocol of an event store. `daemon.store.checks` is its conformance suite, `reference` its naive oracle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from detectors.condition import Condition
from detectors.frame import Frame, Interval
from detectors.query import Query
from recognizer.events import Event, Malformed


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a source has been stored: everything before ``offset`` bytes. ``identity`` is the source's content
    identity (see daemon.ingest), ``path`` where it was last seen."""

    identity: str
    path: str
    offset: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Events to store, with the place in the log they come from.

    ``lines`` are the events' JSON lines without newline, in canonical form: strictly valid UTF-8 JSON objects that
    decode to ``events`` (same length and order); every event has an event_id. ``checkpoint`` is kept together with
    the events: either both are stored or neither.
    """

    events: Sequence[Event]
    lines: Sequence[bytes]
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch: newly stored, already there (same event_id), and refused for good by the store."""

    stored: int
    duplicates: int = 0
    refused: tuple[Malformed, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """A query over an interval. ``interval.start_ms`` already includes the lookback."""

    query: Query
    interval: Interval
    fresh_from_ms: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Ask for whole events: at most ``limit`` (≤ 10,000), by (timestamp, event_id), newest or oldest first."""

    where: Condition
    interval: Interval
    limit: int = 5
    newest_first: bool = True


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """What `wumu doctor` and the mails about ourselves say. ``detail`` is one line for a human."""

    ok: bool
    detail: str
    events: int | None = None
    newest_ms: int | None = None


class EventStore(Protocol):
    """Keeps events and answers queries. Raises StoreUnavailable (try later) or StoreError (never will work).

    Calls may come from several threads: `append` from ingest, the others from the scheduler and the console.
    """

    def append(self, batch: Batch) -> Appended: ...

    def checkpoints(self) -> Mapping[str, Checkpoint]:
        """By identity. A store that can't keep them beside the events saves them after the events are safe."""
        ...

    def ask(self, asks: Sequence[Ask]) -> tuple[Frame, ...]:
        """All answers in one round trip (further pages only where a first answer overflowed)."""
        ...

    def sample(self, samples: Sequence[Sample]) -> tuple[tuple[Event, ...], ...]:
        """Events, all in one round trip."""
        ...

    def explain(self, ask: Ask) -> str:
        """The exact request this ask becomes, for `wumu explain`."""
        ...

    def expire(self, before_ms: int) -> int:
        """Forget events older than this (Elasticsearch: whole days); how many events or indices went."""
        ...

    def health(self) -> StoreHealth: ...

    def close(self) -> None: ...
