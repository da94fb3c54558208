"""What is odd about a mix of labels for the time of day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.stats import same_time
from detectors.stats.mixes import LEAST_CELL
from detectors.stats.restless import Restless
from detectors.stats.same_time import Departure, SameTime
from detectors.stats.series import Floats

CELLS = 16
"""What the time of day tells is learned of so many groups of labels, dealt by their hash."""
_MATTERS = 7.0
"""A mix that wanders by less than this part of the least change is judged like one that does not wander."""

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
    return int(name[-1], CELLS)


def roots(blocks: Sequence[tuple[Mapping[str, float], float]]) -> Floats:
    """The roots of the shares of `CELLS`: rare and frequent ones are about as noisy then, and about normal.

    One row per block, of which the labels are given and how many there are with those that are not told apart.
    """
    cells = [cell(name) for amounts, _ in blocks for name in amounts]
    row = np.repeat(np.arange(len(blocks)), [len(amounts) for amounts, _ in blocks])
    amounts_of_all = [amount for amounts, _ in blocks for amount in amounts.values()]
    sums = np.bincount(row * CELLS + np.array(cells, np.intp), amounts_of_all, len(blocks) * CELLS)
    shares: Floats = np.sqrt(sums.reshape(-1, CELLS) / np.array([[total] for _, total in blocks]))
    return shares


def spread(cases: Sequence[tuple[float, SameTime, float]], mixes: Floats) -> list[float]:
    """How many times the variance of independent labels each mix has, learned from one more block of it.

    Similar pictures come in runs. A block is compared with those just before it, which no rhythm of the day disturbs
    (von Neumann, "Distribution of the ratio of the mean square successive difference", 1941); only cells with a label
    or more count, and one block no more than `_MOST_SPREAD` times as much as usual: it may be a change.

    cases  what was learned before, what the time of day tells, and how many labels the block has
    """
    before, labels = np.array([(wide, total) for wide, _, total in cases]).T
    usual, blocks = same_time.latest([one for _, one, _ in cases])
    there = np.maximum(np.maximum(mixes, usual), 0.0)
    busy = (there * there * labels[:, None] >= 1.0) & (blocks > 0)[:, None]
    apart = np.add.accumulate(np.square(np.where(busy, mixes - usual, 0.0)), axis=1)[:, -1]
    cells = np.add.reduce(busy, axis=1)
    found = apart / np.maximum(cells, 1) / (0.25 / labels * (1.0 + 1.0 / np.where(blocks > 0, blocks, 1.0)))
    after = np.maximum(before + (np.minimum(found, _MOST_SPREAD * before) - before) / _SPREAD_BLOCKS, 1.0)
    learned: list[float] = np.where(cells > 0, after, before).tolist()
    return learned


def odd(same_time: SameTime, labels: float) -> Odd | None:
    """None as long as the time of day tells nothing; the newest block says as much as ``labels`` independent ones.

    The root of a share of n independent labels has the variance 1 / 4n, or less.
    """
    departure = same_time.departure(noise=0.25 / labels)
    return None if departure is None else _odd_by(departure)


def wandered(restless: Restless, same_time: SameTime, labels: float, min_change: float) -> tuple[Odd, Odd] | None:
    """The half hour that goes on and the last hours, beside the level of a mix that wanders by itself; ``labels`` as
    for `odd`.

    None where it doesn't, or so little that it could never be told: Cohen's w² is about four times the variance of the
    roots, over all cells.
    """
    least = (min_change / _MATTERS) ** 2 / 4
    found = restless.departures(same_time, noise=0.25 / labels, least=least)
    return None if found is None else (_odd_by(found[0]), _odd_by(found[1]))


def _odd_by(departure: Departure) -> Odd:
    """How much the labels have gained where they clearly depart."""
    usual = np.square(np.maximum(departure.expected, 0.0))
    gains = np.where(departure.clear, np.square(departure.now) - usual, 0.0)
    return Odd(
        departure.since_ms, tuple(gains.tolist()), float((np.square(gains) / np.maximum(usual, LEAST_CELL)).sum())
    )
