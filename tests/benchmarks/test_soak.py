"""Under load memory and file descriptors stay flat; `python -m benchmarks.soak` is the same for an hour."""

import os
import random
from pathlib import Path
from threading import Event

import pytest

from benchmarks.soak import Course, soak

SECONDS = 300.0 if os.environ.get("CI") == "true" else 20.0
QUARTER = 100


def course(mib_an_hour: float, descriptors: list[int]) -> Course:
    """An hour of samples that grow so much, with the allocator's noise of one MiB."""
    noise, hour = random.Random(5), Course(pictures=1)
    for at, opened in enumerate(descriptors):
        share = at / len(descriptors)
        hour.seconds.append(3_600 * (share + 1 / len(descriptors)))
        hour.memory_mib.append(300 + mib_an_hour * share + noise.random())
        hour.descriptors.append(opened)
    return hour


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_memory_and_descriptors_stay_flat(tmp_path: Path) -> None:
    found = soak(tmp_path, SECONDS, Event())
    assert found["flat"], found
    assert found["pictures"] > 0


def test_a_flat_hour_is_told_from_a_slow_leak_of_memory_and_of_descriptors() -> None:
    flat, leak = course(0.5, [7] * 4 * QUARTER).report(), course(8, [7] * 4 * QUARTER).report()
    assert (flat["flat"], leak["flat"]) == (True, False)
    low, high = leak["mib_an_hour_95_percent"]
    assert low < 8 < high
    assert not course(0, [7] * 3 * QUARTER + [8] * QUARTER).report()["flat"]


@pytest.mark.slow
def test_a_soak_that_is_cut_short_still_tells_what_it_saw(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    found = soak(tmp_path, 3_600, stop)
    assert found["cut_short"]
    assert found["memory_mib_most"] > 0
