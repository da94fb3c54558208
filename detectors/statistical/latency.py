"""`latency`: a stage has become slower than it usually is."""

import enum
import itertools
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

import msgspec
import numpy as np
from pydantic import Field, model_validator

from detectors.base import ConditionParameter, Progress
from detectors.condition import equals
from detectors.duration import DAY_MS
from detectors.evidence import beyond, in_order
from detectors.finding import Detection, Expected, Finding, Memory, Reason
from detectors.frame import Bins, Frame, Interval, Key, Series
from detectors.memory import recall
from detectors.parameters import Span
from detectors.query import Histogram, Query
from detectors.statistical.learning import SETTLE_MS, LearnedState, Learning
from detectors.stats.histograms import geometric_edges
from detectors.stats.rows import from_text, to_text
from detectors.stats.series import bucket_end_ms
from detectors.stats.slowdown import DEPTH
from detectors.stats.slowdown_watch import Batch, Plan, Slow, Watch, start_anew
from detectors.units import unit_of
from recognizer.reasons import EventType

GAMMA = 1.12
"""The ratio of neighbouring edges: a quantile is known to 6 %."""

_MOST_EDGES = 256
_SECOND_TAIL = 0.4
"""The second tail is this part of the first: beyond p98 where the first is beyond p95."""

_LONGEST_CHANCE_DAYS = 1e9
_MOST_VALUES = 1e9


_Number = Annotated[int, msgspec.Meta(ge=-1, le=10**15)]


class Shape(enum.StrEnum):
    """What has become slower."""

    ALL = "all"
    TAIL = "tail"


class State(LearnedState, frozen=True, kw_only=True):
    """Of one series: the numbers of `detectors.stats.slowdown` and the newest histograms as base64 with their checksum,
    the number of the newest bucket (starts are multiples of the bucket) and of the one in which a slowdown began."""

    version: Literal[3] = 3
    numbers: str
    pooled: str
    checksum: int
    newest: _Number
    since: _Number | None = None


