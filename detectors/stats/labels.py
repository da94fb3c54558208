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
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import mul

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
_LEAST_CELL = 0.01
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

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
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

    def bet(self, counts: Iterable[tuple[str, float]], total: float) -> None:
        """One step in which ``total`` labels came, among them ``counts`` of each."""
        before = self.time
        self.time = before + total
        self.sums = [stake * kept + added for stake, (kept, added) in zip(self.sums, _waited(total), strict=True)]
        for label, amount in counts:
            slot = self.slots.get(label)
            if slot is None:
                slot = self.slots[label] = [self.floor, self._late_weight(), before, before, 0.0, *_NOTHING]
            share = (slot[0] + amount) / (self.total + total)
            self._won(slot, before, amount, total, share)
            slot[0] += amount
        self.total += total

    def won(self, label: str) -> float:
        """What the bets on one label contribute to the evidence, if it has just come."""
        slot = self.slots.get(label)
        return 0.0 if slot is None else slot[1] * sum(slot[_FIRST:]) / len(EPSILONS)

    def profile(self) -> "Profile":
        """The usual mix, as it was when the labels were weighed."""
        counts = {label: slot[4] for label, slot in self.slots.items() if slot[4] > 0}
        return Profile(counts, max(self.weighed - math.fsum(counts.values()), 0.0))

    def lose(self) -> None:
        """All stakes are 0 again; the counts stay."""
        self.sums = list(_NOTHING)
        for slot in self.slots.values():
            slot[2:] = [self.time, self.time, slot[4], *_NOTHING]

    def keep(self, most_labels: int, most_total: float) -> None:
        """Forget the rarest labels beyond ``most_labels``; one that comes again counts as often as the most frequent of
        them. Halve all counts when there are ``most_total``: what is old weighs less."""
        if len(self.slots) > most_labels:
            ordered = sorted(self.slots, key=lambda label: (-self.slots[label][4], -self.slots[label][0], label))
            self.floor = max(self.floor, self.slots[ordered[most_labels]][0])
            for label in ordered[most_labels:]:
                del self.slots[label]
        if self.total > most_total:
            self.total /= 2
            self.floor /= 2
            for slot in self.slots.values():
                slot[0] /= 2

    def _won(self, slot: Slot, before: float, amount: float, total: float, share: float) -> None:
        weight = slot[1]
        waited, now = _waited(before - slot[2]), _waited(total)
        for number, ((kept, added), (kept_now, added_now)) in enumerate(zip(waited, now, strict=True)):
            stake = slot[_FIRST + number] * kept + added
            if number == 0 and stake <= _WINNING:
                slot[3] = before
            gain = math.exp(min(amount * math.log1p(_ODDS[number] / share), _MOST_GAIN))
            won = min((stake + 1.0) * math.exp(_LOG_KEPT[number] * total) * gain, _MOST)
            slot[_FIRST + number] = won
            self.sums[number] = max(self.sums[number] + weight * (won - stake * kept_now - added_now), 0.0)
        slot[2] = self.time

    def _late_weight(self) -> float:
        """The k-th label that appears late, in generations that double: each generation gets half of what is left."""
        late = len(self.slots) - self.known
        generation = max(late // self.known + 1, 1).bit_length()
        return math.ldexp(1.0 / self.known, -2 * generation)


@lru_cache(maxsize=10_000)
def _waited(steps: float) -> tuple[tuple[float, float], ...]:
    """What a stake is multiplied by, and what is added, in steps without its label: R ← (R + 1)(1 - ε), repeated."""
    factors = ((math.exp(log_kept * steps), math.exp(log_kept)) for log_kept in _LOG_KEPT)
    return tuple((kept, one * (1 - kept) / (1 - one)) for kept, one in factors)


class Profile:
    """The usual mix, frozen: what a label says for blind answers, and the cells of Pearson's χ²."""

    def __init__(self, counts: Mapping[str, float], others: float = 0.0) -> None:
        """From the usual counts; ``others`` are labels that were too rare to be told apart."""
        total = sum(counts.values()) + others
        once = sum(1 for count in counts.values() if count <= 1)
        twice = sum(1 for count in counts.values() if 1 < count <= 2)
        self.unseen = max((once + 1) / (total + 1), others / total)
        unseen = max(self.unseen, _LEAST_UNSEEN)
        kinds_unseen = max(once * once / (2 * (twice + 1)), 1.0)
        blind = _BLIND / (len(counts) + kinds_unseen)
        self.blindness = {
            label: math.log(1 - _BLIND + blind * total / (count * (1 - unseen))) for label, count in counts.items()
        }
        self.surprisal = {label: -math.log(count / total) for label, count in counts.items()}
        self.unseen_surprisal = -math.log(unseen / kinds_unseen)
        self.unseen_blindness = math.log(1 - _BLIND + blind * kinds_unseen / unseen)
        seen = 1 - unseen
        self._usual_blindness = unseen * self.unseen_blindness + seen * self._usual(self.blindness, counts)
        self._usual_surprisal = unseen * self.unseen_surprisal + seen * self._usual(self.surprisal, counts)
        top = sorted(counts, key=lambda label: (-counts[label], label))[:_TOP]
        self.cell = {label: number for number, label in enumerate(top)}
        shares = [counts[label] / total for label in top]
        self.shares = [*shares, max(1 - math.fsum(shares), unseen)]

    @staticmethod
    def _usual(values: Mapping[str, float], counts: Mapping[str, float]) -> float:
        return sum(values[label] * count for label, count in counts.items()) / math.fsum(counts.values())

    def views(self, counts: Iterable[tuple[str, float]], others: float = 0.0) -> tuple[float, float, float]:
        """Mean blindness, mean surprisal and χ² of a block; of ``others`` no more is known than that they are rare."""
        blindness = surprisal = listed = 0.0
        cells = [0.0] * len(self.shares)
        rest = len(cells) - 1
        for label, amount in counts:
            listed += amount
            one = self.blindness.get(label)
            if one is None:
                blindness += amount * self.unseen_blindness
                surprisal += amount * self.unseen_surprisal
                cells[rest] += amount
            else:
                blindness += amount * one
                surprisal += amount * self.surprisal[label]
                cells[self.cell.get(label, rest)] += amount
        cells[rest] += others
        expected = [(listed + others) * share for share in self.shares]
        pearson = sum((seen - one) ** 2 / one for seen, one in zip(cells, expected, strict=True))
        return blindness / listed, surprisal / listed, pearson

    def standardised(self, counts: Iterable[tuple[str, float]], others: float) -> tuple[float, float, float]:
        """As `views`, comparable between blocks of different size: means as deviations times the root of the size."""
        listed = list(counts)
        blindness, surprisal, pearson = self.views(listed, others)
        root = math.sqrt(sum(amount for _, amount in listed))
        return (blindness - self._usual_blindness) * root, (surprisal - self._usual_surprisal) * root, pearson

    def effect(self, counts: Iterable[tuple[str, float]], others: float) -> float:
        """Cohen's w², without what chance alone gives: how far the mix of a block is from the usual one."""
        seen = [0.0] * len(self.shares)
        rest = len(seen) - 1
        for label, amount in counts:
            seen[self.cell.get(label, rest)] += amount
        seen[rest] += others
        total = math.fsum(seen)
        squares = sum(
            (one / total - share) ** 2 / max(share, _LEAST_CELL) for one, share in zip(seen, self.shares, strict=True)
        )
        return squares - rest / total


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
        return self._head(name)

    def _head(self, label: str) -> bool:
        excess = self._excess
        if self._profile is None:
            excess.learn(label)
            if excess.total >= self.LEARN:
                excess.weigh()
                self._profile = excess.profile()
            return False
        excess.bet(((label, 1.0),), 1.0)
        self._block.append(label)
        if len(self._block) == self.BLOCK:
            self._judge(self._profile.views(Counter(self._block).items()))
            self._block.clear()
        return EXCESS_SHARE * excess.evidence + self._blocks >= self._run_length

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
