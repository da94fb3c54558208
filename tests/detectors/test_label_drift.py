"""`label_drift`: a stuck label, a moved mix and a label never seen are told apart; noise of any mix is silent."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from detectors.base import Learner, Stage
from detectors.finding import Finding, Reason
from detectors.frame import Counts, Frame, Interval, Series
from detectors.statistical.label_drift import LabelDrift
from detectors.stats.label_slots import KeptSlots
from detectors.stats.labels import EPSILONS, MOST_GAIN, Excess, LabelStream, bet, gathered
from detectors.stats.mixes import Beside, Mix
from tests.detectors.noise import MINUTE_MS, T0_MS, frame

CHANGE = 150
Labels = np.ndarray
Change = Callable[[Labels, np.random.Generator], Labels]


def zipf(kinds: int) -> np.ndarray:
    shares = 1 / np.arange(1, kinds + 1) ** 1.1
    return np.asarray(shares / shares.sum())


def series(
    kinds: int,
    minutes: int,
    *,
    seed: int = 1,
    per_minute: int = 60,
    top: int = 200,
    change: Change = lambda labels, _: labels,
    until: int = 10**9,
) -> Series:
    """One model's labels, as a store would count them; ``change`` from minute CHANGE on."""
    random = np.random.default_rng(seed)
    shares = zipf(kinds)
    tallies = []
    for minute in range(minutes):
        labels = random.choice(kinds, random.poisson(per_minute) + 1, p=shares)
        labels = change(labels, random) if CHANGE <= minute < until else labels
        ranked = sorted(Counter(f"label {label}" for label in labels).items(), key=lambda one: (-one[1], one[0]))
        tallies.append(Counts(tuple(ranked[:top]), sum(count for _, count in ranked[top:])))
    starts = tuple(T0_MS + minute * MINUTE_MS for minute in range(minutes))
    counts = tuple(float(sum(count for _, count in one.counts) + one.others) for one in tallies)
    return Series((("model_name", str(seed)),), starts, {"count": counts, "labels": tuple(tallies)})


def stuck(share: float, label: int = 7) -> Change:
    return lambda labels, random: np.where(random.random(len(labels)) < share, label, labels)


def found(detector: LabelDrift, minutes: int, *made: Series) -> tuple[Finding, ...]:
    return detector.detect(frame(minutes, *made), {}).findings


def minute(at_ms: int) -> int:
    return round((at_ms - T0_MS) / MINUTE_MS)


@pytest.mark.slow
@pytest.mark.parametrize(("kinds", "per_minute"), [(2, 60), (20, 60), (1_000, 60), (20_000, 300), (50, 3)])
def test_noise_is_silent(kinds: int, per_minute: int) -> None:
    """Two models, half a day each; few labels and a long tail, busy and quiet."""
    made = [series(kinds, 720, seed=seed, per_minute=per_minute) for seed in (1, 2)]
    assert found(LabelDrift(), 720, *made) == ()


@pytest.mark.parametrize(("kinds", "share", "most"), [(20, 0.4, 4), (1_000, 0.2, 3), (20_000, 0.15, 6)])
def test_a_stuck_label_is_found_and_named(kinds: int, share: float, most: int) -> None:
    """In each of four models, within so many minutes, with its name, its share and since when."""
    made = [series(kinds, CHANGE + 10, seed=seed, change=stuck(share)) for seed in range(4)]
    told = found(LabelDrift(), CHANGE + 10, *made)
    first = {one.key: one for one in reversed(told)}
    assert len(first) == 4
    for one in first.values():
        assert one.reason is Reason.LABEL_STUCK
        assert one.details["label"] == "label 7"
        assert CHANGE < minute(one.at_ms) <= CHANGE + most
        assert abs(minute(one.since_ms) - CHANGE) <= 2
        assert one.chance_days is not None
        assert one.chance_days >= 30


def test_a_quiet_series_is_told_every_minute_while_its_blocks_fill() -> None:
    """Twenty answers a minute fill a block in three: its alert must not end and begin anew between two blocks."""
    quiet = series(20, CHANGE + 90, per_minute=20, change=stuck(0.5))
    told = [minute(one.at_ms) for one in found(LabelDrift(min_history="10m"), CHANGE + 90, quiet)]
    assert CHANGE < told[0] <= CHANGE + 15
    assert told == list(range(told[0], CHANGE + 91))


@pytest.mark.parametrize("seed", range(4))
def test_an_alarm_in_bursts_does_not_end_between_them(seed: int) -> None:
    """In a quarter of the minutes all answers are one label: a block without one of them says nothing yet."""

    def bursts(labels: Labels, random: np.random.Generator) -> Labels:
        return np.full_like(labels, 7) if random.random() < 0.25 else labels

    until = CHANGE + 240
    made = series(10, until + 150, seed=seed, per_minute=15, change=bursts, until=until)
    told = [minute(one.at_ms) for one in found(LabelDrift(min_history="30m"), until + 150, made)]
    assert CHANGE < told[0] <= CHANGE + 90
    assert until - 10 <= told[-1] <= until + 90
    assert told == list(range(told[0], told[-1] + 1))


def test_a_moved_mix_is_found() -> None:
    """The frequent labels have changed places: no single one is stuck."""

    def reversed_mix(labels: Labels, _: np.random.Generator) -> Labels:
        return np.asarray(9 - labels)

    told = found(LabelDrift(min_share=0.9), CHANGE + 10, series(10, CHANGE + 10, change=reversed_mix))
    assert told[0].reason is Reason.LABEL_DRIFT
    assert CHANGE < minute(told[0].at_ms) <= CHANGE + 4
    assert told[0].observed > 0.25


