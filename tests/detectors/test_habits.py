"""What `latency` makes of a slowdown that comes back every night."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from detectors.finding import Memory
from detectors.frame import Frame, Interval, Key, Series
from detectors.parameters import Promise
from detectors.statistical.latency import Latency
from detectors.stats.habits import is_news, shapes
from detectors.stats.series import Floats
from tests.detectors.noise import T0_MS, binned

TEN_MINUTES_MS = 600_000
DAY = 144
SLOT, DAY_MS = 1_800_000, 86_400_000
EDGES = np.geomspace(1.0, 10_000.0, 80)
CHANCE = 1e-5
KEY: Key = (("host", "a"),)


def service(days: int, jobs: Mapping[int, tuple[int, int, float]], *, seed: int = 5) -> Series:
    """Forty requests in ten minutes; by day: the buckets from and to which its job runs, and how much slower it is."""
    random = np.random.default_rng(seed)
    buckets = [50 * np.exp(random.normal(0, 0.3, random.poisson(40) + 5)) for _ in range(days * DAY)]
    for day, (start, end, factor) in jobs.items():
        for at in range(day * DAY + start, day * DAY + end):
            buckets[at] = buckets[at] * factor
    starts = tuple(T0_MS // DAY_MS * DAY_MS + place * TEN_MINUTES_MS for place in range(len(buckets)))
    return Series(KEY, starts, {"values": tuple(binned(values, Latency().edges) for values in buckets)})


def alarmed_days(series: Series) -> list[int]:
    """Judged day by day; memory is written and read as JSON in between."""
    kind = Latency(false_alarms=Promise(1, 7 * DAY_MS), bucket="10m", min_history="100m")
    first_ms = series.bucket_start_ms[0]
    memory: Mapping[Key, Memory] = {}
    days: list[int] = []
    for place in range(0, len(series.bucket_start_ms), DAY):
        values = {"values": series.values["values"][place : place + DAY]}
        part = Series(KEY, series.bucket_start_ms[place : place + DAY], values)
        span = Interval(part.bucket_start_ms[0], part.bucket_start_ms[0] + DAY_MS)
        detection = kind.detect(Frame(span, span.start_ms, TEN_MINUTES_MS, (part,)), memory)
        memory = {key: json.loads(json.dumps(value)) for key, value in detection.memory.items()}
        if detection.findings:
            days.append((span.start_ms - first_ms) // DAY_MS)
    return days


def test_a_nightly_job_is_told_for_three_nights_and_then_is_a_habit() -> None:
    """An hour three times as slow, ten minutes earlier or later; twice as strong as that is told all the same."""
    jobs = {day: (20 + day % 2, 26, 3.0) for day in range(8)}
    jobs[7] = (20, 26, 6.0)
    assert alarmed_days(service(8, jobs)) == [0, 1, 2, 7]


def test_the_same_at_another_hour_is_news() -> None:
    """What is usual at three in the morning is not in the afternoon."""
    jobs = dict.fromkeys(range(4), (20, 26, 3.0)) | {4: (90, 96, 3.0)}
    assert alarmed_days(service(5, jobs)) == [0, 1, 2, 4]


def histogram(factor: float, count: int = 200) -> Floats:
    values = 50 * factor * np.exp(np.random.default_rng(8).normal(0, 0.3, count))
    return np.bincount(np.searchsorted(EDGES, values, side="right"), minlength=len(EDGES) + 1).astype(float)


def news(habits: Floats, shown: Floats, at_ms: int) -> bool:
    return is_news(habits, [shown], EDGES, at_ms, 600_000, CHANCE)


def nights(habits: Floats, days: Sequence[int], factor: float = 2.0, slot: int = 4) -> list[bool]:
    """Whether it was news on each of these days."""
    return [news(habits, histogram(factor), day * DAY_MS + slot * SLOT) for day in days]


def fresh() -> Floats:
    return np.zeros(shapes()["habits"])


def test_three_days_in_a_row_make_a_habit_and_three_days_without_unmake_it() -> None:
    habits = fresh()
    assert nights(habits, range(100, 105)) == [True, True, True, False, False]
    assert nights(habits, [108, 109, 110, 111]) == [True, True, True, False]


def test_the_same_weekday_twice_makes_a_habit_of_that_weekday() -> None:
    habits = fresh()
    assert nights(habits, [100, 107, 114, 121]) == [True, True, False, False]
    assert nights(habits, [124]) == [True]


@pytest.mark.parametrize(("factor", "news"), [(2.0, False), (2.4, False), (4.0, True)])
def test_a_habit_that_is_far_stronger_is_news_and_is_not_learned(factor: float, news: bool) -> None:
    """Half as large again as ever is the bound; a stronger night does not raise it."""
    habits = fresh()
    nights(habits, range(100, 104))
    before = habits.copy()
    assert nights(habits, [104], factor) == [news]
    assert np.array_equal(before, habits) is news
    assert nights(habits, [104], 4.0) == [True]


def test_a_slow_minority_within_a_habit_is_news() -> None:
    """The median is as every night; a fifth of the values are ten times as large."""
    habits = fresh()
    nights(habits, range(100, 104))
    shown = histogram(2.0, 160) + histogram(20.0, 40)
    assert news(habits, shown, 104 * DAY_MS + 4 * SLOT)


def test_few_values_prove_nothing_against_a_habit() -> None:
    habits = fresh()
    nights(habits, range(100, 104))
    at_ms = 104 * DAY_MS + 4 * SLOT
    assert not news(habits, histogram(4.0, 5), at_ms)
    assert news(habits, histogram(4.0, 100), at_ms)


def test_a_long_incident_does_not_push_a_habit_out() -> None:
    """Twenty half hours of one day are slow: there are twelve places."""
    habits = fresh()
    nights(habits, range(100, 104))
    for slot in range(20, 40):
        assert nights(habits, [104], slot=slot) == [True]
    assert nights(habits, [105]) == [True]  # the night of day 104 was not slow
    habits = fresh()
    nights(habits, range(100, 105))
    for slot in range(20, 40):
        nights(habits, [104], slot=slot)
    assert nights(habits, [105, 106]) == [False, False]


def test_midnight_is_a_time_like_any_other() -> None:
    """Five minutes before it on one day, five minutes after it on the next."""
    habits = fresh()
    for day in range(100, 103):
        news(habits, histogram(2.0), day * DAY_MS + DAY_MS - SLOT)
    for at_ms in (103 * DAY_MS + DAY_MS - 60_000, 104 * DAY_MS + 300_000):
        assert not news(habits, histogram(2.0), at_ms)


def test_a_clock_that_goes_back_days_is_survived() -> None:
    habits = fresh()
    nights(habits, range(100, 104))
    assert nights(habits, [90]) in ([True], [False])
    assert np.isfinite(habits).all()
