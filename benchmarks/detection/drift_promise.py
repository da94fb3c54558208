"""Promised against observed false alarms of `confidence_drift` and `label_drift` on clean days, as whole kinds.

    python -m benchmarks.detection.drift_promise [--days 24] [--series 10] [--first-seed 0] [--promise '1 per 30d']
        [--learning-days 4] [--only scores:night]

Buckets of five minutes from traffic with courses of the day and the week. The first days are for learning and are
counted apart; an alarm is counted once, when it begins. The limits of the ratio are Poisson's. In the last hours
something happens (scores fall by .15; a third of the labels is one that is usual): how much of it is found, and after
how many minutes. Prints one JSON object; seeds are fixed.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.conditions import conditions
from benchmarks.detection.drift_streams import zipf
from benchmarks.detection.limits import ratio_limits
from detectors.duration import DAY_MS
from detectors.finding import Finding
from detectors.frame import Bins, Counts, Frame, Interval, Key, Series, Value
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.statistical.label_drift import LabelDrift
from detectors.statistical.learning import MINUTE_MS
from detectors.stats.scores import EDGES

BUCKET_MS = 5 * MINUTE_MS
PER_DAY = DAY_MS // BUCKET_MS
START_MS = 19_000 * DAY_MS
LEARNING_DAYS = 4
CHANGE_BUCKETS = PER_DAY // 4
PAUSE_MS = 4 * BUCKET_MS
LABELS = 40
FALL, STUCK = 0.15, 0.33

Floats = NDArray[np.float64]
Row = dict[str, Value]
Course = Callable[[np.random.Generator, int], Floats]
"""How far each of so many buckets is along the way from one usual state to another: 0 to 1."""


def flat(_: np.random.Generator, buckets: int) -> Floats:
    return np.zeros(buckets)


def night(_: np.random.Generator, buckets: int) -> Floats:
    """Lamps from seven in the evening to seven in the morning."""
    hour = np.arange(buckets) * 24 / PER_DAY % 24
    return np.where((hour >= 7) & (hour < 19), 0.0, 1.0)


def sun(_: np.random.Generator, buckets: int) -> Floats:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(buckets) / PER_DAY))


def weekend(_: np.random.Generator, buckets: int) -> Floats:
    return np.where(np.arange(buckets) // PER_DAY % 7 >= 5, 1.0, 0.0)


def office(random: np.random.Generator, buckets: int) -> Floats:
    """Lamps at night, and all through the weekend."""
    return np.maximum(night(random, buckets), weekend(random, buckets))


def wandering(random: np.random.Generator, buckets: int) -> Floats:
    """The weather: it returns to its mean within some hours."""
    level, found = 0.0, np.empty(buckets)
    for bucket, step in enumerate(random.normal(0.0, np.sqrt(1 - 0.98**2), buckets)):
        level = 0.98 * level + step
        found[bucket] = level
    return np.clip(0.5 + 0.2 * found, 0.0, 1.0)


COURSES: tuple[Course, ...] = (flat, night, sun, weekend, office, wandering)


def traffic(random: np.random.Generator, buckets: int) -> list[int]:
    """Pictures of each bucket: fewer at night."""
    day = 0.6 - 0.4 * np.cos(2 * np.pi * np.arange(buckets) / PER_DAY)
    return np.maximum(random.poisson(150 * day), 1).tolist()


def score_rows(random: np.random.Generator, course: Floats, fallen: int) -> list[Row]:
    """Scores, lower by .08 at the far end of the course; those of the last ``fallen`` buckets fall."""
    rows: list[Row] = []
    for place, (count, along) in enumerate(zip(traffic(random, len(course)), course, strict=True)):
        fall = FALL if place >= len(course) - fallen else 0.0
        drawn = np.clip(random.beta(12.0, 2.0, count) - 0.08 * along - fall, 0.0, 1.0)
        bins = Counter(np.searchsorted(EDGES, drawn, side="right").tolist())
        rows.append(
            {
                "count": float(count),
                "sum": float(drawn.sum()),
                "squares": float(np.square(drawn).sum()),
                "scores": Bins(tuple(sorted(bins.items()))),
            }
        )
    return rows


def label_rows(random: np.random.Generator, course: Floats, stuck: int) -> list[Row]:
    """Labels of a long-tailed mix, others at the far end of the course; pictures come in runs of two on average."""
    near = zipf(LABELS)
    far = np.roll(near, LABELS // 2)
    rows: list[Row] = []
    for place, (count, along) in enumerate(zip(traffic(random, len(course)), course, strict=True)):
        mix = (1 - 0.4 * along) * near + 0.4 * along * far
        runs = random.geometric(0.5, count)
        drawn = np.repeat(random.choice(LABELS, count, p=mix), runs)[:count]
        if place >= len(course) - stuck:
            drawn = np.where(random.random(count) < STUCK, LABELS // 4, drawn)
        told = Counter(drawn.tolist()).most_common()
        rows.append({"count": float(count), "labels": Counts(tuple((f"label {label}", n) for label, n in told))})
    return rows


Make = Callable[[np.random.Generator, Floats, int], list[Row]]
KINDS: dict[str, tuple[type[ConfidenceDrift | LabelDrift], Make]] = {
    "scores": (ConfidenceDrift, score_rows),
    "labels": (LabelDrift, label_rows),
}


def frame(many: Sequence[list[Row]]) -> Frame:
    starts = tuple(range(START_MS, START_MS + len(many[0]) * BUCKET_MS, BUCKET_MS))
    series = tuple(
        Series(_key(number), starts, {name: tuple(row[name] for row in rows) for name in rows[0]})
        for number, rows in enumerate(many)
    )
    return Frame(Interval(START_MS, starts[-1] + BUCKET_MS), START_MS, BUCKET_MS, series)


def _key(number: int) -> Key:
    return (("model_name", f"{number:04}"),)


def begins(findings: Sequence[Finding], key: Key) -> list[int]:
    """The buckets in which alarms of the series began; one that pauses for less than `PAUSE_MS` is the same."""
    told = sorted(finding.at_ms for finding in findings if finding.key == key)
    first = [at for before, at in zip([0, *told], told, strict=False) if at - before > PAUSE_MS]
    return [(at - START_MS) // BUCKET_MS for at in first]


def judged(
    what: str, course: Course, days: int, seeds: range, promise: str, learning_days: int = LEARNING_DAYS
) -> dict[str, Any]:
    """All series of a law, clean but for the last hours."""
    kind, make = KINDS[what]
    detector = kind(bucket="5m", min_history="2h", false_alarms=promise)
    buckets, before = days * PER_DAY, time.process_time()
    clean_until = buckets - CHANGE_BUCKETS
    many = []
    for seed in seeds:
        random = np.random.default_rng([seed, days])
        many.append(make(random, course(random, buckets), CHANGE_BUCKETS))
    findings = detector.detect(frame(many), {}).findings
    alarms = [begins(findings, _key(number)) for number in range(len(many))]
    early = sum(at < learning_days * PER_DAY for ats in alarms for at in ats)
    late = sum(learning_days * PER_DAY <= at <= clean_until for ats in alarms for at in ats)
    hits = [[at for at in ats if at > clean_until] for ats in alarms]
    delays = [(first[0] - clean_until) * BUCKET_MS / MINUTE_MS for first in hits if first]
    promised = len(many) * (clean_until / PER_DAY - learning_days) * DAY_MS / detector.false_alarms.every_ms
    return {
        "what": what,
        "course": course.__name__,
        "alarms_of_the_first_days": early,
        "promised": round(promised, 2),
        "observed": late,
        "ratio": round(late / promised, 2),
        "limits_95": ratio_limits(late, promised),
        "change_found": round(len(delays) / len(many), 2),
        "median_minutes": float(np.median(delays)) if delays else None,
        "us_per_bucket": round((time.process_time() - before) / (len(many) * buckets) * 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=24)
    parser.add_argument("--series", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--promise", default="1 per 30d")
    parser.add_argument("--learning-days", type=int, default=LEARNING_DAYS, help="counted apart; two weekends take 15")
    parser.add_argument("--only", help="scores, labels, a course, or both as scores:night")
    wanted = parser.parse_args()
    rows = []
    for what in KINDS:
        for course in COURSES:
            if wanted.only in {None, what, course.__name__, f"{what}:{course.__name__}"}:
                seeds = range(wanted.first_seed, wanted.first_seed + wanted.series)
                rows.append(judged(what, course, wanted.days, seeds, wanted.promise, wanted.learning_days))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    told = {"benchmark": "drift_promise", "promise": wanted.promise, "days": wanted.days, "series": wanted.series}
    print(json.dumps({**told, "conditions": conditions("numpy"), "learning_days": wanted.learning_days, "rows": rows}))


if __name__ == "__main__":
    main()
