"""What a block of scores in [0, 1] is judged by, and the detector over a stream of them.

Three views of a block, each ranked and bet on for itself (`detectors.stats.edetector`): the mean score, the mean
logarithm (few very low scores) and the mean logit (shifts near 0 and 1). The alarm comes when the weighted mean of
their stakes reaches the promised run length.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from detectors.stats.edetector import NO_STAKES, bet, evidence

WEIGHTS = (0.5, 0.25, 0.25)
"""How much is bet on the mean, the logarithm and the logit."""

LEAST_LOG = 0.02
LEAST_LOGIT = 0.001
"""Scores are clipped to at least these (and at most 1 - `LEAST_LOGIT`), so that one score can't decide alone."""

_HIGHEST = 1 - LEAST_LOGIT
_FACTORS = 100
"""A product of so many clipped scores does not underflow; one logarithm for all of them is cheap."""

RUN_LENGTH = 200_000
"""The promised mean number of scores between false alarms of a `ScoreStream`."""

BLOCK = 10
_LEARN = 300
_LEAST_BLOCKS = 20
_MOST_BLOCKS = 2_000
_CORRELATION_TIMES = 0.4
_LONGEST_BLOCK = 400
_TINY = 1e-12


EDGES = tuple(
    round(edge, 4)
    for edge in (
        *(0.001, 0.002, 0.005, 0.01),
        *(number / 50 for number in range(1, 49)),
        *(0.97, 0.98, 0.99, 0.995, 0.998, 0.999),
    )
)
"""The bins of a stored histogram of scores: .02 wide, narrower where the logit is steep."""


class Reference:
    """Earlier values in order, to rank the next among; it stops growing at ``most``."""

    __slots__ = ("_most", "ordered")

    def __init__(self, most: int = _MOST_BLOCKS) -> None:
        self.ordered: list[float] = []
        self._most = most

    def rank(self, value: float) -> tuple[int, int, int]:
        """How many earlier values are smaller, how many equal, and how many there are; then it is one of them."""
        ordered = self.ordered
        low = bisect_left(ordered, value)
        total = len(ordered)
        tied = low < total and ordered[low] == value
        equal = bisect_right(ordered, value, low) - low if tied else 0
        if total < self._most:
            ordered.insert(low, value)
        return low, equal, total


class ScoreStream:
    """Scores one by one; the promise holds for exchangeable scores of any law.

    The first `_LEARN` scores tell how much neighbours resemble each other: blocks are made so long that they hardly do.
    A constructor's ``run_length`` is the promised mean number of scores to a false alarm.
    """

    def __init__(self, run_length: float = RUN_LENGTH) -> None:
        self.block = BLOCK
        self._run_length = run_length
        self._learned = False
        self._scores: list[float] = []
        self._full = _LEARN
        self._references = [Reference() for _ in WEIGHTS]
        self._stakes = [NO_STAKES] * len(WEIGHTS)

    def update(self, score: float) -> bool:
        """Whether the scores have changed, as far as this one and those before it tell."""
        scores = self._scores
        scores.append(score)
        if len(scores) < self._full:
            return False
        alarm = False
        if self._learned:
            alarm = self._judge(views(scores))
        else:
            self._learned = True
            self.block = self._full = block_length(scores)
        scores.clear()
        return alarm

    def _judge(self, values: Sequence[float]) -> bool:
        total = 0.0
        for number, value in enumerate(values):
            below, equal, seen = self._references[number].rank(value)
            if seen >= _LEAST_BLOCKS:
                stakes = self._stakes[number] = bet(self._stakes[number], below, equal, seen)
                falls, rises = evidence(stakes)
                total += WEIGHTS[number] * (falls + rises)
        return total * self.block >= 2 * self._run_length


def views(scores: Sequence[float]) -> tuple[float, float, float]:
    """Mean, mean logarithm and mean logit of a block."""
    logarithm = logit = 0.0
    for start in range(0, len(scores), _FACTORS):
        part = scores[start : start + _FACTORS]
        lowest = min(part)
        if lowest < LEAST_LOGIT or max(part) > _HIGHEST:
            part = [min(max(score, LEAST_LOGIT), _HIGHEST) for score in part]
        product = math.prod(part)
        logit += math.log(product / math.prod([1.0 - score for score in part]))
        logarithm += math.log(product if lowest >= LEAST_LOG else math.prod([max(score, LEAST_LOG) for score in part]))
    count = len(scores)
    return sum(scores) / count, logarithm / count, logit / count


def _log(score: float) -> float:
    return math.log(max(score, LEAST_LOG))


def _logit(score: float) -> float:
    clipped = min(max(score, LEAST_LOGIT), _HIGHEST)
    return math.log(clipped / (1.0 - clipped))


def block_length(scores: Sequence[float]) -> int:
    """How many neighbours make a block, so that blocks are nearly independent of each other.

    For a first-order autoregression with correlation r the variance of a long mean is (1 + r) / (1 - r) times that of
    independent scores: so many scores say as much as one. A block holds at least four such lengths.
    """
    mean = sum(scores) / len(scores)
    centred = [score - mean for score in scores]
    squares = sum(one * one for one in centred)
    products = sum(one * other for one, other in pairwise(centred))
    correlation = min(max(products / squares, 0.0), 0.98) if squares > _TINY * len(scores) else 0.0
    length = (1 + correlation) / (1 - correlation)
    return min(BLOCK * max(1, math.ceil(_CORRELATION_TIMES * length)), _LONGEST_BLOCK)


def _middles() -> list[float]:
    """A score for each bin of `EDGES`: its middle; the ends beyond the first and last edge are clipped anyway."""
    bounds = (0.0, *EDGES, 1.0)
    return [(low + high) / 2 for low, high in pairwise(bounds)]


LOGS = tuple(_log(middle) for middle in _middles())
LOGITS = tuple(_logit(middle) for middle in _middles())
"""What a score of each bin contributes to the mean logarithm and to the mean logit."""
