"""The small statistics: formulas against brute force."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.stats.association import excess_probability, holm, lift
from detectors.stats.level import usual_levels
from detectors.stats.robust import change_start, pooled, upper_scale


@given(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30), st.integers(1, 30))
def test_fishers_test_equals_counting(bad: int, bad_total: int, base: int, base_total: int) -> None:
    """The tail of the hypergeometric law, term by term in whole numbers."""
    bad, base = min(bad, bad_total), min(base, base_total)
    marked, population = bad + base, bad_total + base_total
    ways = sum(
        math.comb(marked, count) * math.comb(population - marked, bad_total - count)
        for count in range(bad, min(marked, bad_total) + 1)
    )
    exact = ways / math.comb(population, bad_total)
    got = excess_probability(bad, bad_total, base, base_total)
    assert got == pytest.approx(exact, rel=1e-9) or (got == 1.0 and bad * population <= marked * bad_total)


def test_fishers_test_is_quick_and_finite_on_large_counts() -> None:
    """Millions of events, and concentrations that no float can express."""
    assert excess_probability(900_000, 1_000_000, 100_000, 9_000_000) == 0.0
    assert excess_probability(100_300, 1_000_000, 900_000, 9_000_000) == pytest.approx(0.159, abs=0.02)
    assert excess_probability(0, 10, 5, 10) == excess_probability(0, 0, 0, 0) == 1.0


def test_lift_is_finite_and_grows() -> None:
    """Also for a value that the baseline never had."""
    assert lift(50, 100, 50, 100) == pytest.approx(1.0)
    assert 1 < lift(2, 4, 0, 4) < lift(200, 400, 0, 400) < 1_000


def test_holm_keeps_the_order_and_corrects() -> None:
    """The example of Holm (1979): the smallest times n, the next times n - 1…"""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=60), st.floats(-5, 5), st.floats(0.1, 10))
@settings(deadline=None)
def test_scales_move_with_the_values(values: list[float], shift: float, factor: float) -> None:
    """Centre and scale follow a shift and a change of unit."""
    array = np.array(values)
    centre, scale = upper_scale(array)
    moved_centre, moved_scale = upper_scale(array * factor + shift)
    assert moved_centre == pytest.approx(centre * factor + shift, abs=1e-6)
    assert moved_scale == pytest.approx(scale * factor, abs=1e-6)


def test_a_heavy_upper_tail_gets_its_room() -> None:
    """Normal values: about 1; every tenth value wild: several times that."""
    random = np.random.default_rng(3)
    values = random.normal(0, 1, 2_000)
    assert upper_scale(values)[1] == pytest.approx(1, abs=0.15)
    values[::10] += 20
    assert upper_scale(values)[1] > 5


def test_pooled_means_are_weighted() -> None:
    """Twice the events, twice the weight."""
    assert pooled(np.array([0.0, 3.0, 3.0]), np.array([2.0, 1.0, 1.0]), 2).tolist() == [1.0, 3.0]


def test_a_change_starts_where_the_excess_begins() -> None:
    """The longest stretch to the end with the largest sum."""
    assert change_start(np.array([-1.0, 5.0, -9.0, 2.0, -1.0, 3.0])) == 3
    assert change_start(np.array([-1.0, -1.0])) == 1


def test_usual_levels_need_history_and_leave_out_the_newest() -> None:
    """Width after width as the history grows; what has just begun is not part of it."""
    events = np.full(12, 5.0)
    assert [one.width for one in usual_levels(np.zeros(12), events, 0.01)] == [2]
    assert usual_levels(np.zeros(11), np.full(11, 5.0), 0.01) == ()
    risen = np.array([0.0] * 10 + [9.0, 9.0])
    (usual,) = usual_levels(risen, events, 0.01)
    assert usual.centre == 0.0
    assert usual.scale == pytest.approx(0.01 * (1 + 4 * 2 / 10))
    assert usual.noise(usual.events / 4) == pytest.approx(2 * usual.noise(usual.events))
