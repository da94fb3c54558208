"""One tick: which buckets are due, what the store says about them, what the detectors and the lifecycle make of it.

Live run, catching up after a stop, backtest and rule tests all go through `tick`. It reads the store and nothing else;
what it returns is committed by its caller in one transaction.
"""

import bisect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from daemon.alerts.lifecycle import advance
from daemon.alerts.model import Alert, Transition
from daemon.baseline import Mark, rebased
from daemon.errors import StoreError, StoreUnavailable
from daemon.store.base import Ask
from detectors.base import Detector
from detectors.finding import Detection, Finding, Memory
from detectors.frame import Frame, Interval, Key
from detectors.query import Query
from rules.model import Rule

ALMOST = 0.9
"""A turn that comes this near to a rule's interval counts as in time: a schedule is never exact."""
STEP_BACK_MS = 60_000
"""A watermark this far ahead of what is known was set by a clock that has been set back since."""


class Source(Protocol):
    """What a tick needs of an event store: answers."""

    def ask(self, asks: Sequence[Ask]) -> tuple[Frame, ...]: ...


Detect: TypeAlias = Callable[[Detector, Frame, Mapping[Key, Memory]], Detection]


def detect(detector: Detector, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
    """What the detector itself makes of a frame."""
    return detector.detect(frame, memory)


@dataclass(frozen=True, slots=True)
class RuleState:
    """What is kept of a rule between ticks. ``judged_until_ms`` is its watermark; None before the first tick.

    ``marks`` are the ids of the planned changes with which its baselines have started anew.
    """

    judged_until_ms: int | None = None
    memory: Mapping[Key, Memory] = field(default_factory=dict)
    alerts: Mapping[Key, Alert] = field(default_factory=dict)
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The record of one rule's turn, shown by `wumu explain`. ``error`` is empty when it went well."""

    rule_id: str
    at_ms: int
    from_ms: int
    until_ms: int
    duration_ms: float = 0.0
    series: int = 0
    buckets: int = 0
    findings: int = 0
    complete: bool = True
    skipped_ms: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A rule's turn with everything that follows from it. On an error ``state`` is the old one.

    ``marks`` are the planned changes whose new baselines began with this turn. ``more`` says that it ended at the next
    one, and that there is more to judge behind it.
    """

    rule: Rule
    state: RuleState
    evaluation: Evaluation
    transitions: tuple[Transition, ...] = ()
    marks: tuple[Mark, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A rule whose next stretch of event time can be judged: [from_ms, until_ms), after ``marks`` were applied."""

    rule: Rule
    query: Query
    from_ms: int
    until_ms: int
    skipped_ms: int = 0
    marks: tuple[Mark, ...] = ()
    more: bool = False

    @property
    def ask(self) -> Ask:
        fresh_from = _floor(self.from_ms, self.query.bucket_ms)
        return Ask(self.query, Interval(fresh_from - self.query.lookback_ms, self.until_ms), fresh_from)


def due(rule: Rule, state: RuleState, now_ms: int, catch_up_ms: int) -> Due | None:
    """What of ``rule`` is to be judged at ``now_ms``; None when nothing new has closed.

    A gap longer than ``catch_up_ms`` is not judged and its length told in ``skipped_ms``. A rule that was never
    judged looks back as far as that, so that it knows its past from the first minute. After a clock was set back a
    rule goes on from now: what comes now would otherwise count as judged until the clock is where it had been.
    """
    query = rule.detector.query()
    bucket = query.bucket_ms
    until = now_ms if query.partial else _floor(now_ms - query.settle_ms, bucket)
    start = state.judged_until_ms
    oldest = _floor(until - catch_up_ms, bucket)
    if start is None:
        return Due(rule, query, oldest, until)
    step = bucket or rule.every_ms
    if start - until > STEP_BACK_MS + step:
        return Due(rule, query, max(until - step, oldest), until)
    early = query.partial and until - start < rule.every_ms * ALMOST
    if until <= start or early:
        return None
    return Due(rule, query, max(start, oldest), until, max(0, oldest - start))


def marked(turn: Due, state: RuleState, marks: Sequence[Mark]) -> Due:
    """The turn with the planned changes that come before it; it ends where the next one happened."""
    bucket = turn.query.bucket_ms
    new = sorted(
        (mark for mark in marks if mark.id not in state.marks and mark.concerns(turn.rule)),
        key=lambda mark: (mark.at_ms, mark.id),
    )
    passed = tuple(mark for mark in new if mark.due_ms(bucket) <= turn.from_ms)
    ahead = [due_ms for mark in new if turn.from_ms < (due_ms := mark.due_ms(bucket)) < turn.until_ms]
    until = min(ahead, default=turn.until_ms)
    return replace(turn, until_ms=until, marks=passed, more=bool(ahead))


def tick(
    rules: Sequence[Rule],
    states: Mapping[str, RuleState],
    store: Source,
    now_ms: int,
    catch_up_ms: int,
    marks: Sequence[Mark] = (),
    detect: Detect = detect,
) -> tuple[Judgement, ...]:
    """Judge every rule that is due, with one round trip to the store.

    A rule whose stretch holds a planned change is judged up to it, and has ``more`` to be judged by a further tick.

    A rule that fails does not touch the others: its error stands in its evaluation, and its stretch is judged again at
    the next tick. Raises StoreUnavailable when the store does not answer; nothing is judged then.
    """
    turns = [
        marked(turn, state, marks)
        for rule in rules
        if (turn := due(rule, state := states.get(rule.id, RuleState()), now_ms, catch_up_ms))
    ]
    frames = _frames(turns, store)
    return tuple(
        judge(turn, states.get(turn.rule.id, RuleState()), frame, now_ms, detect)
        for turn, frame in zip(turns, frames, strict=True)
    )


def judge(turn: Due, state: RuleState, frame: Frame | StoreError, now_ms: int, detect: Detect = detect) -> Judgement:
    """One rule's turn, given the store's answer."""
    record = Evaluation(
        rule_id=turn.rule.id,
        at_ms=now_ms,
        from_ms=turn.from_ms,
        until_ms=turn.until_ms,
        skipped_ms=turn.skipped_ms,
    )
    if isinstance(frame, StoreError):
        return Judgement(turn.rule, state, replace(record, error=f"the store refused the query: {frame}"))
    if not frame.complete:
        error = "the store could read only a part of its data; nothing is concluded from that, it is asked again"
        return Judgement(turn.rule, state, replace(record, complete=False, error=error))
    started = time.perf_counter()
    try:
        memory = rebased(turn.rule.detector, state.memory, turn.marks)
        detection = detect(turn.rule.detector, frame, memory)
    except Exception as fault:  # noqa: BLE001  # a detector may be a user's own: it must not stop the other rules
        error = f"the detector failed: {type(fault).__name__}: {fault}"
        return Judgement(turn.rule, state, replace(record, error=error))
    alerts, transitions = _live_through(turn, state, detection.findings)
    record = replace(
        record,
        duration_ms=(time.perf_counter() - started) * 1_000,
        series=len(frame.series),
        buckets=sum(len(series.bucket_start_ms) for series in frame.series),
        findings=len(detection.findings),
    )
    after = RuleState(turn.until_ms, detection.memory, alerts, state.marks | {mark.id for mark in turn.marks})
    return Judgement(turn.rule, after, record, transitions, turn.marks, turn.more)


def _live_through(
    turn: Due, state: RuleState, findings: Sequence[Finding]
) -> tuple[Mapping[Key, Alert], tuple[Transition, ...]]:
    """Let the alerts live through the stretch step by step, as if every bucket had been judged when it closed.

    A finding about an earlier stretch, from events that came late, counts at the first new step: that stretch has
    been lived through, and the other alerts would seem to have ceased in it. A rule on open buckets finds at the ends
    of buckets and at the tick itself, which need not be a whole step apart: its alerts are kept for at least one step,
    or they would flap between two findings.
    """
    rule = turn.rule
    if turn.query.partial:
        keep_ms = max(rule.policy.keep_firing_for_ms, step_ms(rule, turn.query))
        rule = replace(rule, policy=replace(rule.policy, keep_firing_for_ms=keep_ms))
    alerts: Mapping[Key, Alert] = {key: _not_ahead(alert, turn.from_ms) for key, alert in state.alerts.items()}
    steps = _steps(turn, findings) if alerts or findings else []
    by_step: dict[int, list[Finding]] = {}
    for finding in findings:
        place = min(bisect.bisect_left(steps, finding.at_ms), len(steps) - 1)
        by_step.setdefault(steps[place], []).append(finding)
    moved: list[Transition] = []
    for at_ms in steps:
        alerts, transitions = advance(alerts, by_step.get(at_ms, ()), rule, at_ms)
        moved.extend(transitions)
    return alerts, tuple(moved)


def _not_ahead(alert: Alert, from_ms: int) -> Alert:
    """With times from before a clock was set back an alert would neither ripen nor end until they come again."""
    if alert.last_seen_ms <= from_ms:
        return alert
    return replace(alert, active_at_ms=min(alert.active_at_ms, from_ms), last_seen_ms=from_ms)


def _steps(turn: Due, findings: Sequence[Finding]) -> list[int]:
    """The times at which the alerts of a stretch are looked at: the ends of buckets, and the new findings' times."""
    step = step_ms(turn.rule, turn.query)
    grid = range(_floor(turn.from_ms, step) + step, turn.until_ms, step)
    news = {finding.at_ms for finding in findings if turn.from_ms < finding.at_ms < turn.until_ms}
    return sorted({*grid, *news, turn.until_ms})


def step_ms(rule: Rule, query: Query) -> int:
    """How far apart a rule's alerts are looked at when much is judged at once.

    Whole buckets: at any other time a rule on open buckets finds nothing, which would look like an end.
    """
    bucket = query.bucket_ms or rule.every_ms
    return -(-rule.every_ms // bucket) * bucket if query.partial else bucket


def _frames(turns: Sequence[Due], store: Source) -> Sequence[Frame | StoreError]:
    """All answers in one round trip; rule by rule if one query is refused, so that it harms only its own rule."""
    asks = [turn.ask for turn in turns]
    if not asks:
        return ()
    try:
        return store.ask(asks)
    except StoreUnavailable:
        raise
    except StoreError:
        return [_frame(ask, store) for ask in asks]


def _frame(ask: Ask, store: Source) -> Frame | StoreError:
    try:
        return store.ask([ask])[0]
    except StoreUnavailable:
        raise
    except StoreError as refusal:
        return refusal


def _floor(milliseconds: int, bucket_ms: int) -> int:
    return milliseconds // bucket_ms * bucket_ms if bucket_ms else milliseconds
