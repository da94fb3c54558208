"""Days and weeks of clean traffic through both kinds of drift, as the benchmark of their promises makes it."""

import numpy as np
import pytest

from benchmarks.detection.drift_promise import (
    CHANGE_BUCKETS,
    KINDS,
    LEARNING_DAYS,
    PER_DAY,
    begins,
    frame,
    label_rows,
    night,
    score_rows,
    weekend,
)
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.statistical.label_drift import LabelDrift

TERMS = {"bucket": "5m", "min_history": "2h"}


def test_the_third_weekend_is_known_and_what_goes_wrong_in_it_is_found() -> None:
    """Scores are lower at weekends: told twice. In the evening of the third Saturday they fall by more."""
    random, buckets = np.random.default_rng(5), 20 * PER_DAY
    rows = score_rows(random, weekend(random, buckets), CHANGE_BUCKETS)
    told = frame([rows])
    found = begins(ConfidenceDrift(**TERMS).detect(told, {}).findings, told.series[0].key)
    days = [at // PER_DAY for at in found]
    assert days[0] == 5
    assert 12 in days
    assert [at for at in found if 14 * PER_DAY < at <= buckets - CHANGE_BUCKETS] == []
    assert buckets - CHANGE_BUCKETS < found[-1] <= buckets - CHANGE_BUCKETS + 6


@pytest.mark.parametrize("seed", [2, 3])
def test_runs_of_similar_pictures_are_no_drift_at_a_known_time_of_day(seed: int) -> None:
    """At night there are few pictures, and they come in runs: a mix of fifty labels is noisy then."""
    random, buckets = np.random.default_rng(seed), 12 * PER_DAY
    rows = label_rows(random, night(random, buckets), CHANGE_BUCKETS)
    told = frame([rows])
    found = begins(LabelDrift(**TERMS).detect(told, {}).findings, told.series[0].key)
    assert found[0] < 2 * PER_DAY, "the first nights are told"
    clean = [at for at in found if at <= buckets - CHANGE_BUCKETS]
    assert [at for at in clean if at >= LEARNING_DAYS * PER_DAY] == []
    assert buckets - CHANGE_BUCKETS < found[-1] <= buckets - CHANGE_BUCKETS + 12


def test_every_kind_of_the_benchmark_is_told_rows_of_its_own_measures() -> None:
    """What the benchmark makes up is what the kind asks for."""
    for kind, make in KINDS.values():
        (row, *_) = make(np.random.default_rng(1), np.zeros(3), 0)
        assert set(row) == {measure.name for measure in kind(**TERMS).query().measures}
