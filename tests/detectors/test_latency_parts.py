"""The parts of the test for a slowdown: probabilities, ranks, rhythms, and how a state is stored."""

import numpy as np
import pytest
from scipy import stats

from detectors.stats import rhythm
from detectors.stats.histograms import first_beyond, geometric_edges, normal_scores, quantile
from detectors.stats.probability import log_beta_binomial_tail, log_gamma, log_normal_tail
from detectors.stats.rows import Layout, from_text, to_text
from detectors.stats.series import Floats
from detectors.stats.slowdown import CHANNELS, FALL, LOCATION, Contrasts, State, fall, shapes
from detectors.stats.slowdown_chance import FROM_SURPRISE, chance_rates, learn_peaks, promised_surprises

EDGES = np.array(geometric_edges(1.0, 60_000.0, 97))
HOUR_MS = 3_600_000


def test_log_gamma_agrees_with_the_factorials() -> None:
    """Γ(n + 1) = n!, and Γ(1/2) = √π."""
    whole = np.arange(1.0, 60.0)
    assert log_gamma(whole + 1) == pytest.approx(np.cumsum(np.log(whole)), rel=1e-12)
    assert log_gamma(np.array([0.5])) == pytest.approx(0.5 * np.log(np.pi))


def test_binomial_tails_agree_with_scipy() -> None:
    """From the middle of the law to far out."""
    random = np.random.default_rng(1)
    trials = random.integers(1, 20_000, 400).astype(float)
    share = random.uniform(0.001, 0.3, 400)
    deviation = np.sqrt(trials * share * (1 - share))
    successes = np.minimum(np.ceil(trials * share + random.uniform(-1, 9, 400) * deviation), trials)
    ours = log_beta_binomial_tail(successes, trials, share, np.zeros(400))
    exact = np.where(successes > 0, stats.binom.logsf(successes - 1, trials, share), 0.0)
    assert ours == pytest.approx(exact, rel=1e-6, abs=1e-6)


def test_beta_binomial_tails_agree_with_the_sum_of_scipys_masses() -> None:
    """Over-dispersion from almost none to strong."""
    random = np.random.default_rng(2)
    for _ in range(60):
        trials, share, rho = int(random.integers(5, 3_000)), random.uniform(0.005, 0.2), 10 ** random.uniform(-5, -1)
        weight = 1 / rho - 1
        successes = int(random.uniform(0.5, 6) * trials * share) + 1
        law = stats.betabinom(trials, share * weight, (1 - share) * weight)
        exact = np.logaddexp.reduce(law.logpmf(np.arange(min(successes, trials), trials + 1)))
        ours = log_beta_binomial_tail(
            np.array([min(successes, trials)], float), np.array([trials], float), np.array([share]), np.array([rho])
        )
        assert ours[0] == pytest.approx(exact, rel=1e-5, abs=1e-6)


def test_normal_tails_agree_with_scipy() -> None:
    """Far beyond where 1 - Φ has no digits left."""
    z = np.array([-3.0, 0.0, 1.0, 5.0, 12.0, 36.0])
    assert log_normal_tail(z) == pytest.approx(stats.norm.logsf(z), rel=1e-9)


@pytest.mark.parametrize("law", ["lognormal", "two modes", "one value", "two values"])
def test_normal_scores_have_mean_0_and_variance_1_under_what_is_usual(law: str) -> None:
    """Whatever the law; and they grow from bin to bin."""
    random = np.random.default_rng(3)
    values = {
        "lognormal": random.lognormal(4, 0.4, 20_000),
        "two modes": np.concatenate([random.lognormal(3, 0.2, 15_000), random.lognormal(6, 0.2, 5_000)]),
        "one value": np.full(5_000, 42.0),
        "two values": np.repeat([42.0, 80.0], 2_500),
    }[law]
    usual = np.bincount(np.searchsorted(EDGES, values, side="right"), minlength=98).astype(float)
    (scores,) = normal_scores(usual[None, :])
    share = usual / usual.sum()
    assert abs((share * scores).sum()) < 1e-9
    assert 0.5 < (share * scores**2).sum() < 1.1 or law == "one value"
    assert np.all(np.diff(scores) >= 0)
    assert scores[-1] > scores[int(np.argmax(usual))] + 1


def test_the_share_beyond_a_quantile_is_that_of_whole_bins() -> None:
    """No bin is split: what is counted is exactly what is expected."""
    first, beyond = first_beyond(np.array([[0.0, 90.0, 6.0, 3.0, 1.0], [0.0, 0.0, 50.0, 0.0, 0.0]]), 0.95)
    assert first.tolist() == [3, 3]
    assert beyond == pytest.approx([0.04, 1e-4])


