"""What is odd about a mix of labels for the time of day."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.stats.mixes import LEAST_CELL
from detectors.stats.same_time import Departure, SameTime

CELLS = 16
"""What the time of day tells is learned of so many groups of labels, dealt by their hash."""
_SPREAD_BLOCKS, _MOST_SPREAD = 100.0, 4.0


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


def spread(before: float, same_time: SameTime, mix: Sequence[float], labels: float) -> float:
    """How many times the variance of independent labels a mix has, learned from one more block of ``labels``.

    Similar pictures come in runs. A block is compared with those just before it, which no rhythm of the day disturbs
    (von Neumann, "Distribution of the ratio of the mean square successive difference", 1941); only cells with a label
    or more count, and one block no more than `_MOST_SPREAD` times as much as usual: it may be a change.
    """
    if same_time.latest is None:
        return before
    mean, blocks = same_time.latest
    busy = [
        (now - usual) ** 2 for now, usual in zip(mix, mean, strict=True) if max(now, usual, 0.0) ** 2 * labels >= 1.0
    ]
    if not busy:
        return before
    found = sum(busy) / len(busy) / (0.25 / labels * (1.0 + 1.0 / blocks))
    return max(before + (min(found, _MOST_SPREAD * before) - before) / _SPREAD_BLOCKS, 1.0)


def odd(same_time: SameTime, labels: float) -> Odd | None:
    """None as long as the time of day tells nothing; the newest block says as much as ``labels`` independent ones.

    The root of a share of n independent labels has the variance 1 / 4n, or less.
    """
    departure = same_time.departure(noise=noise(labels))
    return None if departure is None else odd_by(departure)


def noise(labels: float) -> float:
    """The variance of the root of a share of so many independent labels; a rare label's is less."""
    return 0.25 / labels


def odd_by(departure: Departure) -> Odd:
    """How much the labels have gained where they clearly depart."""
    usual = np.square(np.maximum(departure.expected, 0.0))
    gains = np.where(departure.clear, np.square(departure.now) - usual, 0.0)
    return Odd(
        departure.since_ms, tuple(gains.tolist()), float((np.square(gains) / np.maximum(usual, LEAST_CELL)).sum())
    )
