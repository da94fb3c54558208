"""How soon could anybody tell that a series of few requests became twice as slow? A bound for `latency`, as JSON.

    python -m benchmarks.detection.latency_bound [--days 300] [--per-minute 5] [--seed 5]

The detector of this bound is told everything: the law of the durations, by how much they grow, and (`level known`) what
the level is in every minute but for the fault. In a given window nothing finds more at the same false alarms than the
likelihood ratio (Neyman and Pearson 1933); the largest one of the last 1, 2, 3 and 5 minutes is compared with the
smallest height that calm days reach once a week at most.
"""

import argparse
import json

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.detection.latency import episodes
from benchmarks.detection.latency_worlds import DAY, Floats

_SPREAD = 0.35
_MODES = ((0.98 * 0.999, 1.0), (0.02 * 0.999, 5.0), (0.98 * 0.001, 20.0), (0.02 * 0.001, 100.0))
"""Shares of requests and how many times slower they are, as in `latency_worlds`."""

_WINDOWS = 1, 2, 3, 5
_MINUTES, _APART = 5, 397


def _density(log_values: Floats) -> Floats:
    """Up to a constant factor, of the logarithm of a duration relative to the level."""
    found = np.zeros_like(log_values)
    for share, factor in _MODES:
        found += share * np.exp(-0.5 * ((log_values - np.log(factor)) / _SPREAD) ** 2)
    return found


def _wander(random: np.random.Generator, length: int) -> Floats:
    steps = random.normal(0, 0.07 * np.sqrt(1 - 0.9**2), length)
    level = np.zeros(length)
    for minute in range(1, length):
        level[minute] = 0.9 * level[minute - 1] + steps[minute]
    return level


def _scores(log_values: Floats, of: np.ndarray, minutes: int) -> Floats:
    """The largest log likelihood ratio of twice as slow against as usual, over the windows that end in each minute."""
    ratio = np.log(_density(log_values - np.log(2.0)) / _density(log_values))
    total = np.concatenate([[0.0], np.cumsum(np.bincount(of, ratio, minutes))])
    best = np.full(minutes, -np.inf)
    for width in _WINDOWS:
        best[width - 1 :] = np.maximum(best[width - 1 :], total[width:] - total[:-width])
    return best


def bound(random: np.random.Generator, days: int, per_minute: float, *, level_known: bool) -> dict[str, float]:
    """Shares of faults found, and the median delay in minutes."""
    minutes = days * DAY
    time = np.arange(minutes)
    counts = random.poisson(per_minute * (1 + 0.6 * np.sin(2 * np.pi * (time / DAY - 0.3))))
    of, level = np.repeat(time, counts), _wander(random, minutes)
    modes = random.choice(len(_MODES), len(of), p=[share for share, _ in _MODES])
    values = random.normal(0, _SPREAD, len(of)) + np.log([factor for _, factor in _MODES])[modes]
    if not level_known:
        values += level[of]
    calm = _scores(values, of, minutes)
    height = next(one for one in np.arange(2.0, 40.0, 0.25) if episodes(calm >= one) <= days / 7)
    starts = np.arange(100, minutes - 50, _APART)
    slower = np.zeros(minutes)
    for start in starts:
        slower[start : start + _MINUTES] = np.log(2.0)
    spoke = _scores(values + slower[of], of, minutes) >= height
    places = [np.flatnonzero(spoke[start : start + 2 * _MINUTES]) for start in starts]
    delays = np.array([float(found[0]) + 1.0 if len(found) else np.inf for found in places])
    return {
        "found": round(float(np.isfinite(delays).mean()), 3),
        "in_2_min": round(float((delays <= 2).mean()), 3),
        "in_3_min": round(float((delays <= 3).mean()), 3),
        "median_min": float(np.median(delays)),
        "faults": len(starts),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=300)
    parser.add_argument("--per-minute", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    found = {
        name: bound(np.random.default_rng(given.seed), given.days, given.per_minute, level_known=known)
        for name, known in (("level known", True), ("level not known", False))
    }
    print(json.dumps({"conditions": conditions("numpy") | vars(given), "results": found}, indent=2))


if __name__ == "__main__":
    main()
