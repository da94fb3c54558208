"""The detector kinds, by the name alerts.yaml uses."""

from collections.abc import Mapping
from types import MappingProxyType

from detectors.base import DetectorModel
from detectors.matching.absence import Absence
from detectors.matching.count import Count
from detectors.matching.missing_step import MissingStep
from detectors.matching.ratio import Ratio
from detectors.matching.streak import Streak
from detectors.matching.threshold import Threshold
from detectors.matching.unsafe_path import UnsafePath
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.statistical.label_drift import LabelDrift
from detectors.statistical.latency import Latency
from detectors.statistical.metric import Metric
from detectors.statistical.outlier import Outlier
from detectors.statistical.rate import Rate

DETECTORS: Mapping[str, type[DetectorModel]] = MappingProxyType(
    {
        Streak.kind: Streak,
        Count.kind: Count,
        Ratio.kind: Ratio,
        Threshold.kind: Threshold,
        Absence.kind: Absence,
        MissingStep.kind: MissingStep,
        UnsafePath.kind: UnsafePath,
        Latency.kind: Latency,
        ConfidenceDrift.kind: ConfidenceDrift,
        LabelDrift.kind: LabelDrift,
        Outlier.kind: Outlier,
        Metric.kind: Metric,
        Rate.kind: Rate,
    }
)
"""Every kind that ships. A kind is one file; it is listed here."""
