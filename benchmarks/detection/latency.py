"""How well `latency` finds slowdowns at a rate of false alarms, beside a ratio of windows and a z-score, as JSON.

    python -m benchmarks.detection.latency [--seeds 3] [--days 14] [--seed0 0] [--laws 1]

Detection: the threshold on each detector's raw score is the smallest that gives at most one false episode a week and
series on clean days; then the share of planted faults it finds and the median delay in minutes. Promise: the episodes
of the product's own alarm on clean series, against what `false_alarms: 1 per 30d` allows. The product: what the shipped
rule `slow-inference` itself finds with `false_alarms: 1 per 7d`, which it has to keep without having seen clean days.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.detection.adapters import latency
from benchmarks.detection.latency_worlds import DAY, EDGES, Fault, Floats, Law, World, make_world
from benchmarks.detection.limits import ratio_limits
from daemon.plugins import registry
from detectors.parameters import Promise
from detectors.query import MINUTE_MS
from detectors.statistical.latency import Latency
from detectors.stats.slowdown_watch import Watch
from rules.load import load_file

RATES = (5, 60, 600)
LEARNING = 3 * DAY
"""Not counted: the detectors learn."""

_MERGE = 30
_GRACE = 5
_SOON = 2


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


def shares_found(hits: Iterable[np.ndarray], faulty: Sequence[World]) -> dict[str, object]:
    """Share found, within the first two minutes and at all, and the median delay of those found, per fault."""
    delays: dict[Fault, list[float]] = {fault: [] for fault in Fault}
    for world, spoke in zip(faulty, hits, strict=True):
        for fault, start, end in world.faults:
            found = np.flatnonzero(spoke[start : end + _GRACE])
            delays[fault].append(float(found[0]) + 1 if len(found) else np.inf)
    result: dict[str, object] = {}
    for fault, told in delays.items():
        known = [one for one in told if np.isfinite(one)]
        count = max(len(told), 1)
        result[fault.value] = {
            "found": round(len(known) / count, 3),
            "in_2_min": round(sum(one <= _SOON for one in told) / count, 3),
            "median_min": float(np.median(known)) if known else None,
        }
    return result


def detection(score: Callable[[World], Floats], clean: Sequence[World], faulty: Sequence[World]) -> dict[str, object]:
    """See `shares_found`, at the `threshold` of the clean series."""
    bound = threshold([score(world) for world in clean])
    return {"threshold": round(bound, 2), **shares_found([score(world) >= bound for world in faulty], faulty)}


def own_alarms(kind: Latency, worlds: Sequence[World]) -> np.ndarray:
    """The minutes (second axis) in which the product's own alarm speaks about each of the series."""
    watch = Watch(kind.plan)
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
    return hits


def promise(worlds: Sequence[World]) -> dict[str, object]:
    """Episodes of the product's own alarm on clean series, per 30 days and series, from the second day on."""
    hits = own_alarms(Latency(), worlds)
    spans = len(worlds) * (hits.shape[1] - DAY) / (30 * DAY)
    found = sum(episodes(one[DAY:]) for one in hits)
    return {
        "promised": 1.0,
        "observed": round(found / spans, 2),
        "limits_95": ratio_limits(found, spans),
        "series_days": round(spans * 30, 1),
    }


def shipped() -> Latency:
    """The kind as the shipped rule `slow-inference` sets it, ``min_change`` and all, but for one false alarm a week."""
    rules = load_file(Path("alerts.yaml"), registry()).config
    kinds = [rule.detector for rule in rules.rules if rule.id == "slow-inference"] if rules else []
    if not kinds or not isinstance(kinds[0], Latency):
        raise SystemExit(
            "alerts.yaml has no rule 'slow-inference' of the kind latency: run this from the project's root"
        )
    return kinds[0].model_copy(update={"false_alarms": Promise(1, 7 * DAY * MINUTE_MS)})


def product(clean: Sequence[World], faulty: Sequence[World]) -> dict[str, object]:
    """What the product's own alarm finds at one false alarm a week, and how many it raises on the clean series."""
    kind = shipped()
    weeks = len(clean) * (len(clean[0].n) - DAY) / (7 * DAY)
    false = sum(episodes(one[DAY:]) for one in own_alarms(kind, clean))
    return {
        "false_a_week": round(false / weeks, 2),
        "limits_95": ratio_limits(false, weeks),
        **shares_found(own_alarms(kind, faulty), faulty),
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
            entry["product at 1 per 7d"] = product(clean, faulty)
            entry["latency"] = detection(latency, clean, faulty)
            entry["ratio of windows"] = detection(ratio, clean, faulty)
            entry["z-score"] = detection(z_score, clean, faulty)
            report.append(entry)
    asked = {"seeds": given.seeds, "first_seed": given.seed0, "days": given.days}
    print(json.dumps({"conditions": conditions("numpy") | asked, "results": report}, indent=2))


if __name__ == "__main__":
    main()
