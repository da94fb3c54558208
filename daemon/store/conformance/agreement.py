"""Whether a frame is what the oracle says, within the tolerances that the protocol leaves."""

from collections.abc import Sequence

from daemon.store.base import Ask
from daemon.store.conformance.measures import expect_close, percentile_bounds
from daemon.store.conformance.support import as_mapping, expect, expect_true
from daemon.store.reference import ReferenceStore, Row, elements
from detectors.condition import matches
from detectors.frame import Frame, RunSummary, Value
from detectors.query import AnyMeasure, Measure, Runs, Statistic

_ADDED_UP = frozenset({Statistic.AVG, Statistic.SUM, Statistic.SUM_OF_SQUARES})


def check_agreement(oracle: ReferenceStore, ask: Ask, frame: Frame) -> None:
    """Raises ConformanceError unless ``frame`` answers ``ask`` as the oracle, which holds the same events, does."""
    (expected,) = oracle.ask([ask])
    expect((frame.interval, frame.fresh_from_ms), (expected.interval, expected.fresh_from_ms), "what was read")
    expect([series.key for series in frame.series], [series.key for series in expected.series], f"keys of {ask}")
    wanted, found = as_mapping(expected, ask.query), as_mapping(frame, ask.query)
    rows = {(tuple(value for _, value in key), bucket): part for (key, bucket), part in oracle.cells(ask).items()}
    for key, buckets in wanted.items():
        expect(list(found[key]), list(buckets), f"buckets of {key} in {ask}")
        for bucket, values in buckets.items():
            for measure, value, actual in zip(ask.query.measures, values, found[key][bucket], strict=True):
                _check_value(measure, rows[key, bucket], value, actual, f"{measure} of {key} at {bucket} in {ask}")


def _check_value(measure: AnyMeasure, rows: Sequence[Row], expected: Value, actual: Value, what: str) -> None:
    match measure:
        case Measure(statistic=Statistic.PERCENTILE) if expected is not None:
            low, high = percentile_bounds(_numbers(measure, rows), measure.percent or 0.0)
            within = isinstance(actual, (int, float)) and low <= actual <= high
            expect_true(within, f"{actual!r} within {low} … {high}: {what}")
        case Measure(statistic=statistic) if statistic in _ADDED_UP and isinstance(expected, float):
            numbers = _numbers(measure, rows)
            power = 2 if statistic is Statistic.SUM_OF_SQUARES else 1
            expect_close(actual, expected, what, scale=sum(abs(number) ** power for number in numbers))
        case Runs():
            expect(_long_inner(actual, measure), _long_inner(expected, measure), what)
        case _:
            expect(actual, expected, what)


def _numbers(measure: Measure, rows: Sequence[Row]) -> list[float]:
    field = measure.field or ""
    return [float(number) for row in rows if matches(measure.where, row) for number in elements(row.get(field))]


def _long_inner(value: Value, measure: Runs) -> Value:
    """Without the inner runs that need not be told."""
    if not isinstance(value, RunSummary):
        return value
    kept = tuple(run for run in value.inner if run.length >= measure.at_least)
    return RunSummary(value.prefix, value.suffix, kept, value.whole)
