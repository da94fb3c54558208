"""What the kinds `metric` and `rate` share: one number per bucket, judged on several time scales.

The score of every bucket (`detectors.stats.scorer`) is compared with how often chance gives one like it
(`detectors.stats.tail`). An alarm begins when chance alone would give such a score less often than is tolerated, and
the newest values lie outside of the expected band, in the direction asked for. While it lasts nothing is learned.
"""

import contextlib
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec
import numpy as np
from pydantic import Field

from detectors.base import Progress
from detectors.duration import DAY_MS
from detectors.evidence import in_order
from detectors.finding import Detection, Evidence, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, Series
from detectors.memory import recall, remember
from detectors.parameters import MAX_SCORE, Direction, Span
from detectors.query import Query
from detectors.statistical.learning import LearnedState, Learning
from detectors.statistical.watch import SIZE, Alarm, Seen, View, Watch
from detectors.stats.departures import Excursion, Lull
from detectors.stats.scorer import Scorers, Scores
from detectors.stats.series import bucket_end_ms
from detectors.stats.tail import Tail, needed

_TOGETHER: Final = 128
"""Series that are scored side by side: more would no longer fit in the cache of a core."""


class State(LearnedState, frozen=True, kw_only=True):
    """``scorer`` is `Scorers.packed`; ``seen_ms`` when the series last had events; ``carried`` what its kind keeps."""

    seen_ms: int
    scorer: bytes = b""
    tail: Tail = msgspec.field(default_factory=Tail)
    alarm: Alarm | None = None
    carried: tuple[int, float] | None = None
    departure: Excursion | Lull | None = None


