"""`confidence_drift`: the scores of a model have left the level they usually have."""

import bisect
import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from pydantic import Field

from detectors.base import ConditionParameter
from detectors.condition import equals
from detectors.evidence import beyond
from detectors.finding import Detection, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, Series
from detectors.parameters import MAX_SCORE, Span
from detectors.query import Measure, Query, Statistic
from detectors.statistical.learning import MOST_BUCKETS, SETTLE_MS, LearnedState, Learning
from detectors.stats.edetector import Stakes, bet
from detectors.stats.level import WIDTHS, usual_levels
from detectors.stats.robust import change_start
from detectors.stats.series import Floats, bucket_end_ms, bucket_starts, counts_on_grid, first_fresh, on_grid
from detectors.units import unit_of
from recognizer.reasons import EventType

_RECENT_BLOCKS = 240
_HELD_BLOCKS = 3
_MOST_EVENTS = 10**9
_CLEAR = 4.0
_LEAST_SCALE = 0.005
_MAD_TO_SD = 1.4826
_TINY = 1e-12


def _size(usual: float) -> float:
    return max(abs(usual), _TINY)


class Direction(enum.StrEnum):
    """Which way a drift is reported."""

    DOWN = "down"
    UP = "up"
    BOTH = "both"


_Number = Annotated[float, msgspec.Meta(ge=-1e101, le=1e101)]


