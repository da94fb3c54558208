"""`metric`: a numeric field is not what it usually is at this time."""

import enum
from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from detectors.evidence import beyond
from detectors.finding import Evidence, Reason
from detectors.frame import Frame, Interval, Series
from detectors.query import Measure, Query, Statistic
from detectors.statistical.learning import SETTLE_MS
from detectors.statistical.unusual import State, Unusual
from detectors.statistical.watch import View
from detectors.stats.series import fresh_values
from detectors.units import unit_of


class Summary(enum.StrEnum):
    """The one number that a bucket's values are judged by. ``increase``: of a counter that only grows."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    INCREASE = "increase"


class Metric(Unusual):
    """The average (or another summary) of ``field`` per bucket is unusual. A bucket without a value says nothing.

    With ``increase`` the field is a counter: what is judged is how much its maximum has grown per bucket. How much it
    grew where it starts again from a smaller number nobody knows: that bucket says nothing.
    """

    kind: ClassVar[str] = "metric"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.METRIC_UNUSUAL})

    group_by: tuple[str, ...] = Field(
        default=("host", "model_name"), description="one series per combination of these fields' values"
    )
    field: str = Field(min_length=1, description="the numeric field")
    measure: Summary = Field(default=Summary.AVG, description="which number stands for the values of a bucket")

    def query(self) -> Query:
        statistic = Statistic.MAX if self.measure is Summary.INCREASE else Statistic(self.measure.value)
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(Measure("value", statistic, self.field),),
            bucket_ms=self.bucket,
            settle_ms=SETTLE_MS,
        )

    def points(self, frame: Frame, series: Series, state: State) -> Iterator[tuple[int, float]]:
        known = self._values(frame, series, state)
        return self._increases(known, state.carried) if self.measure is Summary.INCREASE else known

    def carry(self, frame: Frame, series: Series, state: State) -> tuple[int, float] | None:
        """The newest value of a counter and when it was seen."""
        if self.measure is not Summary.INCREASE:
            return None
        return max(self._values(frame, series, state), default=state.carried)

    def _values(self, frame: Frame, series: Series, state: State) -> Iterator[tuple[int, float]]:
        for start_ms, value in fresh_values(frame, series, "value").items():
            if start_ms >= state.judged_ms:
                yield start_ms, value

    def _increases(
        self, counters: Iterator[tuple[int, float]], before: tuple[int, float] | None
    ) -> Iterator[tuple[int, float]]:
        for start_ms, counter in counters:
            if before is not None and start_ms > before[0] and counter >= before[1]:
                yield start_ms, (counter - before[1]) * self.bucket / (start_ms - before[0])
            before = start_ms, counter

    @property
    def reason(self) -> Reason:
        return Reason.METRIC_UNUSUAL

    @property
    def unit(self) -> str:
        return unit_of(self.field)

    @property
    def measured(self) -> Mapping[str, str]:
        return {"field": self.field, "measure": self.measure.value}

    def evidence(self, view: View, window: Interval) -> Evidence:
        """The events whose value lies beyond the band."""
        return beyond(self.where, self.field, view.high if view.up else view.low, window, high=view.up)
