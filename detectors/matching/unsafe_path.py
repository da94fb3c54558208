"""`unsafe_path`: paths with characters that nobody sees, or with another fault that keeps a file from being opened."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from pydantic import Field

from detectors.base import DetectorModel
from detectors.condition import AnyCharacter, Condition, Exists, Not, all_of, any_of, equals
from detectors.evidence import in_order
from detectors.finding import Detection, Evidence, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Key, Series
from detectors.matching.window import Reached, lookback_ms, reached, slice_ms
from detectors.parameters import Span
from detectors.query import Measure, Query
from detectors.stats.series import Floats, counts_on_grid
from recognizer.paths import UNSAFE_RANGES
from recognizer.reasons import EventType

_SLICES = 20
_STARTED = equals("event_type", EventType.INPUT_START.value)
_FAILED = equals("event_type", EventType.INPUT_ERROR.value)
_UNSAFE = any_of(Exists("path_issues"), AnyCharacter("file_path", UNSAFE_RANGES))


class UnsafePath(DetectorModel):
    """Any picture with a faulty path, until none has come for ``within``.

    Faulty is what the recognizer found fault with (``path_issues``), and, for services that don't look, every path
    that holds an invisible, bidirectional or control character. Only the events that begin or refuse a picture are
    looked at; a picture that has both counts once.
    """

    kind: ClassVar[str] = "unsafe_path"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.UNSAFE_PATH})

    group_by: tuple[str, ...] = Field(
        default=("file_dir",), description="one alert per combination of these fields' values: by default per folder"
    )
    within: Span = Field(default=600_000, description="the alert ends when no such path has come for this long")

    @property
    def _pictures(self) -> Condition:
        return all_of(any_of(_STARTED, _FAILED), self.where)

    def query(self) -> Query:
        bucket_ms = slice_ms(self.within, _SLICES)
        return Query(
            where=all_of(self._pictures, _UNSAFE),
            group_by=self.group_by,
            measures=(Measure("started", where=_STARTED), Measure("failed", where=_FAILED)),
            bucket_ms=bucket_ms,
            lookback_ms=lookback_ms(self.within, bucket_ms),
            partial=True,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        def amounts(series: Series, starts: list[int]) -> Floats:
            started = counts_on_grid(frame, series, "started", starts)
            return np.maximum(started, counts_on_grid(frame, series, "failed", starts))

        buckets = -(-self.within // frame.bucket_ms)
        found, kept = reached(frame, memory, amounts, buckets=buckets, at_least=1)
        return Detection(in_order(map(self._finding, found)), kept)

    def _finding(self, reached: Reached) -> Finding:
        return Finding(
            key=reached.key,
            at_ms=reached.window.end_ms,
            since_ms=reached.since_ms,
            reason=Reason.UNSAFE_PATH,
            observed=reached.amount,
            expected=Expected(high=0),
            unit="pictures",
            score=reached.amount,
            evidence=Evidence(
                reached.window, bad=all_of(self._pictures, _UNSAFE), baseline=all_of(self._pictures, Not(_UNSAFE))
            ),
            details={"within_ms": self.within},
        )
