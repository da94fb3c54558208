"""How well `latency` finds slowdowns at a rate of false alarms, beside a ratio of windows and a z-score, as JSON.

    python -m benchmarks.detection.latency [--seeds 3] [--days 14] [--seed0 0] [--laws 1]

Detection: the threshold on each detector's raw score is the smallest that gives at most one false episode a week and
series on clean days; then the share of planted faults it finds and the median delay in minutes. Promise: the episodes
of the product's own alarm on clean series, against what `false_alarms: 1 per 30d` allows.
"""

import argparse
import json
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.detection.adapters import latency
from benchmarks.detection.latency_worlds import DAY, EDGES, Fault, Floats, Law, World, make_world
from benchmarks.detection.limits import ratio_limits
from detectors.query import MINUTE_MS
from detectors.statistical.latency import Latency
from detectors.stats.slowdown_watch import Watch

RATES = (5, 60, 600)
LEARNING = 3 * DAY
"""Not counted: the detectors learn."""

_MERGE = 30
_GRACE = 5


def ratio(world: World, width: int = 10) -> Floats:
    """ElastAlert's spike_aggregation: the mean of a window divided by that of the window before."""
    sums, counts = (np.concatenate([[0.0], np.cumsum(values)]) for values in (world.mean * world.n, world.n))
    end = np.arange(1, len(world.n) + 1)
    start = np.maximum(end - width, 0)
    means = (sums[end] - sums[start]) / np.maximum(counts[end] - counts[start], 1e-9)
    before = np.concatenate([np.full(width, means[0]), means[:-width]])
    quotients: Floats = means / np.maximum(before, 1e-9)
    return quotients


def z_score(world: World, width: int = 60) -> Floats:
    """The recipe known from Prometheus: how many standard deviations the minute's mean lies above the last hour's."""
    count = np.minimum(np.arange(len(world.mean)), width)
    start = np.arange(len(world.mean)) - count
    total, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (world.mean, world.mean**2))
    mean = (total[:-1] - total[start]) / np.maximum(count, 1)
    variance = (squares[:-1] - squares[start]) / np.maximum(count, 1) - mean**2
    scores: Floats = np.where(count == width, (world.mean - mean) / np.sqrt(np.maximum(variance, 1e-6)), 0.0)
    return scores


def episodes(hits: np.ndarray) -> int:
    """Hits within half an hour are one."""
    places = np.flatnonzero(hits)
    return 0 if not len(places) else 1 + int((np.diff(places) > _MERGE).sum())


def threshold(scores: Sequence[Floats]) -> float:
    """The smallest with at most one episode a week and series on clean days."""
    counted = [one[LEARNING:] for one in scores]
    weeks = sum(len(one) for one in counted) / (7 * DAY)
    best = float("inf")
    for candidate in np.unique(np.quantile(np.concatenate(counted), 1 - np.geomspace(1e-5, 0.05, 60)))[::-1]:
        if sum(episodes(one >= candidate) for one in counted) > weeks:
            break
        best = float(candidate)
    return best


def detection(score: Callable[[World], Floats], clean: Sequence[World], faulty: Sequence[World]) -> dict[str, object]:
    """Share found and median delay per fault."""
    bound = threshold([score(world) for world in clean])
    delays: dict[Fault, list[float]] = {fault: [] for fault in Fault}
    for world in faulty:
        hits = score(world) >= bound
        for fault, start, end in world.faults:
            found = np.flatnonzero(hits[start : end + _GRACE])
            delays[fault].append(float(found[0]) + 1 if len(found) else np.nan)
    result: dict[str, object] = {"threshold": round(bound, 2)}
    for fault, told in delays.items():
        known = [one for one in told if not np.isnan(one)]
        median = float(np.median(known)) if known else None
        result[fault.value] = {"found": round(len(known) / max(len(told), 1), 3), "median_min": median}
    return result


def promise(worlds: Sequence[World]) -> dict[str, object]:
    """Episodes of the product's own alarm on clean series, per 30 days and series, from the second day on."""
    watch = Watch(Latency().plan)
    batch = watch.fresh(len(worlds))
    hits = np.zeros((len(worlds), len(worlds[0].n)), bool)
    counts = np.stack([world.n for world in worlds])
    for minute in range(hits.shape[1]):
        rows = np.flatnonzero(counts[:, minute] > 0)
        if len(rows):
            histograms = np.zeros((len(rows), watch.plan.bins))
            histograms[:, 1 : len(EDGES)] = np.stack([worlds[int(row)].H[minute] for row in rows])
            for slow in watch.step(batch, rows, histograms, minute, minute * MINUTE_MS).slow:
                hits[slow.row, minute] = True
    spans = len(worlds) * (hits.shape[1] - DAY) / (30 * DAY)
    found = sum(episodes(one[DAY:]) for one in hits)
    return {
        "promised": 1.0,
        "observed": round(found / spans, 2),
        "limits_95": ratio_limits(found, spans),
        "series_days": round(spans * 30, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--seed0", type=int, default=0)
    parser.add_argument("--rates", type=int, nargs="+", default=RATES)
    parser.add_argument("--laws", type=int, default=len(Law), help="how many of the laws")
    given = parser.parse_args()
    report: list[dict[str, object]] = []
    seeds = range(given.seed0, given.seed0 + given.seeds)
    for law in list(Law)[: given.laws]:
        for rate in given.rates:
            clean = [make_world(law, rate, given.days, 900 + seed, faults=False) for seed in seeds]
            faulty = [make_world(law, rate, given.days, seed, faults=True) for seed in seeds]
            entry: dict[str, object] = {"law": law.value, "per_minute": rate, "promise": promise(clean)}
            entry["latency"] = detection(latency, clean, faulty)
            entry["ratio of windows"] = detection(ratio, clean, faulty)
            entry["z-score"] = detection(z_score, clean, faulty)
            report.append(entry)
    asked = {"seeds": given.seeds, "first_seed": given.seed0, "days": given.days}
    print(json.dumps({"conditions": conditions("numpy") | asked, "results": report}, indent=2))


if __name__ == "__main__":
    main()
