"""Is the promised run length kept? python -m benchmarks.detection.drift_arl [--runs 30] [--first 40000]

Runs of 100,000 usual scores of several laws, independent and with correlated neighbours, a fresh detector after each
alarm: false alarms per 100,000 with two standard errors (Poisson), beside the promise (.5). JSON on stdout.
"""

import argparse
import json
import math

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.detection.adapters import Confidence
from benchmarks.detection.drift_streams import false_alarms, scores
from detectors.stats.scores import RUN_LENGTH

LENGTH = 100_000


def rounded(seed: int) -> list[float]:
    """Scores with two decimals: full of ties."""
    values: list[float] = np.round(scores("softmax", LENGTH, seed), 2).tolist()
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--first", type=int, default=40_000)
    wanted = parser.parse_args()
    seeds = range(wanted.first, wanted.first + wanted.runs)
    streams = {
        f"{law}{f', correlation {correlation:g}' if correlation else ''}": (
            lambda seed, law=law, correlation=correlation: scores(law, LENGTH, seed, correlation).tolist()
        )
        for law, correlation in (
            ("beta", 0.0),
            ("softmax", 0.0),
            ("uncertain", 0.0),
            ("softmax", 0.5),
            ("softmax", 0.7),
            ("softmax", 0.9),
        )
    } | {"softmax, two decimals": rounded}
    rows = {}
    for name, stream in streams.items():
        alarms, values = false_alarms(Confidence, stream, seeds)
        share = LENGTH / values
        rows[name] = {
            "per_100k": round(alarms * share, 3),
            "two_errors": round(2 * math.sqrt(max(alarms, 1)) * share, 3),
        }
    report = {
        "promised_per_100k": LENGTH / RUN_LENGTH,
        "seeds": [seeds.start, seeds.stop],
        "laws": rows,
        "conditions": conditions("numpy"),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
