"""python -m benchmarks.detection.telemetry [--seeds N] [--first-seed N] [--json FILE]

Made-up telemetry of many laws with five kinds of incident: how well the raw score of `metric` and `rate` tells them,
beside nearest neighbours of raw windows, an EWMA z-score and the ratio of neighbouring windows as ElastAlert 2 has it.
Told are VUS-PR per law and per incident, and the share of incidents caught at one threshold for all series. No constant
of the product was chosen on these series; the baselines have none but their lengths.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.detection.ranges import Floats, Scored, Stretches, caught, vus_pr
from detectors.stats.scales import Size
from detectors.stats.scorer import Scorers

STEP_S = 300.0
START_S = 1_700_006_400.0
DAY = 288
POINTS = 14 * DAY
PROBATION = 600
WIDEST = 24
LATE = 2
Random = np.random.Generator
Law = Callable[[Random], Floats]
Incident = Callable[[Random, Floats, int, int], None]


def _wave(shift: int = 0) -> Floats:
    found: Floats = np.sin(2.0 * np.pi * (np.arange(POINTS) + shift) / DAY)
    return found


def _wander(random: Random, correlation: float) -> Floats:
    steps, level = random.normal(0.0, math.sqrt(1.0 - correlation**2), POINTS), 0.0
    found = np.empty(POINTS)
    for place, step in enumerate(steps.tolist()):
        level = correlation * level + step
        found[place] = level
    return found


def latency(random: Random) -> Floats:
    """Means of a few requests with a heavy tail: a daily course, a level that wanders, single slow ones."""
    base = np.exp(4.0 + 0.15 * _wave() + 0.08 * _wander(random, 0.9) + random.normal(0.0, 0.1, POINTS))
    slow = random.random(POINTS) < 0.01
    return np.where(slow, base * random.uniform(1.5, 3.0, POINTS), base)


def seasonal(random: Random) -> Floats:
    weekend = np.where(np.arange(POINTS) // DAY % 7 >= 5, 0.6, 1.0)
    return weekend * (100.0 + 50.0 * _wave()) + random.normal(0.0, 4.0, POINTS)


def requests(random: Random) -> Floats:
    return random.poisson(np.exp(3.5 + 0.8 * _wave(40))).astype(float)


def walk(random: Random) -> Floats:
    return 200.0 + 30.0 * _wander(random, 0.995) + random.normal(0.0, 2.0, POINTS)


def jumpy(random: Random) -> Floats:
    return 50.0 + 3.0 * random.standard_t(3, POINTS)


def usage(random: Random) -> Floats:
    """A share between 0 and 100, mostly near its floor, with jobs that come and go."""
    jobs = np.zeros(POINTS)
    for begin in np.flatnonzero(random.random(POINTS) < 1.0 / 60.0):
        jobs[begin : begin + random.integers(2, 10)] += random.uniform(5.0, 20.0)
    return np.clip(8.0 + jobs + random.normal(0.0, 1.0, POINTS), 0.0, 100.0)


def _scale(values: Floats) -> float:
    """What the series varies by from one bucket to the next and in a day, robustly."""
    return float(np.subtract(*np.percentile(values[:PROBATION], (84.0, 16.0)))) / 2.0


def spike(random: Random, values: Floats, begin: int, end: int) -> None:
    values[begin : min(begin + 3, end)] += random.choice([-1.0, 1.0]) * random.uniform(4.0, 8.0) * _scale(values)


def shift(random: Random, values: Floats, begin: int, end: int) -> None:
    values[begin:end] += random.choice([-1.0, 1.0]) * random.uniform(2.0, 4.0) * _scale(values)


def ramp(random: Random, values: Floats, begin: int, end: int) -> None:
    values[begin:end] += np.linspace(0.0, random.uniform(3.0, 6.0) * _scale(values), end - begin)


def noise(random: Random, values: Floats, begin: int, end: int) -> None:
    values[begin:end] += random.normal(0.0, random.uniform(1.5, 3.0) * _scale(values), end - begin)


def stuck(random: Random, values: Floats, begin: int, end: int) -> None:  # noqa: ARG001
    """The value of the first bucket for hours, a rhythm too: season and noise break off."""
    values[begin:end] = values[begin]


LAWS: tuple[Law, ...] = (latency, seasonal, requests, walk, jumpy, usage)
INCIDENTS: tuple[tuple[Incident, int], ...] = ((spike, 3), (shift, 24), (ramp, 48), (noise, 24), (stuck, 72))


def made(law: Law, incident: Incident, length: int, random: Random) -> tuple[Floats, Stretches]:
    """A series with two such incidents, a third and two thirds of the way through what is judged, roughly."""
    values = law(random)
    room = (POINTS - PROBATION) // 3
    begins = [PROBATION + third * room + int(random.integers(0, room - length)) for third in (1, 2)]
    for begin in begins:
        incident(random, values, begin, begin + length)
    return values, [(begin, begin + length) for begin in begins]


def product(many: list[Floats]) -> list[Floats]:
    """The raw score, all series side by side."""
    scorers, yes = Scorers(Size(PROBATION), len(many)), np.ones(len(many), np.bool_)
    values, found = np.stack(many, axis=1), np.empty((POINTS, len(many)))
    for place in range(POINTS):
        found[place] = scorers.observe(np.full(len(many), START_S + place * STEP_S), values[place]).raw
        scorers.learn(yes, yes)
    return list(found.T)


def neighbours(many: list[Floats]) -> list[Floats]:
    """The mean distance of the last 12 values to the three nearest earlier runs of 12 that do not overlap them."""
    return [_neighbours(values, 12) for values in many]


def _neighbours(values: Floats, length: int) -> Floats:
    runs = np.lib.stride_tricks.sliding_window_view(values, length)
    squares = np.square(runs).sum(axis=1)
    found = np.zeros(len(values))
    for place in range(2 * length + 3, len(runs)):
        past = slice(max(place - 1_500, 0), place - length + 1)
        apart = squares[past] + squares[place] - 2.0 * runs[past] @ runs[place]
        found[place + length - 1] = np.sqrt(np.maximum(np.partition(apart, 2)[:3], 0.0)).mean()
    return found / np.std(values[:PROBATION])


def ewma(many: list[Floats]) -> list[Floats]:
    """|x - mean| / deviation, both exponentially weighted (λ = .05)."""
    return [_ewma(values.tolist()) for values in many]


def _ewma(values: list[float]) -> Floats:
    found, mean, variance = np.zeros(len(values)), values[0], 0.0
    for place, value in enumerate(values):
        change = value - mean
        found[place] = abs(change) / math.sqrt(variance) if variance > 0 and place >= 30 else 0.0
        mean += 0.05 * change
        variance = 0.95 * (variance + 0.05 * change * change)
    return found


def ratio(many: list[Floats]) -> list[Floats]:
    """|ln| of the ratio of the means of two neighbouring windows of 12 buckets."""
    return [_ratio(values, 12) for values in many]


def _ratio(values: Floats, width: int) -> Floats:
    means = np.abs(np.convolve(values, np.full(width, 1.0 / width), "valid"))
    least = 0.01 * np.abs(np.median(values[:PROBATION])) + 1e-9
    found = np.zeros(len(values))
    found[2 * width - 1 :] = np.abs(np.log((means[width:] + least) / (means[:-width] + least)))
    return found


SCORES: Mapping[str, Callable[[list[Floats]], list[Floats]]] = {
    "raw": product,
    "neighbours": neighbours,
    "ewma": ewma,
    "ratio": ratio,
}


def judged(score: Callable[[list[Floats]], list[Floats]], seeds: range) -> dict[str, object]:
    """VUS-PR by law, by incident and over all, and incidents caught at .5 and 1 false points per 1,000."""
    names, series = [], []
    for seed in seeds:
        for law_number, law in enumerate(LAWS):
            for number, (incident, length) in enumerate(INCIDENTS):
                names.append((law.__name__, incident.__name__))
                series.append(made(law, incident, length, np.random.default_rng([seed, law_number, number])))
    before = time.process_time()
    scores = score([values for values, _ in series])
    spent_s = time.process_time() - before
    many = [Scored(one, stretches, PROBATION) for one, (_, stretches) in zip(scores, series, strict=True)]
    volumes = np.array([_volume(one) for one in many])
    groups = sorted({name for pair in names for name in pair})
    return {
        "vus_pr": round(float(volumes.mean()), 3),
        "vus_pr_by": {name: round(float(volumes[[name in pair for pair in names]].mean()), 3) for name in groups},
        "caught_at_half_a_false_point_per_1000": round(caught(many, 0.5, LATE), 3),
        "caught_at_one_false_point_per_1000": round(caught(many, 1.0, LATE), 3),
        "us_per_point": round(spent_s / (len(series) * POINTS) * 1e6, 1),
    }


def _volume(one: Scored) -> float:
    stretches = [(begin - one.begin, end - one.begin) for begin, end in one.stretches]
    return vus_pr(one.scores[one.begin :], stretches, WIDEST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    answer: dict[str, object] = {
        "conditions": conditions("numpy"),
        "seeds": [seeds.start, seeds.stop - 1],
        "series": len(seeds) * len(LAWS) * len(INCIDENTS),
    }
    answer |= {name: judged(score, seeds) for name, score in SCORES.items()}
    text = json.dumps(answer, indent=1)
    if given.json:
        given.json.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
