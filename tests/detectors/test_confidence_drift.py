"""`confidence_drift`: finds the drop within minutes, stays silent on noise of any law."""

import numpy as np
import pytest

from detectors.finding import Finding, Reason
from detectors.frame import Series
from detectors.parameters import Direction
from detectors.statistical.confidence_drift import ConfidenceDrift
from tests.detectors.noise import MINUTE_MS, T0_MS, Change, Floats, frame, score_series, scores
from tests.detectors.story import Story

CHANGE = 200


def minute(at_ms: int) -> float:
    return (at_ms - T0_MS) / MINUTE_MS


def findings(detector: ConfidenceDrift, minutes: int, *series: Series) -> tuple[Finding, ...]:
    return detector.detect(frame(minutes, *series), {}).findings


def times(factor: float, until: int = 10**9) -> Change:
    def change(number: int, values: Floats, random: np.random.Generator) -> Floats:
        return np.clip(values * factor, 0, 1) if CHANGE <= number < until else values

    return change


@pytest.mark.slow
@pytest.mark.parametrize(
    ("per_minute", "correlation", "waves", "most"),
    [(20, 0.0, 0.0, 1), (5, 0.7, 0.0, 1), (60, 0.7, 0.01, 1), (60, 0.0, 0.02, 3)],
)
def test_false_alarms_are_rare(per_minute: float, correlation: float, waves: float, most: int) -> None:
    """Five models, two days each; one a month is tolerated. Bursts of similar pictures, levels that wander."""
    random = np.random.default_rng(12)
    made = [
        score_series(
            str(number),
            scores(random, per_minute=per_minute, minutes=2 * 1_440, correlation=correlation, waves=waves),
        )
        for number in range(5)
    ]
    newest: dict[object, int] = {}
    alarms = 0
    for one in findings(ConfidenceDrift(), 2 * 1_440, *made):
        alarms += one.at_ms - newest.get(one.key, -(10**18)) > 10 * MINUTE_MS
        newest[one.key] = one.at_ms
    assert alarms <= most


@pytest.mark.parametrize(
    ("factor", "per_minute", "correlation", "worst_delay"),
    [(0.65, 60, 0.0, 3), (0.65, 10, 0.0, 6), (0.75, 60, 0.7, 4), (0.9, 60, 0.0, 4)],
)
def test_drops_are_found_within_minutes(
    factor: float, per_minute: float, correlation: float, worst_delay: float
) -> None:
    """In each of ten series; minutes count from the change to the end of the bucket that shows it."""
    random = np.random.default_rng(3)
    minutes = CHANGE + 20
    made = [
        score_series(
            str(number),
            scores(random, per_minute=per_minute, minutes=minutes, correlation=correlation, change=times(factor)),
        )
        for number in range(10)
    ]
    found = findings(ConfidenceDrift(), minutes, *made)
    first = {one.key: minute(one.at_ms) - CHANGE for one in reversed(found)}
    assert len(first) == 10
    assert min(first.values()) > 0
    assert max(first.values()) <= worst_delay


def test_a_drop_soon_after_the_first_hour_is_found_too() -> None:
    """After an hour of history four minutes are evidence of a month."""
    random = np.random.default_rng(9)

    def change(number: int, values: Floats, random: np.random.Generator) -> Floats:
        return values * 0.63 if number >= 65 else values

    series = score_series("a", scores(random, per_minute=60, minutes=80, change=change))
    assert minute(findings(ConfidenceDrift(), 80, series)[0].at_ms) <= 69


def test_a_finding_says_since_when_how_far_and_what_is_usual() -> None:
    """From .94 to .61 for half an hour; it ends when the scores are back."""
    random = np.random.default_rng(3)
    series = score_series("a", scores(random, per_minute=60, minutes=300, change=times(0.65, CHANGE + 30)))
    found = findings(ConfidenceDrift(), 300, series)
    first, last = found[0], found[-1]
    assert first.reason is Reason.CONFIDENCE_DRIFT
    assert {minute(one.since_ms) for one in found} == {CHANGE}
    assert first.unit == "score"
    assert first.expected.low is not None
    assert first.observed < first.expected.low < first.details["usual"]
    assert first.details["change"] == pytest.approx(-0.35, abs=0.03)
    assert CHANGE + 30 <= minute(last.at_ms) <= CHANGE + 33


