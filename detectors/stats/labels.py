"""Whether the mix of labels is still the usual one: bets on single labels, and on blocks of labels.

`Excess` bets that one label, whichever, has become more frequent. Given which labels occurred so far, the newest of t
is the label j with chance c_j / t (its count, itself included) as long as nothing has changed; so a stake that becomes
(1 - ε) R, and gains ε R·t / c_j when j comes, is fair whatever the mix, however long its tail. All labels' stakes are
summed with weights that add up to at most 1; only the label that came has to be looked at.

`Profile` views a block of labels as a whole: by the likelihood ratio of a mix in which a fifth of the labels are drawn
blindly (garbage, new labels), and by Pearson's χ² over the most frequent labels and all others (a shift
among frequent labels). Both are ranked and bet on as in `detectors.stats.edetector`.

Source of the bets: conformal e-prediction (Vovk 2024, arXiv:2001.05989); mass of the unseen: Good and Turing 1953;
number of unseen kinds: Chao 1984.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from math import exp, log1p
from operator import mul
from typing import Annotated

import msgspec

from detectors.stats.edetector import NO_STAKES, Stakes, bet, evidence
from detectors.stats.scores import Reference

EPSILONS = (0.03, 0.2)
"""The shares that a label may have gained."""

RUN_LENGTH = 300_000
"""The promised mean number of labels between false alarms of a `LabelStream`."""

EXCESS_SHARE = 0.3
VIEW_SHARES = (0.25, 0.125, 0.125, 0.2)
"""How the money is split: on single labels, on more blind answers, on more and on less surprise, on a greater χ²."""

_TOP = 20
_BLIND = 0.2
_LEAST_UNSEEN = 1e-3
_LEAST_SEEN = 1e-6
LEAST_CELL = 0.01
_MOST = 1e15
_MOST_GAIN = 30.0
_LEAST_BLOCKS = 20
_LOG_KEPT = tuple(math.log1p(-epsilon) for epsilon in EPSILONS)
_ODDS = tuple(epsilon / (1 - epsilon) for epsilon in EPSILONS)

_NOTHING = (0.0,) * len(EPSILONS)
_FIRST = 5
_WINNING = 2 / EPSILONS[0]

Slot = list[float]
"""Of one label: its count, its weight, the time of its newest stakes, when they began to win, its count when the
labels were weighed, and the stake for each of `EPSILONS`. Times count labels."""


class Excess:
    """Bets that one label comes more often than it used to; its state are its public attributes."""

    def __init__(self, slots: MutableMapping[str, Slot] | None = None) -> None:
        self.slots = {} if slots is None else slots
        self.total = 0.0
        self.time = 0.0
        self.sums = [0.0] * len(EPSILONS)
        self.known = 0
        self.floor = 0.0
        self.weighed = 0.0

    def learn(self, label: str, amount: float = 1.0) -> None:
        """Count without a bet."""
        slot = self.slots.setdefault(label, [0.0, 0.0, self.time, self.time, 0.0, *_NOTHING])
        slot[0] += amount
        self.total += amount

    def weigh(self) -> None:
        """Half of the money lies on the labels known by now, each the same; the rest on those to come. Their counts are
        the usual mix that blocks are compared with."""
        self.weighed = self.total
        self.known = max(len(self.slots), 1)
        for slot in self.slots.values():
            slot[1], slot[4] = 0.5 / self.known, slot[0]

    @property
    def evidence(self) -> float:
        """The mean stake: it reaches c after c labels on average, or later."""
        return sum(self.sums) / len(EPSILONS)

    def bet(self, counts: Iterable[tuple[str, float]], total: float, most_gain: float = _MOST_GAIN) -> None:
        """One step in which ``total`` labels came, among them ``counts`` of each.

        No stake grows by more than the factor exp(``most_gain``) in it. Spelled out for both of `EPSILONS`: it runs for
        every label of a stream.
        """
        before, get, among = self.time, self.slots.get, self.total + total
        self.time = now = before + total
        odds_1, odds_2 = _ODDS
        (kept_1, added_1), (kept_2, added_2) = _waited(total)
        sum_1, sum_2 = self.sums
        sum_1, sum_2 = sum_1 * kept_1 + added_1, sum_2 * kept_2 + added_2
        for label, amount in counts:
            slot = get(label)
            if slot is None:
                slot = self.slots[label] = [self.floor, self._late_weight(), before, before, 0.0, *_NOTHING]
            count, weight, newest, winning, usual, stake_1, stake_2 = slot
            count += amount
            (waited_1, more_1), (waited_2, more_2) = _waited(before - newest)
            stake_1, stake_2 = stake_1 * waited_1 + more_1, stake_2 * waited_2 + more_2
            if stake_1 <= _WINNING:
                winning = before
            share = count / among
            gain_1, gain_2 = amount * log1p(odds_1 / share), amount * log1p(odds_2 / share)
            won_1 = (stake_1 + 1.0) * kept_1 * exp(min(most_gain, gain_1))
            won_2 = (stake_2 + 1.0) * kept_2 * exp(min(most_gain, gain_2))
            if won_2 > _MOST or won_1 > _MOST:
                won_1, won_2 = min(won_1, _MOST), min(won_2, _MOST)
            sum_1 += weight * (won_1 - stake_1 * kept_1 - added_1)
            sum_2 += weight * (won_2 - stake_2 * kept_2 - added_2)
            if sum_1 < 0.0 or sum_2 < 0.0:
                sum_1, sum_2 = max(sum_1, 0.0), max(sum_2, 0.0)
            slot[:] = count, weight, now, winning, usual, won_1, won_2
        self.sums = [sum_1, sum_2]
        self.total = among

    def met(self, label: str) -> float:
        """As `bet` on a single label; the `evidence` after it. This runs for every label of a stream."""
        before, sums = self.time, self.sums
        self.time, self.total = now, among = before + 1.0, self.total + 1.0
        odds_1, odds_2 = _ODDS
        kept_1, kept_2 = _KEPT
        slot = self.slots.get(label)
        if slot is None:
            slot = self.slots[label] = [self.floor, self._late_weight(), before, before, 0.0, *_NOTHING]
        count, weight, newest, _, _, stake_1, stake_2 = slot
        count += 1.0
        (waited_1, more_1), (waited_2, more_2) = _waited(before - newest)
        stake_1, stake_2 = stake_1 * waited_1 + more_1, stake_2 * waited_2 + more_2
        if stake_1 <= _WINNING:
            slot[3] = before
        rarity = among / count
        rest_1, rest_2 = (stake_1 + 1.0) * kept_1, (stake_2 + 1.0) * kept_2
        gain_1, gain_2 = rest_1 * odds_1 * rarity, rest_2 * odds_2 * rarity
        if rest_2 + gain_2 > _MOST or rest_1 + gain_1 > _MOST:
            gain_1, gain_2 = min(gain_1, _MOST - rest_1), min(gain_2, _MOST - rest_2)
        sums[0] = sum_1 = (sums[0] + 1.0) * kept_1 + weight * gain_1
        sums[1] = sum_2 = (sums[1] + 1.0) * kept_2 + weight * gain_2
        slot[0], slot[2], slot[5], slot[6] = count, now, rest_1 + gain_1, rest_2 + gain_2
        return (sum_1 + sum_2) / 2

    def won(self, label: str) -> float:
        """What the bets on one label contribute to the evidence, if it has just come."""
        slot = self.slots.get(label)
        return 0.0 if slot is None else slot[1] * sum(slot[_FIRST:]) / len(EPSILONS)

    def profile(self) -> "Profile":
        """The usual mix, as it was when the labels were weighed."""
        counts = {label: slot[4] for label, slot in self.slots.items() if slot[4] > 0}
        return Profile.of(counts, max(self.weighed - math.fsum(counts.values()), 0.0))

    def lose(self) -> None:
        """All stakes are 0 again; the counts stay."""
        self.sums = list(_NOTHING)
        for slot in self.slots.values():
            slot[2:] = [self.time, self.time, slot[4], *_NOTHING]

    def keep(self, most_labels: int, most_total: float) -> None:
        """Forget the rarest labels beyond ``most_labels``; one that comes again counts as often as the most frequent of
        them. Halve all counts when there are ``most_total``: what is old weighs less."""
        if len(self.slots) > most_labels:
            ordered = sorted(self.slots.items(), key=lambda one: (-one[1][4], -one[1][0], one[0]))
            self.floor = max(self.floor, ordered[most_labels][1][0])
            for label, _ in ordered[most_labels:]:
                del self.slots[label]
        if self.total > most_total:
            self.total /= 2
            self.floor /= 2
            for slot in self.slots.values():
                slot[0] /= 2

    def _late_weight(self) -> float:
        """The k-th label that appears late, in generations that double: each generation gets half of what is left."""
        late = len(self.slots) - self.known
        generation = max(late // self.known + 1, 1).bit_length()
        return math.ldexp(1.0 / self.known, -2 * generation)


_Waited = tuple[tuple[float, float], ...]
_KEPT = tuple(math.exp(log_kept) for log_kept in _LOG_KEPT)


@lru_cache(maxsize=10_000)
def _waited(steps: float) -> _Waited:
    """What a stake is multiplied by, and what is added, in steps without its label: R ← (R + 1)(1 - ε), repeated."""
    kept = [math.exp(log_kept * steps) for log_kept in _LOG_KEPT]
    return tuple([(one, first * (1 - one) / (1 - first)) for one, first in zip(kept, _KEPT, strict=True)])


_Mass = Annotated[float, msgspec.Meta(gt=0, le=1e15)]
_Part = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Mix(msgspec.Struct, frozen=True, array_like=True):
    """A usual mix summed up, all but the counts of its labels.

    total, kinds         how many labels there were, and how many different ones
    unseen, kinds_unseen the share of labels that had not come yet, and how many those may be
    blindness, surprisal the usual means of a block
    top, shares          the most frequent labels, most frequent first; their shares and that of all others
    """

    total: _Mass
    kinds: Annotated[int, msgspec.Meta(ge=1)]
    unseen: _Part
    kinds_unseen: _Mass
    top: Annotated[tuple[str, ...], msgspec.Meta(max_length=_TOP)]
    shares: Annotated[tuple[_Part, ...], msgspec.Meta(max_length=_TOP + 1)]
    blindness: float = 0.0
    surprisal: float = 0.0


class Profile:
    """The usual mix, frozen: what a label says for blind answers, and the cells of Pearson's χ²."""

    def __init__(self, mix: Mix, count: Callable[[str], float]) -> None:
        """``count`` tells a label's usual count; 0 for one that is not in the mix."""
        self.mix = mix
        self._count = count
        self._share_unseen = min(max(mix.unseen, _LEAST_UNSEEN), 1 - _LEAST_SEEN)
        self._blind = _BLIND / (mix.kinds + mix.kinds_unseen)
        self._unseen = (
            math.log(1 - _BLIND + self._blind * mix.kinds_unseen / self._share_unseen),
            -math.log(self._share_unseen / mix.kinds_unseen),
        )
        self._told: dict[str, tuple[float, float]] = {}
        self._places = {label: number for number, label in enumerate(mix.top)}

    @classmethod
    def of(cls, counts: Mapping[str, float], others: float = 0.0) -> "Profile":
        """From the usual counts; ``others`` are labels that were too rare to be told apart."""
        total = sum(counts.values()) + others
        once = sum(1 for count in counts.values() if count <= 1)
        twice = sum(1 for count in counts.values() if 1 < count <= 2)
        unseen = min(max((once + 1) / (total + 1), others / total), 1.0)
        top = sorted(counts, key=lambda label: (-counts[label], label))[:_TOP]
        shares = [counts[label] / total for label in top]
        rest = max(1 - math.fsum(shares), unseen, _LEAST_UNSEEN)
        kinds_unseen = max(once * once / (2 * (twice + 1)), 1.0)
        mix = Mix(total, len(counts), unseen, kinds_unseen, tuple(top), (*shares, rest))
        made = cls(mix, lambda label: counts.get(label, 0.0))
        blindness, surprisal = made._usual(counts)
        made.mix = msgspec.structs.replace(mix, blindness=blindness, surprisal=surprisal)
        return made

    def _usual(self, counts: Mapping[str, float]) -> list[float]:
        """The means of what all labels say."""
        columns = zip(*map(self._says, counts), strict=True)
        listed, unseen = math.fsum(counts.values()), self._share_unseen
        means = [sum(map(mul, column, counts.values())) / listed for column in columns]
        return [unseen * one + (1 - unseen) * mean for one, mean in zip(self._unseen, means, strict=True)]

    def _says(self, label: str) -> tuple[float, float]:
        """A label's blindness, the log likelihood ratio of blind answers, and its surprisal."""
        told = self._told.get(label)
        if told is not None:
            return told
        count, total = self._count(label), self.mix.total
        if count <= 0:
            return self._unseen
        blindness = math.log(1 - _BLIND + self._blind * total / (count * (1 - self._share_unseen)))
        told = self._told[label] = blindness, -math.log(count / total)
        return told

    def views(self, counts: Collection[tuple[str, float]], others: float = 0.0) -> tuple[float, float, float]:
        """Mean blindness, mean surprisal and χ² of a block; of ``others`` no more is known than that they are rare."""
        return self._views(counts, others, self.cells(counts, others))

    def _views(
        self, counts: Collection[tuple[str, float]], others: float, cells: Sequence[float]
    ) -> tuple[float, float, float]:
        told, says = self._told, self._says
        blindness = surprisal = listed = 0.0
        for label, amount in counts:
            blind, surprise = told.get(label) or says(label)
            listed += amount
            blindness += amount * blind
            surprisal += amount * surprise
        total, pearson = listed + others, 0.0
        for seen, share in zip(cells, self.mix.shares, strict=True):
            mean = total * share
            pearson += (seen - mean) ** 2 / mean
        return blindness / listed, surprisal / listed, pearson

    def standardised(
        self, counts: Collection[tuple[str, float]], others: float, cells: Sequence[float]
    ) -> tuple[float, float, float]:
        """As `views`, comparable between blocks of different size: means as deviations times the root of the size.

        cells  what `cells` makes of the same block
        """
        blindness, surprisal, pearson = self._views(counts, others, cells)
        root = math.sqrt(sum([amount for _, amount in counts]))
        return (blindness - self.mix.blindness) * root, (surprisal - self.mix.surprisal) * root, pearson

    def effect(self, cells: Sequence[float], spread: float = 1.0) -> float:
        """Cohen's w², without what chance alone gives: how far the mix of a block is from the usual one.

        ``spread`` is how many times larger χ² usually is than for independent labels.
        """
        total, squares = math.fsum(cells), 0.0
        for seen, share in zip(cells, self.mix.shares, strict=True):
            squares += (seen / total - share) ** 2 / (max(LEAST_CELL, share))
        return squares - spread * (len(cells) - 1) / total

    def cells(self, counts: Iterable[tuple[str, float]], others: float) -> list[float]:
        """How many labels of a block are in each cell: those of the most frequent labels, and that of all others."""
        places, rest = self._places, len(self.mix.shares) - 1
        seen = [0.0] * (rest + 1)
        for label, amount in counts:
            seen[places.get(label, rest)] += amount
        seen[rest] += others
        return seen


