"""What `confidence_drift` remembers of a series, and the same while it is judged."""

import math
import zlib
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np

from detectors.statistical.learning import LearnedState
from detectors.stats import blocks as packed
from detectors.stats.blocks import Blocks
from detectors.stats.edetector import NO_STAKES
from detectors.stats.same_time import SameTime
from detectors.stats.series import Floats
from detectors.stats.wander import ASPECTS, Change

MOST_CHANCE_DAYS = 1e6

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

    def block(self, bucket_ms: int) -> Blocks:
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
    """``rows`` are the blocks, ``fit`` makes their views comparable, and was learned ``fit_age`` blocks ago; these, the
    stakes and what the time of day tells are packed and vouched for by a checksum."""

    version: Literal[2] = 2
    rows: bytes = b""
    filling: Filling | None = None
    fit: bytes = b""
    fit_age: Annotated[int, msgspec.Meta(ge=0)] = 0
    stakes: bytes = b""
    drift: Drift | None = None
    same_time: bytes = b""
    checksum: int = 0

    def check(self) -> None:
        if self.checksum != _checksum(self.rows, self.fit, self.stakes, self.same_time):
            raise ValueError("damaged blocks")


@dataclass
class Watch:
    """A series while its fresh buckets are judged; the state is what is kept of it in between."""

    blocks: Blocks
    filling: Filling | None
    fit: Floats | None
    fit_age: int
    stakes: Floats
    drift: Drift | None
    same_time: SameTime

    @classmethod
    def of(cls, state: State) -> "Watch":
        fit = np.frombuffer(state.fit).reshape(len(packed.VIEWS), -1) if state.fit else None
        stakes = np.frombuffer(state.stakes).reshape(len(packed.VIEWS), -1) if state.stakes else no_stakes()
        blocks, same_time = np.frombuffer(state.rows, packed.LAYOUT), SameTime(len(packed.VIEWS), state.same_time)
        return cls(blocks, state.filling, fit, state.fit_age, stakes, state.drift, same_time)

    def state(self, query: str, judged_ms: int) -> State:
        rows, stakes = self.blocks.tobytes(), self.stakes.tobytes()
        fit, same_time = b"" if self.fit is None else self.fit.tobytes(), self.same_time.packed()
        return State(
            query=query,
            judged_ms=judged_ms,
            rows=rows,
            filling=self.filling,
            fit=fit,
            fit_age=self.fit_age,
            stakes=stakes,
            drift=self.drift,
            same_time=same_time,
            checksum=_checksum(rows, fit, stakes, same_time),
        )

    def append(self, block: Blocks, *, odd: bool = False) -> None:
        self.blocks = packed.joined(self.blocks, packed.marked(block, odd=True) if odd else block)

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
        self.blocks = self.blocks[self.blocks["bucket"].searchsorted(until, side="right") :]

    def restart(self, since: int) -> None:
        """Only the blocks from this bucket on are usual, whether they were before or not."""
        self.blocks = packed.marked(self.blocks[self.blocks["bucket"] >= since], odd=False)
        self.fit, self.fit_age = None, 0
        self.stakes = no_stakes()
        self.drift = None


def no_stakes() -> Floats:
    """One row per view."""
    return np.array([NO_STAKES] * len(packed.VIEWS))


def _added(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else min(max(one + other, -1e101), 1e101)


def _checksum(*parts: bytes) -> int:
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum
