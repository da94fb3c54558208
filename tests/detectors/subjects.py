"""Every detector kind as the conformance suite meets it, with parameters that suit the suite's short worlds."""

from functools import partial

from detectors.checks import Subject
from detectors.condition import equals
from detectors.matching.absence import Absence
from detectors.matching.count import Count
from detectors.matching.missing_step import MissingStep
from detectors.matching.ratio import Ratio
from detectors.matching.streak import Streak
from detectors.matching.threshold import MeasureName, Threshold
from detectors.matching.unsafe_path import UnsafePath
from detectors.parameters import Direction
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.statistical.label_drift import LabelDrift
from detectors.statistical.latency import Latency
from detectors.statistical.metric import Metric
from detectors.statistical.outlier import Outlier, Quantity
from detectors.statistical.rate import Rate

HOST = ("host",)
DURATIONS = (
    Quantity(measure=MeasureName.COUNT),
    Quantity(measure=MeasureName.AVG, field="duration_ms"),
    Quantity(measure=MeasureName.MAX, field="duration_ms"),
)
FAILED = equals("event_type", "input_error")


def _threshold(measure: MeasureName) -> Threshold:
    return Threshold(
        group_by=HOST,
        measure=measure,
        field=None if measure is MeasureName.COUNT else "duration_ms",
        percent=95 if measure is MeasureName.PERCENTILE else None,
        above=20 if measure is MeasureName.CARDINALITY else 45,
        below=1,
    )


SUBJECTS: dict[str, Subject] = {
    "streak": Subject(lambda: Streak(group_by=HOST)),
    "streak of two within a short time": Subject(lambda: Streak(times=2, within="30s")),
    "count": Subject(lambda: Count(group_by=HOST, at_least=450)),
    "count of everything": Subject(lambda: Count(at_least=1, within="7s")),
    "ratio": Subject(lambda: Ratio(group_by=HOST, bad=FAILED, above=0.2)),
    "ratio below": Subject(lambda: Ratio(bad=FAILED, below=0.01, window="90s", at_least_events=1)),
    "absence": Subject(lambda: Absence(group_by=HOST, silent_for="2m")),
    "absence of expected": Subject(
        lambda: Absence(group_by=HOST, silent_for="2m", expect=({"host": "gpu-9"},), forget_after="1h")
    ),
    "absence of everything": Subject(lambda: Absence(silent_for="1m")),
    "missing step": Subject(lambda: MissingStep(group_by=HOST, at_least=10)),
    "unsafe path": Subject(UnsafePath),
    "latency": Subject(lambda: Latency(min_history="20m"), silent_buckets=20),
    "confidence drift": Subject(lambda: ConfidenceDrift(min_history="20m"), silent_buckets=20),
    "confidence drift both ways": Subject(
        lambda: ConfidenceDrift(min_history="20m", direction=Direction.BOTH, at_least_events=100, adapt_after="30m"),
        silent_buckets=20,
    ),
    "outlier": Subject(
        lambda: Outlier(
            group_by=HOST,
            bucket="1m",
            min_history="10m",
            adapt_after="20m",
            retrain_every="1h",
            false_alarms="1 per 1h",
            measures=DURATIONS,
        ),
        silent_buckets=130,
    ),
    "label drift": Subject(lambda: LabelDrift(min_history="20m"), silent_buckets=40),
    "label drift of few labels": Subject(
        lambda: LabelDrift(min_history="20m", top=5, at_least_events=100, adapt_after="30m"), silent_buckets=40
    ),
    "metric": Subject(
        lambda: Metric(group_by=HOST, field="duration_ms", min_history="1h", false_alarms="1 per 6h"),
        silent_buckets=60,
    ),
    "rate": Subject(lambda: Rate(group_by=HOST, min_history="1h", false_alarms="1 per 2h"), silent_buckets=60),
    **{f"threshold of {name}": Subject(partial(_threshold, name)) for name in MeasureName},
}
