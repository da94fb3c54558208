"""What `confidence_drift` remembers of a series, and the same while it is judged."""

import math
import struct
import zlib
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np

from detectors.memory import Packed
from detectors.statistical.learning import LearnedState
from detectors.stats import blocks as packed
from detectors.stats.blocks import Blocks
from detectors.stats.edetector import no_bets
from detectors.stats.record import Record
from detectors.stats.same_time import SameTime
from detectors.stats.wander import ASPECTS, Change

MOST_CHANCE_DAYS = 1e6

NO_BETS = no_bets(len(packed.VIEWS))
"""No stakes, one row per view."""

_BUCKET = struct.Struct("<I")

_Number = Annotated[float, msgspec.Meta(ge=-1e101, le=1e101)]
_Positive = Annotated[float, msgspec.Meta(gt=0, le=1e101)]


class Filling(msgspec.Struct, frozen=True, array_like=True):
    """The block that has not enough scores yet, as sums of scores, squares, logarithms and logits (None: unknown)."""

    start_ms: int
    events: Annotated[float, msgspec.Meta(ge=1, le=1e101)]
    total: _Number
    squares: Annotated[float, msgspec.Meta(ge=0, le=1e202)]
    logs: _Number | None
    logits: _Number | None

    def with_more(self, other: "Filling") -> "Filling":
        return Filling(
            self.start_ms,
            min(self.events + other.events, 1e101),
            min(max(self.total + other.total, -1e101), 1e101),
            min(self.squares + other.squares, 1e202),
            _added(self.logs, other.logs),
            _added(self.logits, other.logits),
        )

    def block(self, bucket_ms: int) -> bytes:
        logs, logits = (math.nan if one is None else one for one in (self.logs, self.logits))
        return packed.made(self.start_ms // bucket_ms, self.events, (self.total, self.squares, logs, logits))


class Drift(msgspec.Struct, frozen=True, array_like=True):
    """A drift that is going on: which aspect, since which bucket, from what, and how rare chance makes it."""

    aspect: Annotated[int, msgspec.Meta(ge=0, lt=len(ASPECTS))]
    since: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    usual: _Number
    size: _Positive
    usual_mean: _Number
    chance_days: Annotated[float, msgspec.Meta(ge=0, le=MOST_CHANCE_DAYS)]

    def change(self, level: float) -> Change:
        return Change(ASPECTS[self.aspect], self.since, self.usual, self.size, level)


class State(LearnedState, frozen=True, kw_only=True):
    """What is vouched for by a checksum: the ``newest`` blocks, ``fit`` that makes their views comparable, learned
    ``fit_age`` blocks ago, the stakes, and what is asked of the time of day (``now``).

    The blocks before, of which ``skipped`` are too old, have ``settled`` (`Record`); ``rhythm`` is the rest of what the
    time of day tells (`SameTime`). Version 2 had all blocks as ``rows`` and both parts of the rhythm as ``same_time``.
    """

    version: Literal[2, 3] = 3
    settled: Packed = Packed()
    newest: bytes = b""
    skipped: Annotated[int, msgspec.Meta(ge=0)] = 0
    filling: Filling | None = None
    fit: bytes = b""
    fit_age: Annotated[int, msgspec.Meta(ge=0)] = 0
    stakes: bytes = b""
    drift: Drift | None = None
    rhythm: Packed = Packed()
    now: bytes = b""
    checksum: int = 0

    rows: bytes = b""
    same_time: bytes = b""

    def check(self) -> None:
        parts = (self.rows, self.fit, self.stakes, self.same_time, self.newest, self.now)
        if self.checksum != zlib.crc32(b"".join(parts)):
            raise ValueError("damaged blocks")
        Record.check(packed.LAYOUT.itemsize, self.settled, self.newest, self.skipped)


@dataclass(slots=True)
class Watch:
    """A series while its fresh buckets are judged; the state is what is kept of it in between."""

    record: Record
    filling: Filling | None
    fit: bytes
    fit_age: int
    stakes: bytes
    drift: Drift | None
    same_time: SameTime

    @classmethod
    def of(cls, state: State) -> "Watch":
        settled = Packed(state.rows) if state.rows else state.settled
        if state.same_time:
            same_time = SameTime.of_row(len(packed.VIEWS), state.same_time)
        else:
            same_time = SameTime(len(packed.VIEWS), state.rhythm, state.now)
        return cls(
            record=Record(packed.LAYOUT.itemsize, settled, state.newest, state.skipped),
            filling=state.filling,
            fit=state.fit,
            fit_age=state.fit_age,
            stakes=state.stakes or NO_BETS,
            drift=state.drift,
            same_time=same_time,
        )

    def state(self, query: str, judged_ms: int) -> State:
        settled, newest, skipped = self.record.kept()
        rhythm, now = self.same_time.kept()
        return State(
            query=query,
            judged_ms=judged_ms,
            settled=settled,
            newest=newest,
            skipped=skipped,
            filling=self.filling,
            fit=self.fit,
            fit_age=self.fit_age,
            stakes=self.stakes,
            drift=self.drift,
            rhythm=rhythm,
            now=now,
            checksum=zlib.crc32(b"".join((self.fit, self.stakes, newest, now))),
        )

    @property
    def blocks(self) -> Blocks:
        return packed.of(self.record.rows)

    def append(self, block: bytes, *, odd: bool = False) -> None:
        self.record.append(packed.marked(packed.of(block), odd=True).tobytes() if odd else block)

    def timeless(self, blocks: Blocks, bucket_ms: int, like: int | None = None) -> Blocks:
        """Without what the time of day adds, where it is known to; ``like`` all were at the time of this bucket."""
        if not self.same_time.proven:
            return blocks
        added = self.same_time.offsets(blocks["bucket"].astype(np.int64) * bucket_ms)
        if like is not None:
            added -= self.same_time.offsets(np.array([like * bucket_ms]))
        return packed.lowered(blocks, added)

    def forget(self, until: int) -> None:
        """The blocks that began in this bucket or before it."""
        rows, size = self.record.rows, packed.LAYOUT.itemsize
        old = 0
        while old * size < len(rows) and _BUCKET.unpack_from(rows, old * size)[0] <= until:
            old += 1
        if old:
            self.record.forget(old)

    def restart(self, since: int) -> None:
        """Only the blocks from this bucket on are usual, whether they were before or not."""
        blocks = self.blocks
        self.record.replace(packed.marked(blocks[blocks["bucket"] >= since], odd=False).tobytes())
        self.fit, self.fit_age = b"", 0
        self.stakes = NO_BETS
        self.drift = None


def _added(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else min(max(one + other, -1e101), 1e101)