def test_quantiles_are_known_to_half_a_bin_and_stop_at_the_outer_edges() -> None:
    """Six per cent; below and above, the edge itself."""
    values = np.random.default_rng(4).lognormal(5, 0.6, 10_000)
    histogram = np.bincount(np.searchsorted(EDGES, values, side="right"), minlength=98).astype(float)
    for share in (0.05, 0.5, 0.95, 0.99):
        assert quantile(histogram, EDGES, share) == pytest.approx(np.quantile(values, share), rel=0.06)
    low, high = np.zeros(98), np.zeros(98)
    low[0], high[-1] = 5, 5
    assert (quantile(low, EDGES, 0.5), quantile(high, EDGES, 0.5)) == (1.0, 60_000.0)
    assert np.isnan(quantile(np.zeros(98), EDGES, 0.5))


def forecast(days: int, profile: Floats, *, noise: float, week: Floats | None = None) -> tuple[float, Floats]:
    """The model that is chosen after some days, and what it adds in every hour of the day after."""
    random = np.random.default_rng(5)
    state = {name: np.zeros((1, *shape)) for name, shape in rhythm.shapes(1).items()}
    everyone = np.array([True])
    wander = 0.0
    for number in range(days * 48):
        wander = 0.9 * wander + random.normal(0, noise)
        hour, day = number // 2 % 24, number // 48 % 7
        mean = profile[hour] + wander + (0.0 if week is None else week[day])
        for minute in (0, 15):
            at_ms = number * rhythm.SLOT_MS + minute * 60_000
            rhythm.observe(state, at_ms, np.array([[50 * mean]]), np.array([50.0]), everyone)
    after = days * 86_400_000
    added = np.array([rhythm.offset(state, after + hour * HOUR_MS)[0, 0] for hour in range(24)])
    return float(state["model"][0, 0]), added


def test_a_time_of_day_is_used_once_it_has_proven_itself() -> None:
    """A nightly job of two hours: after some days its hours stand out by what they do."""
    job = np.where(np.isin(np.arange(24), [2, 3]), 1.5, 0.0)
    model, added = forecast(5, job, noise=0.05)
    assert model == 1
    assert added[[2, 3]].mean() - added[[0, 1, 5, 6]].mean() == pytest.approx(1.5, abs=0.2)
    assert forecast(1, job, noise=0.05)[0] == 0


def test_no_season_is_seen_in_mere_wander() -> None:
    """Noise that lasts for hours does not become a rhythm."""
    model, added = forecast(20, np.zeros(24), noise=0.1)
    assert model == 0
    assert np.all(added == 0)


def test_weekdays_are_used_when_they_differ() -> None:
    """Quiet weekends, five weeks long; without them the days alone are enough."""
    weekend = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    hours = np.sin(np.arange(24) / 24 * 2 * np.pi)
    assert forecast(35, hours, noise=0.05, week=weekend)[0] == 2
    assert forecast(35, hours, noise=0.05)[0] == 1


def test_numbers_survive_being_text_and_damaged_text_is_none() -> None:
    """Base64 of float32, exact; anything else is told apart."""
    layout = Layout({"a": (2, 3), "b": (1,)})
    arrays = {"a": np.arange(12.0).reshape(2, 2, 3), "b": np.array([[0.5], [0.25]])}
    rows = layout.join(arrays)
    row = from_text(to_text(rows[1]), layout.width, np.float32)
    assert row is not None
    back = layout.split(row[None, :])
    assert np.array_equal(back["a"][0], arrays["a"][1])
    assert back["b"][0, 0] == 0.25
    text = to_text(rows[0])
    for damaged in ("", "x", text[:-4], text + "AAAA", "é" * len(text), text.replace("A", "!")):
        assert from_text(damaged, layout.width, np.float32) is None


def peaks_learned(stream: int, excesses: Floats, known: float = 0.0, *, ended: int = 0) -> State:
    """One series that has had an episode of each excess, one every 140 buckets, all in one stream of surprises.

    known  which part of the variance is sampling
    ended  how many of them, the last ones, were followed by a fall
    """
    state = {name: np.zeros((1, *shape)) for name, shape in shapes(98).items()}
    for place, excess in enumerate(excesses.tolist()):
        calm_for(state, 12, known)
        state["judged"] += 127
        one_bucket(state, stream, excess, known)
        if place >= len(excesses) - ended:
            one_bucket(state, FALL, 1.0, known)
    return state


def one_bucket(state: State, stream: int, excess: float, known: float = 0.0) -> None:
    surprises = np.zeros((1, CHANNELS + 1))
    surprises[0, stream] = FROM_SURPRISE + excess
    learn_peaks(state, surprises, np.full((1, CHANNELS), known), np.array([0]))


def calm_for(state: State, buckets: int, known: float = 0.0) -> None:
    for _ in range(buckets):
        learn_peaks(state, np.zeros((1, CHANNELS + 1)), np.full((1, CHANNELS), known), np.array([0]))


def heights(state: State) -> Floats:
    return promised_surprises(state, 0, 1 / 43_200)


def test_a_series_whose_surprises_jump_gets_the_room_it_needs() -> None:
    """The height of a promise follows the tail of the peaks, in the channel in which they came."""
    random = np.random.default_rng(6)
    usual = heights(peaks_learned(LOCATION, random.exponential(size=120)))
    jumps = heights(peaks_learned(LOCATION, random.pareto(1.8, 120) * 2.0))
    assert 10 < usual[LOCATION] < 17
    assert jumps[LOCATION] > usual[LOCATION] + 2
    assert jumps[1:] == pytest.approx(usual[1:], abs=1e-6)