def test_a_label_never_seen_is_told_once() -> None:
    """Three in a hundred answers are a new label: one finding, which names it."""

    def new(labels: Labels, random: np.random.Generator) -> Labels:
        return np.where(random.random(len(labels)) < 0.03, 99, labels)

    told = found(LabelDrift(min_share=0.5, min_change=5), 300, series(10, 300, change=new))
    assert [(one.reason, one.details["label"]) for one in told] == [(Reason.LABEL_UNSEEN, "label 99")]


def test_rare_labels_of_a_long_tail_are_no_news() -> None:
    """Every few minutes a label comes that never came before: that is how this model is."""
    assert found(LabelDrift(), 600, series(20_000, 600, seed=3, top=1_000)) == ()


def test_a_change_that_is_over_is_told_no_longer() -> None:
    """Twenty minutes of a stuck label, then as before."""
    told = found(LabelDrift(), CHANGE + 60, series(20, CHANGE + 60, change=stuck(0.5), until=CHANGE + 20))
    assert {minute(one.since_ms) for one in told} == {CHANGE}
    assert CHANGE + 19 <= minute(told[-1].at_ms) <= CHANGE + 26


def test_a_change_that_lasts_becomes_usual() -> None:
    """After `adapt_after` it is learned, and told no more."""
    told = found(LabelDrift(adapt_after="60m"), CHANGE + 240, series(20, CHANGE + 240, change=stuck(0.5)))
    assert CHANGE + 55 <= minute(told[-1].at_ms) <= CHANGE + 61


def test_what_a_learner_can_be_told() -> None:
    """Warming up, judging, alarmed; an accepted alarm ends, a planned change starts a new baseline."""
    detector = LabelDrift()
    assert isinstance(detector, Learner)
    assert detector.progress({}).stage is Stage.WARMING_UP
    made = series(20, CHANGE + 10, change=stuck(0.5))
    calm = detector.detect(_until(made, CHANGE), {}).memory[made.key]
    assert detector.progress(calm).stage is Stage.JUDGING
    alarmed = detector.detect(_until(made, CHANGE + 10), {}).memory[made.key]
    assert detector.progress(alarmed).stage is Stage.ALARMED
    for told in (detector.accept(alarmed), detector.rebase(alarmed, T0_MS)):
        progress = detector.progress(told)
        assert (progress.stage, progress.seen) == (Stage.WARMING_UP, 0)
    assert detector.accept(calm) == calm
    assert detector.rebase({"version": 7}, T0_MS) == {"version": 7}


def _until(made: Series, minutes: int) -> Frame:
    values = {name: column[:minutes] for name, column in made.values.items()}
    part = Series(made.key, made.bucket_start_ms[:minutes], values)
    return Frame(Interval(T0_MS, T0_MS + minutes * MINUTE_MS), T0_MS, MINUTE_MS, (part,))


def test_a_bet_on_a_label_is_fair() -> None:
    """Given the bag of labels seen so far, the mean over who came last of what a stake of 0 becomes is 1."""
    bag = Counter({"a": 5, "b": 3, "c": 2})
    won = 0.0
    for last, count in bag.items():
        excess = Excess(KeptSlots())
        for label, times in bag.items():
            excess.learn(label, times - (label == last))
        excess.weigh()
        one = np.ones(1)
        bet([excess], [[last]], gathered([excess], [[last]]), one, one, MOST_GAIN * one)
        won += count / 10 * excess.evidence
    waiting = 1 - sum(EPSILONS) / len(EPSILONS)
    assert won == pytest.approx(0.5 + 0.5 * waiting)  # half of the money waits for labels that are yet to come


@pytest.mark.parametrize("kinds", [2, 20, 1_000])
@pytest.mark.parametrize("repeats", [0.0, 0.5])
def test_a_stream_keeps_its_promise(kinds: int, repeats: float) -> None:
    """A promise of 5,000 labels after learning; the mean of 12 runs, cut off at 20,000, is longer."""
    lengths = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        labels = random.choice(kinds, 20_000, p=zipf(kinds))
        for place in np.flatnonzero(random.random(20_000) < repeats):
            labels[place] = labels[max(int(place) - 1, 0)]
        stream = LabelStream(run_length=5_000)
        alarms = (number for number, label in enumerate(labels.tolist()) if stream.update(label))
        lengths.append(next(alarms, 20_000))
    assert np.mean(lengths) > 5_000


def test_a_stream_of_nothing_but_one_label_is_found() -> None:
    """Twenty labels, then only one: found within a hundred, though all of them are one run."""
    random = np.random.default_rng(2)
    stream = LabelStream()
    for label in random.choice(20, 6_000, p=zipf(20)).tolist():
        assert not stream.update(label)
    assert any(stream.update(5) for _ in range(100))


def test_a_mix_of_one_label_is_finite() -> None:
    """Nothing but cats."""
    mix, chance = Mix.of({"cat": 300.0}), np.ones(1)
    assert np.isfinite(Beside([(mix, {"cat": 50.0}, 0.0)]).views(np.array([300.0]))).all()
    assert Beside([(mix, {"cat": 50.0}, 0.0)]).effects(chance)[0] < 0.01
    assert Beside([(mix, {"dog": 25.0, "cat": 25.0}, 0.0)]).effects(chance)[0] > 1
