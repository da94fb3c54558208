"""The scorer of a series: causal, restartable, bounded, and blind to units."""

import numpy as np
import pytest

from detectors.stats.gate import THRESHOLD, Gate
from detectors.stats.packing import Places, Sheet
from detectors.stats.scorer import LARGEST, Scorer, Scores, Size
from detectors.stats.season import DAY_S, Season
from detectors.stats.series import Floats

SIZE = Size(warm_up=120, blocks=64, ranks=32)
STEP_S = 300.0
T0_S = 1_700_006_400.0


def series(count: int = 900, *, seed: int = 1) -> Floats:
    random = np.random.default_rng(seed)
    wave: Floats = np.sin(np.arange(count) * STEP_S / DAY_S * 2 * np.pi)
    return 50.0 + 10.0 * wave + random.normal(0, 1, count)


def scores(values: Floats, scorer: Scorer | None = None, *, first: int = 0) -> list[Scores]:
    scorer = scorer or Scorer(SIZE)
    found: list[Scores] = []
    for place, value in enumerate(values.tolist(), start=first):
        found.append(scorer.observe(T0_S + place * STEP_S, value))
        scorer.learn(T0_S + place * STEP_S, value)
    return found


def raws(values: Floats) -> Floats:
    return np.array([one.raw for one in scores(values)])


def test_the_future_has_no_effect() -> None:
    """Scores up to a point are the same whatever follows it."""
    values = series()
    other = values.copy()
    other[600:] = 1e9
    assert scores(values)[:600] == scores(other)[:600] == scores(values[:600])


@pytest.mark.parametrize("cut", [1, 29, 300, 601])
def test_packed_in_the_middle_it_goes_on_exactly(cut: int) -> None:
    """A scorer that was written and read scores as if nothing had been, to the last bit."""
    values = series()
    scorer = Scorer(SIZE)
    before = scores(values[:cut], scorer)
    after = scores(values[cut:], Scorer(SIZE, scorer.packed()), first=cut)
    assert before + after == scores(values)


def test_its_state_is_bounded() -> None:
    """Five times as long, not a byte more once everything is full."""
    scorer = Scorer(SIZE)
    values = series(9_000)
    scores(values[:3_000], scorer)
    full = len(scorer.packed())
    scores(values[3_000:], scorer, first=3_000)
    assert len(scorer.packed()) <= full * 1.1
    assert full < 12_000


def test_damaged_states_are_refused() -> None:
    """Cut off, prolonged, of another size, not finite: ValueError, never a scorer."""
    scorer = Scorer(SIZE)
    scores(series(500), scorer)
    packed = scorer.packed()
    for damaged in (b"", b"x", packed[:-4], packed[:100], packed + b"\0" * 4, b"\xff" * len(packed), packed[8:]):
        with pytest.raises(ValueError):
            Scorer(SIZE, damaged)
    with pytest.raises(ValueError):
        Scorer(Size(warm_up=120, blocks=8, ranks=4), packed)


@pytest.mark.parametrize(("factor", "shift"), [(1_000.0, 0.0), (1.0, 4_096.0), (0.001, -3.0)])
def test_units_do_not_matter(factor: float, shift: float) -> None:
    """Scaled or shifted, the scores are the same but for rounding."""
    values = series()
    values[700:720] += 15.0
    assert np.median(np.abs(raws(values) - raws(values * factor + shift))) < 0.01
    assert np.abs(raws(values) - raws(values * factor + shift)).max() < 0.15


@pytest.mark.parametrize("change", [15.0, -15.0, 40.0])
def test_what_has_never_been_is_the_most_surprising(change: float) -> None:
    """A step out of the daily course scores higher than everything before it."""
    values = series()
    values[700:730] += change
    found = raws(values)
    assert found[700:730].max() > 1.2 * found[60:700].max()


@pytest.mark.parametrize("fill", [0.0, 7.5, -1e300, 1e300])
def test_constant_series_never_surprise(fill: float) -> None:
    """One value for ever: no score, and no warning of numpy's."""
    assert raws(np.full(400, fill)).max() < 0.1


def test_huge_values_leave_finite_scores() -> None:
    """Values at the ends of the range among ordinary ones."""
    values = series()
    values[300::50] = 1e308
    values[310::50] = -1e308
    assert np.isfinite(raws(values)).all()
    assert LARGEST < 1e38


def test_a_season_is_proven_by_a_rhythm_and_not_by_noise() -> None:
    """Five days of a daily course prove it; five days of noise do not."""
    random = np.random.default_rng(3)
    places = Places()
    season = Season(DAY_S, 48, 0.2, places)
    rhythm, noise = Sheet(places), Sheet(places)
    for place, value in enumerate(series(288 * 5).tolist()):
        season.learn(rhythm, T0_S + place * STEP_S, value)
        season.learn(noise, T0_S + place * STEP_S, random.normal())
    assert season.proven(rhythm)
    assert not season.proven(noise)
    assert season.usual(rhythm, T0_S + 21_600)[0] == pytest.approx(60.0, abs=12)


def test_the_gate_tells_an_incident_once_and_grows_dearer() -> None:
    """An alarm, a fifth of a warm-up of silence, then a slightly higher price."""
    gate = Gate(100)
    told = [gate.alarm(THRESHOLD) for _ in range(30)]
    assert told[0] == THRESHOLD
    assert told[1:21] == [0.0] * 20
    assert 0.0 < told[21] < THRESHOLD