def test_falls_of_the_location_tell_how_far_it_jumps() -> None:
    """They raise the height of the location as rises do, and are no episodes of it."""
    jumps = np.random.default_rng(7).pareto(2.0, 120) * 2.0
    fallen = peaks_learned(FALL, jumps)
    assert fallen["exceeded"].sum() == 0
    assert heights(fallen)[LOCATION] > heights(peaks_learned(FALL, np.full(120, 0.7)))[LOCATION] + 3


def test_what_falls_soon_after_a_rise_teaches_nothing() -> None:
    """It is the end of what rose: half an hour later, and not after two hours."""
    taught: list[float] = []
    for later in (30, 120):
        state = {name: np.zeros((1, *shape)) for name, shape in shapes(98).items()}
        calm_for(state, 12)
        one_bucket(state, LOCATION, 0.7)
        calm_for(state, later)
        one_bucket(state, FALL, 3.0)
        taught.append(float(np.abs(state["fit"][0, FALL]).sum()))
    assert taught[0] == 0.0 < taught[1]


def test_small_falls_do_not_make_a_level_that_only_jumps_up_seem_calm() -> None:
    """Once it is plain that rises follow another law than falls, they are judged by their own."""
    random = np.random.default_rng(9)
    state = peaks_learned(LOCATION, random.exponential(2.5, 150))
    alone = float(heights(state)[LOCATION])
    state["fit"][0, FALL] = peaks_learned(FALL, random.exponential(0.9, 150))["fit"][0, FALL]
    assert heights(state)[LOCATION] == pytest.approx(alone, abs=0.5)


def test_falls_that_follow_the_law_of_the_rises_teach_of_it() -> None:
    """Both are common, and a few of the falls are jumps: so may a rise be, and is given room."""
    random = np.random.default_rng(10)
    state = peaks_learned(LOCATION, random.exponential(1.2, 100))
    alone = float(heights(state)[LOCATION])
    falls = np.concatenate([random.exponential(1.2, 95), [14.0, 16.0, 22.0, 30.0, 40.0]])
    state["fit"][0, FALL] = peaks_learned(FALL, falls)["fit"][0, FALL]
    assert heights(state)[LOCATION] > alone + 4


def test_some_incidents_that_were_missed_do_not_make_a_series_deaf() -> None:
    """A hundred peaks as chance gives them, and among them five that are far out and end in a fall."""
    usual = np.random.default_rng(6).exponential(size=100)
    missed = np.concatenate([usual, np.full(5, 7.0)])
    calm = float(heights(peaks_learned(LOCATION, usual))[LOCATION])
    ended, by_itself = (float(heights(peaks_learned(LOCATION, missed, ended=count))[LOCATION]) for count in (5, 0))
    assert ended < calm + 4
    assert by_itself > ended + 4


def test_where_the_noise_is_known_what_does_not_fit_is_taken_for_incidents() -> None:
    """Peaks that sampling can't give raise the height of a promise less where there is nothing but sampling."""
    usual = np.random.default_rng(6).exponential(size=80)
    missed = np.concatenate([usual, np.linspace(3.0, 6.0, 20)])
    calm = float(heights(peaks_learned(LOCATION, usual, known=1.0))[LOCATION])
    sampled, wandering = (float(heights(peaks_learned(LOCATION, missed, known))[LOCATION]) for known in (1.0, 0.0))
    assert calm <= sampled < (calm + wandering) / 2


def test_a_rate_is_that_of_its_height() -> None:
    """Of which surprise chance makes one alarm in a month of minutes, and how often it makes that: the same."""
    state = peaks_learned(LOCATION, np.random.default_rng(8).exponential(size=60))
    rates = chance_rates(state, promised_surprises(state, 0, 1 / 43_200)[None, :])
    assert rates == pytest.approx(np.full((1, CHANNELS), 1 / 43_200), rel=0.02)
    assert chance_rates(state, np.full((1, CHANNELS), FROM_SURPRISE)).tolist() == [[1.0] * CHANNELS]


def test_a_fall_is_as_surprising_as_the_rise_that_mirrors_it() -> None:
    """-ln of the normal tail of the deepest window; too few values say nothing."""
    one = np.ones((2, 2, CHANNELS))
    rises = np.zeros((2, 2, CHANNELS))
    rises[:, 1, LOCATION] = -4.0
    three = np.ones((2, 2, CHANNELS, 3))
    contrasts = Contrasts(
        values=np.array([[50.0, 50.0], [2.0, 2.0]]),
        short=one,
        long=one,
        sampled=three,
        variances=three,
        rise=rises,
        variance=one,
        level=one,
        share=one,
        beyond=one,
    )
    assert fall(contrasts, 6) == pytest.approx([-stats.norm.logsf(4.0), 0.0], rel=1e-6)
