"""Drift of confidence, ours beside river's ADWIN: python -m benchmarks.detection.drift [--seeds 30] [--first 30000]

Mean number of scores to detection of nine drifts, and the processor time a score takes. JSON on stdout.
"""

import argparse
import json
import math
import time
from functools import partial
from typing import Any

from river.drift import ADWIN

from benchmarks.conditions import conditions
from benchmarks.detection.adapters import Confidence
from benchmarks.detection.drift_streams import CALM, DRIFTS, Detector, delays, drifting, scores

LORDEN = {
    "mean -5 %": 800,
    "mean -10 %": 197,
    "mean -25 %": 35,
    "beta -.04": 123,
    "beta -.12": 22,
    "three times as many very low": 427,
    "sharper": 280,
    "wide -.05": 271,
}
"""ln(200,000) / KL: the first-order bound for a detector that knows both laws."""


class Adwin:
    """river's detector in the shape of ours."""

    def __init__(self, delta: float) -> None:
        self._adwin = ADWIN(delta=delta)

    def update(self, value: float) -> bool:
        self._adwin.update(value)
        return bool(self._adwin.drift_detected)


MAKES = {"ours": Confidence, "ADWIN": partial(Adwin, 0.002), "ADWIN delta .1": partial(Adwin, 0.1)}


def cost_us(detector: Detector) -> float:
    """Processor time per score, the best of five runs over 20,000 usual ones."""
    values = scores("softmax", 100_000, 1).tolist()
    best = math.inf
    for part in range(5):
        before = time.process_time()
        for value in values[part * 20_000 : (part + 1) * 20_000]:
            detector.update(value)
        best = min(best, time.process_time() - before)
    return best / 20_000 * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--first", type=int, default=30_000)
    wanted = parser.parse_args()
    seeds = range(wanted.first, wanted.first + wanted.seeds)
    rows: dict[str, dict[str, Any]] = {}
    for name, make in MAKES.items():
        drifts = {
            drift: delays(make, lambda seed, d=drift: drifting(d, seed).tolist(), seeds, CALM) for drift in DRIFTS
        }
        rows[name] = {
            "delay": {drift: round(delay, 1) for drift, (delay, _) in drifts.items()},
            "missed": {drift: round(missed, 3) for drift, (_, missed) in drifts.items()},
            "us_per_score": round(cost_us(make()), 2),
        }
    ours = rows["ours"]["delay"]
    ratios = {f"to {name}": round(_mean_ratio(ours, rows[name]["delay"]), 3) for name in MAKES if name != "ours"} | {
        "to Lorden": round(_mean_ratio(ours, LORDEN), 3)
    }
    worst = max(ours[drift] / rows["ADWIN"]["delay"][drift] for drift in DRIFTS)
    report = {
        "seeds": [seeds.start, seeds.stop],
        "detectors": rows,
        "geometric_mean_ratio": ratios,
        "worst_ratio_to_ADWIN": round(worst, 3),
        "conditions": conditions("numpy", "river"),
    }
    print(json.dumps(report, indent=1))


def _mean_ratio(ours: dict[str, float], theirs: dict[str, Any]) -> float:
    return math.exp(sum(math.log(ours[drift] / delay) for drift, delay in theirs.items()) / len(theirs))


if __name__ == "__main__":
    main()
