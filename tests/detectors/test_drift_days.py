"""The drift kinds on days of 23 and 25 hours: a rhythm that comes an hour early or late is no drift."""

from collections import Counter

import numpy as np
import pytest

from detectors.finding import Finding
from detectors.frame import Counts, Series
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.statistical.label_drift import LabelDrift
from tests.detectors.noise import MINUTE_MS, T0_MS, Floats, frame, score_series

DAY = 1_440
CHANGED = 2 * DAY
MINUTES = CHANGED + DAY // 2
FAULT = CHANGED + DAY // 4


def course(hours: int) -> Floats:
    """From -1 to 1, the course of the day by the clock on the wall, which is changed on the third day."""
    minutes = np.arange(MINUTES)
    return np.asarray(np.sin(2 * np.pi * (minutes + (minutes >= CHANGED) * (24 - hours) * 60) / DAY))


def minute(finding: Finding) -> float:
    return (finding.at_ms - T0_MS) / MINUTE_MS


@pytest.mark.parametrize("hours", [23, 25])
def test_scores_on_a_day_of_23_or_25_hours(hours: int) -> None:
    """Ten times the traffic by day, and scores that are a little lower then; the only drift is the planted one."""
    random = np.random.default_rng(hours)
    by_day = course(hours)
    counts = random.poisson(33 + 27 * by_day)
    made = [
        random.beta(8, 2, count) * (1 - 0.01 * by_day[number]) * (0.8 if number >= FAULT else 1.0)
        for number, count in enumerate(counts)
    ]
    findings = ConfidenceDrift().detect(frame(MINUTES, score_series("a", made)), {}).findings
    assert findings
    assert FAULT < minute(findings[0]) <= FAULT + 30


@pytest.mark.parametrize("hours", [23, 25])
def test_labels_on_a_day_of_23_or_25_hours(hours: int) -> None:
    """Ten times the traffic by day, and a mix that is hardly different then; the only drift is the planted one."""
    random = np.random.default_rng(hours)
    by_day = course(hours)
    tallies = []
    for number, count in enumerate(random.poisson(66 + 54 * by_day)):
        shares = np.array([0.4 + 0.005 * by_day[number], 0.3 - 0.005 * by_day[number], 0.2, 0.07, 0.03])
        labels = random.choice(5, count, p=shares)
        labels = np.where(random.random(count) < 0.3, 3, labels) if number >= FAULT else labels
        tallies.append(Counts(tuple(Counter(f"label {label}" for label in labels).most_common())))
    starts = tuple(T0_MS + number * MINUTE_MS for number in range(MINUTES))
    totals = tuple(float(sum(count for _, count in one.counts)) for one in tallies)
    series = Series((("model_name", "a"),), starts, {"count": totals, "labels": tuple(tallies)})
    findings = LabelDrift().detect(frame(MINUTES, series), {}).findings
    assert findings
    assert FAULT < minute(findings[0]) <= FAULT + 10
    assert abs(findings[0].since_ms - T0_MS - FAULT * MINUTE_MS) <= 3 * MINUTE_MS
