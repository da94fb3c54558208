"""`absence`: a source that used to send events has fallen silent."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Self

import msgspec
from pydantic import Field, model_validator

from detectors.base import DetectorModel, DurationMs
from detectors.evidence import in_order
from detectors.finding import Detection, Evidence, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, Series
from detectors.matching.sliding import SETTLE_MS
from detectors.matching.window import slice_ms
from detectors.memory import recall, remember
from detectors.parameters import Span
from detectors.query import MINUTE_MS, Measure, Query
from detectors.stats.series import bucket_end_ms, bucket_starts, counts_on_grid, first_fresh

_SLICES = 10


class _State(msgspec.Struct, frozen=True):
    """``quiet_since_ms``: end of the last bucket with events, or since when an unseen source is expected."""

    version: Literal[1]
    quiet_since_ms: int
    seen: bool


class Absence(DetectorModel):
    """A key that was seen, or is expected, has sent nothing for ``silent_for``.

    A key with a missing value names no source and is not waited for. A source is forgotten, and its alert ends, after
    ``forget_after`` of silence, unless it is expected.
    """

    kind: ClassVar[str] = "absence"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.SOURCE_SILENT})

    silent_for: Span = Field(default=600_000, description="how long a source may be silent")
    expect: tuple[Mapping[str, str | int | float | bool], ...] = Field(
        default=(), description="sources that must be heard even if they never were, for example - host: gpu-1"
    )
    forget_after: DurationMs = Field(default=7 * 86_400_000, description="a source silent for this long is forgotten")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for source in self.expect:
            if set(source) != set(self.group_by):
                fields = ", ".join(self.group_by) or "nothing"
                raise ValueError(f"'expect' must name exactly the fields of group_by ({fields}), not {dict(source)}")
        if self.forget_after <= self.silent_for:
            raise ValueError("'forget_after' must be longer than 'silent_for', or no silence would ever be reported")
        return self

    def query(self) -> Query:
        bucket_ms = min(slice_ms(self.silent_for, _SLICES), MINUTE_MS)
        return Query(
            where=self.where,
            group_by=self.group_by,
            measures=(Measure("count"),),
            bucket_ms=bucket_ms,
            lookback_ms=-(-self.silent_for // bucket_ms) * bucket_ms,
            settle_ms=SETTLE_MS,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        starts = bucket_starts(frame)
        heard_in = {series.key: series for series in frame.series}
        expected = self._expected
        findings: list[Finding] = []
        kept: dict[Key, Memory] = {}
        for key in expected.union(filter(self._is_source, heard_in), filter(self._is_source, memory)):
            state = self._state(frame, memory.get(key), expected=key in expected)
            states = _follow(frame, heard_in.get(key), starts, state)
            if frame.complete:
                findings.extend(self._judge(frame, key, starts, states, forget=key not in expected))
            after = states[-1] if states else state
            if after is not None and (key in expected or not self._forgotten(after, frame.interval.end_ms)):
                kept[key] = remember(after)
        return Detection(in_order(findings), kept)

    @property
    def _expected(self) -> frozenset[Key]:
        """The sources that are waited for even if they never sent anything; without groups, everything together."""
        if not self.group_by:
            return frozenset({()})
        return frozenset(tuple((field, _text(source[field])) for field in self.group_by) for source in self.expect)

    def _is_source(self, key: Key) -> bool:
        return tuple(field for field, _ in key) == self.group_by and all(value is not None for _, value in key)

    def _state(self, frame: Frame, memory: Memory | None, *, expected: bool) -> _State | None:
        state = recall(memory, _State)
        if state is not None and state.quiet_since_ms <= frame.interval.end_ms:
            return state
        return _State(1, _watched_from_ms(frame), seen=False) if expected else None

    def _forgotten(self, state: _State, now_ms: int) -> bool:
        return now_ms - state.quiet_since_ms >= self.forget_after

    def _judge(
        self, frame: Frame, key: Key, starts: list[int], states: list[_State | None], *, forget: bool
    ) -> Iterator[Finding]:
        for index in range(first_fresh(frame, starts), len(starts)):
            state, at_ms = states[index], bucket_end_ms(frame, starts[index])
            if state is None or at_ms - state.quiet_since_ms < self.silent_for:
                continue
            if not (forget and self._forgotten(state, at_ms)):
                yield self._finding(key, at_ms, state)

    def _finding(self, key: Key, at_ms: int, state: _State) -> Finding:
        silent_ms = at_ms - state.quiet_since_ms
        before = Interval(state.quiet_since_ms - self.silent_for, state.quiet_since_ms)
        return Finding(
            key=key,
            at_ms=at_ms,
            since_ms=state.quiet_since_ms,
            reason=Reason.SOURCE_SILENT,
            observed=silent_ms,
            expected=Expected(high=self.silent_for),
            unit="ms",
            score=silent_ms / self.silent_for,
            evidence=Evidence(before, bad=self.where, baseline=self.where),
            details={"last_seen_ms": state.quiet_since_ms if state.seen else None},
        )


def _watched_from_ms(frame: Frame) -> int:
    """Since when silence counts at the first evaluation: since the store holds anything, or else from now on."""
    firsts = (series.bucket_start_ms[0] for series in frame.series if series.bucket_start_ms)
    return min(firsts, default=frame.interval.end_ms)


def _follow(frame: Frame, series: Series | None, starts: list[int], state: _State | None) -> list[_State | None]:
    """What is known of a source at the end of each bucket."""
    if series is None:
        return [state] * len(starts)
    known: list[_State | None] = []
    for start_ms, count in zip(starts, counts_on_grid(frame, series, "count", starts).tolist(), strict=True):
        end_ms = bucket_end_ms(frame, start_ms)
        if count > 0 and (state is None or not state.seen or end_ms > state.quiet_since_ms):
            state = _State(1, end_ms, seen=True)
        known.append(state)
    return known


def _text(value: str | float) -> str:
    """A value of ``expect`` as keys write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