class Block(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One or more buckets with enough scores: where it starts, how many scores, their mean and variance."""

    start_ms: int
    events: Annotated[int, msgspec.Meta(ge=1)]
    mean: _Number
    variance: Annotated[float, msgspec.Meta(ge=0, le=1e202)]
    odd: bool = False
    """It belongs to a drift and does not say what is usual."""


class Drift(msgspec.Struct, frozen=True, array_like=True):
    """A drift that is going on: since when, from which usual mean, and which way."""

    since_ms: int
    usual: _Number
    falls: bool

    def depth(self, level: float) -> float:
        """How far ``level`` is from the usual mean in the drift's direction, as a share of that mean."""
        return (self.usual - level if self.falls else level - self.usual) / _size(self.usual)


class State(LearnedState, frozen=True, kw_only=True):
    """``filling`` is the block that has not enough scores yet; ``down`` and ``up`` the stakes on either way."""

    blocks: tuple[Block, ...] = ()
    filling: Block | None = None
    down: Stakes = Stakes()
    up: Stakes = Stakes()
    drift: Drift | None = None


class ConfidenceDrift(Learning):
    """The mean of ``field`` has drifted away from its usual level.

    The means of buckets are ranked among those of the past ``history`` and judged by a sequential test whose mean time
    to a false alarm is at least ``false_alarm_every``, whatever law the scores follow, as long as buckets are
    exchangeable (`detectors.stats.edetector`). Of what it finds only changes of ``min_change`` or more are reported, so
    that slow harmless wander is not. The alert ends when half of that change is gone.
    """

    kind: ClassVar[str] = "confidence_drift"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.CONFIDENCE_DRIFT})

    where: ConditionParameter = Field(
        default=equals("event_type", EventType.INFERENCE_COMPLETE.value), description="the events that carry a score"
    )
    group_by: tuple[str, ...] = Field(
        default=("model_name",), description="one series per combination of these fields' values"
    )
    history: Span = Field(
        default=43_200_000, description=f"how much of the past says what is usual; {MOST_BUCKETS:,} buckets at most"
    )
    field: str = Field(default="top1_score", min_length=1, description="the score")
    direction: Direction = Field(default=Direction.DOWN, description="which way a drift is reported: down, up or both")
    min_change: float = Field(default=0.05, gt=0, lt=1, description="smaller relative changes are not reported")
    false_alarm_every: Span = Field(
        default=7 * 86_400_000, description="mean time between false alarms that is tolerated, at least"
    )
    at_least_events: int = Field(default=10, ge=2, description="buckets with fewer scores are taken together")

    def query(self) -> Query:
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(
                Measure("count", field=self.field),
                Measure("sum", Statistic.SUM, self.field),
                Measure("squares", Statistic.SUM_OF_SQUARES, self.field),
            ),
            bucket_ms=self.bucket,
            settle_ms=SETTLE_MS,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        return self.learn(self.query(), frame, memory, State, self._judge_series)

    def _judge_series(self, frame: Frame, series: Series, state: State) -> tuple[State, list[Finding]]:
        findings: list[Finding] = []
        for bucket in _fresh(frame, series, state.judged_ms):
            block = bucket if state.filling is None else _merged(state.filling, bucket)
            if block.events < self.at_least_events:
                state = msgspec.structs.replace(state, filling=block)
                continue
            state = msgspec.structs.replace(self._trimmed(state, block), filling=None)
            state, level = self._judge(state, block)
            if level is not None and state.drift is not None:
                at_ms = bucket_end_ms(frame, bucket.start_ms)
                findings.append(self._finding(series.key, at_ms, state.drift, level))
        return msgspec.structs.replace(state, judged_ms=frame.interval.end_ms), findings

    def _trimmed(self, state: State, block: Block) -> State:
        oldest_ms = block.start_ms - self.history_ms
        first = bisect.bisect_right(state.blocks, oldest_ms, key=lambda old: old.start_ms)
        return msgspec.structs.replace(state, blocks=state.blocks[first:])

    def _judge(self, state: State, block: Block) -> tuple[State, float | None]:
        """The state with one more block, and the level that is to be reported."""
        if state.drift is not None:
            return self._followed(state, state.drift, block)
        usual = [old for old in state.blocks if not old.odd]
        learned = msgspec.structs.replace(state, blocks=(*state.blocks, block))
        if len(usual) * self.bucket < self.min_history:
            return learned, None
        return self._tested(learned, block, usual)

    def _tested(self, state: State, block: Block, usual: Sequence[Block]) -> tuple[State, float | None]:
        scores = _standardised([*usual, block])
        enough = self.false_alarm_every / self.bucket
        for falls in self._sides:
            side = scores if falls else -scores
            below, equal = int((side[:-1] < side[-1]).sum()), int((side[:-1] == side[-1]).sum())
            stakes = bet(state.down if falls else state.up, below, equal, len(usual))
            state = _with_stakes(state, stakes, falls=falls)
            if stakes.evidence / len(self._sides) < enough:
                continue
            state = _with_stakes(state, Stakes(), falls=falls)
            known = [old for old in state.blocks if not old.odd]
            drift, level = _estimated(known, falls=falls, least=self.min_change)
            if drift.depth(level) >= self.min_change and _stands_out(known, drift):
                return _begun(state, drift), level
        return state, None

    @property
    def _sides(self) -> tuple[bool, ...]:
        """The directions that are tested: True for a fall."""
        return {Direction.DOWN: (True,), Direction.UP: (False,), Direction.BOTH: (True, False)}[self.direction]

    def _followed(self, state: State, drift: Drift, block: Block) -> tuple[State, float | None]:
        """One more block while a drift is going on: it lasts, it is over, or it has become usual."""
        blocks = (*state.blocks, block)
        newest = [old for old in blocks if old.start_ms >= drift.since_ms][-_HELD_BLOCKS:]
        level = _mean(newest)
        if drift.depth(level) < self.min_change / 2:
            return msgspec.structs.replace(state, blocks=blocks, drift=None), None
        if block.start_ms + self.bucket - drift.since_ms >= self.adapt_after:
            new_usual = tuple(_marked(old, odd=False) for old in blocks if old.start_ms >= drift.since_ms)
            return msgspec.structs.replace(state, blocks=new_usual, drift=None), None
        return msgspec.structs.replace(state, blocks=(*state.blocks, _marked(block, odd=True))), level

    def _finding(self, key: Key, at_ms: int, drift: Drift, level: float) -> Finding:
        room = abs(drift.usual) * self.min_change / 2
        edge = drift.usual - room if drift.falls else drift.usual + room
        since_ms = min(drift.since_ms, at_ms)
        return Finding(
            key=key,
            at_ms=at_ms,
            since_ms=since_ms,
            reason=Reason.CONFIDENCE_DRIFT,
            observed=level,
            expected=Expected(low=edge) if drift.falls else Expected(high=edge),
            unit=unit_of(self.field),
            score=min(max(drift.depth(level) / (self.min_change / 2), 1.0), MAX_SCORE),
            evidence=beyond(self.where, self.field, edge, Interval(since_ms, at_ms), high=not drift.falls),
            details={"field": self.field, "usual": drift.usual, "change": (level - drift.usual) / _size(drift.usual)},
        )


