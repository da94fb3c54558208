"""History through the very same tick: what rules would have found, and what they would have cost.

Time is event time and moves in stretches as long as memory allows: many buckets for each query, with the findings that
judging minute by minute would have had (`daemon.evaluate.tick`). What is remembered stays in memory, nothing is sent.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from daemon.alerts.model import Alert
from daemon.baseline import Mark
from daemon.evaluate import Judgement, RuleState, Source, detect, step_ms, tick
from daemon.store.base import Ask
from detectors.base import Detector, Learner, Stage
from detectors.duration import DAY_MS, HOUR_MS
from detectors.finding import Detection, Memory
from detectors.frame import Frame, Interval, Key
from rules.model import Rule

MOST_CELLS = 200_000
"""Buckets of all series that one answer should hold: what is read at once is made longer or shorter for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What one rule made of a stretch of history.

    alerts       those that fired, in order of their beginning; one that has no end still fired at the end
    series       the most series that were seen at once
    judged_days  days of event time that learning series spent past their warm-up, added up over the series
    promised     how many false alarms the rule may have given in that time; None: it promises nothing
    took_s       wall time for queries and judging together
    error        why it was not replayed to the end; empty when it was
    """

    rule: Rule
    interval: Interval
    alerts: tuple[Alert, ...] = ()
    series: int = 0
    judged_days: float = 0.0
    promised: float | None = None
    took_s: float = 0.0
    error: str = ""

    @property
    def notices(self) -> int:
        """Messages that one channel would have got: beginnings, repeats and ends."""
        return sum(_notices(alert, self.rule, self.interval.end_ms) for alert in self.alerts)

    @property
    def notices_a_day(self) -> float:
        return self.notices * DAY_MS / max(1, self.interval.length_ms)


def replay(
    rules: Sequence[Rule],
    source: Source,
    interval: Interval,
    *,
    marks: Sequence[Mark] = (),
    longest_ms: int = DAY_MS,
    on_progress: Callable[[float], None] = lambda _: None,
) -> tuple[Replayed, ...]:
    """Judge ``interval`` with each rule. Rules that ask the same share the answers; those that differ in their timers
    alone share the findings too.

    ``on_progress`` is told the part that is done, 0 to 1. Raises StoreUnavailable.
    """
    runs = {rule.id: _Run(rule, interval) for rule in rules}
    shared = _Shared(source)
    queries = [(rule, rule.detector.query()) for rule in rules]
    # a rule on open buckets finds at the ends of its steps: there the stretches have to end
    unit = math.lcm(*(step_ms(rule, query) for rule, query in queries if query.partial), 1)
    least = max((query.bucket_ms for _, query in queries), default=1)
    stretch, at_ms = HOUR_MS, interval.start_ms
    while at_ms < interval.end_ms:
        stretch = max(least, min(stretch, longest_ms))
        end_ms = min((at_ms + max(unit, stretch)) // unit * unit, interval.end_ms)
        shared.forget()
        going = [run for run in runs.values() if not run.error]
        cells = max((run.stretch(shared, at_ms, end_ms, marks) for run in going), default=0)
        stretch = min(2 * stretch, stretch * MOST_CELLS // max(1, cells))
        at_ms = end_ms
        on_progress((at_ms - interval.start_ms) / interval.length_ms)
    return tuple(run.result() for run in runs.values())


@dataclass(slots=True)
class _Run:
    """One rule on its way through history."""

    rule: Rule
    interval: Interval
    state: RuleState = field(init=False)
    alerts: dict[str, Alert] = field(default_factory=dict)
    series: int = 0
    judged_days: float = 0.0
    promised: float = 0.0
    able: tuple[int, float] = (0, 0.0)
    took_s: float = 0.0
    error: str = ""

    def __post_init__(self) -> None:
        bucket = self.rule.detector.query().bucket_ms or 1
        self.state = RuleState(self.interval.start_ms // bucket * bucket)

    def stretch(self, shared: "_Shared", start_ms: int, end_ms: int, marks: Sequence[Mark]) -> int:
        """Judge one stretch; how many buckets of events it held."""
        began = time.perf_counter()
        query = self.rule.detector.query()
        now_ms = end_ms + (0 if query.partial else query.settle_ms)
        cells = 0
        while not self.error:
            judged = tick([self.rule], {self.rule.id: self.state}, shared, now_ms, now_ms, marks, shared.detect)
            for judgement in judged:
                self._take(judgement)
                cells = max(cells, judgement.evaluation.buckets)
            if not any(judgement.more for judgement in judged):
                break
        self._promise((end_ms - start_ms) / DAY_MS)
        self.took_s += time.perf_counter() - began
        return cells * (end_ms - start_ms) // (end_ms - start_ms + query.lookback_ms)

    def _take(self, judgement: Judgement) -> None:
        self.error = judgement.evaluation.error
        self.state = judgement.state
        self.series = max(self.series, judgement.evaluation.series)
        lasting = [alert for alert in judgement.state.alerts.values() if alert.fired_at_ms is not None]
        ended = [moved.alert for moved in judgement.transitions if moved.alert.fired_at_ms is not None]
        self.alerts |= {alert.id: alert for alert in (*ended, *lasting)}

    def _promise(self, days: float) -> None:
        """Add up what the series that judge promised for the last ``days``; who began to in between, for half of them.

        ``able`` are those that judged at the end of the stretch before: how many, and false alarms a day.
        """
        learner = self.rule.detector
        if isinstance(learner, Learner):
            known = [learner.progress(memory) for memory in self.state.memory.values()]
            able = [progress for progress in known if progress.stage is not Stage.WARMING_UP]
            before, self.able = self.able, (len(able), sum(1.0 / progress.promised_days for progress in able))
            self.judged_days += days * (before[0] + self.able[0]) / 2
            self.promised += days * (before[1] + self.able[1]) / 2

    def result(self) -> Replayed:
        return Replayed(
            rule=self.rule,
            interval=self.interval,
            alerts=tuple(sorted(self.alerts.values(), key=lambda alert: (alert.active_at_ms, alert.id))),
            series=self.series,
            judged_days=self.judged_days,
            promised=self.promised if isinstance(self.rule.detector, Learner) else None,
            took_s=self.took_s,
            error=self.error,
        )


class _Shared:
    """Asks and judges the same once, until it is told to forget."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[Ask, Frame] = {}
        self._judged: list[tuple[Detector, Frame, Mapping[Key, Memory], Detection]] = []

    def ask(self, asks: Sequence[Ask]) -> tuple[Frame, ...]:
        new = [ask for ask in dict.fromkeys(asks) if ask not in self._known]
        if new:
            self._known |= dict(zip(new, self._source.ask(new), strict=True))
        return tuple(self._known[ask] for ask in asks)

    def detect(self, detector: Detector, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        for known, same_frame, same_memory, detection in self._judged:
            if same_frame is frame and known == detector and same_memory == memory:
                return detection
        detection = detect(detector, frame, memory)
        self._judged.append((detector, frame, memory, detection))
        return detection

    def forget(self) -> None:
        self._known.clear()
        self._judged.clear()


def _notices(alert: Alert, rule: Rule, end_ms: int) -> int:
    fired_ms = alert.fired_at_ms or alert.active_at_ms
    until_ms = end_ms if alert.resolved_at_ms is None else alert.resolved_at_ms
    every_ms = rule.policy.repeat_every_ms
    repeats = max(0, until_ms - 1 - fired_ms) // every_ms if every_ms else 0
    return 1 + repeats + (alert.resolved_at_ms is not None)
