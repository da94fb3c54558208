"""`ratio`: too large or too small a share of events is of a kind."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from detectors.base import ConditionParameter, DetectorModel
from detectors.condition import Not, all_of
from detectors.evidence import in_order
from detectors.finding import Detection, Evidence, Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, Series
from detectors.matching.sliding import SETTLE_MS, fresh_windows, sliding_bucket_ms
from detectors.parameters import Bounds, Span
from detectors.query import Measure, Query
from detectors.stats.probability import log_beta_binomial_tail
from detectors.stats.series import counts_on_grid, trailing_sum


class Ratio(DetectorModel, Bounds):
    """The share of the events matching ``bad`` among those matching ``where``, over a sliding ``window``."""

    kind: ClassVar[str] = "ratio"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.RATIO_TOO_HIGH, Reason.RATIO_TOO_LOW})

    bad: ConditionParameter = Field(description="the events whose share is judged")
    window: Span = Field(default=300_000, description="the share is taken over this long")
    at_least_events: int = Field(default=20, ge=1, description="with fewer events in the window nothing is said")
    early_chance: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="fewer events speak all the same where a share at the bound would give as many with at most this "
        "probability",
    )

    @model_validator(mode="after")
    def _shares(self) -> Self:
        for name, bound in (("above", self.above), ("below", self.below)):
            if bound is not None and not 0 <= bound <= 1:
                raise ValueError(f"'{name}' is a share from 0 to 1, not {bound:g}: write 0.05 for five percent")
        return self

    def query(self) -> Query:
        bucket_ms = sliding_bucket_ms(self.window)
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(Measure("count"), Measure("bad", where=self.bad)),
            bucket_ms=bucket_ms,
            lookback_ms=self.window - bucket_ms,
            settle_ms=SETTLE_MS,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        """Needs no memory: every window is wholly in the frame, with what came late to it."""
        del memory
        if not frame.complete:
            return Detection((), {})
        return Detection(in_order(finding for series in frame.series for finding in self._judge(frame, series)), {})

    def _judge(self, frame: Frame, series: Series) -> Iterator[Finding]:
        buckets = self.window // frame.bucket_ms
        windows = fresh_windows(frame, buckets)
        totals = trailing_sum(counts_on_grid(frame, series, "count", windows.starts), buckets)
        bads = trailing_sum(counts_on_grid(frame, series, "bad", windows.starts), buckets)
        for index, window in windows:
            total, bad = float(totals[index]), float(bads[index])
            score = self.excess(bad / total) if total else None
            if score is not None and (total >= self.at_least_events or self._is_beyond_chance(bad, total)):
                yield self._finding(series.key, window, bad, total, score)

    def _is_beyond_chance(self, bad: float, total: float) -> bool:
        """Whether a share that lies at the bound would give so many, or so few, with `early_chance` at most (binomial
        law)."""
        if self.early_chance is None:
            return False
        if self.above is not None and bad / total > self.above:
            found, share = bad, self.above
        else:
            found, share = total - bad, 1.0 - (self.below or 0.0)
        if share <= 0.0:
            return True
        tail = log_beta_binomial_tail(np.array([found]), np.array([total]), np.array([share]), np.zeros(1))
        return bool(tail[0] <= np.log(self.early_chance))

    def _finding(self, key: Key, window: Interval, bad: float, total: float, score: float) -> Finding:
        ratio = bad / total
        high = self.above is not None and ratio > self.above
        is_bad, is_good = all_of(self.where, self.bad), all_of(self.where, Not(self.bad))
        return Finding(
            key=key,
            at_ms=window.end_ms,
            since_ms=window.start_ms,
            reason=Reason.RATIO_TOO_HIGH if high else Reason.RATIO_TOO_LOW,
            observed=ratio,
            expected=self.band,
            unit="ratio",
            score=score,
            evidence=Evidence(window, bad=is_bad, baseline=is_good) if high else Evidence(window, is_good, is_bad),
            details={"matching": int(bad), "events": int(total), "window_ms": self.window},
        )
