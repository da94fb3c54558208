"""`outlier`: several measures of a bucket do not fit together."""

import importlib.util
from collections.abc import Mapping
from typing import ClassVar, Self

import msgspec
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from detectors.base import ConditionParameter, Progress
from detectors.condition import equals
from detectors.duration import DAY_MS, format_duration
from detectors.evidence import against_the_past
from detectors.finding import Detection, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, Series
from detectors.matching.threshold import MeasureName, check_measure
from detectors.memory import recall, remember
from detectors.parameters import MAX_SCORE, Span
from detectors.query import Measure, Query, Statistic
from detectors.statistical.learning import SETTLE_MS, LearnedState, Learning
from detectors.stats.outliers import MOST_MEASURES, Learned, Plan, Verdict, Watch, rows_kept
from detectors.stats.series import bucket_end_ms, bucket_starts, first_fresh, on_grid
from recognizer.reasons import EventType

MOST_SERIES = 200
"""Each series has a forest of its own; with more series, the busiest are judged."""

_NAMED_SHARE = 0.15
_MOST_NAMED = 3


class Quantity(BaseModel):
    """One of the measures that are looked at together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measure: MeasureName = Field(description="avg, min, max, sum, percentile, cardinality or count")
    field: str | None = Field(default=None, description="the field that is measured; count needs none")
    percent: float | None = Field(default=None, gt=0, lt=100, description="which percentile, for example 95")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_measure(self.measure, self.field, self.percent)
        return self

    def __str__(self) -> str:
        name = f"p{self.percent:g}" if self.percent is not None else self.measure.value
        return name if self.field is None else f"{name} of {self.field}"


_USUAL_QUANTITIES = (
    Quantity(measure=MeasureName.COUNT),
    Quantity(measure=MeasureName.PERCENTILE, field="duration_ms", percent=95),
    Quantity(measure=MeasureName.AVG, field="top1_score"),
    Quantity(measure=MeasureName.CARDINALITY, field="top1_label"),
)


class State(LearnedState, frozen=True, kw_only=True):
    """What `detectors.stats.outliers` has learned, of ``width`` measures."""

    learned: Learned = msgspec.field(default_factory=Learned)


class Outlier(Learning):
    """The measures of a bucket, taken together, are unlike all that this series showed before.

    Each alone may stay in its usual band. An isolation forest, retrained on a schedule, says how odd a bucket is; the
    alarm names the measures that make it so. Needs scikit-learn (``wumu[outlier]``).
    """

    kind: ClassVar[str] = "outlier"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.OUTLIER})

    where: ConditionParameter = Field(
        default=equals("event_type", EventType.INFERENCE_COMPLETE.value), description="the events that are measured"
    )
    group_by: tuple[str, ...] = Field(
        default=("model_name",), description=f"one series per combination of values; the {MOST_SERIES} busiest"
    )
    measures: tuple[Quantity, ...] = Field(
        default=_USUAL_QUANTITIES,
        max_length=MOST_MEASURES,
        description="what is looked at together: a list of 'measure' with 'field' and 'percent' as in threshold",
    )
    bucket: Span = Field(default=300_000, description="the events of this long are judged together")
    min_history: Span = Field(default=DAY_MS, description="nothing is said before this much was learned")
    history: Span = Field(default=7 * DAY_MS, description="how much of the past says what is usual")
    adapt_after: Span = Field(default=DAY_MS, description="a change that lasts this long becomes the new usual")
    retrain_every: Span = Field(default=DAY_MS, description="after this long the forest grows anew")

    @field_validator("measures")
    @classmethod
    def _each_once(cls, measures: tuple[Quantity, ...]) -> tuple[Quantity, ...]:
        if not measures:
            raise ValueError("is empty: name at least one, for example {measure: count}")
        twice = next((one for place, one in enumerate(measures) if one in measures[:place]), None)
        if twice is not None:
            raise ValueError(f"{twice} stands here twice: the same measure twice counts for two, remove one")
        return measures

    @field_validator("retrain_every")
    @classmethod
    def _whole_buckets(cls, retrain_every: int, info: ValidationInfo) -> int:
        bucket = info.data.get("bucket", 0)  # missing where it is wrong itself
        if retrain_every < bucket:
            least = format_duration(bucket)
            raise ValueError(f"the forest can grow anew after every 'bucket' at most: write {least} or longer")
        return retrain_every

    @model_validator(mode="after")
    def _can_grow(self) -> Self:
        if importlib.util.find_spec("sklearn") is None:
            raise ValueError("the kind outlier needs scikit-learn, which is not installed: pip install 'wumu[outlier]'")
        most = rows_kept(len(self.measures)) * self.bucket
        if self.min_history > most:
            raise ValueError(
                f"'min_history' may be {format_duration(most)} at most with {len(self.measures)} measures; "
                "a longer 'bucket' allows more"
            )
        return self

    def query(self) -> Query:
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(Measure("events"), *(_measure(f"m{place}", one) for place, one in enumerate(self.measures))),
            bucket_ms=self.bucket,
            settle_ms=SETTLE_MS,
            top=MOST_SERIES if self.group_by else None,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        return self.learn(self.query(), frame, memory, State, self._judge_series)

    def progress(self, memory: Memory) -> Progress:
        watch = self._recalled(memory)[1]
        needed = self._plan.needed
        return self.progress_at(watch.seen, needed, alarmed=watch.alarmed and watch.seen >= needed)

    def rebase(self, memory: Memory, at_ms: int) -> Memory:
        state, watch = self._recalled(memory)
        if state is None or at_ms > state.judged_ms:
            return memory
        watch.rebase()
        return remember(msgspec.structs.replace(state, learned=watch.learned))

    def accept(self, memory: Memory) -> Memory:
        state, watch = self._recalled(memory)
        if state is None:
            return memory
        watch.accept()
        return remember(msgspec.structs.replace(state, learned=watch.learned))

    @property
    def _plan(self) -> Plan:
        width = len(self.measures)
        most = min(self.history // self.bucket, rows_kept(width))
        return Plan(
            bucket_ms=self.bucket,
            width=width,
            least=-(-self.min_history // self.bucket),
            most=most,
            retrain=max(1, min(self.retrain_every // self.bucket, rows_kept(width) // 4)),
            interval=self.false_alarms.every_ms / self.bucket,
            adapt=self.adapt_after // self.bucket,
        )

    def _recalled(self, memory: Memory) -> tuple[State | None, Watch]:
        state = recall(memory, State)
        if state is not None:
            watch = self._watch(state)
            if watch is not None:
                return state, watch
        return None, Watch(self._plan, Learned())

    def _watch(self, state: State) -> Watch | None:
        try:
            return Watch(self._plan, state.learned)
        except ValueError:  # another number of measures, or damaged: a fresh start
            return None

    def _judge_series(self, frame: Frame, series: Series, state: State) -> tuple[State, list[Finding]]:
        watch = self._watch(state) or Watch(self._plan, Learned())
        starts = bucket_starts(frame)
        rows = np.stack([on_grid(frame, series, f"m{place}", starts) for place in range(len(self.measures))], axis=1)
        findings: list[Finding] = []
        there = set(series.bucket_start_ms)
        for index in range(first_fresh(frame, starts), len(starts)):
            if starts[index] not in there or starts[index] < state.judged_ms:
                continue
            verdict = watch.judge(starts[index], rows[index])
            if verdict is not None:
                findings.append(self._finding(series.key, bucket_end_ms(frame, starts[index]), verdict))
        return msgspec.structs.replace(state, judged_ms=frame.interval.end_ms, learned=watch.learned), findings

    def _finding(self, key: Key, at_ms: int, verdict: Verdict) -> Finding:
        order = sorted(range(len(self.measures)), key=lambda place: -verdict.shares[place])
        named = [place for place in order[:_MOST_NAMED] if verdict.shares[place] >= _NAMED_SHARE] or order[:1]
        told = [
            {
                "measure": str(self.measures[place]),
                "observed": None if np.isnan(verdict.row[place]) else float(verdict.row[place]),
                "usual": float(verdict.usual[place]),
                "share": round(float(verdict.shares[place]), 3),
            }
            for place in named
        ]
        since_ms = min(verdict.since_ms, at_ms)
        return Finding(
            key=key,
            at_ms=at_ms,
            since_ms=since_ms,
            reason=Reason.OUTLIER,
            observed=verdict.oddity,
            expected=Expected(high=verdict.height),
            unit="score",
            score=min(verdict.oddity / verdict.height, MAX_SCORE),
            evidence=against_the_past(self.where, Interval(since_ms, at_ms)),
            chance_days=verdict.interval * self.bucket / DAY_MS,
            details={"value": ", ".join(_told(one) for one in told), "measures": told},
        )


def _measure(name: str, one: Quantity) -> Measure:
    return Measure(name, Statistic(one.measure.value), one.field, one.percent)


def _told(one: Mapping[str, object]) -> str:
    """``p95 of duration_ms 1.83e+03 (usually 240)``."""
    observed = one["observed"]
    value = "missing" if observed is None else f"{observed:.3g}"
    return f"{one['measure']} {value} (usually {one['usual']:.3g})"