def test_either_direction_can_be_asked_for() -> None:
    """A rise is a drift too, for those who ask."""
    random = np.random.default_rng(5)
    lower = [values * 0.8 for values in scores(random, per_minute=60, minutes=CHANGE)]
    series = score_series("a", lower + scores(random, per_minute=60, minutes=20))
    found = {
        direction: [
            (one.expected.high is not None) for one in findings(ConfidenceDrift(direction=direction), 220, series)
        ]
        for direction in Direction
    }
    assert found[Direction.DOWN] == []
    assert all(found[Direction.UP])
    assert found[Direction.BOTH]
    assert all(found[Direction.BOTH])


def test_a_drift_that_lasts_becomes_usual() -> None:
    """After `adapt_after` it is no longer told, and a further drop is."""
    random = np.random.default_rng(5)

    def change(number: int, values: Floats, random: np.random.Generator) -> Floats:
        return values * (1 if number < CHANGE else 0.7 if number < CHANGE + 200 else 0.4)

    series = score_series("a", scores(random, per_minute=60, minutes=CHANGE + 220, change=change))
    told = [minute(one.at_ms) - CHANGE for one in findings(ConfidenceDrift(adapt_after="90m"), CHANGE + 220, series)]
    assert [time for time in told if 5 < time < 88] == list(range(6, 88))
    assert not [time for time in told if 92 < time <= 200]
    assert min(time for time in told if time > 200) <= 204


def test_drifts_that_do_not_matter_are_not_told() -> None:
    """Two percent, though every minute shows it."""
    random = np.random.default_rng(5)
    series = score_series("a", scores(random, per_minute=600, minutes=300, change=times(0.98)))
    assert findings(ConfidenceDrift(), 300, series) == ()
    assert findings(ConfidenceDrift(min_change=0.01), 300, series)


def test_few_scores_are_taken_together() -> None:
    """Two a minute: blocks of five minutes, and still found."""
    random = np.random.default_rng(5)

    def change(number: int, values: Floats, random: np.random.Generator) -> Floats:
        return values * 0.6 if number >= 600 else values

    series = score_series("a", scores(random, per_minute=2, minutes=660, change=change))
    found = findings(ConfidenceDrift(), 660, series)
    assert found
    assert 600 < minute(found[0].at_ms) <= 640


def test_a_quiet_series_is_told_every_minute_while_its_blocks_fill() -> None:
    """Two a minute: an alert must not end and begin anew between two blocks, and it ends with the drift."""
    random = np.random.default_rng(5)

    def change(number: int, values: Floats, random: np.random.Generator) -> Floats:
        return values * 0.6 if 600 <= number < 700 else values

    series = score_series("a", scores(random, per_minute=2, minutes=760, change=change))
    detector = ConfidenceDrift()
    told = [minute(one.at_ms) for one in findings(detector, 760, series)]
    sent = [minute(start_ms) + 1 for start_ms in series.bucket_start_ms]
    assert 600 < told[0] <= 640
    assert 700 <= told[-1] <= 720
    assert told == [end for end in sent if told[0] <= end <= told[-1]]


def test_what_has_been_learned_is_counted_in_blocks() -> None:
    """Two scores a minute for 200 minutes are forty blocks of ten, not 200 buckets."""
    quiet = score_series("b", scores(np.random.default_rng(5), per_minute=2, minutes=200))
    learned = ConfidenceDrift().progress(ConfidenceDrift().detect(frame(200, quiet), {}).memory[quiet.key])
    assert 30 <= learned.seen <= 40 < learned.needed
    assert learned.unit == "blocks"


def test_the_scale_of_the_score_does_not_matter() -> None:
    """Percent instead of probabilities: the same times."""
    random = np.random.default_rng(6)
    made = scores(random, per_minute=30, minutes=300, change=times(0.8))
    found = findings(ConfidenceDrift(), 300, score_series("a", made))
    in_percent = findings(ConfidenceDrift(), 300, score_series("a", [values * 100 for values in made]))
    assert [one.at_ms for one in found] == [one.at_ms for one in in_percent] != []


def test_short_buckets_for_a_demonstration() -> None:
    """Buckets of five seconds over a real store: a minute to learn, found within three quarters of a minute."""
    story = Story(ConfidenceDrift(bucket="5s", min_history="1m"))
    random = np.random.default_rng(1)
    for number in range(800):
        level = 0.6 if number >= 600 else 0.95
        score = float(np.clip(random.normal(level, 0.03), 0, 1))
        story.happens(number / 5, "inference_complete", top1_score=score)
    found = story.looks_every(5, 170)
    assert found[0].key == (("model_name", "digits"),)
    assert 120 < (found[0].at_ms - T0_MS) / 1_000 <= 165
