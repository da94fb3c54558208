"""Streams of scores and labels that are usual and then change, for the drift benchmarks. Seeds are fixed."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtr
from scipy.stats import beta

Floats = NDArray[np.float64]
Random = np.random.Generator
CALM = 5_000
AFTER = 20_000

LAWS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "beta": ((1.0, 8, 2),),
    "softmax": ((0.80, 40, 1.2), (0.15, 5, 2), (0.05, 2, 3)),
    "uncertain": ((0.6, 6, 3), (0.4, 2, 2)),
}
"""Mixtures of beta laws: (weight, a, b)."""


class Detector(Protocol):
    def update(self, value: Any) -> bool: ...


def scores(law: str, count: int, seed: int, correlation: float = 0.0) -> Floats:
    """Scores of a law; neighbours are correlated as a first-order autoregression of their normal scores."""
    noise = np.random.default_rng(seed).standard_normal(count)
    if correlation:
        noise[1:] *= np.sqrt(1 - correlation**2)
        noise = lfilter([1], [1, -correlation], noise)
    grid = np.linspace(0, 1, 4_001)
    shares = np.sum([weight * beta.cdf(grid, a, b) for weight, a, b in LAWS[law]], axis=0)
    return np.asarray(np.interp(ndtr(noise), shares, grid))


def _mixed(share: float, a: float, b: float, ramp: int = 0) -> Callable[[Floats, Random], Floats]:
    def change(values: Floats, random: Random) -> Floats:
        grown = np.minimum(1.0, np.arange(len(values)) / ramp) if ramp else np.ones(len(values))
        return np.where(random.random(len(values)) < share * grown, random.beta(a, b, len(values)), values)

    return change


def _sharper(values: Floats, random: Random) -> Floats:
    return np.where(random.random(len(values)) < 0.5, 1 - (1 - values) / 2, values)


def _lower(shift: float) -> Callable[[Floats, Random], Floats]:
    return lambda values, _: np.clip(values - shift, 0, 1)


DRIFTS: dict[str, tuple[str, Callable[[Floats, Random], Floats]]] = {
    "mean -5 %": ("softmax", _mixed(0.07, 4, 4)),
    "mean -10 %": ("softmax", _mixed(0.15, 4, 4)),
    "mean -25 %": ("softmax", _mixed(0.40, 4, 4)),
    "beta -.04": ("beta", _lower(0.04)),
    "beta -.12": ("beta", _lower(0.12)),
    "three times as many very low": ("softmax", _mixed(0.05, 2, 8)),
    "sharper": ("softmax", _sharper),
    "mean -10 % within 5,000": ("softmax", _mixed(0.15, 4, 4, ramp=5_000)),
    "wide -.05": ("uncertain", _lower(0.05)),
}


def drifting(name: str, seed: int) -> Floats:
    """CALM usual scores, then AFTER changed ones."""
    law, change = DRIFTS[name]
    values = scores(law, CALM + AFTER, seed)
    values[CALM:] = change(values[CALM:], np.random.default_rng(seed + 7_919))
    return values


def zipf(kinds: int) -> Floats:
    shares = 1 / np.arange(1, kinds + 1) ** 1.1
    return np.asarray(shares / shares.sum())


def labels(kinds: int, count: int, seed: int, repeats: float = 0.0) -> NDArray[np.int64]:
    """A long-tailed mix; with this chance a label repeats the one before."""
    random = np.random.default_rng(seed)
    drawn = random.choice(kinds, count, p=zipf(kinds))
    if repeats:
        place = np.where(random.random(count) < repeats, 0, np.arange(count))
        drawn = drawn[np.maximum.accumulate(place)]
    return np.asarray(drawn)


def delays(
    make: Callable[[], Detector], streams: Callable[[int], list[Any]], seeds: range, calm: int
) -> tuple[float, float]:
    """Mean number of values from the change to the alarm, and the share of streams in which it never came."""
    found: list[int] = []
    for seed in seeds:
        detector = make()
        for number, value in enumerate(streams(seed)):
            if detector.update(value):
                if number >= calm:
                    found.append(number - calm + 1)
                    break
                detector = make()
    return (float(np.mean(found)) if found else float("nan")), 1 - len(found) / len(seeds)


def false_alarms(make: Callable[[], Detector], streams: Callable[[int], list[Any]], seeds: range) -> tuple[int, int]:
    """Alarms on usual values, with a fresh detector after each, and the number of values."""
    alarms = values = 0
    for seed in seeds:
        detector = make()
        for value in streams(seed):
            values += 1
            if detector.update(value):
                alarms += 1
                detector = make()
    return alarms, values
