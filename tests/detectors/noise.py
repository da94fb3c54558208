"""Made-up telemetry: what one minute of a service's durations and scores looks like, as a store would sum it up."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.frame import Bins, Frame, Interval, Series
from detectors.statistical.latency import Latency

MINUTE_MS = 60_000
T0_MS = 1_700_006_400_000
EDGES = Latency().edges
Floats = NDArray[np.float64]
Change = Callable[[int, Floats, np.random.Generator], Floats]
"""Minute, values of the minute, randomness → values."""


def unchanged(minute: int, values: Floats, random: np.random.Generator) -> Floats:
    return values


def wander(random: np.random.Generator, minutes: int, deviation: float) -> Floats:
    """A level that wanders from minute to minute: autoregressive, .9."""
    steps = random.normal(0, deviation * np.sqrt(1 - 0.81), minutes)
    level = np.zeros(minutes)
    for minute in range(1, minutes):
        level[minute] = 0.9 * level[minute - 1] + steps[minute]
    return level


def durations(
    random: np.random.Generator, *, per_minute: float, minutes: int, change: Change = unchanged
) -> list[Floats]:
    """Log-normal with a slow mode (2 %) and outliers (0.1 %); traffic and level go up and down with the day."""
    time = 2 * np.pi * np.arange(minutes) / 1_440
    counts = random.poisson(per_minute * (1 + 0.5 * np.sin(time)))
    levels = np.log(50) + 0.1 * np.sin(time + 1) + wander(random, minutes, 0.07)
    found: list[Floats] = []
    for minute in range(minutes):
        values = np.exp(levels[minute] + random.normal(0, 0.3, counts[minute]))
        values *= np.where(random.random(len(values)) < 0.02, 5, 1)
        values *= np.where(random.random(len(values)) < 0.001, 20, 1)
        found.append(change(minute, values, random))
    return found


def scores(
    random: np.random.Generator,
    *,
    per_minute: float,
    minutes: int,
    correlation: float = 0.0,
    waves: float = 0.0,
    change: Change = unchanged,
) -> list[Floats]:
    """Most near 1, a few very low; ``correlation`` from one score to the next, ``waves`` from minute to minute."""
    counts = random.poisson(per_minute, minutes)
    normal = random.normal(0, 1, int(counts.sum()))
    if correlation:
        for number in range(1, len(normal)):
            normal[number] = correlation * normal[number - 1] + np.sqrt(1 - correlation**2) * normal[number]
    uniform = np.argsort(np.argsort(normal)) / max(len(normal), 1)
    values = np.where(
        uniform < 0.019, uniform / 0.019 * 0.3, 0.6 + 0.4 * np.clip((uniform - 0.019) / 0.981, 0, 1) ** 0.25
    )
    levels = wander(random, minutes, waves)
    parts = np.split(values, np.cumsum(counts)[:-1])
    return [change(minute, np.clip(part + levels[minute], 0, 1), random) for minute, part in enumerate(parts)]


def binned(values: Floats, edges: Sequence[float]) -> Bins:
    places, counts = np.unique(np.searchsorted(np.array(edges), values, side="right"), return_counts=True)
    return Bins(tuple(zip(places.tolist(), counts.tolist(), strict=True)))


def latency_series(name: str, minutes: list[Floats], edges: Sequence[float] = EDGES) -> Series:
    shown = [(number, values) for number, values in enumerate(minutes) if len(values)]
    return Series(
        (("host", name), ("model_name", "digits")),
        tuple(T0_MS + number * MINUTE_MS for number, _ in shown),
        {"values": tuple(binned(values, edges) for _, values in shown)},
    )


def score_series(name: str, minutes: list[Floats]) -> Series:
    shown = [(number, values) for number, values in enumerate(minutes) if len(values)]
    return Series(
        (("model_name", name),),
        tuple(T0_MS + number * MINUTE_MS for number, _ in shown),
        {
            "count": tuple(float(len(values)) for _, values in shown),
            "sum": tuple(float(values.sum()) for _, values in shown),
            "squares": tuple(float(np.square(values).sum()) for _, values in shown),
        },
    )


def frame(minutes: int, *series: Series) -> Frame:
    ordered = tuple(sorted(series, key=lambda one: str(one.key)))
    return Frame(Interval(T0_MS, T0_MS + minutes * MINUTE_MS), T0_MS, MINUTE_MS, ordered)
