"""Made-up answers to any query, for `detectors.checks`: keys over buckets, with calm and bad stretches."""

import enum
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from detectors.condition import Always
from detectors.frame import Bins, Counts, Frame, Interval, Key, Run, RunSummary, Series, Value
from detectors.query import AnyMeasure, Histogram, Measure, Query, Runs, Statistic, Tally, Unmatched

START_MS = 1_700_006_400_000
"""The first bucket's earliest start; rounded up to the query's bucket."""


class Style(enum.StrEnum):
    """What the values are like."""

    USUAL = "usual"
    CALM = "calm"
    CONSTANT = "constant"
    HOLES = "holes"
    HUGE = "huge"
    NEGATIVE = "negative"


Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class World:
    """What a store would know: the values of every key's buckets that are not empty, by bucket index."""

    query: Query
    cells: Mapping[Key, Mapping[int, Row]]
    buckets: int

    @property
    def first_ms(self) -> int:
        bucket = self.query.bucket_ms
        return -(-START_MS // bucket) * bucket

    def start_ms(self, index: int) -> int:
        return self.first_ms + index * self.query.bucket_ms

    def frame(self, first: int, last: int, *, open_ms: int = 0, complete: bool = True) -> Frame:
        """The buckets first ≤ index < last are fresh; the lookback lies before them.

        With ``open_ms`` the last one is still open and ends that long after its start.
        """
        bucket = self.query.bucket_ms
        end_ms = self.start_ms(last - 1) + open_ms if open_ms else self.start_ms(last)
        interval = Interval(self.start_ms(first) - self.query.lookback_ms, end_ms)
        earliest = first - self.query.lookback_ms // bucket
        series: list[Series] = []
        for key in sorted(self.cells, key=repr):
            shown = [index for index in sorted(self.cells[key]) if earliest <= index < last]
            if shown:
                rows = [self.cells[key][index] for index in shown]
                values = {measure.name: tuple(row[measure.name] for row in rows) for measure in self.query.measures}
                series.append(Series(key, tuple(map(self.start_ms, shown)), values))
        return Frame(interval, self.start_ms(first), bucket, tuple(series), complete)

    def without(self, key: Key, indices: range) -> "World":
        """The same world in which some buckets of a key have not come in yet."""
        cells = {index: row for index, row in self.cells[key].items() if index not in indices}
        return replace(self, cells={**self.cells, key: cells})


@lru_cache(maxsize=64)
def make_world(query: Query, *, seed: int, buckets: int, keys: int = 3, style: Style = Style.USUAL) -> World:
    """A world of ``keys`` series. In every style but CALM and CONSTANT a stretch in the second half is bad and, for
    most keys, another one silent."""
    random = np.random.default_rng(seed)
    cells: dict[Key, dict[int, Row]] = {}
    for number in range(keys if query.group_by else 1):
        key = tuple((field, f"{field}-{number}") for field in query.group_by)
        calm = style in {Style.CALM, Style.CONSTANT}
        bad = range(0) if calm else range(buckets * 6 // 10, buckets * 7 // 10)
        silent = range(0) if calm or number % 3 == 1 else range(buckets * 78 // 100, buckets * 86 // 100)
        busy = 1.0 if style is Style.CONSTANT else 0.9
        cells[key] = {
            index: _row(query, index, random, style, change=(5.0, 0.2)[number % 2] if index in bad else 1.0)
            for index in range(-query.lookback_ms // query.bucket_ms, buckets)
            if random.random() < busy and index not in silent
        }
    return World(query, cells, buckets)


def _row(query: Query, index: int, random: np.random.Generator, style: Style, change: float) -> Row:
    start_ms = World(query, {}, 0).start_ms(index)
    if style is Style.CONSTANT:
        return {
            measure.name: _value(measure, np.full(30, 7.0), start_ms, query, random, bad_share=0.0)
            for measure in query.measures
        }
    events = int(random.poisson(40)) + 1
    values = np.exp(random.normal(3.0, 0.2, events)) * change
    if style is Style.NEGATIVE:
        values = -values
    row = {
        measure.name: _value(measure, values, start_ms, query, random, bad_share=0.6 if change > 1 else 0.02)
        for measure in query.measures
    }
    return {name: _spoilt(value, random, style) for name, value in row.items()}


def _value(
    measure: AnyMeasure, values: np.ndarray, start_ms: int, query: Query, random: np.random.Generator, bad_share: float
) -> Value:
    events = len(values)
    match measure:
        case Runs():
            return _summary(measure, events, start_ms, query.bucket_ms, random, bad_share)
        case Unmatched():
            return float(random.binomial(events, bad_share))
        case Measure(statistic=Statistic.COUNT, where=where):
            return float(events if isinstance(where, Always) else random.binomial(events, bad_share))
        case Histogram(edges=edges):
            places = np.searchsorted(edges, values, side="right").tolist()
            return Bins(tuple(sorted(Counter(places).items())))
        case Tally(top=top):
            return _tally(top, events, random, bad_share)
        case _:
            return _number(measure, values)


def _number(measure: Measure, values: np.ndarray) -> float:
    match measure.statistic:
        case Statistic.PERCENTILE:
            return float(np.percentile(values, measure.percent or 0.0))
        case Statistic.SUM_OF_SQUARES:
            return float(np.square(values).sum())
        case Statistic.CARDINALITY:
            return float(len(np.unique(np.round(values))))
        case Statistic.AVG:
            return float(values.mean())
        case Statistic.MIN:
            return float(values.min())
        case Statistic.MAX:
            return float(values.max())
        case _:
            return float(values.sum())


def _tally(top: int, events: int, random: np.random.Generator, bad_share: float) -> Counts:
    """A long tail of labels, and one of them stuck for that share of the events."""
    free = random.geometric(0.3, events) if bad_share else np.ones(events, dtype=int)
    labels = np.where(random.random(events) < bad_share, 3, free)
    ranked = sorted(((f"label-{label}", count) for label, count in Counter(labels.tolist()).items()), key=_by_count)
    return Counts(tuple(ranked[:top]), sum(count for _, count in ranked[top:]))


def _by_count(labelled: tuple[str, int]) -> tuple[int, str]:
    return -labelled[1], labelled[0]


def _summary(
    measure: Runs, events: int, start_ms: int, bucket_ms: int, random: np.random.Generator, bad_share: float
) -> RunSummary:
    """The runs of a few outcomes, all in the first half of the bucket: an open bucket that long shows them too."""
    outcomes = [
        str(random.choice(["broken", "gone"], p=[0.9, 0.1])) if random.random() < bad_share else None
        for _ in range(min(events, 12))
    ]
    times = [start_ms + bucket_ms * number // (2 * len(outcomes) + 1) for number in range(len(outcomes))]
    runs: list[Run | None] = []
    previous: str | None = None
    for number, (outcome, time_ms) in enumerate(zip(outcomes, times, strict=True)):
        last = runs[-1] if runs else None
        if number and outcome == previous:
            runs[-1] = None if last is None else replace(last, length=last.length + 1, end_ms=time_ms)
        else:
            runs.append(None if outcome is None else Run(outcome, 1, time_ms, time_ms))
        previous = outcome
    inner = tuple(run for run in runs[1:-1] if run is not None and run.length >= measure.at_least)
    return RunSummary(runs[0], runs[-1], inner, whole=len(runs) == 1 and runs[0] is not None)


def _spoilt(value: Value, random: np.random.Generator, style: Style) -> Value:
    if isinstance(value, (RunSummary, Bins, Counts)):
        return value
    if style is Style.HOLES and random.random() < 0.3:
        return None if random.random() < 0.5 else math.nan
    if style is Style.HUGE and value is not None and random.random() < 0.3:
        return value * 1e300
    return value
