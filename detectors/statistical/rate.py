"""`rate`: a series has more or fewer events than it usually has at this time."""

from collections.abc import Iterator
from typing import ClassVar, Self

from pydantic import Field, model_validator

from detectors.evidence import against_the_past
from detectors.finding import Evidence, Reason
from detectors.frame import Frame, Interval, Series
from detectors.parameters import Direction
from detectors.query import Measure, Query
from detectors.statistical.learning import SETTLE_MS
from detectors.statistical.unusual import State, Unusual
from detectors.statistical.watch import View
from detectors.stats.departures import scaled, unscaled
from detectors.stats.series import bucket_starts, first_fresh, fresh_values


class Rate(Unusual):
    """The number of events per bucket is unusual; a bucket without events counts, so a series that stops is noticed.

    Counts are judged as 2 √(n + 3/8), which makes their noise independent of their size (Anscombe 1948). A series
    begins with its first event.
    """

    kind: ClassVar[str] = "rate"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.RATE_UNUSUAL})
    silence_counts: ClassVar[bool] = True

    group_by: tuple[str, ...] = Field(
        default=("host", "model_name"), description="one series per combination of these fields' values"
    )
    min_change: float = Field(default=0.2, ge=0, le=100, description="smaller relative changes are not reported")

    @model_validator(mode="after")
    def _can_fall_so_far(self) -> Self:
        if self.direction is Direction.DOWN and self.min_change >= 1:
            raise ValueError(
                "'min_change' must be less than 1 with 'direction: down': traffic falls by all of it at most"
            )
        return self

    def query(self) -> Query:
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(Measure("count"),),
            bucket_ms=self.bucket,
            settle_ms=SETTLE_MS,
        )

    def points(self, frame: Frame, series: Series, state: State) -> Iterator[tuple[int, float]]:
        counts = fresh_values(frame, series, "count")
        begun_ms = state.judged_ms if state.scorer else min(series.bucket_start_ms, default=frame.interval.end_ms)
        starts = bucket_starts(frame)
        for start_ms in starts[first_fresh(frame, starts) :]:
            if start_ms >= max(begun_ms, state.judged_ms):
                yield start_ms, max(counts.get(start_ms, 0.0), 0.0)

    def scaled(self, value: float) -> float:
        return scaled(value)

    def unscaled(self, value: float) -> float:
        """The count; what single precision leaves of none is none."""
        return round(unscaled(value), 6)

    @property
    def reason(self) -> Reason:
        return Reason.RATE_UNUSUAL

    @property
    def unit(self) -> str:
        return "events"

    def evidence(self, view: View, window: Interval) -> Evidence:
        """What has come in addition; for a fall what used to come just before it."""
        now = against_the_past(self.where, window)
        if view.up or now.compare_with is None:
            return now
        return Evidence(now.compare_with, self.where, self.where, now.interval)
