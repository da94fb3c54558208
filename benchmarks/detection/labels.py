"""Drift of labels: python -m benchmarks.detection.labels [--seeds 15] [--first 50000]

False alarms per 100,000 usual labels, also in bursts of repeated ones, and the mean number of labels to the detection
of stuck, new and garbage labels. JSON on stdout.
"""

import argparse
import json
import time
from typing import Any

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.detection.adapters import Labels
from benchmarks.detection.drift_streams import AFTER, delays, false_alarms, labels, zipf

CALM = 10_000
USUAL = ((20, 0.0), (1_000, 0.0), (1_000, 0.5), (20_000, 0.0))
CHANGES = (
    (20, "stuck", 0.20),
    (1_000, "stuck", 0.20),
    (1_000, "stuck", 0.05),
    (1_000, "garbage", 0.20),
    (1_000, "new", 0.02),
    (20, "fewer of the first", 0.30),
    (20_000, "stuck", 0.05),
)


def changed(kinds: int, change: str, share: float, seed: int) -> list[int]:
    """CALM usual labels, then AFTER of which a share is another."""
    drawn = labels(kinds, CALM + AFTER, seed)
    random = np.random.default_rng(seed + 7_919)
    hit = random.random(len(drawn)) < share
    hit[:CALM] = False
    match change:
        case "stuck":
            drawn[hit] = kinds // 2
        case "garbage":
            drawn[hit] = random.integers(0, kinds, hit.sum())
        case "new":
            drawn[hit] = kinds + 7
        case _:
            hit &= drawn == 0
            rest = zipf(kinds)[1:]
            drawn[hit] = random.choice(np.arange(1, kinds), hit.sum(), p=rest / rest.sum())
    return list(map(int, drawn))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--first", type=int, default=50_000)
    wanted = parser.parse_args()
    usual: dict[str, Any] = {}
    for kinds, repeats in USUAL:
        before = time.process_time()
        alarms, count = false_alarms(
            Labels,
            lambda seed, kinds=kinds, repeats=repeats: labels(kinds, 100_000, seed, repeats).tolist(),
            range(wanted.first, wanted.first + wanted.runs),
        )
        spent_us = (time.process_time() - before) / count * 1e6
        name = f"{kinds} labels{', bursts' if repeats else ''}"
        usual[name] = {"per_100k": round(alarms / count * 1e5, 3), "us_per_label": round(spent_us, 2)}
    found = {}
    for kinds, change, share in CHANGES:
        delay, missed = delays(
            Labels,
            lambda seed, kinds=kinds, change=change, share=share: changed(kinds, change, share, seed),
            range(wanted.first, wanted.first + wanted.seeds),
            CALM,
        )
        found[f"{change} {share:.0%} of {kinds}"] = {"delay": round(delay, 1), "missed": round(missed, 3)}
    print(json.dumps({"usual": usual, "found": found, "conditions": conditions("numpy")}, indent=1))


if __name__ == "__main__":
    main()
