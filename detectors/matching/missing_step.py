"""`missing_step`: requests that began and never came to an end."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from detectors.base import ConditionParameter, DetectorModel
from detectors.condition import all_of, any_of, equals
from detectors.evidence import in_order
from detectors.finding import Detection, Evidence, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Key, Series
from detectors.matching.window import Reached, lookback_ms, reached
from detectors.parameters import Span
from detectors.query import Query, Unmatched
from detectors.stats.series import Floats, counts_on_grid
from recognizer.reasons import EventType

_END = any_of(
    equals("event_type", EventType.INPUT_ERROR.value),
    equals("event_type", EventType.INFERENCE_COMPLETE.value),
    equals("event_type", EventType.BUSINESS_OUTPUT.value),
)


class MissingStep(DetectorModel):
    """At least ``at_least`` requests that started within one ``window`` had no end ``timeout`` after it.

    A start and its end are joined by ``request_id``. ``where`` narrows the starts; an end counts wherever it is.
    """

    kind: ClassVar[str] = "missing_step"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.REQUEST_UNFINISHED})

    start: ConditionParameter = Field(
        default=equals("event_type", EventType.INPUT_START.value), description="the event that begins a request"
    )
    end: ConditionParameter = Field(default=_END, description="the event that ends it, well or badly")
    timeout: Span = Field(default=120_000, description="how long an end is waited for")
    window: Span = Field(default=60_000, description="starts are counted together over this long")
    at_least: int = Field(default=1, ge=1, description="how many unfinished requests in one window are reported")

    def query(self) -> Query:
        start = all_of(self.start, self.where)
        return Query(
            where=any_of(start, self.end),
            group_by=self.group_by,
            measures=(Unmatched("unfinished", "request_id", start, self.end),),
            bucket_ms=self.window,
            lookback_ms=lookback_ms(0, self.window),
            settle_ms=self.timeout,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        if not frame.complete:
            return Detection((), memory)

        def amounts(series: Series, starts: list[int]) -> Floats:
            return counts_on_grid(frame, series, "unfinished", starts)

        found, kept = reached(frame, memory, amounts, buckets=1, at_least=self.at_least)
        return Detection(in_order(map(self._finding, found)), kept)

    def _finding(self, reached: Reached) -> Finding:
        started = all_of(self.start, self.where)
        return Finding(
            key=reached.key,
            at_ms=reached.window.end_ms,
            since_ms=reached.since_ms,
            reason=Reason.REQUEST_UNFINISHED,
            observed=reached.amount,
            expected=Expected(high=self.at_least - 1),
            unit="requests",
            score=reached.amount / self.at_least,
            evidence=Evidence(reached.window, bad=started, baseline=started),
            details={"timeout_ms": self.timeout, "at_least": self.at_least},
        )
