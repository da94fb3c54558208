"""Whether the mix of labels is still the usual one: bets on single labels, and on blocks of labels.

`Excess` bets that one label, whichever, has become more frequent. Given which labels occurred so far, the newest of t
is the label j with chance c_j / t (its count, itself included) as long as nothing has changed; so a stake that becomes
(1 - ε) R, and gains ε R·t / c_j when j comes, is fair whatever the mix, however long its tail. All labels' stakes are
summed with weights that add up to at most 1; only the label that came has to be looked at.

Blocks of labels are viewed as a whole as well (`detectors.stats.mixes`), and what they look like is ranked and bet on
as in `detectors.stats.edetector`.

Source of the bets on labels: conformal e-prediction (Vovk 2024, arXiv:2001.05989).
"""

import math
from collections import Counter
from collections.abc import Collection, MutableMapping, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np

from detectors.stats.edetector import NO_STAKES, evidence
from detectors.stats.edetector import bet as stake
from detectors.stats.label_slots import COUNT, NEWEST, SHARES, STAKES, USUAL, WEIGHT, WINNING, KeptSlots, Slot
from detectors.stats.mixes import VIEWS, Alone, Mix
from detectors.stats.scores import Reference
from detectors.stats.series import Floats

EPSILONS = (0.03, 0.2)
"""The shares that a label may have gained."""

RUN_LENGTH = 300_000
"""The promised mean number of labels between false alarms of a `LabelStream`."""

EXCESS_SHARE = 0.3
VIEW_SHARES = (0.25, 0.125, 0.125, 0.2)
"""How the money is split: on single labels, on more blind answers, on more and on less surprise, on a greater χ²."""

MOST_GAIN = 30.0
_MOST = 1e15
_LEAST_BLOCKS = 20
_LOG_KEPT = tuple(math.log1p(-epsilon) for epsilon in EPSILONS)
_KEPT = tuple(math.exp(log_kept) for log_kept in _LOG_KEPT)
_ODDS = tuple(epsilon / (1 - epsilon) for epsilon in EPSILONS)
_LOG_KEPT_OF_ALL, _KEPT_OF_ALL, _ODDS_OF_ALL = (np.array(each)[:, None] for each in (_LOG_KEPT, _KEPT, _ODDS))

_NOTHING = (0.0,) * SHARES
_WINNING = 2 / EPSILONS[0]

Evidence = TypeVar("Evidence", float, Floats)
Slots = TypeVar("Slots", bound=MutableMapping[str, Slot])