def _standardised(blocks: Sequence[Block]) -> Floats:
    """The blocks' means, centred and divided by the deviation that their number of scores lets one expect.

    The variance of a mean is that of the scores over their number, plus what blocks vary by themselves. Blocks with
    few scores would otherwise always be the extreme ones.
    """
    means, events, variances = np.array([(block.mean, block.events, block.variance) for block in blocks]).T
    within = float(variances @ events / events.sum())
    centre = np.median(means)
    spread = _MAD_TO_SD * np.median(np.abs(means - centre))
    between = max(spread**2 - within * float(np.median(1.0 / events)), 0.0)
    deviation = np.sqrt(within / events + between)
    standardised: Floats = (means - centre) / np.where(deviation > 0, deviation, 1.0)
    return standardised


def _estimated(known: Sequence[Block], *, falls: bool, least: float) -> tuple[Drift, float]:
    """When a drift began, the usual mean before it and the mean since."""
    recent = known[-_RECENT_BLOCKS:]
    centre = float(np.median([block.mean for block in known]))
    room = abs(centre) * least / 2
    sign = -1.0 if falls else 1.0
    since = recent[change_start(np.array([(sign * (b.mean - centre) - room) * b.events for b in recent]))].start_ms
    before = [block.mean for block in known if block.start_ms < since]
    drift = Drift(since, float(np.median(before)) if before else centre, falls)
    return drift, _mean([block for block in recent if block.start_ms >= since])


def _stands_out(known: Sequence[Block], drift: Drift) -> bool:
    """Whether the newest blocks are further out than such stretches have been before.

    Blocks of a model that wanders by itself are not exchangeable, and the test takes a long wave for a change. What
    stretches of the same length used to do tells the two apart.
    """
    sign = -1.0 if drift.falls else 1.0
    before = [block for block in known if block.start_ms < drift.since_ms]
    changed = max(len(known) - len(before), WIDTHS[0])
    values = np.array([sign * block.mean for block in before])
    usual = usual_levels(
        values, np.array([block.events for block in before], dtype=float), _size(drift.usual) * _LEAST_SCALE
    )
    fitting = [one for one in usual if one.width <= changed]
    if not fitting:
        return False
    widest = fitting[-1]
    newest = known[-widest.width :]
    events = [block.events for block in newest]
    level = widest.level([sign * block.mean for block in newest], events)
    return level - widest.centre >= _CLEAR * widest.noise(sum(events))


def _begun(state: State, drift: Drift) -> State:
    """The state at the beginning of a drift: its blocks don't say what is usual."""
    blocks = tuple(_marked(block, odd=True) if block.start_ms >= drift.since_ms else block for block in state.blocks)
    return msgspec.structs.replace(state, blocks=blocks, drift=drift, down=Stakes(), up=Stakes())


def _with_stakes(state: State, stakes: Stakes, *, falls: bool) -> State:
    return msgspec.structs.replace(state, down=stakes) if falls else msgspec.structs.replace(state, up=stakes)


def _marked(block: Block, *, odd: bool) -> Block:
    return msgspec.structs.replace(block, odd=odd)


def _mean(blocks: Sequence[Block]) -> float:
    return math.fsum(block.mean * block.events for block in blocks) / sum(block.events for block in blocks)


def _merged(first: Block, second: Block) -> Block:
    events = first.events + second.events
    mean = _mean([first, second])
    squares = (first.variance + first.mean**2) * first.events + (second.variance + second.mean**2) * second.events
    return _block(first.start_ms, events, mean, squares / events)


def _block(start_ms: int, events: int, mean: float, mean_square: float) -> Block:
    """Rounded to six digits: a memory is small, and the same however often it was written and read."""
    return Block(start_ms, min(events, _MOST_EVENTS), _rounded(mean), _rounded(max(mean_square - mean**2, 0.0)))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _fresh(frame: Frame, series: Series, judged_ms: int) -> Iterator[Block]:
    """The buckets that have not been judged and whose values are known, each as a block of its own."""
    starts = bucket_starts(frame)
    counts = counts_on_grid(frame, series, "count", starts)
    sums, squares = (on_grid(frame, series, name, starts) for name in ("sum", "squares"))
    for index in range(first_fresh(frame, starts), len(starts)):
        known = counts[index] >= 1 and not np.isnan(sums[index]) and not np.isnan(squares[index])
        if known and starts[index] >= judged_ms:
            count = float(counts[index])
            yield _block(starts[index], int(min(count, _MOST_EVENTS)), sums[index] / count, squares[index] / count)
