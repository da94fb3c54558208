"""`threshold`: a measure of a field leaves its allowed band."""

import enum
from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from detectors.base import DetectorModel
from detectors.evidence import against_the_past, beyond, in_order
from detectors.finding import Detection, Evidence, Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, Series
from detectors.matching.sliding import SETTLE_MS, FreshWindows, fresh_windows, sliding_bucket_ms
from detectors.parameters import Bounds, Span
from detectors.query import Measure, Query, Statistic
from detectors.stats.series import Floats, counts_on_grid, on_grid, trailing, trailing_sum
from detectors.units import unit_of


class MeasureName(enum.StrEnum):
    """What of the window's events is compared with the bounds."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    PERCENTILE = "percentile"
    CARDINALITY = "cardinality"
    COUNT = "count"


_NOT_MERGEABLE = frozenset({MeasureName.PERCENTILE, MeasureName.CARDINALITY})
_OF_SINGLE_EVENTS = frozenset({MeasureName.AVG, MeasureName.MIN, MeasureName.MAX, MeasureName.PERCENTILE})
_ZERO_WHEN_EMPTY = frozenset({MeasureName.COUNT, MeasureName.CARDINALITY})
_ENOUGH_EVENTS = {MeasureName.AVG: 20, MeasureName.PERCENTILE: 20, MeasureName.COUNT: 0, MeasureName.CARDINALITY: 0}


def check_measure(measure: MeasureName, field: str | None, percent: float | None) -> None:
    """Raises ValueError when a measure lacks what it needs or is told what it has no use for."""
    if measure is not MeasureName.COUNT and field is None:
        raise ValueError(f"'{measure}' of what? write 'field', for example field: duration_ms")
    if measure is MeasureName.PERCENTILE and percent is None:
        raise ValueError("which percentile? write 'percent', for example percent: 95")
    if measure is not MeasureName.PERCENTILE and percent is not None:
        raise ValueError(f"'percent' belongs to measure: percentile, not to {measure}")


class Threshold(DetectorModel, Bounds):
    """``measure`` of ``field`` over a sliding ``window`` is above or below a bound.

    Percentiles and cardinalities of short buckets can't be merged into those of a window: for them the windows don't
    overlap, and one is judged when it closes. A key without any event in the window has a count of 0 only where
    there is no ``group_by``; elsewhere a source that has stopped is the business of `absence`.
    """

    kind: ClassVar[str] = "threshold"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.VALUE_TOO_HIGH, Reason.VALUE_TOO_LOW})

    measure: MeasureName = Field(description="avg, min, max, sum, percentile, cardinality or count")
    field: str | None = Field(default=None, description="the field that is measured; count needs none")
    percent: float | None = Field(default=None, gt=0, lt=100, description="which percentile, for example 95")
    window: Span = Field(default=300_000, description="the measure is taken over this long")
    at_least_events: int | None = Field(
        default=None,
        ge=0,
        description="with fewer events in the window nothing is said; 20 for avg and percentile, 0 for count and "
        "cardinality, else 1",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_measure(self.measure, self.field, self.percent)
        return self

    @property
    def _enough_events(self) -> int:
        """A group without any event is not in the frame at all, so its windows say nothing; everything together is."""
        enough = _ENOUGH_EVENTS.get(self.measure, 1) if self.at_least_events is None else self.at_least_events
        return max(enough, 1) if self.group_by else enough

    def query(self) -> Query:
        bucket_ms = self.window if self.measure in _NOT_MERGEABLE else sliding_bucket_ms(self.window)
        measures = [Measure("count", field=self.field)]
        if self.measure is MeasureName.AVG:
            measures.append(Measure("value", Statistic.SUM, self.field))
        elif self.measure is not MeasureName.COUNT:
            measures.append(Measure("value", Statistic(self.measure.value), self.field, self.percent))
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=tuple(measures),
            bucket_ms=bucket_ms,
            lookback_ms=self.window - bucket_ms,
            settle_ms=SETTLE_MS,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        """Needs no memory: every window is wholly in the frame, with what came late to it."""
        del memory
        if not frame.complete:
            return Detection((), {})
        series = frame.series
        if not self.group_by and not series:
            names = (measure.name for measure in self.query().measures)
            series = (Series((), (), dict.fromkeys(names, ())),)
        return Detection(in_order(finding for one in series for finding in self._judge(frame, one)), {})

    def _judge(self, frame: Frame, series: Series) -> Iterator[Finding]:
        buckets = self.window // frame.bucket_ms
        windows = fresh_windows(frame, buckets)
        counts = trailing_sum(counts_on_grid(frame, series, "count", windows.starts), buckets)
        values = self._pooled(frame, series, windows, counts)
        for index, window in windows:
            if np.isnan(values[index]) or counts[index] < self._enough_events:
                continue
            value = float(values[index])
            score = self.excess(value)
            if score is not None:
                yield self._finding(series.key, window, value, int(counts[index]), score)

    def _pooled(self, frame: Frame, series: Series, windows: FreshWindows, counts: Floats) -> Floats:
        """The measure over each window; NaN where the window has no value."""
        if self.measure is MeasureName.COUNT:
            return counts
        values = on_grid(frame, series, "value", windows.starts)
        match self.measure:
            case MeasureName.MIN:
                pooled = trailing(np.nan_to_num(values, nan=np.inf), windows.buckets, np.inf).min(axis=1)
            case MeasureName.MAX:
                pooled = trailing(np.nan_to_num(values, nan=-np.inf), windows.buckets, -np.inf).max(axis=1)
            case MeasureName.AVG:
                pooled = trailing_sum(values, windows.buckets) / np.where(counts > 0, counts, np.nan)
            case MeasureName.SUM:
                known = trailing_sum((~np.isnan(values)).astype(float), windows.buckets)
                pooled = np.where(known > 0, trailing_sum(values, windows.buckets), np.nan)
            case _:
                pooled = np.nan_to_num(values, nan=0.0) if self.measure in _ZERO_WHEN_EMPTY else values
        return np.where(np.isfinite(pooled), pooled, np.nan)

    def _finding(self, key: Key, window: Interval, value: float, events: int, score: float) -> Finding:
        high = self.above is not None and value > self.above
        return Finding(
            key=key,
            at_ms=window.end_ms,
            since_ms=window.start_ms,
            reason=Reason.VALUE_TOO_HIGH if high else Reason.VALUE_TOO_LOW,
            observed=value,
            expected=self.band,
            unit=self._unit,
            score=score,
            evidence=self._evidence(window, high=high),
            details={"measure": self.measure.value, "field": self.field, "percent": self.percent, "events": events},
        )

    def _evidence(self, window: Interval, *, high: bool) -> Evidence:
        bound = self.above if high else self.below
        if self.field is None or bound is None or self.measure not in _OF_SINGLE_EVENTS:
            return against_the_past(self.where, window)
        return beyond(self.where, self.field, bound, window, high=high)

    @property
    def _unit(self) -> str:
        if self.measure is MeasureName.COUNT or self.field is None:
            return "events"
        return "values" if self.measure is MeasureName.CARDINALITY else unit_of(self.field)
