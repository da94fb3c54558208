"""The scorer of a series: causal, restartable, bounded, and blind to units."""

import numpy as np
import pytest

from detectors.stats.gate import THRESHOLD, Gate
from detectors.stats.packing import Places, Sheets
from detectors.stats.scales import Size
from detectors.stats.scorer import FEW, Scorers, Scores
from detectors.stats.season import DAY_S, Cycle, Seasons
from detectors.stats.series import Floats
from detectors.stats.single import LARGEST

SIZE = Size(warm_up=120, blocks=64, ranks=32)
STEP_S = 300.0
T0_S = 1_700_006_400.0
YES = np.ones(1, np.bool_)


def series(count: int = 900, *, seed: int = 1) -> Floats:
    random = np.random.default_rng(seed)
    wave: Floats = np.sin(np.arange(count) * STEP_S / DAY_S * 2 * np.pi)
    return 50.0 + 10.0 * wave + random.normal(0, 1, count)


def scores(values: Floats, scorers: Scorers | None = None, *, first: int = 0) -> list[tuple[float, float]]:
    """Raw score and surprise of every value of one series."""
    scorers = scorers or Scorers(SIZE)
    found: list[tuple[float, float]] = []
    for place in range(len(values)):
        told = scorers.observe(np.array([T0_S + (first + place) * STEP_S]), values[place : place + 1])
        found.append((float(told.raw[0]), float(told.surprise[0])))
        scorers.learn(YES, YES)
    return found


def loaded(packed: bytes, size: Size = SIZE) -> Scorers:
    scorers = Scorers(size)
    scorers.load(0, packed)
    return scorers


def raws(values: Floats) -> Floats:
    return np.array([raw for raw, _ in scores(values)])


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
    scorers = Scorers(SIZE)
    before = scores(values[:cut], scorers)
    after = scores(values[cut:], loaded(scorers.packed(0)), first=cut)
    assert before + after == scores(values)


def test_its_state_is_bounded() -> None:
    """Five times as long, not a byte more once everything is full."""
    scorers = Scorers(SIZE)
    values = series(9_000)
    scores(values[:3_000], scorers)
    full = len(scorers.packed(0))
    scores(values[3_000:], scorers, first=3_000)
    assert len(scorers.packed(0)) == full < 12_000


def test_damaged_states_are_refused() -> None:
    """Cut off, prolonged, of another size, not finite: ValueError, never a scorer."""
    scorers = Scorers(SIZE)
    scores(series(500), scorers)
    packed = scorers.packed(0)
    for damaged in (b"", b"x", packed[:-4], packed[:100], packed + b"\0" * 4, b"\xff" * len(packed), packed[8:]):
        with pytest.raises(ValueError):
            loaded(damaged)
    with pytest.raises(ValueError):
        loaded(packed, Size(warm_up=120, blocks=8, ranks=4))


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
    seasons = Seasons((Cycle(DAY_S, 48, 0.2),), places)
    sheets, rows = Sheets.empty(places, 2), np.arange(2)
    for place, value in enumerate(series(288 * 5).tolist()):
        bins = seasons.bins(np.full(2, T0_S + place * STEP_S))
        seasons.learn(sheets, rows, bins, np.array([value, random.normal()]))
    assert seasons.proven(sheets)[:, 0].tolist() == [True, False]
    levels = seasons.levels(sheets, seasons.bins(np.full(2, T0_S + 21_600)))
    assert seasons.usual(sheets, levels)[0][0] == pytest.approx(60.0, abs=12)


@pytest.mark.parametrize("size", [SIZE, Size(warm_up=312, blocks=96, ranks=48)])
def test_side_by_side_is_as_one_by_one(size: Size) -> None:
    """Series of unlike laws, ages and gaps in what is learned: the same scores and states either way."""
    random = np.random.default_rng(8)
    many = 2 * FEW
    values = random.normal(50.0, 5.0, (450, many))
    values[:, 1] = 7.0
    values[:, 2] = random.poisson(2.0, 450)
    values[:, 3] = np.cumsum(values[:, 3])
    values[300:, 4] *= 100.0
    taken = random.random((450, many)) < 0.9
    strange = random.random((450, many)) < 0.9
    together, alone = Scorers(size, many), [Scorers(size) for _ in range(many)]
    for place in range(450):
        now = many if place < 400 else FEW
        times_s = np.linspace(T0_S, T0_S + 3_600.0 * now, now) + place * STEP_S
        told = together.observe(times_s, values[place, :now])
        together.learn(taken[place, :now], strange[place, :now])
        ones: list[Scores] = []
        for row in range(now):
            row_only = slice(row, row + 1)
            ones.append(alone[row].observe(times_s[row_only], values[place, row_only]))
            alone[row].learn(taken[place, row_only], strange[place, row_only])
        for name in ("raw", "surprise", "usual", "error", "learned"):
            side_by_side, one_by_one = getattr(told, name), [getattr(one, name)[0] for one in ones]
            assert np.allclose(side_by_side, one_by_one, rtol=1e-12, atol=1e-12), (place, name)
    for row in range(many):
        assert together.newest(row) == alone[row].newest(0)
        assert together.learned(row) == alone[row].learned(0)


def test_few_many_and_few_again_are_as_one_by_one() -> None:
    """Series scored alone, side by side and alone again, one of them forgotten, one loaded: the same scores."""
    random = np.random.default_rng(9)
    many = FEW + 2
    values = np.cumsum(random.normal(0.0, 5.0, (400, many)), axis=0)
    together, alone = Scorers(SIZE, many), [Scorers(SIZE) for _ in range(many)]
    for place in range(400):
        if place in (210, 330):
            together.forget(1)
            alone[1].forget(0)
        if place in (220, 340):
            together.load(0, alone[2].packed(0))
            alone[0].load(0, alone[2].packed(0))
        now = many if place // 50 % 2 else 3
        told = together.observe(np.full(now, T0_S + place * STEP_S), values[place, :now])
        together.learn(np.ones(now, np.bool_), np.ones(now, np.bool_))
        ones = [scores(values[place : place + 1, row], alone[row], first=place)[0] for row in range(now)]
        assert np.allclose(np.array([told.raw, told.surprise]).T, ones, rtol=1e-12, atol=1e-12), place
    assert [together.newest(row) for row in range(many)] == [one.newest(0) for one in alone]


def test_the_gate_tells_an_incident_once_and_grows_dearer() -> None:
    """An alarm, a fifth of a warm-up of silence, then a slightly higher price."""
    gate = Gate(100)
    told = [gate.alarm(THRESHOLD) for _ in range(30)]
    assert told[0] == THRESHOLD
    assert told[1:21] == [0.0] * 20
    assert 0.0 < told[21] < THRESHOLD
