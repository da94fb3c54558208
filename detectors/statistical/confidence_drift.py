"""`confidence_drift`: the scores of a model are no longer what they usually are."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from operator import mul
from typing import ClassVar

import numpy as np
from pydantic import Field

from detectors.base import ConditionParameter, Progress
from detectors.condition import equals
from detectors.duration import DAY_MS
from detectors.evidence import beyond
from detectors.finding import Detection, Evidence, Expected, Finding, Memory, Reason
from detectors.frame import Bins, Frame, Interval, Key, Series, Value
from detectors.memory import recall, remember
from detectors.parameters import MAX_SCORE, Direction, Span
from detectors.query import Histogram, Measure, Query, Statistic
from detectors.statistical.confidence_memory import MOST_CHANCE_DAYS, NO_BETS, Drift, Filling, State, Watch
from detectors.statistical.learning import MOST_BUCKETS, SETTLE_MS, Learning, judged_in_step
from detectors.stats import blocks as packed
from detectors.stats import same_time, wander
from detectors.stats.blocks import Blocks
from detectors.stats.edetector import bets, evidences
from detectors.stats.same_time import SameTime
from detectors.stats.scores import EDGES, LOGITS, LOGS, WEIGHTS
from detectors.stats.series import LARGEST, Floats, bucket_end_ms
from detectors.stats.wander import ASPECTS, Aspect, Change, Way
from detectors.units import unit_of
from recognizer.reasons import EventType

_SPREAD_WEIGHT = 0.25
_VIEW_WEIGHTS = (*((1 - _SPREAD_WEIGHT) * weight for weight in WEIGHTS), _SPREAD_WEIGHT)
_LEAST_BLOCKS = 10
_REFIT_BLOCKS = 60

Bucket = tuple[int, bytes | None]
"""When a bucket ended, and the block that it has filled."""


class ConfidenceDrift(Learning):
    """The scores in ``field`` sink, sharpen or widen: they are no longer what they usually are.

    Per bucket the mean, the mean logarithm and logit, and the spread of the scores are ranked among those of the past
    ``history``, and bets on their ranks are judged by a sequential test whose mean time to a false alarm is the
    promised one, whatever law the scores follow, as long as buckets are exchangeable (`detectors.stats.edetector`).
    Of what it finds only changes of ``min_change`` (of the mean) or ``min_spread_change`` (of the doubt 1 - score or of
    the spread) are reported, so that slow harmless wander is not. The alert ends when half of that change is gone.
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
    direction: Direction = Field(
        default=Direction.BOTH,
        description="which way a drift is reported: down (sinks, widens), up (sharpens) or both",
    )
    min_change: float = Field(
        default=0.05, gt=0, lt=1, description="smaller relative changes of the mean are not reported"
    )
    min_spread_change: float = Field(
        default=0.25, gt=0, lt=10, description="smaller relative changes of the doubt or of the spread are not reported"
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
                Histogram("scores", self.field, EDGES),
            ),
            bucket_ms=self.bucket,
            settle_ms=SETTLE_MS,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        return self.learn_together(self.query(), frame, memory, State, self._judge_all)

    def progress(self, memory: Memory) -> Progress:
        state = recall(memory, State)
        needed = math.ceil(self.min_history / self.bucket) + 1
        watch = None if state is None else Watch.of(state)
        seen = 0 if watch is None else len(packed.usual(watch.blocks))
        return self.progress_at(seen, needed, alarmed=watch is not None and watch.drift is not None, unit="blocks")

    def rebase(self, memory: Memory, at_ms: int) -> Memory:
        """A planned change: only what came after it says what is usual."""
        state = recall(memory, State)
        if state is None:
            return memory
        watch = Watch.of(state)
        watch.same_time = SameTime(len(packed.VIEWS))
        watch.restart(-(-at_ms // self.bucket))
        if watch.filling is not None and watch.filling.start_ms < at_ms:
            watch.filling = None
        return remember(watch.state(state.query, state.judged_ms))

    def accept(self, memory: Memory) -> Memory:
        """The drift that is going on was normal: its blocks say what is usual, and no others."""
        state = recall(memory, State)
        if state is None or state.drift is None:
            return memory
        watch = Watch.of(state)
        watch.restart(state.drift.since)
        return remember(watch.state(state.query, state.judged_ms))

    def _judge_all(self, frame: Frame, cases: Sequence[tuple[Series, State]]) -> list[tuple[State, list[Finding]]]:
        return judged_in_step(frame, cases, Watch.of, self._filled, self._found)

    def _found(self, watched: Sequence[tuple[Key, Watch]], come: Mapping[int, Bucket]) -> Iterator[tuple[int, Finding]]:
        full = {number: (watched[number][1], block) for number, (_, block) in come.items() if block is not None}
        for number, now in (*self._judge(full), *self._so_far(watched, come)):
            key, watch = watched[number]
            if watch.drift is not None:
                yield number, self._finding(key, come[number][0], watch.drift, now)

    def _filled(self, frame: Frame, series: Series, judged_ms: int, watch: Watch) -> Iterator[Bucket]:
        """When buckets ended, and the block that one has filled; what is too old is forgotten before each."""
        history_ms = self.history_ms
        for bucket in _fresh(frame, series, judged_ms):
            filling = bucket if watch.filling is None else watch.filling.with_more(bucket)
            watch.filling = filling if filling.events < self.at_least_events else None
            if watch.filling is None:
                watch.forget(max(filling.start_ms - history_ms, 0) // self.bucket)
                yield bucket_end_ms(frame, bucket.start_ms), filling.block(self.bucket)
            elif watch.drift is not None:
                yield bucket_end_ms(frame, bucket.start_ms), None

    def _so_far(self, watched: Sequence[tuple[Key, Watch]], come: Mapping[int, Bucket]) -> Iterator[tuple[int, Change]]:
        """What goes on where a block is not full yet: that takes longer than an alert is kept firing in a quiet series,
        and it must not flap meanwhile."""
        for number, (_, block) in come.items():
            watch = watched[number][1]
            if block is None and watch.drift is not None:
                yield number, self._held(watch, watch.drift, watch.blocks)

    def _judge(self, cases: Mapping[int, tuple[Watch, bytes]]) -> Iterator[tuple[int, Change]]:
        """One more block of each series; the changes that are to be reported."""
        calm: dict[int, tuple[Watch, Blocks]] = {}
        same_time.observe([self._at_its_time(*case) for case in cases.values()])
        for number, (watch, block) in cases.items():
            if watch.drift is not None:
                now = self._followed(watch, watch.drift, block)
                if now is not None:
                    yield number, now
                continue
            watch.append(block)
            known = packed.usual(watch.blocks)
            if (len(known) - 1) * self.bucket >= self.min_history:
                calm[number] = watch, known
        timeless = [(watch, watch.timeless(known, self.bucket)) for watch, known in calm.values()]
        for number, found in zip(calm, self._bet(timeless), strict=True):
            now = self._changed(*calm[number], found)
            if now is not None:
                yield number, now

    def _at_its_time(self, watch: Watch, block: bytes) -> same_time.Block:
        bucket, views = packed.viewed(block)
        learns = watch.drift is None or not watch.same_time.wholly_proven
        return watch.same_time, bucket * self.bucket, views, learns

    def _changed(self, watch: Watch, known: Blocks, found: float) -> Change | None:
        """The change that bets have ``found``, if it is to be reported."""
        if found * self.bucket < self.false_alarms.every_ms:
            return None
        now = watch.timeless(known, self.bucket, like=int(known["bucket"][-1]))
        for number, aspect in enumerate(ASPECTS):
            change = wander.change(now, aspect, self._least(aspect))
            if change is not None and aspect.way in self._ways:
                then = watch.timeless(known, self.bucket, like=change.since)
                change = wander.change(then, aspect, self._least(aspect)) or change
                watch.stakes = NO_BETS
                self._begin(watch, number, change, found)
                return change
            if change is not None and aspect.way is Way.WIDENS:
                return None  # less doubt would be told as sharpening, and is none
        return None

    def _bet(self, cases: Sequence[tuple[Watch, Blocks]]) -> list[float]:
        """Bet on the newest block of each; the evidence of a drift in number of blocks to a false alarm."""
        if not cases:
            return []
        for watch, known in cases:
            if not watch.fit or watch.fit_age >= _REFIT_BLOCKS:
                watch.fit, watch.fit_age = packed.fitted(known[:-1]), 0
            watch.fit_age += 1
        fits = _table([watch.fit for watch, _ in cases])
        below, equal, total = packed.ranked([known for _, known in cases], fits)
        stakes = _table([watch.stakes for watch, _ in cases])
        there = np.isfinite(fits[:, :, 0])
        told = there & (total >= _LEAST_BLOCKS)
        stakes[told] = bets(stakes[told], below[told], equal[told], total[told])
        for (watch, _), after in zip(cases, stakes, strict=True):
            watch.stakes = after.tobytes()
        shares = self._shares[:, None] * there
        won, staked = _added(shares * evidences(stakes)), _added(shares)
        found: list[float] = np.divide(won, staked, out=np.zeros_like(won), where=staked > 0).tolist()
        return found

    @cached_property
    def _shares(self) -> Floats:
        """How much is bet on the fall and on the rise of each view; scores that spread are less sure."""
        sinks, sharpens = self.direction is not Direction.UP, self.direction is not Direction.DOWN
        ways = [(sharpens, sinks) if view == "spread" else (sinks, sharpens) for view in packed.VIEWS]
        shares: Floats = np.array(ways).T * np.array(_VIEW_WEIGHTS)
        return shares

    @property
    def _ways(self) -> frozenset[Way]:
        down, up = frozenset({Way.SINKS, Way.WIDENS}), frozenset({Way.SHARPENS})
        return {Direction.DOWN: down, Direction.UP: up, Direction.BOTH: down | up}[self.direction]

    def _least(self, aspect: Aspect) -> float:
        return self.min_change if aspect.measure is wander.Measure.MEAN else self.min_spread_change

    def _begin(self, watch: Watch, aspect: int, change: Change, found: float) -> None:
        blocks = watch.blocks
        before = blocks["bucket"] < change.since
        usual = blocks[before] if before.any() else blocks
        watch.record.replace(blocks[before].tobytes() + packed.marked(blocks[~before], odd=True).tobytes())
        chance_days = min(found * self.bucket / DAY_MS, MOST_CHANCE_DAYS)
        usual_mean = float(np.median(usual["mean"]))
        watch.drift = Drift(aspect, change.since, change.usual, change.size, usual_mean, chance_days)

    def _followed(self, watch: Watch, drift: Drift, block: bytes) -> Change | None:
        """One more block while a drift is going on: it lasts, it is over, or it has become usual."""
        aspect = ASPECTS[drift.aspect]
        now = self._held(watch, drift, packed.of(bytes(watch.record.rows) + block))
        if now.depth < self._least(aspect) / 2:
            watch.append(block)
            watch.drift = None
            return None
        if (packed.viewed(block)[0] + 1 - drift.since) * self.bucket >= self.adapt_after:
            watch.append(block)
            watch.restart(drift.since)
            return None
        watch.append(block, odd=True)
        return now

    def _held(self, watch: Watch, drift: Drift, blocks: Blocks) -> Change:
        """The change that the newest of these blocks still show."""
        newest = blocks[blocks["bucket"] >= drift.since][-wander.HELD_BLOCKS :]
        level = wander.level(watch.timeless(newest, self.bucket, like=drift.since), ASPECTS[drift.aspect].measure)
        return drift.change(drift.usual if level is None else level)

    def _finding(self, key: Key, at_ms: int, drift: Drift, now: Change) -> Finding:
        aspect, half = now.aspect, self._least(now.aspect) / 2
        edge = now.usual + aspect.sign * now.size * half
        since_ms = min(drift.since * self.bucket, at_ms)
        return Finding(
            key=key,
            at_ms=at_ms,
            since_ms=since_ms,
            reason=Reason.CONFIDENCE_DRIFT,
            observed=now.level,
            expected=Expected(high=edge) if aspect.sign > 0 else Expected(low=edge),
            unit=unit_of(self.field),
            score=min(max(now.depth / half, 1.0), MAX_SCORE),
            chance_days=drift.chance_days,
            evidence=self._evidence(drift, now, edge, Interval(since_ms, at_ms)),
            details={
                "field": self.field,
                "way": aspect.way.value,
                "measure": aspect.measure.value,
                "usual": now.usual,
                "change": (now.level - now.usual) / now.size,
            },
        )

    def _evidence(self, drift: Drift, now: Change, edge: float, window: Interval) -> Evidence:
        """The events on the side that has grown."""
        match now.aspect.measure:
            case wander.Measure.MEAN:
                return beyond(self.where, self.field, edge, window, high=now.aspect.way is Way.SHARPENS)
            case wander.Measure.DOUBT:
                return beyond(self.where, self.field, 1.0 - edge, window, high=True)
            case wander.Measure.SPREAD:
                return beyond(self.where, self.field, drift.usual_mean - edge, window, high=False)


def _table(rows: Sequence[bytes]) -> Floats:
    """Doubles of each series, by view."""
    return np.frombuffer(bytearray(b"".join(rows))).reshape(len(rows), len(packed.VIEWS), -1)


def _added(sides: Floats) -> Floats:
    """Over both sides and all views, in one order: numpy's own depends on how many series there are."""
    total: Floats = sum((sides[0] + sides[1]).T, start=np.zeros(sides.shape[1]))
    return total


def _fresh(frame: Frame, series: Series, judged_ms: int) -> Iterator[Filling]:
    """The buckets that have not been judged and whose values are known, each as a block of its own."""
    first_ms, end_ms = max(frame.fresh_from_ms, judged_ms), frame.interval.end_ms
    columns = [series.values[name] for name in ("count", "sum", "squares")]
    scores = series.values.get("scores")
    for place, start_ms in enumerate(series.bucket_start_ms):
        if first_ms <= start_ms < end_ms:
            count, total, squares = [_finite(column[place]) for column in columns]
            if count is not None and count >= 1 and total is not None and squares is not None:
                logs, logits = _logged(scores[place] if scores else None, count)
                yield Filling(start_ms, count, total, max(squares, 0.0), logs, logits)


def _finite(value: Value) -> float | None:
    """A number, limited so that sums of squares stay finite."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return min(max(float(value), -LARGEST), LARGEST)


def _logged(bins: Value, count: float) -> tuple[float | None, float | None]:
    """The sums of logarithms and logits of ``count`` scores with this histogram."""
    if not isinstance(bins, Bins) or not bins.counts:
        return None, None
    places, counts = zip(*bins.counts, strict=True)
    share = count / sum(counts)
    logs = math.fsum(map(mul, map(LOGS.__getitem__, places), counts))
    return logs * share, math.fsum(map(mul, map(LOGITS.__getitem__, places), counts)) * share
