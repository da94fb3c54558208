"""`confidence_drift`: ways to drift, what it can be told, and values that are no numbers."""

import math
from dataclasses import replace

import numpy as np
import pytest

from detectors.base import Learner, Stage
from detectors.frame import Frame, Interval, Series
from detectors.parameters import Direction
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.stats.scores import EDGES
from tests.detectors.noise import MINUTE_MS, T0_MS, Change, Floats, binned, frame, score_series, scores

CHANGE = 200


def drifting(change: Change, minutes: int = CHANGE + 30) -> Series:
    """Normal scores around .6 which ``change`` alters from minute CHANGE on, with their histograms."""
    random = np.random.default_rng(4)
    made = [np.clip(random.normal(0.6, 0.05, 60), 0.0, 1.0) for _ in range(minutes)]
    made = [change(number, values, random) if number >= CHANGE else values for number, values in enumerate(made)]
    series = score_series("a", made)
    return replace(series, values={**series.values, "scores": tuple(binned(values, EDGES) for values in made)})


def part(series: Series, first: int, last: int) -> Frame:
    """The minutes first ≤ minute < last of a series as a frame of their own."""
    values = {name: column[first:last] for name, column in series.values.items()}
    shown = Series(series.key, series.bucket_start_ms[first:last], values)
    begin_ms = T0_MS + first * MINUTE_MS
    return Frame(Interval(begin_ms, T0_MS + last * MINUTE_MS), begin_ms, MINUTE_MS, (shown,))


def test_scores_that_widen_are_told_as_widening() -> None:
    """The same mean, three times the spread."""

    def widen(number: int, values: Floats, random: np.random.Generator) -> Floats:
        return np.clip(0.6 + (values - 0.6) * 3, 0.0, 1.0)

    found = ConfidenceDrift().detect(frame(CHANGE + 30, drifting(widen)), {}).findings
    assert {one.details["way"] for one in found} == {"widens"}
    assert abs((found[0].since_ms - T0_MS) / MINUTE_MS - CHANGE) <= 2


@pytest.mark.parametrize("direction", Direction)
def test_scores_near_1_that_widen_are_no_sharpening(direction: Direction) -> None:
    """Three times the spread around .97: most come nearer to 1, some go far away."""
    random = np.random.default_rng(4)
    made = [
        np.clip(0.97 + random.normal(0, 0.06 if minute >= CHANGE else 0.02, 60), 0.0, 1.0)
        for minute in range(CHANGE + 60)
    ]
    series = score_series("a", made)
    series = replace(series, values={**series.values, "scores": tuple(binned(values, EDGES) for values in made)})
    found = ConfidenceDrift(direction=direction, min_change=0.5).detect(frame(CHANGE + 60, series), {}).findings
    assert {one.details["way"] for one in found} == (set() if direction is Direction.UP else {"widens"})


def test_scores_that_sharpen_are_told_as_sharpening() -> None:
    """Surer by .12 in the mean."""
    found = ConfidenceDrift().detect(frame(CHANGE + 30, drifting(lambda _, values, __: values + 0.12)), {}).findings
    assert {one.details["way"] for one in found} == {"sharpens"}


def test_what_a_learner_can_be_told() -> None:
    """Warming up, judging, alarmed; an accepted drift is usual, a planned change starts a new baseline."""
    detector = ConfidenceDrift()
    assert isinstance(detector, Learner)
    series = drifting(lambda _, values, __: values * 0.7)
    stages = []
    for minutes in (30, CHANGE, CHANGE + 20):
        memory = detector.detect(part(series, 0, minutes), {}).memory[series.key]
        stages.append(detector.progress(memory).stage)
    assert stages == [Stage.WARMING_UP, Stage.JUDGING, Stage.ALARMED]
    accepted = detector.accept(memory)
    assert detector.progress(accepted).stage is Stage.WARMING_UP
    assert abs(detector.progress(accepted).seen - 20) <= 2
    assert detector.progress(detector.rebase(memory, T0_MS + (CHANGE + 5) * MINUTE_MS)).seen == 15
    told = detector.detect(part(series, CHANGE + 20, CHANGE + 30), {series.key: accepted})
    assert told.findings == ()
    assert detector.rebase({"version": 7}, T0_MS) == {"version": 7}


def test_values_that_are_no_numbers_are_passed_over() -> None:
    """Every third minute has no usable sum: nothing is made up of it, and the drop after it is found."""
    series = drifting(lambda _, values, __: values * 0.7)
    broken = {
        number: (math.nan, math.inf, None)[number // 3 % 3] for number in range(0, len(series.bucket_start_ms), 3)
    }
    sums = tuple(broken.get(number, value) for number, value in enumerate(series.values["sum"]))
    found = (
        ConfidenceDrift()
        .detect(frame(CHANGE + 30, replace(series, values={**series.values, "sum": sums})), {})
        .findings
    )
    assert {one.details["way"] for one in found} == {"sinks"}
    assert abs((found[0].since_ms - T0_MS) / MINUTE_MS - CHANGE) <= 2


def test_a_clock_that_jumps_back_is_a_fresh_start() -> None:
    """What was judged lies in the future of the next frame: learning begins anew, silently."""
    detector, series = (
        ConfidenceDrift(),
        score_series("a", scores(np.random.default_rng(1), per_minute=60, minutes=200)),
    )
    memory = detector.detect(part(series, 0, 200), {}).memory
    again = detector.detect(part(series, 50, 60), memory)
    assert again.findings == ()
    assert detector.progress(again.memory[series.key]).seen == 10