class Latency(Learning):
    """Most values of ``field``, or a slow minority of them, are clearly above what they usually are.

    Judged are the ranks of all values among those that are usual, and how many lie beyond ``percent`` and further out,
    pooled over the last 1, 2, 3, 5, 10 and 30 buckets. It speaks when chance alone would give as much less often than
    ``false_alarms`` allows, and the change matters: by ``min_change`` of the usual value and by ``min_change_value``.
    """

    kind: ClassVar[str] = "latency"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.LATENCY_SHIFT})

    where: ConditionParameter = Field(
        default=equals("event_type", EventType.INFERENCE_COMPLETE.value), description="the events that are timed"
    )
    group_by: tuple[str, ...] = Field(
        default=("host", "model_name"), description="one series per combination of these fields' values"
    )
    field: str = Field(default="duration_ms", min_length=1, description="the duration")
    history: Span = Field(
        default=DAY_MS, description="how much of the past says what is usual; older values fade exponentially"
    )
    percent: float = Field(default=95.0, ge=50, lt=100, description="where the slow minority begins that is counted")
    min_change: float = Field(default=0.2, gt=0, le=100, description="smaller relative changes are not reported")
    min_change_value: float = Field(
        default=5.0, ge=0, description="smaller changes are not reported, in the field's unit"
    )
    at_least_events: int = Field(default=6, ge=1, description="with fewer events in a window nothing is said")
    shortest: float = Field(default=1.0, gt=0, le=1e9, description="values below are not told apart, the field's unit")
    longest: float = Field(
        default=60_000.0, gt=0, le=1e12, description="values from here on are not told apart, in the field's unit"
    )

    @model_validator(mode="after")
    def _edges_fit(self) -> Self:
        if not 1 <= math.log(self.longest / self.shortest) / math.log(GAMMA) < _MOST_EDGES - 1:
            most = self.shortest * GAMMA ** (_MOST_EDGES - 2)
            raise ValueError(f"'longest' must be greater than 'shortest' ({self.shortest:g}), up to {most:.2g}")
        return self

    @cached_property
    def edges(self) -> tuple[float, ...]:
        """The bounds of the histogram's bins."""
        count = round(math.log(self.longest / self.shortest) / math.log(GAMMA)) + 1
        return geometric_edges(self.shortest, self.longest, max(count, 2))

    @cached_property
    def plan(self) -> Plan:
        """The parameters as the core counts them, in buckets."""
        tail = 1.0 - self.percent / 100.0
        return Plan(
            edges=np.array(self.edges),
            false_per_bucket=min(self.bucket / self.false_alarms.every_ms, 0.5),
            min_history=self.min_history / self.bucket,
            history=self.history_ms / self.bucket,
            adapt_after=self.adapt_after / self.bucket,
            tails=(1.0 - tail, 1.0 - tail * _SECOND_TAIL),
            min_change=self.min_change,
            min_change_value=self.min_change_value,
            at_least=self.at_least_events,
            bucket_ms=self.bucket,
        )

    @property
    def _watch(self) -> Watch:
        return Watch(self.plan)

    def query(self) -> Query:
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(Histogram("values", self.field, self.edges),),
            bucket_ms=self.bucket,
            settle_ms=SETTLE_MS,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        if not frame.complete:
            return Detection((), memory)
        name = self.digest(self.query())
        states = self.recalled(name, frame, memory, State)
        known = [states.get(series.key) for series in frame.series]
        batch = self._unpacked(known)
        judged_ms = [frame.interval.start_ms if state is None else state.judged_ms for state in known]
        findings: list[Finding] = []
        for start_ms, cells in itertools.groupby(_fresh(frame, judged_ms), key=lambda cell: cell[0]):
            rows, histograms = _histograms([(row, bins) for _, row, bins in cells], len(self.edges) + 1)
            verdict = self._watch.step(batch, rows, histograms, start_ms // self.bucket, start_ms)
            findings.extend(self._finding(frame.series[slow.row].key, frame, start_ms, slow) for slow in verdict.slow)
        kept = {key: memory[key] for key in states}
        packed = _packed(batch, name, frame.interval.end_ms)
        kept.update(zip((series.key for series in frame.series), packed, strict=True))
        return Detection(in_order(findings), kept)

    def progress(self, memory: Memory) -> Progress:
        """See `detectors.base.Learner`."""
        state = recall(memory, State)
        batch = self._unpacked([state])
        learned = float(self.plan.layout.split(batch.numbers)["learned"][0, 0])
        needed = math.ceil(self.min_history / self.bucket)
        return self.progress_at(int(learned), needed, alarmed=learned >= needed and batch.since[0] >= 0)

    def rebase(self, memory: Memory, at_ms: int) -> Memory:
        """See `detectors.base.Learner`: what has come since then is the beginning of the new baseline."""
        state = recall(memory, State)
        return memory if state is None else self._anew(state, at_ms // self.bucket)

    def accept(self, memory: Memory) -> Memory:
        """See `detectors.base.Learner`: what has come since the change began is usual from now on."""
        state = recall(memory, State)
        return memory if state is None or state.since is None else self._anew(state, state.since)

    def _anew(self, state: State, since: int) -> Memory:
        batch, layout = self._unpacked([state]), self.plan.layout
        arrays = layout.split(batch.numbers)
        start_anew(arrays, batch.pooled, 0, min(max(state.newest + 1 - since, 0), DEPTH))
        batch.numbers, batch.since = layout.join(arrays), np.array([-1])
        return _packed(batch, state.query, state.judged_ms)[0]

    def _unpacked(self, states: Sequence[State | None]) -> Batch:
        """The states side by side; one that is missing or damaged begins anew."""
        batch = self._watch.fresh(len(states))
        width, bins = self.plan.layout.width, self.plan.bins
        for row, state in enumerate(states):
            if state is None or not self._sound(state):
                continue
            numbers = from_text(state.numbers, width, np.float32)
            pooled = from_text(state.pooled, DEPTH * bins, np.uint8)
            if numbers is not None and pooled is not None:
                batch.numbers[row], batch.pooled[row] = numbers, pooled.reshape(DEPTH, bins)
                batch.newest[row], batch.since[row] = state.newest, -1 if state.since is None else state.since
        return batch

    def _sound(self, state: State) -> bool:
        judged = state.newest * self.bucket < state.judged_ms
        return judged and _checksum(state.numbers, state.pooled) == state.checksum

    def _finding(self, key: Key, frame: Frame, start_ms: int, slow: Slow) -> Finding:
        at_ms = bucket_end_ms(frame, start_ms)
        since_ms = min(slow.since * self.bucket, at_ms)
        chance_days = self.bucket / DAY_MS / max(slow.per_bucket, 1e-30)
        return Finding(
            key=key,
            at_ms=at_ms,
            since_ms=since_ms,
            reason=Reason.LATENCY_SHIFT,
            observed=slow.observed,
            expected=Expected(high=slow.high),
            unit=unit_of(self.field),
            score=slow.score,
            evidence=beyond(self.where, self.field, slow.high, Interval(since_ms, at_ms), high=True),
            chance_days=min(chance_days, _LONGEST_CHANCE_DAYS),
            details={
                "field": self.field,
                "slower": (Shape.TAIL if slow.tail else Shape.ALL).value,
                "percent": round(100.0 * slow.share, 1),
                "usual": slow.usual,
                "buckets": slow.buckets,
                "requests": slow.values,
            },
        )


def _fresh(frame: Frame, judged_ms: Sequence[int]) -> list[tuple[int, int, Bins]]:
    """(start, row, histogram) of the buckets that hold values and have not been judged, in time order."""
    return sorted(
        (
            (start_ms, row, bins)
            for row, series in enumerate(frame.series)
            for start_ms, bins in _buckets(series, max(frame.fresh_from_ms, judged_ms[row]))
        ),
        key=lambda cell: cell[:2],
    )


def _buckets(series: Series, from_ms: int) -> Iterator[tuple[int, Bins]]:
    for start_ms, value in zip(series.bucket_start_ms, series.values["values"], strict=True):
        if start_ms >= from_ms and isinstance(value, Bins) and value.counts:
            yield start_ms, value


def _histograms(cells: Sequence[tuple[int, Bins]], bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows, and their histograms as a matrix."""
    rows = np.array([row for row, _ in cells], np.int64)
    sizes = [len(value.counts) for _, value in cells]
    flat = np.array([pair for _, value in cells for pair in value.counts], np.float64)
    histograms = np.zeros((len(cells), bins))
    histograms[np.repeat(np.arange(len(cells)), sizes), flat[:, 0].astype(np.int64)] = np.minimum(
        flat[:, 1], _MOST_VALUES
    )
    return rows, histograms


def _packed(batch: Batch, query: str, judged_ms: int) -> list[Memory]:
    """Every row as a memory: a `State` of builtins."""
    packed: list[Memory] = []
    for row in range(len(batch.newest)):
        numbers, pooled = to_text(batch.numbers[row]), to_text(batch.pooled[row])
        since = int(batch.since[row])
        packed.append(
            {
                "version": 3,
                "query": query,
                "judged_ms": judged_ms,
                "numbers": numbers,
                "pooled": pooled,
                "checksum": _checksum(numbers, pooled),
                "newest": int(batch.newest[row]),
                "since": None if since < 0 else since,
            }
        )
    return packed


def _checksum(numbers: str, pooled: str) -> int:
    return zlib.crc32(pooled.encode(), zlib.crc32(numbers.encode()))
