"""What `confidence_drift` remembers of a series, and the same while it is judged."""

import math
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
import numpy as np

from detectors.statistical.learning import LearnedState
from detectors.stats import blocks as packed
from detectors.stats.blocks import Blocks
from detectors.stats.edetector import NO_STAKES, KeptStakes, Stakes
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
    """``rows`` are the blocks, packed; ``fit`` makes their views comparable, and was learned ``fit_age`` blocks ago."""

    rows: bytes = b""
    filling: Filling | None = None
    fit: tuple[tuple[float | None, float | None, float | None], ...] = ()
    fit_age: Annotated[int, msgspec.Meta(ge=0)] = 0
    stakes: tuple[KeptStakes, ...] = ()
    drift: Drift | None = None

    def __post_init__(self) -> None:
        packed.unpacked(self.rows)
        if len(self.fit) not in {0, len(packed.VIEWS)} or len(self.stakes) not in {0, len(packed.VIEWS)}:
            raise ValueError("a view is missing")
        if self.fit and not self.rows:
            raise ValueError("a fit without blocks")
        known = [number for row in self.fit for number in row if number is not None]
        if any(not abs(number) < 1e70 for number in known):  # NaN too
            raise ValueError("a fit out of range")


@dataclass
class Watch:
    """A series while its fresh buckets are judged; the state is what is kept of it in between."""

    blocks: Blocks
    filling: Filling | None
    fit: Floats | None
    fit_age: int
    stakes: list[Stakes] = field(default_factory=lambda: [NO_STAKES] * len(packed.VIEWS))
    drift: Drift | None = None

    @classmethod
    def of(cls, state: State) -> "Watch":
        fit = np.array(state.fit, dtype=np.float64) if state.fit else None
        stakes = list(state.stakes) or [NO_STAKES] * len(packed.VIEWS)
        return cls(np.frombuffer(state.rows, packed.LAYOUT), state.filling, fit, state.fit_age, stakes, state.drift)

    def state(self, query: str, judged_ms: int) -> State:
        rows = [] if self.fit is None else self.fit.tolist()
        fit = tuple((_or_none(a), _or_none(b), _or_none(c)) for a, b, c in rows)
        return State(
            version=1,
            query=query,
            judged_ms=judged_ms,
            rows=self.blocks.tobytes(),
            filling=self.filling,
            fit=fit,
            fit_age=self.fit_age,
            stakes=tuple(self.stakes),
            drift=self.drift,
        )

    def append(self, block: Blocks, *, odd: bool = False) -> None:
        self.blocks = packed.joined(self.blocks, packed.marked(block, odd=odd))

    def forget(self, until: int) -> None:
        """The blocks that began in this bucket or before it."""
        self.blocks = self.blocks[np.searchsorted(self.blocks["bucket"], until, side="right") :]

    def restart(self, since: int) -> None:
        """Only the blocks from this bucket on are usual, whether they were before or not."""
        self.blocks = packed.marked(self.blocks[self.blocks["bucket"] >= since], odd=False)
        self.fit, self.fit_age = None, 0
        self.stakes = [NO_STAKES] * len(packed.VIEWS)
        self.drift = None


def _added(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else min(max(one + other, -1e101), 1e101)


def _or_none(number: float) -> float | None:
    return number if math.isfinite(number) else None
