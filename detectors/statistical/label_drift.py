"""`label_drift`: a model answers other labels than it usually does."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

import msgspec
from pydantic import Field

from detectors.base import ConditionParameter, Progress
from detectors.condition import Not, all_of, equals
from detectors.duration import DAY_MS
from detectors.evidence import against_the_past
from detectors.finding import Detection, Evidence, Expected, Finding, Memory, Reason
from detectors.frame import Counts, Frame, Interval, Key, Series
from detectors.memory import recall, remember
from detectors.parameters import MAX_SCORE, Span
from detectors.query import Measure, Query, Tally
from detectors.statistical.label_blocks import Block, Blocks, Case, teach
from detectors.statistical.label_memory import LONGEST_LABEL, MOST_LABELS, Alarm, Novel, State, Watch, hashed
from detectors.statistical.label_rhythm import CELLS, Odd, cell, odd, roots, spread, wandered
from detectors.statistical.learning import SETTLE_MS, Learning, judged_in_step
from detectors.stats import same_time
from detectors.stats.label_slots import WINNING
from detectors.stats.labels import EXCESS_SHARE
from detectors.stats.rhythm import SLOT_MS
from detectors.stats.robust import change_start
from detectors.stats.same_time import SameTime
from detectors.stats.series import bucket_end_ms
from recognizer.reasons import EventType

_LEAST_REFERENCE = 20
_MOST_NOVEL = 8
_NOVEL_FOR_MS = 3_600_000
_MOST_DAYS = 1e6


class LabelDrift(Learning):
    """The labels in ``field`` are no longer mixed as they usually are.

    Three things are told apart: one label is stuck (it comes more often by ``min_share`` of all answers or more), the
    mix has moved (by an effect size, Cohen's w, of ``min_change`` or more), a label has come that never came before (so
    often that the Good-Turing mass of labels not seen yet does not explain it; told once per label). Each rests on bets
    whose mean time to a false alarm is the promised one (`detectors.stats.labels`).
    """

    kind: ClassVar[str] = "label_drift"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.LABEL_DRIFT, Reason.LABEL_STUCK, Reason.LABEL_UNSEEN})

    where: ConditionParameter = Field(
        default=equals("event_type", EventType.INFERENCE_COMPLETE.value), description="the events that carry a label"
    )
    group_by: tuple[str, ...] = Field(
        default=("model_name",), description="one series per combination of these fields' values"
    )
    history: Span = Field(default=43_200_000, description="a series that is silent for longer is forgotten")
    field: str = Field(default="top1_label", min_length=1, description="the label")
    top: int = Field(default=200, ge=2, le=1_000, description="so many labels a bucket are told apart")
    at_least_events: int = Field(default=50, ge=10, description="buckets with fewer labels are taken together")
    min_change: float = Field(default=0.25, gt=0, lt=10, description="smaller changes of the mix are not reported")
    min_share: float = Field(default=0.05, gt=0, lt=1, description="a label that gains less is not reported as stuck")

    def query(self) -> Query:
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(Measure("count", field=self.field), Tally("labels", self.field, self.top)),
            bucket_ms=self.bucket,
            settle_ms=SETTLE_MS,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        return self.learn_together(self.query(), frame, memory, State, self._judge_all)

    def progress(self, memory: Memory) -> Progress:
        state = recall(memory, State)
        needed = self._learning_blocks + _LEAST_REFERENCE
        seen = 0 if state is None else state.blocks
        return self.progress_at(seen, needed, alarmed=state is not None and state.alarm is not None, unit="blocks")

    def rebase(self, memory: Memory, at_ms: int) -> Memory:
        """A planned change: the mix is learned anew; labels that were ever seen stay known."""
        state = recall(memory, State)
        if state is None:
            return memory
        watch = Watch.of(state)
        watch.restart()
        watch.same_time = SameTime(CELLS)
        watch.restless.follow()
        if watch.filling_ms is not None and watch.filling_ms < at_ms:
            watch.filling, watch.filling_ms, watch.filling_others = {}, None, 0.0
        return remember(watch.state(state.query, state.judged_ms))

    def accept(self, memory: Memory) -> Memory:
        """The change that is going on was normal: the mix is learned anew."""
        state = recall(memory, State)
        return memory if state is None or state.alarm is None else self.rebase(memory, 0)

    @property
    def _learning_blocks(self) -> int:
        return math.ceil(self.min_history / self.bucket)

    def _judge_all(self, frame: Frame, cases: Sequence[tuple[Series, State]]) -> list[tuple[State, list[Finding]]]:
        return judged_in_step(frame, cases, Watch.of, self._filled, self._found)

    def _found(
        self, watched: Sequence[tuple[Key, Watch]], come: Mapping[int, Block | Interval]
    ) -> Iterator[tuple[int, Finding]]:
        full = {number: (watched[number][1], block) for number, block in come.items() if isinstance(block, Block)}
        for number, alarm in self._judge(full):
            yield number, self._finding(watched[number][0], alarm, full[number][1].interval)
        for number, so_far in come.items():
            key, watch = watched[number]
            if isinstance(so_far, Interval) and watch.alarm is not None:
                yield number, self._finding(key, watch.alarm, so_far)

    def _filled(self, frame: Frame, series: Series, judged_ms: int, watch: Watch) -> Iterator[Block | Interval]:
        """The blocks that fresh buckets have filled. While something goes on, the interval of one that is not full yet
        as well: that takes longer in a quiet series than an alert is kept firing, and it must not flap meanwhile."""
        for start_ms, counts in _fresh(frame, series, judged_ms):
            begin_ms = self._collect(watch, start_ms, counts)
            amounts, others = watch.filling, watch.filling_others
            interval, total = Interval(begin_ms, bucket_end_ms(frame, start_ms)), sum(amounts.values()) + others
            if amounts and total >= self.at_least_events:
                watch.filling, watch.filling_ms, watch.filling_others = {}, None, 0.0
                yield Block(interval, amounts, others, total, counts)
            elif watch.alarm is not None:
                yield interval

    def _collect(self, watch: Watch, start_ms: int, counts: Counts) -> int:
        """Add a bucket to the block that is filling; when that began."""
        if watch.filling_ms is None:
            watch.filling_ms = start_ms
        watch.filling_others += counts.others
        filling, known = watch.filling, watch.excess.slots.known
        for label, count in counts.counts:
            name = hashed(label)
            if name in filling:
                filling[name] += count
                continue
            new = name not in known and watch.notice(name)
            if len(filling) < MOST_LABELS:
                filling[name] = float(count)
            else:
                watch.filling_others += count
            if new and self._learned(watch) and len(watch.novel) < _MOST_NOVEL:
                watch.novel.append(Novel(label[:LONGEST_LABEL], name, start_ms, 0.0, 0.0, watch.unseen or 1.0))
        return watch.filling_ms

    def _learned(self, watch: Watch) -> bool:
        return watch.blocks >= self._learning_blocks + _LEAST_REFERENCE

    def _judge(self, cases: Mapping[int, Case]) -> Iterator[tuple[int, Alarm]]:
        """One more block of each series; what is to be told about it."""
        if not cases:
            return
        self._observe(list(cases.values()))
        learning, referring = self._learning_blocks, self._learning_blocks + _LEAST_REFERENCE
        alarmed, referred, judged = dict[int, Case](), dict[int, Case](), dict[int, Case]()
        for number, (watch, block) in cases.items():
            if watch.blocks < learning:
                self._learn(watch, block)
            elif watch.alarm is not None:
                alarmed[number] = watch, block
            else:
                (judged if watch.blocks >= referring else referred)[number] = watch, block
        if alarmed:
            yield from self._followed_all(alarmed)
        if referred:
            self._refer(list(referred.values()))
        if judged:
            yield from self._judged(judged)

    def _observe(self, cases: Sequence[Case]) -> None:
        """What the time of day tells of these blocks, and how far they wander."""
        mixes = roots([(block.amounts, block.total) for _, block in cases])
        learns = [watch.alarm is None or not watch.same_time.proven for watch, _ in cases]
        spreads = spread([(watch.spread, watch.same_time, block.total) for watch, block in cases], mixes)
        seen: list[same_time.Block] = []
        for (watch, block), mix, taught, wide in zip(cases, mixes.tolist(), learns, spreads, strict=True):
            begin_ms = block.interval.start_ms
            watch.spread = wide if taught else watch.spread
            watch.restless.observe(watch.same_time, begin_ms // SLOT_MS)
            seen.append((watch.same_time, begin_ms, mix, taught))
        same_time.observe(seen)

    def _learn(self, watch: Watch, block: Block) -> None:
        watch.blocks += 1
        teach(watch, block.amounts, block.others)
        if watch.blocks == self._learning_blocks:
            watch.excess.weigh()

    def _followed_all(self, cases: Mapping[int, Case]) -> Iterator[tuple[int, Alarm]]:
        for (number, (watch, block)), effect in zip(cases.items(), Blocks(list(cases.values())).effects, strict=True):
            alarm = None if watch.alarm is None else self._followed(watch, watch.alarm, block, effect)
            if alarm is not None:
                yield number, alarm

    def _refer(self, cases: Sequence[Case]) -> None:
        """Blocks that are compared with later ones."""
        blocks = Blocks(cases)
        for (watch, block), effect in zip(cases, blocks.effects, strict=True):
            self._noted(watch, block, effect, watch.excess.time)
        blocks.refer()

    def _judged(self, cases: Mapping[int, Case]) -> Iterator[tuple[int, Alarm]]:
        blocks = Blocks(list(cases.values()))
        times = [watch.excess.time for watch, _ in cases.values()]
        evidence = blocks.bet()
        for place, (number, (watch, block)) in enumerate(cases.items()):
            unseen = self._noted(watch, block, blocks.effects[place], times[place])
            watch.alarm = self._alarm(watch, block, evidence[place], partial(blocks.usual, place))
            alarm = watch.alarm or unseen
            if alarm is not None:
                yield number, alarm

    def _noted(self, watch: Watch, block: Block, effect: float, time: float) -> Alarm | None:
        """What is kept of a block whether it is bet on or not; a label that was never seen before."""
        unseen = self._novelty(watch, block)
        watch.unseen = watch.usual_mix.unseen
        watch.recently(block.interval.start_ms, effect, time)
        return unseen

    def _alarm(self, watch: Watch, block: Block, of_blocks: float, usual: Callable[[str], float]) -> Alarm | None:
        """What the bets have won by now, if it is enough and large enough to be told."""
        departure = odd(watch.same_time, block.total / watch.spread)
        if departure is not None:
            return self._odd(departure, _names(block.newest), block)
        excess = watch.excess
        steps = max(excess.time / max(watch.blocks - self._learning_blocks - _LEAST_REFERENCE, 1), 1.0)
        single = EXCESS_SHARE * excess.evidence / steps
        evidence = single + of_blocks
        if evidence * self.bucket < self.false_alarms.every_ms:
            return None
        names = _names(block.newest)
        beyond = wandered(watch.restless, watch.same_time, block.total / watch.spread, self.min_change)
        if beyond is not None:
            told = (self._odd(one, names, block) for one in beyond)
            return next((alarm for alarm in told if alarm is not None), None)
        days = min(evidence * self.bucket / DAY_MS, _MOST_DAYS)
        starts_ms, effects, times = watch.newest.T
        best = max(names, key=lambda name: (excess.won(name), name), default=None)
        if best is not None and EXCESS_SHARE * excess.won(best) / steps * self.bucket >= self.false_alarms.every_ms / 2:
            share, before = block.amounts.get(best, 0.0) / block.total, usual(best)
            if share - before >= self.min_share:
                since = next((place for place, time in enumerate(times) if time >= excess.slots[best][WINNING] - 1), -1)
                took = len(times[since:])
                return Alarm(Reason.LABEL_STUCK, names[best], best, int(starts_ms[since]), before, share, days, took)
        begin = change_start(effects - self.min_change**2 / 2)
        level = math.sqrt(max(float(effects[begin:].mean()), 0.0))
        if level < self.min_change:
            return None
        took = len(times[begin:])
        return Alarm(Reason.LABEL_DRIFT, None, None, int(starts_ms[begin]), 0.0, level, days, took)

    def _odd(self, departure: Odd, names: Mapping[str, str], block: Block) -> Alarm | None:
        """What is to be told where the mix follows the time of day: bets against one usual mix are blunt there."""
        days = self.false_alarms.every_ms / DAY_MS
        gaining = [name for name in names if departure.gains[cell(name)] >= self.min_share]
        best = max(gaining, key=lambda name: (block.amounts.get(name, 0.0), name), default=None)
        if best is not None:
            share = block.amounts.get(best, 0.0) / block.total
            before = max(share - departure.gains[cell(best)], 0.0)
            if share - before >= self.min_share:
                return Alarm(Reason.LABEL_STUCK, names[best], best, departure.since_ms, before, share, days)
        if departure.effect < self.min_change**2:
            return None
        level = math.sqrt(departure.effect)
        return Alarm(Reason.LABEL_DRIFT, None, None, departure.since_ms, 0.0, level, days)

    def _novelty(self, watch: Watch, block: Block) -> Alarm | None:
        """The first label that came too often for one that was merely not seen yet.

        If all of the unseen mass u lay on it, its count among n labels would be Poisson with mean n·u.
        """
        watch.novel = [
            msgspec.structs.replace(
                one, count=one.count + block.amounts.get(one.name, 0.0), among=one.among + block.total
            )
            for one in watch.novel
            if block.interval.end_ms - one.since_ms <= _NOVEL_FOR_MS
        ]
        for one in watch.novel:
            chance = _poisson_tail(one.among * one.unseen, one.count)
            if chance * self.false_alarms.every_ms <= self.bucket:
                watch.novel = [other for other in watch.novel if other is not one]
                days = min(self.bucket / DAY_MS / max(chance, 1e-12), _MOST_DAYS)
                return Alarm(Reason.LABEL_UNSEEN, one.label, one.name, one.since_ms, 0.0, one.count, days)
        return None

    def _followed(self, watch: Watch, alarm: Alarm, block: Block, effect: float) -> Alarm | None:
        """One more block while a change is going on: it lasts, it is over, or it has become usual."""
        shown, least = effect, (self.min_change / 2) ** 2
        if alarm.reason is Reason.LABEL_STUCK:
            shown, least = block.amounts.get(alarm.name or "", 0.0) / block.total - alarm.usual, self.min_share / 2
        after = alarm.followed(shown, least)
        if after is None:
            watch.calm()
            watch.restless.follow()
            return None
        if block.interval.end_ms - alarm.since_ms >= self.adapt_after:
            watch.restart()
            watch.restless.follow()
            return None
        watch.alarm = after
        return watch.alarm

    def _finding(self, key: Key, alarm: Alarm, block: Interval) -> Finding:
        least = {Reason.LABEL_STUCK: self.min_share, Reason.LABEL_DRIFT: self.min_change}.get(alarm.reason, 2.0) / 2
        since_ms = min(alarm.since_ms, block.start_ms)
        return Finding(
            key=key,
            at_ms=block.end_ms,
            since_ms=since_ms,
            reason=alarm.reason,
            observed=alarm.level,
            expected=Expected(high=0.0 if alarm.reason is Reason.LABEL_UNSEEN else alarm.usual + least),
            unit={Reason.LABEL_STUCK: "ratio", Reason.LABEL_UNSEEN: "events"}.get(alarm.reason, "effect size"),
            score=min(max((alarm.level - alarm.usual) / least, 1.0), MAX_SCORE),
            chance_days=alarm.chance_days,
            evidence=self._evidence(alarm, Interval(since_ms, block.end_ms)),
            details={"field": self.field, "label": alarm.label, "usual": alarm.usual},
        )

    def _evidence(self, alarm: Alarm, window: Interval) -> Evidence:
        """The events with the label against the others; a moved mix against what came before."""
        if alarm.label is None:
            return against_the_past(self.where, window)
        labelled = equals(self.field, alarm.label)
        return Evidence(window, all_of(self.where, labelled), all_of(self.where, Not(labelled)))


def _names(counts: Counts) -> dict[str, str]:
    """The labels by the names they have in the bets."""
    return {hashed(label): label[:LONGEST_LABEL] for label, _ in counts.counts}


def _poisson_tail(mean: float, count: float) -> float:
    """An upper bound on the chance of ``count`` or more (Chernoff)."""
    if count <= mean:
        return 1.0
    return math.exp(count - mean - count * math.log(count / mean))


def _fresh(frame: Frame, series: Series, judged_ms: int) -> Iterator[tuple[int, Counts]]:
    """The buckets that have not been judged and hold labels."""
    first_ms = max(frame.fresh_from_ms, judged_ms)
    for start_ms, counts in zip(series.bucket_start_ms, series.values["labels"], strict=True):
        if (
            first_ms <= start_ms < frame.interval.end_ms
            and isinstance(counts, Counts)
            and (counts.counts or counts.others)
        ):
            yield start_ms, counts
