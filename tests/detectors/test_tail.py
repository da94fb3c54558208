"""The tail of a stream of scores: how often chance gives one, learned as it comes."""

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from detectors.stats.series import Floats
from detectors.stats.tail import BLOCK, LARGEST, PEAKS, Tail, needed

Law = Callable[[np.random.Generator, int], Floats]
PROMISED = 1_000.0


def gaussian(random: np.random.Generator, count: int) -> Floats:
    return np.abs(random.normal(size=count))


def exponential(random: np.random.Generator, count: int) -> Floats:
    return random.exponential(size=count)


def heavy(random: np.random.Generator, count: int) -> Floats:
    return np.abs(random.standard_t(3, count))


def counted(random: np.random.Generator, count: int) -> Floats:
    roots: Floats = np.sqrt(random.poisson(3, count) + 0.375)
    return np.abs(2.0 * roots - 3.7)


def learned(scores: Floats) -> Tail:
    tail = Tail()
    for score in scores.tolist():
        tail.learn(score)
    return tail


def alarms(scores: Floats) -> int:
    """How many alarms begin where one in a thousand scores is promised."""
    tail, count, last = Tail(), 0, -BLOCK
    for place, score in enumerate(scores.tolist()):
        if tail.seen >= needed(PROMISED) and tail.interval(score) >= PROMISED:
            count += place - last >= BLOCK
            last = place
            tail.learn_alarm(score, PROMISED)
        else:
            tail.learn(score)
    return count


@pytest.mark.parametrize("law", [gaussian, exponential, heavy, counted])
def test_false_alarms_stay_below_the_promise(law: Law) -> None:
    """Twelve promised; at most half as many again, whatever the law."""
    assert alarms(law(np.random.default_rng(7), 12_000)) <= 18


@pytest.mark.parametrize("law", [gaussian, exponential, heavy])
def test_the_height_reaches_beyond_what_was_seen_and_not_absurdly(law: Law) -> None:
    """From 3,000 scores: once in 30,000, from half the truth (few peaks tell a heavy tail badly) to three times it."""
    truth = float(np.quantile(law(np.random.default_rng(1), 2_000_000), 1 - 1 / 30_000))
    height = learned(law(np.random.default_rng(2), 3_000)).height(30_000)
    assert 0.5 * truth <= height <= 3 * truth


def test_interval_and_height_are_each_others_inverse() -> None:
    """The height of an interval is reached once in that interval."""
    tail = learned(exponential(np.random.default_rng(3), 5_000))
    for interval in (500.0, 5_000.0, 50_000.0):
        assert tail.interval(tail.height(interval)) == pytest.approx(interval, rel=0.05)


def test_rarer_scores_have_longer_intervals() -> None:
    """The interval never falls with the score."""
    tail = learned(heavy(np.random.default_rng(4), 5_000))
    intervals = [tail.interval(score) for score in np.linspace(0, 60, 200).tolist()]
    assert intervals == sorted(intervals)
    assert intervals[-1] > 10_000


def test_an_incident_does_not_teach_that_its_size_is_usual() -> None:
    """One score far out moves the height a little, not to itself."""
    calm = learned(gaussian(np.random.default_rng(5), 3_000))
    before = calm.height(PROMISED)
    calm.learn_alarm(1e6, PROMISED)
    for score in gaussian(np.random.default_rng(6), 2 * BLOCK).tolist():
        calm.learn(score)
    assert before <= calm.height(PROMISED) <= 2 * before


def test_an_empty_tail_promises_nothing() -> None:
    """Nothing is rare before anything was seen."""
    assert Tail().interval(1e9) == 0.0
    assert Tail().height(PROMISED) == LARGEST


def test_constant_scores_are_survived() -> None:
    """A stream that never varied: anything else is rare, the constant is not."""
    tail = learned(np.zeros(1_000))
    assert tail.interval(0.0) == 0.0
    assert tail.interval(5.0) > 10_000


def test_generations_are_bounded_and_follow_a_change() -> None:
    """Two generations are kept; what was before them is forgotten."""
    tail = learned(np.concatenate([10 * exponential(np.random.default_rng(8), 1_000), np.zeros(20_000)]))
    assert tail.height(PROMISED) > 5
    for score in (0.1 * exponential(np.random.default_rng(9), 40_000)).tolist():
        tail.learn(score)
    assert tail.height(PROMISED) < 5
    assert tail.seen <= 40_000 + BLOCK
    assert len(tail.now.highest) <= PEAKS >= len(tail.before.highest)


def test_its_state_is_json_and_goes_on_as_if_nothing_had_been() -> None:
    """Written and read in the middle, the same at the end."""
    scores = exponential(np.random.default_rng(10), 2_003)
    whole, half = learned(scores), learned(scores[:1_001])
    again = msgspec.json.decode(msgspec.json.encode(half), type=Tail)
    for score in scores[1_001:].tolist():
        again.learn(score)
    assert again == whole


def test_longer_promises_need_more_to_be_seen() -> None:
    """A promise of a month of minutes needs some hours; short ones need a minimum."""
    assert needed(43_200.0) == 288
    assert needed(10.0) == 120
