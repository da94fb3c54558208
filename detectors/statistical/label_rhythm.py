"""What is odd about a mix of labels for the time of day."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detectors.stats.labels import LEAST_CELL
from detectors.stats.same_time import SameTime

CELLS = 16
"""What the time of day tells is learned of so many groups of labels, dealt by their hash."""


@dataclass(frozen=True)
class Odd:
    """A mix beside that of the same time on other days.

    since_ms  when the half hour began that is compared
    gains     by how much the share of each of `CELLS` is clearly larger or smaller; 0 where it is not clear
    effect    Cohen's w² of these
    """

    since_ms: int
    gains: tuple[float, ...]
    effect: float


def cell(name: str) -> int:
    """Which of `CELLS` a hashed label is dealt to."""
    return int(name, 16) % CELLS


def roots(amounts: Mapping[str, float], others: float) -> list[float]:
    """The roots of the shares of `CELLS`: rare and frequent ones are about as noisy then, and about normal."""
    sums = [0.0] * CELLS
    for name, amount in amounts.items():
        sums[int(name, 16) % CELLS] += amount
    total = sum(amounts.values()) + others
    return [math.sqrt(one / total) for one in sums]


def odd(same_time: SameTime, labels: float) -> Odd | None:
    """None as long as the time of day tells nothing; the newest block has so many ``labels``.

    The root of a share of n independent labels has the variance 1 / 4n, or less.
    """
    departure = same_time.departure(noise=0.25 / labels)
    if departure is None:
        return None
    usual = np.square(np.maximum(departure.expected, 0.0))
    gains = np.where(departure.clear, np.square(departure.now) - usual, 0.0)
    return Odd(
        departure.since_ms, tuple(gains.tolist()), float((np.square(gains) / np.maximum(usual, LEAST_CELL)).sum())
    )