class Excess(Generic[Slots]):
    """Bets that one label comes more often than it used to; its state are its public attributes."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.total = 0.0
        self.time = 0.0
        self.sums = [0.0] * len(EPSILONS)
        self.known = 0
        self.floor = 0.0
        self.weighed = 0.0

    def learn(self, label: str, amount: float = 1.0) -> None:
        """Count without a bet."""
        slot = self.slots.setdefault(label, [0.0, 0.0, self.time, self.time, 0.0, *_NOTHING])
        slot[COUNT] += amount
        self.total += amount

    def weigh(self) -> None:
        """Half of the money lies on the labels known by now, each the same; the rest on those to come. Their counts are
        the usual mix that blocks are compared with."""
        self.weighed = self.total
        self.known = max(len(self.slots), 1)
        for slot in self.slots.values():
            slot[WEIGHT], slot[USUAL] = 0.5 / self.known, slot[COUNT]

    @property
    def evidence(self) -> float:
        """The mean stake: it reaches c after c labels on average, or later."""
        return sum(self.sums) / len(EPSILONS)

    def met(self, label: str) -> float:
        """As `bet` on a single label; the `evidence` after it. Spelled out: this runs for every label of a stream."""
        before, sums = self.time, self.sums
        self.time, self.total = now, among = before + 1.0, self.total + 1.0
        odds_1, odds_2 = _ODDS
        kept_1, kept_2 = _KEPT
        slot = self.slots.get(label)
        if slot is None:
            slot = self.slots[label] = self._late(before)
        count, weight, newest, _, _, stake_1, stake_2 = slot
        count += 1.0
        (waited_1, more_1), (waited_2, more_2) = _waited(before - newest)
        stake_1, stake_2 = stake_1 * waited_1 + more_1, stake_2 * waited_2 + more_2
        if stake_1 <= _WINNING:
            slot[WINNING] = before
        rarity = among / count
        rest_1, rest_2 = (stake_1 + 1.0) * kept_1, (stake_2 + 1.0) * kept_2
        gain_1, gain_2 = rest_1 * odds_1 * rarity, rest_2 * odds_2 * rarity
        if rest_2 + gain_2 > _MOST or rest_1 + gain_1 > _MOST:
            gain_1, gain_2 = min(gain_1, _MOST - rest_1), min(gain_2, _MOST - rest_2)
        sums[0] = sum_1 = (sums[0] + 1.0) * kept_1 + weight * gain_1
        sums[1] = sum_2 = (sums[1] + 1.0) * kept_2 + weight * gain_2
        slot[COUNT], slot[NEWEST], slot[STAKES:] = count, now, [rest_1 + gain_1, rest_2 + gain_2]
        return (sum_1 + sum_2) / 2

    def won(self, label: str) -> float:
        """What the bets on one label contribute to the evidence, if it has just come."""
        slot = self.slots.get(label)
        return 0.0 if slot is None else slot[WEIGHT] * sum(slot[STAKES:]) / len(EPSILONS)

    def mix(self) -> Mix:
        """The usual mix, as it was when the labels were weighed."""
        counts = {label: slot[USUAL] for label, slot in self.slots.items() if slot[USUAL] > 0}
        return Mix.of(counts, max(self.weighed - math.fsum(counts.values()), 0.0))

    def lose(self) -> None:
        """All stakes are 0 again; the counts stay."""
        self.sums = list(_NOTHING)
        for slot in self.slots.values():
            slot[NEWEST:] = [self.time, self.time, slot[USUAL], *_NOTHING]

    def keep(self, most_labels: int, most_total: float) -> None:
        """Forget the rarest labels beyond ``most_labels``; one that comes again counts as often as the most frequent of
        them. Halve all counts when there are ``most_total``: what is old weighs less."""
        if len(self.slots) > most_labels:
            ordered = sorted(self.slots.items(), key=lambda one: (-one[1][USUAL], -one[1][COUNT], one[0]))
            self.floor = max(self.floor, ordered[most_labels][1][COUNT])
            for label, _ in ordered[most_labels:]:
                del self.slots[label]
        if self.total > most_total:
            self.total /= 2
            self.floor /= 2
            for slot in self.slots.values():
                slot[COUNT] /= 2

    def meet(self, labels: Collection[str]) -> frozenset[str]:
        """Make room for bets on labels that have none yet; these."""
        slots = self.slots
        new = [label for label in labels if label not in slots]
        for label in new:
            slots[label] = self._late(self.time)
        return frozenset(new)

    def _late(self, time: float) -> Slot:
        return [self.floor, self._late_weight(), time, time, 0.0, *_NOTHING]

    def _late_weight(self) -> float:
        """The k-th label that appears late, in generations that double: each generation gets half of what is left."""
        late = len(self.slots) - self.known
        generation = max(late // self.known + 1, 1).bit_length()
        return math.ldexp(1.0 / self.known, -2 * generation)


def gathered(several: Sequence[Excess[KeptSlots]], labels: Sequence[Collection[str]]) -> Floats:
    """What is known of the labels of each, one row per label; zeros for one that was never met."""
    slots = [excess.slots.gathered(listed) for excess, listed in zip(several, labels, strict=True)]
    table: Floats = np.frombuffer(b"".join(slots)).reshape(-1, STAKES + SHARES)
    return table


def bet(
    several: Sequence[Excess[KeptSlots]],
    labels: Sequence[Collection[str]],
    slots: Floats,
    amounts: Floats,
    totals: Floats,
    most_gain: Floats,
) -> None:
    """One step in which ``totals`` labels came to each, among them ``amounts`` of ``labels``, of which ``slots`` is
    what is known (`gathered`); each label has been met.

    No stake grows by more than the factor exp(``most_gain``) in it.
    """
    row = np.repeat(np.arange(len(several)), [len(listed) for listed in labels])
    before, among, *sums = np.array([(one.time, one.total, *one.sums) for one in several]).T
    now, among = before + totals, among + totals
    kept, added = _waited_by_all(totals)
    after, begun, kept_of_all = slots.copy(), before[row], kept[:, row]
    waited, more = _waited_by_all(begun - slots[:, NEWEST])
    stakes = slots[:, STAKES:].T * waited + more
    after[:, COUNT] += amounts
    np.copyto(after[:, WINNING], begun, where=stakes[0] <= _WINNING)
    gains = np.minimum(amounts * np.log1p(_ODDS_OF_ALL / (after[:, COUNT] / among[row])), most_gain[row])
    won = np.minimum((stakes + 1.0) * kept_of_all * np.exp(gains), _MOST)
    after[:, NEWEST], after[:, STAKES:] = now[row], won.T
    by_all = slots[:, WEIGHT] * (won - stakes * kept_of_all - added[:, row])
    first = np.concatenate([np.arange(len(several)), row])
    rests = np.array(sums) * kept + added
    found = [np.bincount(first, np.concatenate([rest, each])) for rest, each in zip(rests, by_all, strict=True)]
    packed, begin = after.tobytes(), 0
    after_each = zip(several, labels, now.tolist(), among.tolist(), np.maximum(found, 0.0).T.tolist(), strict=True)
    for excess, listed, time, total, sums_after in after_each:
        excess.time, excess.total, excess.sums = time, total, sums_after
        end = begin + len(listed) * after.strides[0]
        excess.slots.scatter(listed, packed[begin:end])
        begin = end


_Waited = tuple[tuple[float, float], ...]


@lru_cache(maxsize=10_000)
def _waited(steps: float) -> _Waited:
    """What a stake is multiplied by, and what is added, in steps without its label: R ← (R + 1)(1 - ε), repeated."""
    kept = [math.exp(log_kept * steps) for log_kept in _LOG_KEPT]
    return tuple([(one, first * (1 - one) / (1 - first)) for one, first in zip(kept, _KEPT, strict=True)])


def _waited_by_all(steps: Floats) -> tuple[Floats, Floats]:
    """As `_waited`, one row for each of `EPSILONS`."""
    kept = np.exp(_LOG_KEPT_OF_ALL * steps)
    return kept, _KEPT_OF_ALL * (1 - kept) / (1 - _KEPT_OF_ALL)


class LabelStream:
    """Labels one by one. Runs of one label count once, up to the longest run of the learning stretch.

    ``run_length`` is the promised mean number of labels to a false alarm.
    """

    LEARN = 2_000
    BLOCK = 50

    def __init__(self, run_length: float = RUN_LENGTH) -> None:
        self._run_length = run_length
        self._slots: dict[str, Slot] = {}
        self._excess = Excess(self._slots)
        self._mix: Alone | None = None
        self._references = [Reference() for _ in range(VIEWS)]
        self._stakes = [NO_STAKES] * VIEWS
        self._blocks = 0.0
        self._block: list[str] = []
        self._label: str | None = None
        self._run = 0
        self._longest = 1

    def update(self, label: object) -> bool:
        """Whether the labels have changed, as far as this one and those before it tell."""
        name = str(label)
        if name == self._label:
            self._run += 1
            if self._mix is None:
                self._longest = max(self._longest, self._run)
                return False
            if self._run <= self._longest:
                return False
        self._label, self._run = name, 1
        if self._mix is None:
            self._learn(name)
            return False
        evidence, block = self._excess.met(name), self._block
        block.append(name)
        if len(block) == self.BLOCK:
            self._judge(self._mix.views(Counter(block)))
            block.clear()
        return EXCESS_SHARE * evidence + self._blocks >= self._run_length

    def _learn(self, label: str) -> None:
        self._excess.learn(label)
        if self._excess.total >= self.LEARN:
            self._excess.weigh()
            self._mix = Alone(self._excess.mix(), {label: slot[USUAL] for label, slot in self._slots.items()})

    def _judge(self, views: tuple[float, ...]) -> None:
        for number, view in enumerate(views):
            below, equal, seen = self._references[number].rank(view)
            if seen >= _LEAST_BLOCKS:
                self._stakes[number] = stake(self._stakes[number], below, equal, seen)
        falls, rises = zip(*map(evidence, self._stakes), strict=True)
        self._blocks = self.BLOCK * view_evidence(falls, rises)


def view_evidence(falls: Sequence[Evidence], rises: Sequence[Evidence]) -> Evidence:
    """The share of the evidence that blocks contribute, in blocks to a false alarm; of falls and rises by view."""
    blind, surprising, familiar, differs = VIEW_SHARES
    return blind * rises[0] + surprising * rises[1] + familiar * falls[1] + differs * rises[2]
