"""A sequential test for values that have become smaller than they used to be, with a bound on its false alarms.

Every new value is ranked among all earlier ones. As long as the values are exchangeable (nothing has changed), the
ranks are independent and uniform, whatever law the values follow. Several bets are placed on small ranks; each bet
multiplies its stake by an e-value, whose expectation is at most 1 as long as nothing has changed. Stakes grow as in
the Shiryaev-Roberts recursion R ← (R + 1)·e; their mean reaches c after c values on average, or later: c is the
mean run length to a false alarm.

Sources: e-detectors (Shin, Ramdas, Rinaldo 2022), conformal test martingales (Vovk 2021), sequential normal scores
(Conover 2017).
"""

import math
from statistics import NormalDist
from typing import Annotated

import msgspec

TILTS = (0.25, 0.5, 1.0, 2.0)
"""The bets on a moderate shift: by how many standard deviations of the normal score."""

_MOST = 1e15
_NORMAL = NormalDist()

_Stake = Annotated[float, msgspec.Meta(ge=0, le=_MOST)]


class Stakes(msgspec.Struct, frozen=True, array_like=True):
    """What the bets have won: one for every tilt, one on extremes, and how many extremes have come in a row."""

    tilted: tuple[_Stake, _Stake, _Stake, _Stake] = (0.0, 0.0, 0.0, 0.0)
    extreme: _Stake = 0.0
    extremes: Annotated[int, msgspec.Meta(ge=0, le=10**9)] = 0

    @property
    def evidence(self) -> float:
        """The mean stake; half of the money lies on extremes. At least c is an alarm with mean run length c."""
        return 0.5 * self.extreme + 0.5 * math.fsum(self.tilted) / len(self.tilted)


def bet(stakes: Stakes, below: int, equal: int, total: int) -> Stakes:
    """The stakes after a value that is greater than ``below`` and equal to ``equal`` of ``total`` earlier ones."""
    score = -_NORMAL.inv_cdf((below + (equal + 1) / 2) / (total + 1))
    tilted = tuple(
        min((stake + 1.0) * math.exp(tilt * score - tilt * tilt / 2), _MOST)
        for tilt, stake in zip(TILTS, stakes.tilted, strict=True)
    )
    wanted = stakes.extremes + 1
    if below + equal >= wanted:
        return Stakes((tilted[0], tilted[1], tilted[2], tilted[3]))
    # If the last `extremes` values were the smallest of all, chance puts the next among the smallest `wanted` of
    # total + 1 with probability wanted / (total + 1): the inverse is a fair price.
    extreme = min((stakes.extreme + 1.0) * (total + 1) / wanted, _MOST)
    return Stakes((tilted[0], tilted[1], tilted[2], tilted[3]), extreme, wanted)
