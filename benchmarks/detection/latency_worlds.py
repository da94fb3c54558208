"""Made-up per-minute histograms of durations, with and without faults, for the benchmark of `latency`."""

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.statistical.latency import Latency

Floats = NDArray[np.float64]
DAY = 1_440
EDGES = np.array(Latency().edges)


class Law(enum.StrEnum):
    """How the durations of one minute are spread, and how their level wanders."""

    LOGNORMAL = "log-normal, 2 % slow mode, normal wander"
    HEAVY = "heavy tail (Pareto 2.5), normal wander"
    TWO_MODES = "two modes (cache hit or not), normal wander"
    WILD = "log-normal, wander with Student's t of 4 degrees"
    SLOW_WANDER = "log-normal, wander over hours"
    SKEWED = "log-normal, wander with sudden rises and slow falls"


class Fault(enum.StrEnum):
    """What is slower, for how long."""

    DOUBLE = "2x for 5 min"
    THIRD = "1.3x for 30 min"
    TAIL = "10 % of requests 5x for 10 min"
    RAMP = "ramp to 1.4x in 60 min"


MINUTES = {Fault.DOUBLE: 5, Fault.THIRD: 30, Fault.TAIL: 10, Fault.RAMP: 60}


@dataclass(frozen=True)
class World:
    """One series in the shape the adapters read: see `benchmarks.detection.adapters.Minutes`."""

    n: Floats
    mean: Floats
    H: Floats
    minute: NDArray[np.int64]
    edges: Floats = field(default_factory=lambda: EDGES)
    faults: tuple[tuple[Fault, int, int], ...] = ()


def make_world(law: Law, per_minute: float, days: int, seed: int, *, faults: bool) -> World:
    """Traffic and level follow the day; with ``faults``, one every five to nine hours from the fourth day on."""
    random = np.random.default_rng(seed)
    minutes = np.arange(days * DAY)
    counts = random.poisson(per_minute * (1 + 0.6 * np.sin(2 * np.pi * (minutes / DAY - 0.3))))
    level = np.exp(_wander(law, random, len(minutes))) * (1 + 0.12 * np.sin(2 * np.pi * (minutes / DAY - 0.35)))
    slow_share = np.zeros(len(minutes))
    planted = _plant(random, level, slow_share) if faults else ()
    of = np.repeat(minutes, counts)
    values = 80 * level[of] * _spread(law, random, len(of))
    values[random.random(len(of)) < slow_share[of]] *= 5
    places = np.searchsorted(EDGES, values, side="right").clip(1, len(EDGES) - 1) - 1
    histogram = np.zeros((len(minutes), len(EDGES) - 1))
    np.add.at(histogram, (of, places), 1)
    mean = np.bincount(of, values, len(minutes)) / np.maximum(counts, 1)
    return World(counts.astype(float), mean, histogram, minutes, faults=planted)


def _wander(law: Law, random: np.random.Generator, length: int) -> Floats:
    """A first-order autoregression with standard deviation .07."""
    keep = 0.99 if law is Law.SLOW_WANDER else 0.9
    steps = _steps(law, random, length) * 0.07 * np.sqrt(1 - keep**2)
    level = np.zeros(length)
    for minute in range(1, length):
        level[minute] = keep * level[minute - 1] + steps[minute]
    return level


def _steps(law: Law, random: np.random.Generator, length: int) -> Floats:
    """Of variance 1."""
    steps: Floats
    if law is Law.WILD:
        steps = random.standard_t(4, length) / np.sqrt(2)
    elif law is Law.SKEWED:
        steps = (random.gamma(0.5, 1.0, length) - 0.5) / np.sqrt(0.5)
    else:
        steps = random.normal(0, 1, length)
    return steps


def _spread(law: Law, random: np.random.Generator, count: int) -> Floats:
    if law is Law.HEAVY:
        return 0.6 * (1 + random.pareto(2.5, count))
    if law is Law.TWO_MODES:
        return np.where(random.random(count) < 0.7, 0.25, 1.5) * np.exp(random.normal(0, 0.25, count))
    values = np.exp(random.normal(0, 0.35, count))
    values[random.random(count) < 0.02] *= 5
    values[random.random(count) < 0.001] *= 20
    return values


def _plant(random: np.random.Generator, level: Floats, slow_share: Floats) -> tuple[tuple[Fault, int, int], ...]:
    planted: list[tuple[Fault, int, int]] = []
    at = 3 * DAY
    kinds = list(Fault)
    while True:
        at += int(random.integers(300, 540))
        fault = kinds[len(planted) % len(kinds)]
        end = at + MINUTES[fault]
        if end + 60 >= len(level):
            return tuple(planted)
        if fault is Fault.DOUBLE:
            level[at:end] *= 2
        elif fault is Fault.THIRD:
            level[at:end] *= 1.3
        elif fault is Fault.RAMP:
            level[at:end] *= np.linspace(1, 1.4, end - at)
        else:
            slow_share[at:end] = 0.1
        planted.append((fault, at, end))
        at = end
