"""A sequential test for values that are no longer what they used to be, with a bound on its false alarms.

Every new value is ranked among the earlier ones. As long as values are exchangeable (nothing has changed), its rank is
uniform and independent of the ranks before, whatever law the values follow. Bets are placed on low and on high ranks; a
bet multiplies its stake by an e-value, whose expectation is 1 as long as nothing has changed. Stakes grow as in the
Shiryaev-Roberts recursion R ← (R + 1)·e, so that any weighted mean of them, minus the number of values, has expectation
0: it reaches c after c values on average, or later. c is the mean run length to a false alarm.

A bet is a law C on [0, 1] that prefers one end: a value that lies between the shares a and b of all ranks is paid
(C(b) - C(a)) / (b - a). Its mean over all ranks is C(1) - C(0) = 1 exactly, for any number of earlier values; ties are
one wide rank. C_d(u) = Φ(Φ⁻¹(u) + d) is the law of the rank if a normal value has sunk by d standard deviations.

One more bet is on runs of extremes, which a short history can't tell apart by ranks: if the last n values were the
smallest of all, chance puts the next among the smallest n + 1 with probability (n + 1) / (total + 1).

Sources: e-detectors (Shin, Ramdas, Rinaldo 2022, arXiv:2203.03532), conformal test martingales (Vovk 2021), sequential
normal scores (Conover, Tercero-Gómez, Cordero-Franco 2017).
"""

import math
import struct
from statistics import NormalDist
from typing import Annotated, TypeAlias

import msgspec
import numpy as np

from detectors.stats.series import Floats, Ints

SHIFTS = (0.4, 1.0, 2.5)
"""The bets on a shift: by how many standard deviations of the normal score, small to large."""

MOST = 1e15
"""No stake grows beyond."""

_CELLS = 2_048
_SHIFTED = 0.3
_EXTREME = 0.1

Stakes: TypeAlias = tuple[float, ...]
"""What the bets on one value have won. On a fall: one for each of `SHIFTS` and one on a run of low extremes; the same
on a rise; then how many low and how many high extremes have come in a row."""

NO_STAKES: Stakes = (0.0,) * 10

KeptStake = Annotated[float, msgspec.Meta(ge=0, le=10 * MOST)]
"""A stake in a memory, which may be damaged."""

_ROW = struct.Struct(f"<{len(NO_STAKES)}d")
_ON_SHIFTS, _ON_RUNS, _RUNS = [0, 1, 2, 4, 5, 6], [3, 7], [8, 9]


def no_bets(values: int) -> bytes:
    """What a memory holds of bets on so many values of which none has won anything."""
    return _ROW.pack(*NO_STAKES) * values


def evidence(stakes: Stakes) -> tuple[float, float]:
    """Of a fall and of a rise: weighted mean stakes. Each reaches c after c values on average, or later, and so does
    any mean of them, over directions and over values."""
    a, b, c, d, e, f, g, h, _, _ = stakes
    return _SHIFTED * (a + b + c) + _EXTREME * d, _SHIFTED * (e + f + g) + _EXTREME * h


def bet(stakes: Stakes, below: int, equal: int, total: int) -> Stakes:
    """The stakes after a value with ``below`` smaller and ``equal`` equal ones among ``total`` earlier ones.

    Spelled out instead of looped over: it runs several times per block of every stream.
    """
    a, b, c, low, e, f, g, high, lows, highs = stakes
    ranks = total + 1
    to = below + equal + 1
    a_0, b_0, c_0, e_0, f_0, g_0 = _LAWS[below * _CELLS // ranks]
    a_1, b_1, c_1, e_1, f_1, g_1 = _LAWS[to * _CELLS // ranks]
    price = ranks / (equal + 1)
    lows, highs = lows + 1.0, highs + 1.0
    if to <= lows:
        low = (low + 1.0) * ranks / lows
    else:
        low = lows = 0.0
    if total - below < highs:
        high = (high + 1.0) * ranks / highs
    else:
        high = highs = 0.0
    a, b, c = (a + 1.0) * (a_1 - a_0) * price, (b + 1.0) * (b_1 - b_0) * price, (c + 1.0) * (c_1 - c_0) * price
    e, f, g = (e + 1.0) * (e_1 - e_0) * price, (f + 1.0) * (f_1 - f_0) * price, (g + 1.0) * (g_1 - g_0) * price
    if a + b + c + low + e + f + g + high > MOST:
        return (*(min(stake, MOST) for stake in (a, b, c, low, e, f, g, high)), lows, highs)
    return a, b, c, low, e, f, g, high, lows, highs


def bets(stakes: Floats, below: Ints, equal: Ints, total: Ints) -> Floats:
    """As `bet` for many values at once, the same to the last bit: one row of stakes per value, and its rank."""
    ranks, to = total + 1, below + equal + 1
    laws = _TABLE[to * _CELLS // ranks] - _TABLE[below * _CELLS // ranks]
    runs = stakes[:, _RUNS] + 1.0
    extreme = np.stack([to <= runs[:, 0], total - below < runs[:, 1]], axis=1)
    after = stakes + 1.0
    after[:, _ON_SHIFTS] *= laws
    after[:, _ON_SHIFTS] *= (ranks / (equal + 1))[:, None]
    after[:, _ON_RUNS] = np.where(extreme, after[:, _ON_RUNS] * ranks[:, None] / runs, 0.0)
    np.minimum(after, MOST, out=after)
    after[:, _RUNS] = np.where(extreme, runs, 0.0)
    return after


def evidences(stakes: Floats) -> Floats:
    """As `evidence`, for stakes along the last axis: first of the falls, then of the rises."""
    sides = np.stack([stakes[..., :4], stakes[..., 4:8]])
    return _SHIFTED * (sides[..., 0] + sides[..., 1] + sides[..., 2]) + _EXTREME * sides[..., 3]


def _laws() -> list[tuple[float, ...]]:
    """C_d at every multiple of 1 / `_CELLS` for falls and rises of `SHIFTS`; rounding ranks to it keeps bets fair."""
    normal = NormalDist()
    scores = (-math.inf, *(normal.inv_cdf(cell / _CELLS) for cell in range(1, _CELLS)), math.inf)
    shifts = (*SHIFTS, *(-shift for shift in SHIFTS))
    return [tuple(0.5 * math.erfc(-(score + shift) / math.sqrt(2.0)) for shift in shifts) for score in scores]


_LAWS = _laws()
_TABLE = np.array(_LAWS)
