"""One more block of labels of each of several series: how far its mix is from the usual one, and bets on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from detectors.frame import Counts, Interval
from detectors.statistical.label_memory import MOST_LABELS, MOST_REFERENCE, Watch
from detectors.stats.edetector import bets, evidences
from detectors.stats.label_slots import COUNT, USUAL
from detectors.stats.labels import MOST_GAIN, bet, gathered, view_evidence
from detectors.stats.mixes import VIEWS, Beside, Past
from detectors.stats.series import Floats, Ints, Singles

_MOST_GAIN_OF_RUNS, _RUNS = 6.0, 1.5
"""Runs of similar pictures are sometimes much longer than usual. Where χ² shows that there are runs (`Past.spreads` is
above 1.5), one block, however full of a label, multiplies the evidence by no more than exp(6): a label must be met in
several to be stuck."""

_MOST_TOTAL = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Block:
    """One or more buckets with enough labels: when, how many of each, of others, and in all; what came last."""

    interval: Interval
    amounts: dict[str, float]
    others: float
    total: float
    newest: Counts


Case = tuple[Watch, Block]


class Blocks:
    """The blocks of several series, one each, beside what is usual.

    effects  Cohen's w² of each
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        self._labels = [block.amounts for _, block in cases]
        self._excesses = [watch.excess for watch, _ in cases]
        self._beside = Beside([(watch.usual_mix, block.amounts, block.others) for watch, block in cases])
        self._past = Past([watch.record.rows for watch, _ in cases])
        self._met: list[frozenset[str]] = []
        self._shares: Floats = np.zeros(0)
        self.effects: list[float] = self._beside.effects(self._past.spreads(self._beside.freedom)).tolist()

    def refer(self) -> None:
        """Learn them without a bet."""
        slots = gathered(self._excesses, self._labels)
        spreads, tempered = self._remembered(self._beside.standardised(slots[:, USUAL]).astype(np.float32))
        begins = [0, *accumulate(map(len, self._labels))]
        for (watch, block), spread, begin in zip(self._cases, spreads.tolist(), begins, strict=False):
            amounts = tempered[begin : begin + len(block.amounts)].tolist()
            teach(watch, dict(zip(block.amounts, amounts, strict=True)), block.others / spread)

    def bet(self) -> list[float]:
        """Bet on the blocks as a whole and on single labels, then learn them; the evidence that blocks contribute."""
        self._met = [excess.meet(labels) for excess, labels in zip(self._excesses, self._labels, strict=True)]
        slots = gathered(self._excesses, self._labels)
        self._shares = slots[:, COUNT] / np.array([one.total for one in self._excesses])[self._beside.row]
        newest = self._beside.standardised(slots[:, USUAL]).astype(np.float32)
        evidence = self._bet_on_views(*self._past.ranks(newest))
        spreads, tempered = self._remembered(newest)
        most_gain = np.where(spreads > _RUNS, _MOST_GAIN_OF_RUNS, MOST_GAIN)
        bet(self._excesses, self._labels, slots, tempered, self._beside.totals / spreads, most_gain)
        for excess in self._excesses:
            excess.keep(MOST_LABELS, _MOST_TOTAL)
        return evidence

    def usual(self, number: int, name: str) -> float:
        """The share that a label had in a series before `bet`."""
        labels = self._labels[number]
        if name in self._met[number] or name not in labels:
            return 0.0
        return float(self._shares[sum(map(len, self._labels[:number])) + list(labels).index(name)])

    def _bet_on_views(self, below: Ints, equal: Ints) -> list[float]:
        stakes = np.frombuffer(b"".join([watch.stakes for watch, _ in self._cases])).reshape(
            len(self._cases) * VIEWS, -1
        )
        after = bets(stakes, below.T.ravel(), equal.T.ravel(), np.repeat(self._past.seen, VIEWS))
        by_series = after.reshape(len(self._cases), VIEWS, -1)
        for (watch, _), row in zip(self._cases, by_series, strict=True):
            watch.stakes = row.tobytes()
        falls, rises = evidences(by_series)
        found: list[float] = view_evidence(list(falls.T), list(rises.T)).tolist()
        return found

    def _remembered(self, views: Singles) -> tuple[Floats, Floats]:
        """Remember these views; how many times fewer independent labels would say as much, and so few of each."""
        for (watch, _), row in zip(self._cases, views.T.copy(), strict=True):
            watch.refer(row.tobytes())
            watch.blocks += 1
        spreads = self._past.spreads(self._beside.freedom, views[VIEWS - 1], MOST_REFERENCE)
        return spreads, self._beside.amounts / spreads[self._beside.row]


def teach(watch: Watch, amounts: dict[str, float], others: float) -> None:
    """Learn labels without a bet."""
    for name, amount in amounts.items():
        watch.excess.learn(name, amount)
    watch.excess.total += others
    watch.excess.keep(MOST_LABELS, _MOST_TOTAL)
