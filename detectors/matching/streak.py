"""`streak`: the same failure several times in a row, without a success in between."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar, Literal

import msgspec
from pydantic import Field

from detectors.base import ConditionParameter, DetectorModel
from detectors.condition import all_of, any_of, equals
from detectors.evidence import in_order
from detectors.finding import Detection, Evidence, Expected, Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, RunSummary, Series
from detectors.keys import value_condition
from detectors.matching.runs import RunJoiner, Streaking
from detectors.matching.window import lookback_ms, slice_ms
from detectors.memory import recall, remember
from detectors.parameters import Span
from detectors.query import MINUTE_MS, Query, Runs
from detectors.stats.series import bucket_end_ms, bucket_starts, first_fresh
from recognizer.reasons import EventType

_SLICES = 10
_MAX_TOLD = 1_000
_ANY_VALUE = ""

Told = tuple[int, int, str]
"""A reported run: times of its first and last event, and a digest of its value (_ANY_VALUE: of any)."""


class _State(msgspec.Struct, frozen=True):
    version: Literal[1]
    told: tuple[Told, ...] = ()


class Streak(DetectorModel):
    """The same failure ``times`` in a row per key.

    The outcome of an event is its field ``same``; an event of ``reset`` has none and ends the run. The failures must
    lie within ``within``. A run that is going on is reported until a success or another failure ends it, or nothing
    has come for ``within``; a run that began and ended between two looks is reported once.
    """

    kind: ClassVar[str] = "streak"
    reasons: ClassVar[frozenset[Reason]] = frozenset({Reason.ERROR_STREAK})

    where: ConditionParameter = Field(
        default=equals("event_type", EventType.INPUT_ERROR.value), description="the failures"
    )
    times: int = Field(default=3, ge=2, le=10_000, description="how many equal failures in a row are reported")
    same: str = Field(default="reason", min_length=1, description="the field whose value must repeat")
    reset: ConditionParameter = Field(
        default=equals("event_type", EventType.INPUT_SUCCESS.value), description="the success that ends a run"
    )
    within: Span = Field(default=600_000, description="the failures must lie this close together")

    def query(self) -> Query:
        bucket_ms = min(slice_ms(self.within, _SLICES), MINUTE_MS)
        return Query(
            where=any_of(self.where, self.reset),
            group_by=self.group_by,
            measures=(Runs("runs", self.same, self.times),),
            bucket_ms=bucket_ms,
            lookback_ms=lookback_ms(self.within, bucket_ms),
            partial=True,
        )

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection:
        if not frame.complete:
            return Detection((), memory)  # a success that could not be read would make a run of two
        findings: list[Finding] = []
        kept: dict[Key, Memory] = {}
        for series in frame.series:
            state = recall(memory.get(series.key), _State)
            told = _Book(() if state is None else state.told)
            for at_ms, runs in sorted(self._walk(frame, series, told).items()):
                findings.append(self._finding(series.key, at_ms, runs))
            remembered = told.since(frame.interval.start_ms)
            if remembered:
                kept[series.key] = remember(_State(1, remembered))
        return Detection(in_order(findings), kept)

    def _walk(self, frame: Frame, series: Series, told: "_Book") -> dict[int, list[Streaking]]:
        """The runs to report, by the time at which they are reported."""
        starts = bucket_starts(frame)
        fresh = first_fresh(frame, starts)
        summaries = dict(zip(series.bucket_start_ms, series.values["runs"], strict=True))
        joiner = RunJoiner(self.times, self.within)
        found: dict[int, list[Streaking]] = {}
        for index, start_ms in enumerate(starts):
            summary = summaries.get(start_ms)
            if isinstance(summary, RunSummary):
                joiner.feed(start_ms, summary)
            at_ms = bucket_end_ms(frame, start_ms)
            run = joiner.open_at(at_ms)
            for ended in joiner.take_ended():
                if not told.knows(ended):
                    found.setdefault(bucket_end_ms(frame, ended.bucket_ms), []).append(ended)
                told.tell(ended)  # also its last events, or a later frame that begins with them takes them for news
            if run is not None and index >= fresh:
                found.setdefault(at_ms, []).append(told.tell(run))
        return found

    def _finding(self, key: Key, at_ms: int, runs: list[Streaking]) -> Finding:
        run = runs[-1]
        return Finding(
            key=key,
            at_ms=at_ms,
            since_ms=run.start_ms,
            reason=Reason.ERROR_STREAK,
            observed=run.length,
            expected=Expected(high=self.times - 1),
            unit="events",
            score=run.length / self.times,
            evidence=Evidence(
                Interval(run.start_ms, max(at_ms, run.end_ms + 1)),
                bad=all_of(self.where, value_condition(self.same, run.value)),
                baseline=self.reset,
                compare_with=Interval(min(run.start_ms, at_ms - self.within), at_ms),
            ),
            details={
                "field": self.same,
                "value": run.value,
                "length": run.length,
                "last_ms": run.end_ms,
                "also": [other.value for other in runs[:-1]],
            },
        )


class _Book:
    """Which runs were reported, so that each is begun once and keeps its beginning."""

    def __init__(self, told: Iterable[Told]) -> None:
        self._told = list(told)

    def knows(self, run: Streaking) -> bool:
        return any(_same(entry, run) for entry in self._told)

    def tell(self, run: Streaking) -> Streaking:
        """Note the run as reported; it comes back with the beginning it was first reported with."""
        known = [entry for entry in self._told if _same(entry, run)]
        start_ms = min([run.start_ms, *(entry[0] for entry in known if entry[2] != _ANY_VALUE)])
        end_ms = max([run.end_ms, *(entry[1] for entry in known if entry[2] != _ANY_VALUE)])
        self._told = [entry for entry in self._told if entry not in known or entry[2] == _ANY_VALUE]
        self._told.append((start_ms, end_ms, _digest(run.value)))
        return replace(run, start_ms=start_ms)

    def since(self, start_ms: int) -> tuple[Told, ...]:
        """What is to be remembered: the runs a later frame can still show, the oldest ones taken together."""
        kept = sorted(entry for entry in self._told if entry[1] >= start_ms)
        surplus = kept[: max(0, len(kept) - _MAX_TOLD + 1)]
        if len(surplus) < 2:
            return tuple(kept)
        merged = (surplus[0][0], max(entry[1] for entry in surplus), _ANY_VALUE)
        return (merged, *kept[len(surplus) :])


def _same(entry: Told, run: Streaking) -> bool:
    start_ms, end_ms, digest = entry
    return start_ms <= run.end_ms and end_ms >= run.start_ms and digest in {_ANY_VALUE, _digest(run.value)}


def _digest(value: str) -> str:
    return hashlib.blake2s(value.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
