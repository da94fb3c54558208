"""How well a score tells labelled stretches of a series: VUS-PR, and incidents caught at a budget of false alarms."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Stretches = list[tuple[int, int]]
"""Labelled stretches: first place and the place after the last one, in order and apart from each other."""

_THRESHOLDS = 250


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of a series from ``begin`` on (before it nothing is judged), with its labelled stretches."""

    scores: Floats
    stretches: Stretches
    begin: int


def vus_pr(scores: Floats, stretches: Stretches, widest: int) -> float:
    """The volume under the precision-recall curves of labels widened by 0 to ``widest`` places.

    Range-AUC-PR with sloping borders and the share of stretches that are met at all as a factor of recall; its mean
    over the widths (Paparrizos et al., "Volume Under the Surface", VLDB 2022).
    """
    order = np.argsort(-scores, kind="stable")
    places = np.linspace(0, len(scores) - 1, _THRESHOLDS).astype(int)
    heights = scores[order][places]
    told = np.searchsorted(-scores[order], -heights, side="right")
    areas = [_area(scores, stretches, width, (order, heights, told)) for width in range(widest + 1)]
    return float(np.mean(areas))


def _area(
    scores: Floats, stretches: Stretches, width: int, curve: tuple[NDArray[np.intp], Floats, NDArray[np.intp]]
) -> float:
    order, heights, told = curve
    sharp, soft = np.zeros(len(scores)), np.zeros(len(scores))
    tops: list[float] = []
    for begin, end in stretches:
        sharp[begin:end] = 1.0
        outside = np.arange(1, width // 2 + 1)
        slope = np.sqrt(1.0 - outside / max(width, 1))
        left, right = begin - outside >= 0, end - 1 + outside < len(scores)
        np.maximum.at(soft, (begin - outside)[left], slope[left])
        np.maximum.at(soft, (end - 1 + outside)[right], slope[right])
        tops.append(float(scores[max(begin - width // 2, 0) : end + width // 2].max()))
    soft[sharp > 0] = 1.0
    met = (np.array(tops)[None, :] >= heights[:, None]).mean(axis=1)
    hits = np.cumsum(soft[order])[told - 1]
    grown = np.cumsum((soft * (1.0 - sharp))[order])[told - 1]
    recall = np.minimum(hits / (sharp.sum() + grown / 2.0), 1.0) * met
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * hits / told))


def caught(many: list[Scored], per_thousand: float, late: int) -> float:
    """The share of incidents with a score over the one threshold that gives so many false points per 1,000.

    late  an alarm that comes at most so many places after the end is still right
    """
    tops: list[float] = []
    calm: list[Floats] = []
    for one in many:
        quiet = np.ones(len(one.scores), np.bool_)
        quiet[: one.begin] = False
        for begin, end in one.stretches:
            quiet[begin : end + late] = False
            tops.append(float(one.scores[begin : end + late].max()))
        calm.append(one.scores[quiet])
    falsely = np.sort(np.concatenate(calm))[::-1]
    threshold = falsely[int(per_thousand * len(falsely) / 1_000.0)]
    return float(np.mean(np.array(tops) > threshold))
