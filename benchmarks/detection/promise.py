"""python -m benchmarks.detection.promise [--days N] [--series N] [--promise '1 per 1d'] [--json FILE]

Promised against observed false alarms of the kinds `metric`, `rate` and `outlier` on clean made-up series of several
laws, one value a minute, and how soon a doubled level is noticed at the same settings. An alarm is counted once, when
it begins; the limits of the ratio are Poisson's.
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
from detectors.statistical.outlier import Outlier
from detectors.statistical.rate import Rate
from detectors.statistical.unusual import Unusual

MINUTE_MS = 60_000
DAY = 1_440
START_MS = 1_700_006_400_000
INCIDENT_MINUTES = 30
PAUSE_MS = 3 * MINUTE_MS
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


def overdispersed(random: np.random.Generator, minutes: int) -> Floats:
    """Negative binomial counts: of mean 30, with five times the variance of Poisson's."""
    return random.negative_binomial(7.5, 0.2, minutes).astype(float)


def bursts(random: np.random.Generator, minutes: int) -> Floats:
    """Quiet Poisson traffic, and every hour or so somebody uploads a folder: hundreds of events in a few minutes."""
    rate = np.full(minutes, 12.0)
    for begin in np.flatnonzero(random.random(minutes) < 1.0 / 60.0):
        rate[begin : begin + random.integers(1, 6)] += random.gamma(2.0, 60.0)
    return random.poisson(rate).astype(float)


def office(random: np.random.Generator, minutes: int) -> Floats:
    """Counts of people at work: a daily course, a third of it at weekends, the night nearly empty."""
    time = np.arange(minutes)
    day = np.maximum(np.sin(2.0 * np.pi * (time % DAY - 420) / DAY), 0.02)
    return random.poisson(60.0 * day * np.where(time // DAY % 7 >= 5, 0.33, 1.0)).astype(float)


def restless(random: np.random.Generator, minutes: int) -> Floats:
    """Poisson counts whose rate wanders within the hour (a log-normal Cox process)."""
    return random.poisson(np.exp(3.0 + 0.3 * _wander(random, minutes, 0.98))).astype(float)


METRICS: tuple[Law, ...] = (gaussian, autoregressive, daily, heavy, lognormal, gamma, returning, weekly)
RATES: tuple[Law, ...] = (counts, sparse, overdispersed, bursts, office, restless)
OUTLIERS: tuple[Law, ...] = (daily, heavy, lognormal, overdispersed)

Judge = Callable[[list[Floats]], list[list[int]]]
"""In which minutes alarms begin in each of some series, judged side by side."""


def unusual(kind: Unusual, measure: str) -> Judge:
    def judge(many: list[Floats]) -> list[list[int]]:
        starts = _starts(many[0])
        rows = [(starts, {measure: tuple(values.tolist())}) for values in many]
        return _begins(kind.detect(_frame(rows, MINUTE_MS), {}).findings, len(many))

    return judge


def together(kind: Outlier) -> Judge:
    """Each series' law is that of four measures of a bucket of five minutes; the measures share a rhythm of the day."""

    def judge(many: list[Floats]) -> list[list[int]]:
        rows = [_measures(values, kind.bucket // MINUTE_MS) for values in many]
        return _begins(kind.detect(_frame(rows, kind.bucket), {}).findings, len(many))

    return judge


Row = tuple[tuple[int, ...], dict[str, tuple[float, ...]]]


def _starts(values: Floats, bucket_ms: int = MINUTE_MS) -> tuple[int, ...]:
    return tuple(range(START_MS, START_MS + len(values) * bucket_ms, bucket_ms))


def _measures(values: Floats, minutes: int) -> Row:
    """Count, tail, mean and number of different values of the minutes of a bucket."""
    parts = values[: len(values) // minutes * minutes].reshape(-1, minutes)
    ordered = np.sort(parts, axis=1)
    columns = (parts.sum(axis=1), ordered[:, -1], np.median(parts, axis=1), np.ptp(parts, axis=1))
    told = {f"m{place}": tuple(column.tolist()) for place, column in enumerate(columns)}
    return _starts(parts[:, 0], minutes * MINUTE_MS), {"events": told["m0"], **told}


def _frame(rows: list[Row], bucket_ms: int) -> Frame:
    series = tuple(Series((("host", f"{row:04}"),), *told) for row, told in enumerate(rows))
    return Frame(Interval(START_MS, rows[0][0][-1] + bucket_ms), START_MS, bucket_ms, series)


def _begins(findings: tuple[Finding, ...], series: int) -> list[list[int]]:
    """The minutes in which alarms began, by series; an alarm that pauses for three buckets is the same one."""
    found: list[list[int]] = [[] for _ in range(series)]
    before: dict[int, tuple[int, int]] = {}
    for finding in findings:
        row, since_ms = int(str(finding.key[0][1])), finding.since_ms or finding.at_ms
        known = before.get(row)
        if known is None or (finding.at_ms - known[0] > PAUSE_MS and since_ms != known[1]):
            found[row].append((finding.at_ms - START_MS) // MINUTE_MS)
        before[row] = finding.at_ms, since_ms
    return found


def judged(judge: Judge, law: Law, days: int, seeds: range, promised: float) -> dict[str, object]:
    """Clean series first, then the same with one doubled half hour near the end; ``promised`` alarms a day."""
    before = time.process_time()
    clean = [law(np.random.default_rng([seed, days]), days * DAY) for seed in seeds]
    alarms = judge(clean)
    begin = days * DAY - 400
    for values in clean:
        values[begin : begin + INCIDENT_MINUTES] *= 2.0
    hits = [[at for at in ats if begin < at <= begin + INCIDENT_MINUTES] for ats in judge(clean)]
    delays = [first[0] - begin for first in hits if first]
    total, observed = len(seeds) * days * promised, sum(map(len, alarms))
    return {
        "law": law.__name__,
        "promised": round(total, 2),
        "observed": observed,
        "ratio": round(observed / total, 2),
        "limits_95": ratio_limits(observed, total),
        "series_with_alarms": sum(map(bool, alarms)),
        "doubled_for_30_minutes_noticed": round(len(delays) / len(seeds), 2),
        "minutes_until_noticed": float(np.median(delays)) if delays else None,
        "us_per_minute_judged": round((time.process_time() - before) / (2 * len(seeds) * days * DAY) * 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--promise", default="1 per 1d")
    parser.add_argument("--only", help="a law, a kind, or kind:law")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    terms = {"group_by": ("host",), "false_alarms": wanted.promise}
    metric, rate, outlier = Metric(field="value", **terms), Rate(**terms), Outlier(**terms)
    kinds = (
        ("metric", unusual(metric, "value"), METRICS),
        ("rate", unusual(rate, "count"), RATES),
        ("outlier", together(outlier), OUTLIERS),
    )
    rows: list[dict[str, object]] = []
    for name, judge, laws in kinds:
        for law in laws:
            if wanted.only in {None, name, law.__name__, f"{name}:{law.__name__}"}:
                seeds = range(wanted.first_seed, wanted.first_seed + wanted.series)
                told = judged(judge, law, wanted.days, seeds, 1.0 / metric.false_alarms.every_days)
                rows.append({"kind": name, **told})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    answer = {"promise": wanted.promise, "days": wanted.days, "series": wanted.series, "rows": rows}
    if wanted.json:
        wanted.json.write_text(json.dumps(answer, indent=1) + "\n", "utf-8")
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
