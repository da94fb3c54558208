"""Wall time of a device's moments, from what was seen of them late."""

import math

import numpy as np
import pytest

from recognizer.device.clock import DeviceClock

BEGAN = 1_700_000_000_000.0


def test_before_anything_was_seen_there_is_no_time() -> None:
    assert math.isnan(DeviceClock().wall_ms(5.0))


def test_the_promptest_sighting_counts() -> None:
    """Sightings are late by 0.02 to 30 ms; what is told is right to what the promptest of them was late."""
    random = np.random.default_rng(5)
    clock = DeviceClock()
    delays = 0.02 + random.exponential(5, 400)
    for index, delay in enumerate(delays):
        clock.observe(12.8 * index, BEGAN + 12.8 * index + delay)
    assert clock.wall_ms(1_000.0) - (BEGAN + 1_000.0) == pytest.approx(delays.min(), abs=1e-3)


@pytest.mark.parametrize("step_ms", [-5_000.0, 5_000.0])
def test_a_wall_clock_that_was_set_is_followed_within_two_minutes(step_ms: float) -> None:
    clock = DeviceClock()
    for device in range(0, 300_000, 100):
        clock.observe(device, BEGAN + device + 1 + (step_ms if device >= 100_000 else 0))
    assert clock.wall_ms(300_000.0) == pytest.approx(BEGAN + 300_000 + 1 + step_ms, abs=1e-3)


def test_a_night_without_work_is_forgotten() -> None:
    """After it the clocks are a second apart; the first batch of the morning is told right."""
    clock, night = DeviceClock(), 12 * 3_600_000.0
    clock.observe(0.0, BEGAN)
    clock.observe(night, BEGAN + night + 900)
    assert clock.wall_ms(night) == BEGAN + night + 900


def test_a_drifting_clock_is_followed() -> None:
    """50 parts in a million, the worst of a quartz: 3 ms a minute."""
    clock = DeviceClock()
    for device in range(0, 3_600_000, 50):
        clock.observe(device, BEGAN + device * (1 + 50e-6) + 0.1)
    assert clock.wall_ms(3_600_000.0) == pytest.approx(BEGAN + 3_600_000 * (1 + 50e-6), abs=6.2)
