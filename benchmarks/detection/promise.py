"""python -m benchmarks.detection.promise [--days N] [--series N] [--promise '1 per 1d'] [--json FILE]

Promised against observed false alarms of the kinds `metric` and `rate` on clean made-up series of several laws, one
value a minute, and how soon a doubled level is noticed at the same settings. An alarm is counted once, when it begins;
the limits of the ratio are Poisson's.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.limits import ratio_limits
from detectors.finding import Finding
from detectors.frame import Frame, Interval, Series
from detectors.statistical.metric import Metric
from detectors.statistical.rate import Rate
from detectors.statistical.unusual import Unusual

MINUTE_MS = 60_000
DAY = 1_440
START_MS = 1_700_006_400_000
INCIDENT_MINUTES = 30
Floats = NDArray[np.float64]
Law = Callable[[np.random.Generator, int], Floats]


def gaussian(random: np.random.Generator, minutes: int) -> Floats:
    return random.normal(100.0, 10.0, minutes)


def _wander(random: np.random.Generator, minutes: int, correlation: float) -> Floats:
    level, found = 0.0, np.empty(minutes)
    for minute, step in enumerate(random.normal(0.0, np.sqrt(1.0 - correlation**2), minutes)):
        level = correlation * level + step
        found[minute] = level
    return found


def autoregressive(random: np.random.Generator, minutes: int) -> Floats:
    return 100.0 + 10.0 * _wander(random, minutes, 0.9)


def daily(random: np.random.Generator, minutes: int) -> Floats:
    wave = np.sin(2.0 * np.pi * np.arange(minutes) / DAY)
    return 100.0 + 40.0 * wave + random.normal(0.0, 5.0, minutes)


def heavy(random: np.random.Generator, minutes: int) -> Floats:
    return 100.0 + 5.0 * random.standard_t(3, minutes)


def lognormal(random: np.random.Generator, minutes: int) -> Floats:
    return np.exp(4.0 + 0.2 * _wander(random, minutes, 0.7) + random.normal(0.0, 0.4, minutes))


def counts(random: np.random.Generator, minutes: int) -> Floats:
    return random.poisson(20.0 * (1.0 + 0.5 * np.sin(2.0 * np.pi * np.arange(minutes) / DAY))).astype(float)


def sparse(random: np.random.Generator, minutes: int) -> Floats:
    return random.poisson(0.5, minutes).astype(float)


def gamma(random: np.random.Generator, minutes: int) -> Floats:
    """A first-order autoregression of gamma-distributed steps: skewed and dependent."""
    level, found = 100.0, np.empty(minutes)
    for minute, step in enumerate(random.gamma(2.0, 10.0, minutes)):
        level = 0.8 * level + step
        found[minute] = level
    return found


def returning(random: np.random.Generator, minutes: int) -> Floats:
    """A random walk that is drawn back to its level within hours."""
    return 100.0 + 10.0 * _wander(random, minutes, 0.99) + random.normal(0.0, 3.0, minutes)


def weekly(random: np.random.Generator, minutes: int) -> Floats:
    """Quiet weekends."""
    weekend = np.arange(minutes) // DAY % 7 >= 5
    return np.where(weekend, 70.0, 100.0) + random.normal(0.0, 8.0, minutes)


METRICS: tuple[Law, ...] = (gaussian, autoregressive, daily, heavy, lognormal, gamma, returning, weekly)
RATES: tuple[Law, ...] = (counts, sparse)


def _findings(kind: Unusual, measure: str, values: Floats) -> tuple[Finding, ...]:
    starts = tuple(START_MS + minute * MINUTE_MS for minute in range(len(values)))
    series = Series((("host", "a"),), starts, {measure: tuple(values.tolist())})
    frame = Frame(Interval(START_MS, starts[-1] + MINUTE_MS), START_MS, MINUTE_MS, (series,))
    return kind.detect(frame, {}).findings


def _begins(findings: tuple[Finding, ...]) -> list[int]:
    """The minutes in which alarms began."""
    ends = [finding.at_ms for finding in findings]
    new = [at for number, at in enumerate(ends) if not number or at - ends[number - 1] > 3 * MINUTE_MS]
    return [(at - START_MS) // MINUTE_MS for at in new]


def judged(kind: Unusual, measure: str, law: Law, days: int, seeds: range) -> dict[str, object]:
    """Clean series first, then the same with one doubled half hour near the end."""
    series = len(seeds)
    alarms = noticed = 0
    delays: list[int] = []
    before = time.process_time()
    for seed in seeds:
        random = np.random.default_rng([seed, days])
        values = law(random, days * DAY)
        alarms += len(_begins(_findings(kind, measure, values)))
        begin = days * DAY - 400
        values[begin : begin + INCIDENT_MINUTES] *= 2.0
        hits = [at for at in _begins(_findings(kind, measure, values)) if begin < at <= begin + INCIDENT_MINUTES]
        noticed += bool(hits)
        delays += [hits[0] - begin] if hits else []
    promised = series * days / kind.false_alarms.every_days
    return {
        "law": law.__name__,
        "promised": round(promised, 2),
        "observed": alarms,
        "ratio": round(alarms / promised, 2),
        "limits_95": ratio_limits(alarms, promised),
        "doubled_for_30_minutes_noticed": round(noticed / series, 2),
        "minutes_until_noticed": float(np.median(delays)) if delays else None,
        "us_per_bucket": round((time.process_time() - before) / (2 * series * days * DAY) * 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--promise", default="1 per 1d")
    parser.add_argument("--only", help="one law by name")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    metric = Metric(group_by=("host",), field="value", false_alarms=wanted.promise)
    rate = Rate(group_by=("host",), false_alarms=wanted.promise)
    rows: list[dict[str, object]] = []
    for kind, measure, laws in ((metric, "value", METRICS), (rate, "count", RATES)):
        for law in laws:
            if wanted.only in {None, law.__name__}:
                seeds = range(wanted.first_seed, wanted.first_seed + wanted.series)
                rows.append(judged(kind, measure, law, wanted.days, seeds))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    answer = {"promise": wanted.promise, "days": wanted.days, "series": wanted.series, "rows": rows}
    if wanted.json:
        wanted.json.write_text(json.dumps(answer, indent=1) + "\n", "utf-8")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
