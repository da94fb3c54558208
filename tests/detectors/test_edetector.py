"""The sequential test: its bets are fair, and its promise is kept whatever law the values follow."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from detectors.stats.edetector import MOST, NO_STAKES, bet, bets, evidence, evidences
from detectors.stats.scores import BLOCK, EDGES, LOGITS, LOGS, Reference, ScoreStream, block_length, views

Generator = np.random.Generator
Law = Callable[[Generator, int], np.ndarray]

LAWS: dict[str, Law] = {
    "beta": lambda random, count: random.beta(8, 2, count),
    "near one, with a tail": lambda random, count: np.where(
        random.random(count) < 0.05, random.beta(2, 3, count), random.beta(40, 1.2, count)
    ),
    "three values": lambda random, count: random.choice([0.2, 0.9, 0.99], count, p=[0.1, 0.3, 0.6]),
    "nearly always the same": lambda random, count: np.where(random.random(count) < 0.01, 0.5, 0.97),
    "zeros and ones": lambda random, count: (random.random(count) < 0.9).astype(float),
}


@pytest.mark.parametrize("total", [10, 60, 61, 500, 1_440, 3_000])
@pytest.mark.parametrize("extremes", [0.0, 1.0, 5.0])
def test_every_bet_is_fair_when_nothing_has_changed(total: int, extremes: float) -> None:
    """The mean over all ranks of what a stake of 0 becomes is 1 for each bet, so the bound on false alarms holds."""
    stakes = (*NO_STAKES[:8], extremes, extremes)
    after = np.array([bet(stakes, below, 0, total) for below in range(total + 1)])
    assert after[:, :8].mean(axis=0) == pytest.approx(np.ones(8))


def test_every_bet_is_fair_among_ties() -> None:
    """Seven values of which three and two are equal: each of the eight places is as likely."""
    places = [(0, 0)] + [(1, 3)] * 4 + [(5, 2)] * 3
    after = np.array([bet(NO_STAKES, *place, 7) for place in places])
    assert after[:, [0, 1, 2, 4, 5, 6]].mean(axis=0) == pytest.approx(np.ones(6))


def test_three_extremes_after_three_hours_are_evidence_of_a_month() -> None:
    """Two hundred usual minutes, then each lower than all: more than 43,200 minutes' worth, after three and not two."""
    stakes = NO_STAKES
    won = []
    for seen in range(200, 203):
        stakes = bet(stakes, 0, 0, seen)
        won.append(sum(evidence(stakes)) / 2)
    assert won[1] < 43_200 < won[2]


def test_a_fall_and_a_rise_are_mirror_images() -> None:
    """The same ranks from the other end win as much for the other direction."""
    falling = rising = NO_STAKES
    for below in (3, 0, 7, 1, 2, 20, 0):
        falling, rising = bet(falling, below, 0, 64), bet(rising, 64 - below, 0, 64)
    assert evidence(falling) == pytest.approx(evidence(rising)[::-1], rel=0.1)


def test_ties_are_no_evidence() -> None:
    """A constant series wins nothing, however long it is."""
    stakes = NO_STAKES
    for seen in range(30, 3_000):
        stakes = bet(stakes, 0, seen, seen)
    assert sum(evidence(stakes)) / 2 <= 3_000


def test_stakes_stay_finite() -> None:
    """A change that nobody reacts to."""
    stakes = NO_STAKES
    for seen in range(30, 600):
        stakes = bet(stakes, 0, 0, seen)
    assert max(stakes) <= MOST


@pytest.mark.parametrize("law", LAWS)
def test_the_mean_run_length_to_a_false_alarm_keeps_its_promise(law: str) -> None:
    """Evidence of 300, values of any law: the mean over 200 runs is at least 300, but for the luck of the draw."""
    random = np.random.default_rng(7)
    lengths = []
    for _ in range(200):
        reference, stakes = Reference(), NO_STAKES
        for value in LAWS[law](random, 30):
            reference.rank(float(value))
        for length, value in enumerate(LAWS[law](random, 3_000), start=1):
            stakes = bet(stakes, *reference.rank(float(value)))
            if sum(evidence(stakes)) / 2 >= 300 or length == 3_000:
                lengths.append(length)
                break
    assert np.mean(lengths) + 2 * np.std(lengths) / np.sqrt(200) > 300


