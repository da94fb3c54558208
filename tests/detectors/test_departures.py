"""How far a series goes from what is usual, and traffic that ceases: `metric` and `rate` where ranks say too little."""

import msgspec
import numpy as np
import pytest

from detectors.stats.departures import Excursion, Lull, scaled, unscaled
from tests.detectors.test_metric_and_rate import bucket, metric, rate, told

PROMISE = "1 per 30d"
DAYS = 1_440


def daily(minutes: int, seed: int) -> list[float]:
    """Pictures a minute that come in groups of two or so, by day three times as many as at night."""
    random = np.random.default_rng(seed)
    load = 5.0 + 2.5 * np.sin(2 * np.pi * np.arange(minutes) / 1_440)
    groups = random.poisson(load)
    return [float(random.geometric(0.5, count).sum()) for count in groups]


def test_a_silent_source_is_found_within_minutes_at_the_strictest_promise() -> None:
    """Nothing more comes by day: told within six minutes, with a share of zero expected before."""
    counts = daily(4 * DAYS + 200, 1)
    findings = told(rate(false_alarms=PROMISE, direction="down"), [count or None for count in counts] + [None] * 30)
    first = findings[0]
    assert len(counts) < bucket(first) + 1 <= len(counts) + 6
    assert first.observed == pytest.approx(0.0, abs=0.5)
    assert abs(bucket(first, since=True) - len(counts)) <= 2
    assert bucket(findings[-1]) == len(counts) + 29


def test_a_quiet_day_is_no_lull() -> None:
    """A third of what is usual comes for three hours: nobody is told that the source is gone."""
    lull = Lull()
    values = [scaled(count) for count in daily(DAYS, 2)]
    for value in values:
        lull.step(value, scaled(10.0), 1.0)
    thinned = np.random.default_rng(3).binomial(np.array(daily(180, 4)).astype(int), 1 / 3)
    largest = 0.0
    for count in thinned.tolist():
        lull.step(scaled(count), scaled(10.0), 1.0)
        largest = max(largest, lull.sum)
    assert largest < 60.0


def test_a_lull_ends_with_half_of_what_is_usual() -> None:
    """What was missing is forgotten at once when events come again."""
    lull = Lull()
    for _ in range(40):
        lull.step(scaled(10.0), scaled(10.0), 1.0)
    for _ in range(3):
        lull.step(scaled(0.0), scaled(10.0), 1.0)
    assert lull.sum == pytest.approx(30.0, abs=0.1)
    assert lull.buckets == 3
    lull.step(scaled(6.0), scaled(10.0), 1.0)
    assert (lull.sum, lull.buckets) == (0.0, 0)


@pytest.mark.parametrize("way", [-1.0, 1.0])
def test_an_excursion_is_summed_on_one_side(way: float) -> None:
    """Distances beyond two errors add up; another side, or a value near to the usual one, ends them."""
    excursion = Excursion()
    for _ in range(3):
        excursion.step(5.0 * way, 0.0, 1.0)
    assert excursion.sum == 9.0
    excursion.step(-3.0 * way, 0.0, 1.0)
    assert excursion.sum == 1.0
    excursion.step(-0.5 * way, 0.0, 1.0)
    assert excursion.sum == 0.0


@pytest.mark.parametrize("error", [0.0, 1e-300, 1e300])
def test_any_error_leaves_a_finite_sum(error: float) -> None:
    """A constant series has no error at all."""
    excursion = Excursion()
    for value in (0.0, 1e30, -1e30, 1e30, 1e30):
        excursion.step(value, 0.0, error)
        assert np.isfinite(excursion.sum)


def test_counts_and_their_scale_are_inverse() -> None:
    """Back and forth, from nothing on."""
    assert [unscaled(scaled(count)) for count in (0.0, 1.0, 40.0)] == pytest.approx([0.0, 1.0, 40.0])


def test_what_is_far_out_and_stays_there_is_told_at_the_strictest_promise() -> None:
    """Sixteen errors from the usual value: a new record in ranks, but told within three minutes all the same."""
    random = np.random.default_rng(5)
    values = random.normal(0.0, 0.1, 2 * DAYS)
    values[::97] += 0.5
    findings = told(metric(false_alarms=PROMISE), [*values, *random.normal(-1.6, 0.1, 30)])
    assert findings
    assert 2 * DAYS <= bucket(findings[0]) <= 2 * DAYS + 2


@pytest.mark.parametrize("seed", [50, 51])
def test_calm_series_stay_silent_at_the_strictest_promise(seed: int) -> None:
    """Heavy tails for two days."""
    assert not told(metric(false_alarms=PROMISE), list(np.random.default_rng(seed).standard_t(4, 2 * DAYS)))


@pytest.mark.parametrize("kind", [Excursion, Lull])
def test_memory_survives_json(kind: type[Excursion | Lull]) -> None:
    """What is read back is what was written, and goes on alike."""
    one = kind()
    for value in (10.0, 1.0, 1.0):
        one.step(value, 10.0, 1.0)
        one.tail.learn(one.sum)
    again = msgspec.json.decode(msgspec.json.encode(one), type=Excursion | Lull)
    assert again == one
