"""`latency`: a stage has become slower than it usually is."""

import bisect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from pydantic import Field

from detectors.base import ConditionParameter
from detectors.condition import equals
from detectors.evidence import beyond
from detectors.finding import Detection, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, Series
from detectors.query import Measure, Query, Statistic
from detectors.statistical.learning import SETTLE_MS, LearnedState, Learning
from detectors.stats.level import Usual, usual_levels
from detectors.stats.robust import change_start
from detectors.stats.series import bucket_end_ms, bucket_starts, counts_on_grid, first_fresh, on_grid
from detectors.units import unit_of
from recognizer.reasons import EventType

_MEDIAN = 50.0
_REFRESH_BUCKETS = 10
_RECENT_BUCKETS = 60
_LEAST_BEYOND = 3
_LEAST_SCALE = 0.01
_STEPS = 1_000
_SMALLEST = 1e-6
_MOST_EVENTS = 10**9


_Thousandths = Annotated[int, msgspec.Meta(ge=-20_000, le=240_000)]


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is kept of a bucket: thousandths of the logarithms of its median and of the judged percentile."""

    start_ms: int
    events: Annotated[int, msgspec.Meta(ge=1)]
    median: _Thousandths
    upper: _Thousandths
    odd: bool = False
    """It belongs to a slowdown and does not say what is usual."""


class State(LearnedState, frozen=True, kw_only=True):
    """``usual`` is per channel (median, judged percentile); ``refreshed`` the tens of buckets it was made in."""

    buckets: tuple[Bucket, ...] = ()
    usual: tuple[tuple[Usual, ...], tuple[Usual, ...]] = ((), ())
    refreshed: int = -1
    since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Rise:
    """How far one channel has risen over one window. Levels are logarithms; ``score`` is 1 at the edge of the band."""

    channel: int
    usual: Usual
    level: float
    high: float
    score: float


class Latency(Learning):
    """The median or an upper percentile of ``field`` lies clearly above what it usually is.

    Two channels are judged, the median (many events say where it is, so it shows a general slowdown early) and
    ``percent`` (a slow minority). A finding needs evidence pooled over two buckets or more, by at least ``threshold``
    robust standard deviations, and a change that matters: ``min_change`` of the usual level and ``min_change_value``.
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
    percent: float = Field(default=95.0, ge=50, lt=100, description="the percentile judged beside the median")
    threshold: float = Field(default=5.0, ge=2, le=100, description="robust standard deviations that are too many")
    min_change: float = Field(default=0.2, gt=0, le=100, description="smaller relative changes are not reported")
    min_change_value: float = Field(
        default=5.0, ge=0, description="smaller changes are not reported, in the field's unit"
    )
    at_least_events: int = Field(default=10, ge=1, description="with fewer events in a window nothing is said")

    def query(self) -> Query:
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(
                Measure("count", field=self.field),
                Measure("median", Statistic.PERCENTILE, self.field, _MEDIAN),
                Measure("upper", Statistic.PERCENTILE, self.field, self.percent),
            ),
            bucket_ms=self.bucket,
            settle_ms=SETTLE_MS,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        return self.learn(self.query(), frame, memory, State, self._judge_series)

    def _judge_series(self, frame: Frame, series: Series, state: State) -> tuple[State, list[Finding]]:
        findings: list[Finding] = []
        for bucket in _fresh(frame, series, state.judged_ms):
            state = self._refreshed(state, bucket.start_ms)
            rise = self._rise(state, bucket)
            state = self._learned(state, bucket, rise)
            if rise is not None and state.since_ms is not None:
                at_ms = bucket_end_ms(frame, bucket.start_ms)
                findings.append(self._finding(series.key, at_ms, state.since_ms, rise))
        return msgspec.structs.replace(state, judged_ms=frame.interval.end_ms), findings

    def _refreshed(self, state: State, now_ms: int) -> State:
        """The state with what is usual brought up to date, every ten buckets and never during a slowdown."""
        turn = now_ms // (self.bucket * _REFRESH_BUCKETS)
        if state.since_ms is not None or turn == state.refreshed:
            return state
        known = [bucket for bucket in state.buckets if not bucket.odd]
        if len(known) * self.bucket < self.min_history:
            return msgspec.structs.replace(state, usual=((), ()))
        events = np.array([bucket.events for bucket in known], dtype=float)
        usual = tuple(
            usual_levels(np.array([_logs(bucket)[channel] for bucket in known]), events, _LEAST_SCALE)
            for channel in (0, 1)
        )
        return msgspec.structs.replace(state, usual=(usual[0], usual[1]), refreshed=turn)

    def _recent(self, state: State, bucket: Bucket) -> list[Bucket]:
        newest = state.buckets[1 - _RECENT_BUCKETS :]
        return [*_since(newest, bucket.start_ms - _RECENT_BUCKETS * self.bucket), bucket]

    def _rise(self, state: State, bucket: Bucket) -> _Rise | None:
        """The clearest rise that is enough to be reported."""
        recent = self._recent(state, bucket)
        events = [one.events for one in recent]
        rises: list[_Rise] = []
        for channel, percent in enumerate((_MEDIAN, self.percent)):
            logs = [_logs(one)[channel] for one in recent]
            for usual in state.usual[channel]:
                rise = self._over(usual, channel, percent, logs[-usual.width :], events[-usual.width :])
                if rise is not None:
                    rises.append(rise)
        return max(rises, key=lambda rise: rise.score, default=None)

    def _over(
        self, usual: Usual, channel: int, percent: float, logs: Sequence[float], events: Sequence[int]
    ) -> _Rise | None:
        """The rise of one window, if it is enough to be reported."""
        total = sum(events)
        if len(logs) < usual.width or total < self.at_least_events:
            return None
        if total * (100.0 - percent) / 100.0 < _LEAST_BEYOND:
            return None  # too few events lie beyond the percentile to say where it is
        level = usual.level(logs, events)
        if level <= usual.centre:
            return None
        room = max(self.threshold * usual.noise(total), math.log1p(self.min_change))
        high = max(usual.centre + room, math.log(math.exp(usual.centre) + self.min_change_value))
        score = (level - usual.centre) / (high - usual.centre)
        newest = max(2, usual.width // 3)
        if score < 1 or usual.level(logs[-newest:], events[-newest:]) < (usual.centre + level) / 2:
            return None  # not enough, or over: only the older buckets are slow
        return _Rise(channel, usual, level, high, score)

    def _learned(self, state: State, bucket: Bucket, rise: _Rise | None) -> State:
        """The state with one more bucket. A slowdown is kept out of what is usual until it has lasted."""
        buckets = _since(state.buckets, bucket.start_ms - self.history_ms)
        if rise is None:
            return msgspec.structs.replace(state, buckets=(*buckets, bucket), since_ms=None)
        since_ms = self._began_ms(state, bucket, rise) if state.since_ms is None else state.since_ms
        if bucket.start_ms + self.bucket - since_ms >= self.adapt_after:
            new_usual = (_marked(one, odd=False) for one in (*buckets, bucket) if one.start_ms >= since_ms)
            return msgspec.structs.replace(state, buckets=tuple(new_usual), usual=((), ()), refreshed=-1, since_ms=None)
        if state.since_ms is None:
            buckets = tuple(_marked(one, odd=True) if one.start_ms >= since_ms else one for one in buckets)
        return msgspec.structs.replace(state, buckets=(*buckets, _marked(bucket, odd=True)), since_ms=since_ms)

    def _began_ms(self, state: State, bucket: Bucket, rise: _Rise) -> int:
        recent = self._recent(state, bucket)
        middle = (rise.usual.centre + rise.high) / 2
        excess = [(_logs(one)[rise.channel] - middle) * min(one.events, rise.usual.cap) for one in recent]
        return recent[change_start(np.array(excess))].start_ms

    def _finding(self, key: Key, at_ms: int, since_ms: int, rise: _Rise) -> Finding:
        high, since_ms = math.exp(rise.high), min(since_ms, at_ms)
        return Finding(
            key=key,
            at_ms=at_ms,
            since_ms=since_ms,
            reason=Reason.LATENCY_SHIFT,
            observed=math.exp(rise.level),
            expected=Expected(high=high),
            unit=unit_of(self.field),
            score=rise.score,
            evidence=beyond(self.where, self.field, high, Interval(since_ms, at_ms), high=True),
            details={
                "field": self.field,
                "percent": (_MEDIAN, self.percent)[rise.channel],
                "usual": math.exp(rise.usual.centre),
                "buckets": rise.usual.width,
            },
        )


def _logs(bucket: Bucket) -> tuple[float, float]:
    """The level of each channel."""
    return bucket.median / _STEPS, bucket.upper / _STEPS


def _since(buckets: tuple[Bucket, ...], start_ms: int) -> tuple[Bucket, ...]:
    """The buckets that start later; they are in time order."""
    return buckets[bisect.bisect_right(buckets, start_ms, key=lambda bucket: bucket.start_ms) :]


def _marked(bucket: Bucket, *, odd: bool) -> Bucket:
    return msgspec.structs.replace(bucket, odd=odd)


def _fresh(frame: Frame, series: Series, judged_ms: int) -> Iterator[Bucket]:
    """The buckets that have not been judged and whose values are known."""
    starts = bucket_starts(frame)
    counts = counts_on_grid(frame, series, "count", starts)
    medians, uppers = (on_grid(frame, series, name, starts) for name in ("median", "upper"))
    for index in range(first_fresh(frame, starts), len(starts)):
        known = counts[index] >= 1 and not np.isnan(medians[index]) and not np.isnan(uppers[index])
        if known and starts[index] >= judged_ms:
            events = int(min(counts[index], _MOST_EVENTS))
            yield Bucket(starts[index], events, _thousandths(medians[index]), _thousandths(uppers[index]))


def _thousandths(value: float) -> int:
    return round(_STEPS * math.log(max(value, _SMALLEST)))
