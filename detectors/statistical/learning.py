"""What the statistical kinds share: parameters about learning, and the walk over fresh buckets."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

from pydantic import Field, model_validator

from detectors.base import DetectorModel, Progress, Stage
from detectors.duration import DAY_MS, format_duration
from detectors.evidence import in_order
from detectors.finding import Detection, Finding, Memory
from detectors.frame import Frame, Key, Series
from detectors.memory import Checked, recall, remember
from detectors.parameters import FalseAlarms, Promise, Span
from detectors.query import MINUTE_MS, Query

SETTLE_MS = 10_000
"""How long the events of a closed bucket are waited for. What comes later teaches nothing."""

MOST_BUCKETS = 1_500
"""The longest history: what fits in 100 KB of memory per key."""

_LEAST_BUCKETS = 10

_TOGETHER = 64
"""Series that are judged together: enough to share the cost of a step, few enough for a processor's cache."""


class LearnedState(Checked, frozen=True, kw_only=True):
    """The head of every memory: a digest of the query it was learned with, and up to where it was judged.

    ``version`` is the layout's; a kind whose layout is no longer the first one narrows it.
    """

    version: Literal[1, 2, 3, 4] = 1
    query: str
    judged_ms: int


State = TypeVar("State", bound=LearnedState)
Judge = Callable[[Frame, Series, State], tuple[State, list[Finding]]]
"""Judges the fresh buckets of one series, given what is remembered of it."""

JudgeAll = Callable[[Frame, Sequence[tuple[Series, State]]], list[tuple[State, list[Finding]]]]
"""The same for several series, in their order."""


class Watched(Protocol):
    """A series while it is judged."""

    def state(self, query: str, judged_ms: int) -> Any:
        """What is remembered of it: a `LearnedState`."""
        ...


Item = TypeVar("Item")
Watching = TypeVar("Watching", bound=Watched)


def judged_in_step(
    frame: Frame,
    cases: Sequence[tuple[Series, State]],
    watch: Callable[[State], Watching],
    filled: Callable[[Frame, Series, int, Watching], Iterator[Item]],
    found: Callable[[Sequence[tuple[Key, Watching]], Mapping[int, Item]], Iterable[tuple[int, Finding]]],
) -> list[tuple[State, list[Finding]]]:
    """Judge several series side by side: the first item of each, then the second of those that have one, and so on.

    filled   what the buckets of a series come to since it was judged; an item is taken when the one before is judged
    found    in items, by the number of their series
    """
    watched = [(series.key, watch(state)) for series, state in cases]
    findings: list[list[Finding]] = [[] for _ in cases]
    going = {
        number: filled(frame, series, state.judged_ms, watched[number][1])
        for number, (series, state) in enumerate(cases)
    }
    while come := {number: item for number, items in going.items() if (item := next(items, None)) is not None}:
        for number, finding in found(watched, come):
            findings[number].append(finding)
        going = {number: going[number] for number in come}
    end_ms = frame.interval.end_ms
    states: list[State] = [one.state(state.query, end_ms) for (_, one), (_, state) in zip(watched, cases, strict=True)]
    return list(zip(states, findings, strict=True))


