"""Blocks of labels seen as a whole, beside the mix that is usual for their series; many series side by side.

A block is viewed by the likelihood ratio of a mix in which a fifth of the labels are drawn blindly (garbage, new
labels), by the mean surprisal of its labels, and by Pearson's χ² over the most frequent labels and all others (a shift
among frequent labels).

Sources: mass of the unseen: Good and Turing 1953; number of unseen kinds: Chao 1984.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.stats.series import Floats, Ints, Singles

VIEWS = 3
"""Blindness, surprisal, χ²."""

LEAST_CELL = 0.01
_TOP = 20
_BLIND = 0.2
_LEAST_UNSEEN = 1e-3
_LEAST_SEEN = 1e-6
_NO_SHARES = (0.0,) * (_TOP + 1)

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

    @classmethod
    def of(cls, counts: Mapping[str, float], others: float = 0.0) -> "Mix":
        """From the usual counts; ``others`` are labels that were too rare to be told apart."""
        total = sum(counts.values()) + others
        once = sum(1 for count in counts.values() if count <= 1)
        twice = sum(1 for count in counts.values() if 1 < count <= 2)
        unseen = min(max((once + 1) / (total + 1), others / total), 1.0)
        top = sorted(counts, key=lambda label: (-counts[label], label))[:_TOP]
        shares = [counts[label] / total for label in top]
        rest = max(1 - math.fsum(shares), unseen, _LEAST_UNSEEN)
        kinds_unseen = max(once * once / (2 * (twice + 1)), 1.0)
        mix = cls(total, len(counts), unseen, kinds_unseen, tuple(top), (*shares, rest))
        blindness, surprisal = Beside([(mix, counts, others)]).usual_means(np.array(list(counts.values())))
        return msgspec.structs.replace(mix, blindness=blindness, surprisal=surprisal)


class Beside:
    """Blocks of labels, one of each of several series, beside the usual mix of that series.

    row      of each label: in which block it is
    amounts  how often it came in it
    totals   of each block: how many labels it has, those that are not told apart included
    freedom  of each block: the degrees of freedom of its χ²
    """

    __slots__ = ("_cells", "_heads", "_listed", "_shares", "amounts", "freedom", "row", "totals")

    def __init__(self, cases: Sequence[tuple[Mix, Mapping[str, float], float]]) -> None:
        """Of each: the mix, the labels of the block, and how many others it has, which are known to be rare."""
        series, cells, amounts = len(cases), list[int](), list[float]()
        for mix, listed, _ in cases:
            places, rest = dict(zip(mix.top, range(_TOP), strict=False)), len(mix.top)
            cells += [places.get(label, rest) for label in listed]
            amounts += listed.values()
        mixes = [mix for mix, _, _ in cases]
        columns = [(mix.total, mix.kinds, mix.unseen, mix.kinds_unseen, mix.blindness, mix.surprisal) for mix in mixes]
        shares = [mix.shares + _NO_SHARES[len(mix.shares) :] for mix in mixes]
        others = np.array([others for _, _, others in cases])
        self._heads: Floats = np.array(columns).T
        self._shares: Floats = np.array(shares).T
        self.row: Ints = np.repeat(np.arange(series), [len(listed) for _, listed, _ in cases])
        self.amounts: Floats = np.array(amounts, np.float64)
        self._listed = self.added(self.amounts)
        self.totals: Floats = self._listed + others
        rests = np.array([len(mix.top) for mix in mixes])
        self.freedom: Floats = rests.astype(np.float64)
        places_of_all = np.array(cells, np.intp) * series + self.row
        counted: Floats = np.bincount(places_of_all, self.amounts, (_TOP + 1) * series).astype(np.float64, copy=False)
        self._cells = counted.reshape(_TOP + 1, series)
        self._cells[rests, np.arange(series)] += others

    def added(self, values: Floats) -> Floats:
        """One value per label: their sums over each block."""
        added: Floats = np.bincount(self.row, values, self._heads.shape[1]).astype(np.float64, copy=False)
        return added

    def effects(self, spreads: Floats) -> Floats:
        """Cohen's w², without what chance alone gives: how far the mix of each block is from the usual one.

        ``spreads`` is how many times larger χ² usually is than for independent labels.
        """
        squares = np.square(self._cells / self.totals - self._shares) / np.maximum(self._shares, LEAST_CELL)
        effects: Floats = _down(squares) - spreads * self.freedom / self.totals
        return effects

    def views(self, usual: Floats) -> Floats:
        """Blindness, surprisal and χ² of each block, one row each; ``usual`` are the usual counts of the labels."""
        blindness, surprisal = self._means(usual)
        means = self.totals * self._shares
        apart = np.square(self._cells - means)
        pearson = _down(np.divide(apart, means, out=np.zeros_like(apart), where=means > 0))
        return np.stack([blindness, surprisal, pearson])

    def standardised(self, usual: Floats) -> Floats:
        """As `views`, comparable between blocks of different size: means as deviations times the root of the size."""
        views = self.views(usual)
        views[:2] -= self._heads[4:]
        views[:2] *= np.sqrt(self._listed)
        return views

    def usual_means(self, usual: Floats) -> tuple[float, float]:
        """Of the only one, whose labels are all that are usual: the mean blindness and surprisal of labels to come."""
        unseen = float(_share_unseen(self._heads[2])[0])
        blindness, surprisal = (
            unseen * float(one[0]) + (1 - unseen) * float(mean[0])
            for one, mean in zip(self.unseen(), self._means(usual), strict=True)
        )
        return blindness, surprisal

    def _means(self, usual: Floats) -> tuple[Floats, Floats]:
        """What the labels of each block say in the mean."""
        blindness, surprisal = self.said(usual)
        return self.added(self.amounts * blindness) / self._listed, self.added(self.amounts * surprisal) / self._listed

    def said(self, usual: Floats) -> tuple[Floats, Floats]:
        """What each label says: the log likelihood ratio of blind answers, and its surprisal."""
        row, seen = self.row, usual > 0
        total, kinds, unseen, kinds_unseen = self._heads[:4]
        counts, totals = np.where(seen, usual, 1.0), total[row]
        blind = _BLIND / (kinds + kinds_unseen)
        blindness = np.log(1 - _BLIND + blind[row] * totals / (counts * (1 - _share_unseen(unseen))[row]))
        surprisal = -np.log(counts / totals)
        if not seen.all():
            blind_unseen, surprise_unseen = self.unseen()
            blindness, surprisal = (
                np.where(seen, blindness, blind_unseen[row]),
                np.where(seen, surprisal, surprise_unseen[row]),
            )
        return blindness, surprisal

    def unseen(self) -> tuple[Floats, Floats]:
        """What a label says that is not in the mix."""
        _, kinds, unseen, kinds_unseen = self._heads[:4]
        share, blind = _share_unseen(unseen), _BLIND / (kinds + kinds_unseen)
        return np.log(1 - _BLIND + blind * kinds_unseen / share), -np.log(share / kinds_unseen)


class Alone:
    """Blocks of one series, one after another, beside its mix: for so few numpy takes ten times as long."""

    __slots__ = ("_places", "_said", "_shares", "_unseen")

    def __init__(self, mix: Mix, usual: Mapping[str, float]) -> None:
        """``usual``: the usual counts of the labels of the mix."""
        beside = Beside([(mix, usual, 0.0)])
        columns = [column.tolist() for column in beside.said(np.array(list(usual.values())))]
        self._said = dict(zip(usual, zip(*columns, strict=True), strict=True))
        self._unseen = tuple([float(column[0]) for column in beside.unseen()])
        self._places = dict(zip(mix.top, range(_TOP), strict=False))
        self._shares = mix.shares

    def views(self, block: Mapping[str, float]) -> tuple[float, float, float]:
        """As `Beside.views`."""
        said, unseen, places, rest = self._said, self._unseen, self._places, len(self._places)
        blindness = surprisal = total = 0.0
        cells = [0.0] * (rest + 1)
        for label, amount in block.items():
            blind, surprise = said.get(label, unseen)
            total += amount
            blindness += amount * blind
            surprisal += amount * surprise
            cells[places.get(label, rest)] += amount
        pearson = sum([(cell - total * share) ** 2 / share for cell, share in zip(cells, self._shares, strict=True)])
        return blindness / total, surprisal / total, pearson / total


class Past:
    """The views of earlier blocks of several series, single numbers, block by block, oldest first."""

    __slots__ = ("_views", "seen")

    def __init__(self, histories: Sequence[bytes | memoryview]) -> None:
        size = 4 * VIEWS
        self.seen: Ints = np.array([len(history) // size for history in histories])
        most = int(self.seen.max())
        rows = np.full((len(histories), most, VIEWS), np.nan, np.float32)
        for row, history in zip(rows, histories, strict=True):
            row[most - len(history) // size :] = np.frombuffer(history, "<f4").reshape(-1, VIEWS)
        self._views: Singles = rows.transpose(2, 0, 1).copy()

    def ranks(self, newest: Singles) -> tuple[Ints, Ints]:
        """How many are below each view of the newest blocks (one row per view), and how many equal to it."""
        there = newest[:, :, None]
        return _counted(self._views < there), _counted(self._views == there)

    def spreads(self, freedom: Floats, newest: Singles | None = None, room: int = 0) -> Floats:
        """How many times larger χ² usually is than for independent labels: similar pictures come in runs.

        newest  χ² of one more block of each; of more than ``room`` the oldest is forgotten
        """
        values, seen = self._views[VIEWS - 1], self.seen
        if newest is not None:
            values = np.concatenate([values, newest[:, None]], axis=1)
            values[seen >= room, 0] = np.nan
            seen = np.minimum(seen + 1, room)
        spreads: Floats = np.maximum(_medians(values, seen) / np.maximum(freedom, 1.0), 1.0)
        return spreads


def _medians(values: Singles, seen: Ints) -> Floats:
    """Of each row, in which so many are numbers; 0 where none is."""
    if not values.shape[1]:
        return np.zeros(len(values))
    ordered = np.sort(values, axis=1)
    rows = np.arange(len(values))
    middle = (ordered[rows, np.maximum(seen - 1, 0) // 2] + ordered[rows, np.minimum(seen // 2, seen - 1)]) / 2
    medians: Floats = np.where(seen > 0, middle, 0.0).astype(np.float64)
    return medians


def _counted(rows: NDArray[np.bool_]) -> Ints:
    """How many are true along the last axis; told not to be truth values, they are added several times as fast."""
    counted: Ints = np.add.reduce(rows.view(np.uint8), axis=-1, dtype=np.int64)
    return counted


def _down(rows: Floats) -> Floats:
    """The sums of columns, added from top to bottom whatever their number, so that a series is judged as if alone."""
    sums: Floats = np.add.accumulate(rows, axis=0)[-1]
    return sums


def _share_unseen(unseen: Floats) -> Floats:
    limited: Floats = np.clip(unseen, _LEAST_UNSEEN, 1 - _LEAST_SEEN)
    return limited
