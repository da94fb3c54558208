"""`count`: too many events of a kind within a while."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from detectors.base import DetectorModel
from detectors.evidence import against_the_rest, in_order
from detectors.finding import Detection, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Key, Series
from detectors.matching.window import Reached, lookback_ms, reached, slice_ms
from detectors.parameters import Span
from detectors.query import Measure, Query
from detectors.stats.series import Floats, counts_on_grid

_SLICES = 20


class Count(DetectorModel):
    """At least ``at_least`` events within any stretch of ``within``.

    The window slides in steps of a twentieth of ``within`` and is one step longer than that: a burst that fits into
    ``within`` is never missed for straddling two buckets.
    """

    kind: ClassVar[str] = "count"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.TOO_MANY_EVENTS})

    at_least: int = Field(ge=1, description="how many events are too many")
    within: Span = Field(default=300_000, description="the stretch of time in which they are counted")

    def query(self) -> Query:
        bucket_ms = slice_ms(self.within, _SLICES)
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(Measure("count"),),
            bucket_ms=bucket_ms,
            lookback_ms=lookback_ms(self.within, bucket_ms),
            partial=True,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        def amounts(series: Series, starts: list[int]) -> Floats:
            return counts_on_grid(frame, series, "count", starts)

        buckets = -(-self.within // frame.bucket_ms) + 1
        found, kept = reached(frame, memory, amounts, buckets=buckets, at_least=self.at_least)
        return Detection(in_order(map(self._finding, found)), kept)

    def _finding(self, reached: Reached) -> Finding:
        return Finding(
            key=reached.key,
            at_ms=reached.window.end_ms,
            since_ms=reached.since_ms,
            reason=Reason.TOO_MANY_EVENTS,
            observed=reached.amount,
            expected=Expected(high=self.at_least - 1),
            unit="events",
            score=reached.amount / self.at_least,
            evidence=against_the_rest(self.where, reached.window),
            details={"within_ms": self.within, "at_least": self.at_least},
        )