class LabelStream:
    """Labels one by one. Runs of one label count once, up to the longest run of the learning stretch.

    ``run_length`` is the promised mean number of labels to a false alarm.
    """

    LEARN = 2_000
    BLOCK = 50

    def __init__(self, run_length: float = RUN_LENGTH) -> None:
        self._run_length = run_length
        self._excess = Excess()
        self._profile: Profile | None = None
        self._references = (Reference(), Reference(), Reference())
        self._stakes = [NO_STAKES] * 3
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
            if self._profile is None:
                self._longest = max(self._longest, self._run)
                return False
            if self._run <= self._longest:
                return False
        self._label, self._run = name, 1
        if self._profile is None:
            self._learn(name)
            return False
        evidence, block = self._excess.met(name), self._block
        block.append(name)
        if len(block) == self.BLOCK:
            self._judge(self._profile.views(Counter(block).items()))
            block.clear()
        return EXCESS_SHARE * evidence + self._blocks >= self._run_length

    def _learn(self, label: str) -> None:
        self._excess.learn(label)
        if self._excess.total >= self.LEARN:
            self._excess.weigh()
            self._profile = self._excess.profile()

    def _judge(self, views: tuple[float, ...]) -> None:
        for number, view in enumerate(views):
            below, equal, seen = self._references[number].rank(view)
            if seen >= _LEAST_BLOCKS:
                self._stakes[number] = bet(self._stakes[number], below, equal, seen)
        self._blocks = self.BLOCK * view_evidence(self._stakes)


def view_evidence(stakes: Sequence[Stakes]) -> float:
    """The share of the evidence that blocks contribute, in blocks to a false alarm."""
    _, blind = evidence(stakes[0])
    familiar, surprising = evidence(stakes[1])
    _, differs = evidence(stakes[2])
    return math.fsum(map(mul, VIEW_SHARES, (blind, surprising, familiar, differs)))