@pytest.mark.parametrize("law", LAWS)
def test_a_stream_keeps_its_promise(law: str) -> None:
    """A promise of 3,000 scores: with the fixed seed the mean over 60 runs, cut off at three times that, is longer."""
    random = np.random.default_rng(11)
    lengths = []
    for _ in range(60):
        stream = ScoreStream(run_length=3_000)
        alarms = (number for number, one in enumerate(LAWS[law](random, 9_000), start=1) if stream.update(float(one)))
        lengths.append(next(alarms, 9_000))
    assert np.mean(lengths) > 3_000


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (lambda _, x: np.clip(x - 0.12, 0, 1), 120),
        (lambda _, x: np.clip(x - 0.04, 0, 1), 600),
        (lambda _, x: 1 - (1 - x) / 2, 400),
        (lambda random, x: np.where(random.random(len(x)) < 0.05, random.beta(2, 8, len(x)), x), 1_500),
        (lambda random, x: np.clip(x + np.where(random.random(len(x)) < 0.5, 0.15, -0.15), 0, 1), 600),
    ],
    ids=["sinks far", "sinks a little", "sharpens", "a few are very low", "widens"],
)
def test_a_stream_finds_changes(change: Callable[[Generator, np.ndarray], np.ndarray], most: int) -> None:
    """Five seeds each, after 4,000 usual scores: none found before, all found within so many scores."""
    for seed in range(1, 6):
        random = np.random.default_rng(seed)
        scores = random.beta(8, 2, 8_000)
        scores[4_000:] = change(random, scores[4_000:])
        stream = ScoreStream()
        found = next((number for number, one in enumerate(scores) if stream.update(float(one))), 8_000)
        assert 4_000 <= found < 4_000 + most


def test_similar_neighbours_make_longer_blocks() -> None:
    """Independent scores: the shortest; runs of the same picture: blocks that hold several of them."""
    random = np.random.default_rng(3)
    assert block_length(random.random(300).tolist()) == BLOCK
    assert block_length(np.repeat(random.random(30), 10).tolist()) >= 5 * BLOCK
    assert block_length([0.9] * 300) == BLOCK


def test_views_are_means_of_clipped_transforms() -> None:
    """As numpy computes them, zeros and ones included, for short and for long blocks."""
    random = np.random.default_rng(4)
    for count in (1, 10, 399):
        scores = np.concatenate([random.beta(5, 1, count), [0.0, 1.0]])
        clipped = np.clip(scores, 0.001, 0.999)
        expected = (scores.mean(), np.log(np.maximum(clipped, 0.02)).mean(), np.log(clipped / (1 - clipped)).mean())
        assert views(scores.tolist()) == pytest.approx(expected)


def test_a_histogram_tells_nearly_the_same_views() -> None:
    """Logarithm and logit of a block from its bins: within a fiftieth of what the scores say."""
    scores = np.random.default_rng(5).beta(8, 2, 20_000)
    counts = np.bincount(np.searchsorted(EDGES, scores, side="right"), minlength=len(EDGES) + 1)
    _, log, logit = views(scores.tolist())
    assert counts @ LOGS / len(scores) == pytest.approx(log, rel=0.02)
    assert counts @ LOGITS / len(scores) == pytest.approx(logit, rel=0.02)
    assert list(EDGES) == sorted(set(EDGES))


def test_a_reference_counts_ties() -> None:
    """Brute force over a few values."""
    reference = Reference(most=40)
    seen: list[float] = []
    for value in itertools.chain([3.0, 1.0, 3.0, 3.0, 2.0], np.random.default_rng(1).integers(0, 9, 60).astype(float)):
        below, equal, total = reference.rank(value)
        assert (below, equal, total) == (sum(one < value for one in seen), seen.count(value), len(seen))
        if len(seen) < 40:
            seen.append(value)


def test_many_bets_are_the_same_as_one_by_one() -> None:
    """To the last bit: ties, runs of extremes, and stakes that reach the most they may."""
    random = np.random.default_rng(5)
    single = [NO_STAKES] * 40
    together = np.array(single)
    for total in range(10, 160):
        below = random.integers(0, total + 1, 40)
        below[:5], below[5:10] = 0, total
        equal = np.minimum(random.integers(0, 3, 40), total - below)
        ranks = zip(below.tolist(), equal.tolist(), strict=True)
        single = [bet(stakes, low, same, total) for stakes, (low, same) in zip(single, ranks, strict=True)]
        together = bets(together, below, equal, np.full(40, total))
        assert together.tolist() == [list(stakes) for stakes in single]
        assert evidences(together).T.tolist() == [list(evidence(stakes)) for stakes in single]
    assert together.max() == MOST
