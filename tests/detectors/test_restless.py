"""Mixes of labels that wander by themselves, or are others at weekends alone: known in time, and faults still found."""

import numpy as np

from benchmarks.detection.drift_promise import (
    CHANGE_BUCKETS,
    LEARNING_DAYS,
    PER_DAY,
    Course,
    begins,
    frame,
    label_rows,
    wandering,
    weekend,
)
from detectors.statistical.label_drift import LabelDrift
from detectors.stats.restless import Restless
from detectors.stats.rhythm import SLOT_MS
from detectors.stats.same_time import SameTime, observe
from detectors.stats.series import Floats

CHANNELS = 8
CHANCE = 0.02


def alarms(course: Course, days: int, seed: int) -> tuple[list[int], int]:
    """The buckets in which alarms begin, and that from which on a third of the labels is one."""
    random, buckets = np.random.default_rng(seed), days * PER_DAY
    told = frame([label_rows(random, course(random, buckets), CHANGE_BUCKETS)])
    found = LabelDrift(bucket="5m", min_history="2h").detect(told, {}).findings
    return begins(found, told.series[0].key), buckets - CHANGE_BUCKETS


def learned(numbers: Floats) -> tuple[Restless, SameTime]:
    """After half hours of one block each with these numbers, one row per half hour."""
    restless, same_time = Restless(numbers.shape[1]), SameTime(numbers.shape[1])
    for slot, row in enumerate(numbers, 19_000 * 48):
        restless.observe(same_time, slot)
        observe([(same_time, slot * SLOT_MS, row.tolist(), True)])
    return restless, same_time


def noise(half_hours: int, seed: int) -> Floats:
    return 0.5 + CHANCE * np.random.default_rng(seed).standard_normal((half_hours, CHANNELS))


def wave(half_hours: int) -> Floats:
    """Eleven hours from crest to crest: no rhythm of the day."""
    return np.asarray(0.04 * np.sin(np.arange(half_hours) * 2 * np.pi / 22))


def test_a_mix_that_wanders_is_not_told_and_a_stuck_label_is() -> None:
    """Alarms came once a day or two; the stuck label is told within an hour."""
    found, fault = alarms(wandering, 12, seed=2)
    assert [at for at in found if LEARNING_DAYS * PER_DAY <= at <= fault] == []
    assert fault < found[-1] <= fault + 12


def test_the_second_weekend_is_known_and_a_label_stuck_in_it_is_told() -> None:
    """Other labels at weekends alone: told once, and the fault comes on the second Saturday, at six in the evening."""
    found, fault = alarms(weekend, 13, seed=4)
    assert found[0] // PER_DAY == 5
    assert [at for at in found if 8 * PER_DAY <= at <= fault] == []
    assert fault < found[-1] <= fault + 12


def test_chance_is_no_wander() -> None:
    """Independent noise, however long, is not taken for it."""
    for seed in range(5):
        restless, same_time = learned(noise(700, seed))
        assert restless.departures(same_time, CHANCE**2, least=0.0) is None


def test_an_incident_of_six_hours_is_no_wander() -> None:
    """One number is far off for six hours; a day later nothing is known to wander."""
    numbers = noise(300, seed=1)
    numbers[240:252, 3] += 0.4
    restless, same_time = learned(numbers)
    assert restless.departures(same_time, CHANCE**2, least=0.0) is None


def test_wander_hides_what_is_as_small_and_nothing_else() -> None:
    """Crests of .04 are usual; so is half as much again, .3 is not, and of that only the number that has it."""
    numbers = noise(300, seed=2)
    numbers[:, 0] += wave(300)
    numbers[:, 1] -= wave(300)
    for added, expected in ((0.06, [False] * CHANNELS), (0.3, [True] + [False] * (CHANNELS - 1))):
        odd = numbers.copy()
        odd[-1] = 0.5
        odd[-1, 0] += added
        restless, same_time = learned(odd)
        found = restless.departures(same_time, CHANCE**2, least=0.0)
        assert found is not None
        assert found[0].clear.tolist() == expected


def test_wander_that_does_not_matter_is_none() -> None:
    """Far below the least change that is told, a wander is left to the bets."""
    numbers = noise(300, seed=2) + wave(300)[:, None]
    restless, same_time = learned(numbers)
    assert restless.departures(same_time, CHANCE**2, least=0.001) is not None
    assert restless.departures(same_time, CHANCE**2, least=0.1) is None


def test_what_has_become_usual_is_the_level_from_then_on() -> None:
    """After `follow` a number that stays where it has come to departs no more."""
    numbers = noise(300, seed=2) + wave(300)[:, None]
    numbers[-6:, 2] += 0.4
    restless, same_time = learned(numbers)
    far = restless.departures(same_time, CHANCE**2, least=0.0)
    restless.follow()
    assert restless.departures(same_time, CHANCE**2, least=0.0) is None
    for slot in range(19_000 * 48 + 300, 19_000 * 48 + 303):
        restless.observe(same_time, slot)
        observe([(same_time, slot * SLOT_MS, numbers[-1].tolist(), True)])
    near = restless.departures(same_time, CHANCE**2, least=0.0)
    assert far is not None
    assert far[1].clear[2]
    assert near is not None
    assert not near[0].clear.any()


def test_what_is_kept_goes_on_and_what_is_of_another_size_begins_anew() -> None:
    """A memory before there was any of this holds nothing."""
    restless, same_time = learned(noise(300, seed=3) + wave(300)[:, None])
    again = Restless(CHANNELS, restless.kept())
    assert again.departures(same_time, CHANCE**2, least=0.0) is not None
    assert Restless(CHANNELS, b"").kept() == Restless(CHANNELS, again.kept()[4:]).kept()