class Learning(DetectorModel):
    """Parameters of a kind that learns by itself what is usual."""

    keeps_buckets: ClassVar[bool] = True
    """Whether memory holds the buckets of ``history`` one by one, and so no more than `MOST_BUCKETS`."""

    false_alarms: FalseAlarms = Field(
        default=Promise(1, 30 * DAY_MS), description="how many false alarms per series are tolerated, at most"
    )
    bucket: Span = Field(default=MINUTE_MS, description="the events of this long are judged together")
    min_history: Span = Field(default=3_600_000, description="nothing is said before this much was learned")
    history: Span = Field(
        default=21_600_000, description=f"how much of the past says what is usual; {MOST_BUCKETS:,} buckets at most"
    )
    adapt_after: Span = Field(default=21_600_000, description="a change that lasts this long becomes the new usual")

    @model_validator(mode="after")
    def _history_fits(self) -> Self:
        needed = max(self.min_history, _LEAST_BUCKETS * self.bucket)
        problems = []
        if self.min_history < needed:
            problems.append(f"'min_history' must be at least {_LEAST_BUCKETS} buckets, {format_duration(needed)}")
        if self.history_ms < needed:
            problems.append("'history' must be at least as long as 'min_history', or it would never speak")
        if self.keeps_buckets and "history" in self.model_fields_set and self.history > MOST_BUCKETS * self.bucket:
            most = format_duration(MOST_BUCKETS * self.bucket)
            problems.append(f"'history' may be {MOST_BUCKETS:,} buckets at most, {most}; a longer 'bucket' allows more")
        if self.adapt_after < needed:
            problems.append("'adapt_after' must be at least as long as 'min_history': the new usual must be learned")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def history_ms(self) -> int:
        """``history``, or what memory holds of short buckets."""
        return min(self.history, MOST_BUCKETS * self.bucket) if self.keeps_buckets else self.history

    def learn(
        self, query: Query, frame: Frame, memory: Mapping[Key, Memory], layout: type[State], judge: Judge[State]
    ) -> Detection:
        """Judge every series of a complete frame; a key that sends nothing keeps its memory for ``history``.

        A memory of another layout, or learned with another query, is a fresh start.
        """

        def one_by_one(frame: Frame, cases: Sequence[tuple[Series, State]]) -> list[tuple[State, list[Finding]]]:
            return [judge(frame, series, state) for series, state in cases]

        return self.learn_together(query, frame, memory, layout, one_by_one)

    def learn_together(
        self, query: Query, frame: Frame, memory: Mapping[Key, Memory], layout: type[State], judge: JudgeAll[State]
    ) -> Detection:
        """As `learn`, some series at a time."""
        if not frame.complete:
            return Detection((), memory)
        name = self.digest(query)
        present = {series.key for series in frame.series}
        kept = {
            key: old
            for key, old in memory.items()
            if key not in present and self._remembered(name, frame, old, layout) is not None
        }
        findings: list[Finding] = []
        for first in range(0, len(frame.series), _TOGETHER):
            cases: list[tuple[Series, State]] = []
            for series in frame.series[first : first + _TOGETHER]:
                known = self._remembered(name, frame, memory.get(series.key), layout)
                cases.append((series, known or layout(query=name, judged_ms=frame.interval.start_ms)))
            for (series, _), (state, found) in zip(cases, judge(frame, cases), strict=True):
                findings.extend(found)
                kept[series.key] = remember(state)
        return Detection(in_order(findings), kept)

    def progress_at(self, seen: int, needed: int, *, alarmed: bool, unit: str = "buckets") -> Progress:
        """What can be promised of a series of which ``seen`` buckets have been learned and ``needed`` are.

        unit  what is counted where it is not buckets: blocks, which are one bucket or several with enough events
        """
        stage = Stage.ALARMED if alarmed else Stage.JUDGING if seen >= needed else Stage.WARMING_UP
        return Progress(stage, min(seen, needed), needed, unit, self.false_alarms.every_days)

    def recalled(self, name: str, frame: Frame, memory: Mapping[Key, Memory], layout: type[State]) -> dict[Key, State]:
        """What is remembered of every key that has not been silent for too long, as far as it can be used.

        name  the `digest` of the query that is asked now
        """
        known = ((key, self._remembered(name, frame, old, layout)) for key, old in memory.items())
        return {key: state for key, state in known if state is not None}

    def _remembered(self, name: str, frame: Frame, old: Memory | None, layout: type[State]) -> State | None:
        state = recall(old, layout)
        return state if state is not None and self._fits(state, name, frame) else None

    @staticmethod
    def digest(query: Query) -> str:
        """Names the query that a memory was learned with."""
        return hashlib.blake2s(repr(query).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    def _fits(self, state: LearnedState, name: str, frame: Frame) -> bool:
        silent_ms = frame.fresh_from_ms - state.judged_ms
        return state.query == name and state.judged_ms <= frame.interval.end_ms and silent_ms < self.history_ms