class Unusual(Learning):
    """A number per bucket has left the band that its own past makes one expect."""

    keeps_buckets: ClassVar[bool] = False

    silence_counts: ClassVar[bool] = False
    """Whether a series says something by not being in a frame."""

    min_history: Span = Field(default=10_800_000, description="nothing is said before this much was learned")
    history: Span = Field(default=604_800_000, description="a series that has had no events for this long is forgotten")
    direction: Direction = Field(default=Direction.BOTH, description="report what rises (up), falls (down) or both")
    min_change: float = Field(default=0.1, ge=0, le=100, description="smaller relative changes are not reported")
    min_change_value: float = Field(
        default=0.0, ge=0, allow_inf_nan=False, description="smaller changes are not reported, in the value's unit"
    )

    @property
    def promised(self) -> float:
        """The mean number of buckets between two false alarms."""
        return self.false_alarms.every_ms / self.bucket

    @property
    def least_seen(self) -> int:
        return math.ceil(self.min_history / self.bucket)

    @abstractmethod
    def query(self) -> Query: ...

    @abstractmethod
    def points(self, frame: Frame, series: Series, state: State) -> Iterator[tuple[int, float]]:
        """Start and number of every fresh bucket that says something, in time order."""

    def carry(self, frame: Frame, series: Series, state: State) -> tuple[int, float] | None:  # noqa: ARG002
        """What is to be kept for the next frame beside what was learned."""
        return None

    @abstractmethod
    def evidence(self, view: View, window: Interval) -> Evidence: ...

    @property
    @abstractmethod
    def reason(self) -> Reason: ...

    @property
    @abstractmethod
    def unit(self) -> str:
        """Of the number that is judged."""

    @property
    def measured(self) -> Mapping[str, str]:
        """The field and the measure of it that is judged, as findings tell them; empty where events are counted."""
        return {}

    def scaled(self, value: float) -> float:
        """The number in which the series is judged; `unscaled` is its inverse."""
        return value

    def unscaled(self, value: float) -> float:
        return value

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        if not frame.complete:
            return Detection((), memory)
        query = self.query()
        name = self.digest(query)
        kept: dict[Key, Memory] = {}
        findings: list[Finding] = []
        present = {series.key: series for series in frame.series}
        empty = {measure.name: () for measure in query.measures}
        for key, old in memory.items():
            if key not in present and self._remembered(name, frame, old, State) is not None:
                kept[key] = old
                if self.silence_counts:
                    present[key] = Series(key, (), empty)
        jobs = [self._job(name, frame, series, memory.get(key)) for key, series in present.items()]
        jobs.sort(key=lambda job: len(job.points), reverse=True)
        for begin in range(0, len(jobs), _TOGETHER):
            for job, state, found in self._judge(frame, jobs[begin : begin + _TOGETHER]):
                findings.extend(found)
                kept[job.series.key] = remember(state)
        return Detection(in_order(findings), kept)

    def _job(self, name: str, frame: Frame, series: Series, old: Memory | None) -> "_Job":
        known = self._remembered(name, frame, old, State)
        begun_ms = frame.interval.start_ms
        state = known or State(query=name, judged_ms=begun_ms, seen_ms=begun_ms)
        return _Job(series, state, self._watch(state), list(self.points(frame, series, state)))

    def _fits(self, state: LearnedState, name: str, frame: Frame) -> bool:
        silent_ms = frame.interval.end_ms - (state.seen_ms if isinstance(state, State) else state.judged_ms)
        return super()._fits(state, name, frame) and silent_ms < self.history_ms

    def _watch(self, state: State) -> Watch:
        kind = Lull if self.silence_counts else Excursion
        departure = state.departure if isinstance(state.departure, kind) else kind()
        return Watch(self, self.bucket, state.tail, state.alarm, departure)

    def _judge(self, frame: Frame, jobs: list["_Job"]) -> Iterator[tuple["_Job", State, list[Finding]]]:
        """The series side by side, bucket after bucket: those with most buckets come first."""
        scorers = Scorers(SIZE, len(jobs))
        findings: list[list[Finding]] = [[] for _ in jobs]
        for row, job in enumerate(jobs):
            _load(scorers, row, job.state.scorer)
        for number in range(len(jobs[0].points)):
            now = [job for job in jobs if len(job.points) > number]
            starts = [job.points[number][0] for job in now]
            values = [self.scaled(job.points[number][1]) for job in now]
            scores = scorers.observe(np.array(starts) / 1_000.0, np.array(values))
            for row, (job, seen) in enumerate(zip(now, _seen(scorers, scores), strict=True)):
                view = job.watch.step(starts[row], values[row], seen)
                if view is not None and job.watch.alarm is not None:
                    at_ms = bucket_end_ms(frame, starts[row])
                    findings[row].append(self._finding(job.series.key, at_ms, job.watch.alarm, view))
            scorers.learn(np.array([job.watch.taken for job in now]), np.array([job.watch.strange for job in now]))
            for row, (job, start_ms) in enumerate(zip(now, starts, strict=True)):
                alarm = job.watch.alarm
                if alarm is not None and not alarm.calm and self._lasted(frame, alarm, start_ms):
                    scorers.forget(row)
                    job.watch.forget()
        for row, job in enumerate(jobs):
            yield job, self._state(frame, job, scorers.packed(row)), findings[row]

    def _lasted(self, frame: Frame, alarm: Alarm, start_ms: int) -> bool:
        return bucket_end_ms(frame, start_ms) - alarm.since_ms >= self.adapt_after

    def _state(self, frame: Frame, job: "_Job", scorer: bytes) -> State:
        state, starts = job.state, job.series.bucket_start_ms
        return msgspec.structs.replace(
            state,
            judged_ms=max(frame.interval.end_ms, state.judged_ms),
            seen_ms=max(state.seen_ms, *starts) if starts else state.seen_ms,
            scorer=scorer,
            alarm=job.watch.alarm,
            carried=self.carry(frame, job.series, state),
            departure=job.watch.departure,
        )

    def view(self, level: float, centre: float, half: float, buckets: int) -> View | None:
        usual = self.unscaled(centre)
        least = max(self.min_change * abs(usual), self.min_change_value)
        low, high = min(self.unscaled(centre - half), usual - least), max(self.unscaled(centre + half), usual + least)
        seen = View(self.unscaled(level), usual, low, high, buckets)
        if self.direction is Direction.BOTH or seen.up == (self.direction is Direction.UP):
            return seen
        return None

    def _finding(self, key: Key, at_ms: int, alarm: Alarm, view: View) -> Finding:
        since_ms = min(alarm.since_ms, at_ms)
        return Finding(
            key=key,
            at_ms=at_ms,
            since_ms=since_ms,
            reason=self.reason,
            observed=view.level,
            expected=Expected(low=view.low, high=view.high),
            unit=self.unit,
            # not how rare: as long as it lasts it only becomes rarer, and the last bucket would be the worst
            score=min(view.outside, MAX_SCORE),
            chance_days=alarm.interval * self.bucket / DAY_MS,
            evidence=self.evidence(view, Interval(since_ms, at_ms)),
            details={
                **self.measured,
                "usual": view.centre,
                "buckets": view.buckets,
                "way": "up" if view.up else "down",
            },
        )

    def progress(self, memory: Memory) -> Progress:
        """Of one series, in buckets: warming up until there is something by which the promise can be kept."""
        state = recall(memory, State)
        if state is None:
            return self.progress_at(0, max(needed(self.promised), self.least_seen), alarmed=False)
        scorers = Scorers(SIZE)
        _load(scorers, 0, state.scorer)
        watch, learned = self._watch(state), scorers.learned(0)
        lacking = watch.lacking(learned, scorers.record(0))
        alarmed = state.alarm is not None and state.alarm.going_on
        return self.progress_at(learned, learned + lacking, alarmed=alarmed)

    def rebase(self, memory: Memory, at_ms: int) -> Memory:
        """What is usual is learned anew from ``at_ms`` on; how often chance gives a score is kept."""
        state = recall(memory, State)
        if state is None:
            return memory
        return remember(msgspec.structs.replace(state, scorer=b"", alarm=None, judged_ms=max(state.judged_ms, at_ms)))

    def accept(self, memory: Memory) -> Memory:
        """The alarm ends, and what is usual is learned anew from here on."""
        state = recall(memory, State)
        if state is None or state.alarm is None or not state.alarm.going_on:
            return memory
        return remember(msgspec.structs.replace(state, scorer=b"", alarm=None))


@dataclass(frozen=True, slots=True)
class _Job:
    """A series to be judged: what is known of it, and its fresh buckets with their numbers."""

    series: Series
    state: State
    watch: Watch
    points: list[tuple[int, float]]


def _load(scorers: Scorers, row: int, packed: bytes) -> None:
    """A damaged state is a fresh start."""
    if packed:
        with contextlib.suppress(ValueError):
            scorers.load(row, packed)


def _seen(scorers: Scorers, scores: Scores) -> Iterator[Seen]:
    columns = (scores.raw, scores.usual, scores.error, scores.learned)
    for row, (raw, usual, error, learned) in enumerate(zip(*(one.tolist() for one in columns), strict=True)):
        yield Seen(raw, usual, error, learned, row, scorers.newest)
