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
from detectors.statistical.latency import Latency
from detectors.statistical.outlier import Outlier

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
        Outlier.kind: Outlier,
    }
)
"""Every kind that ships. A kind is one file; it is listed here."""
