"""`latency`: silent on what is normal, quick on what is not."""

from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.condition import matches
from detectors.finding import Detection, Finding, Reason
from detectors.frame import Series
from detectors.statistical.latency import Latency
from tests.detectors.noise import MINUTE_MS, T0_MS, Change, Floats, durations, frame, latency_series
from tests.detectors.story import Story

CHANGE = 300


def minute(at_ms: int) -> float:
    return (at_ms - T0_MS) / MINUTE_MS


def judge(detector: Latency, minutes: int, *series: Series) -> Detection:
    return detector.detect(frame(minutes, *series), {})


def changed(per_minute: float, change: Change, series: int = 12, minutes: int = CHANGE + 60) -> list[list[Finding]]:
    """The findings about each of several series that change at minute 300."""
    random = np.random.default_rng(11)
    made = [
        latency_series(f"{number:02}", durations(random, per_minute=per_minute, minutes=minutes, change=change))
        for number in range(series)
    ]
    found = judge(Latency(), minutes, *made).findings
    return [[one for one in found if one.key == each.key and minute(one.at_ms) > CHANGE] for each in made]


def slower(factor: float, lasting: int, share: float = 1.0) -> Change:
    def change(number: int, values: Floats, random: np.random.Generator) -> Floats:
        if not CHANGE <= number < CHANGE + lasting:
            return values
        return values * np.where(random.random(len(values)) < share, factor, 1.0)

    return change


@pytest.mark.slow
@pytest.mark.parametrize("per_minute", [5, 60])
def test_false_alarms_are_rare_on_noise_that_wanders_with_the_day(per_minute: float) -> None:
    """Four series, three days each (1.7 series-weeks), cold start included."""
    random = np.random.default_rng(5)
    minutes = 3 * 1_440
    made = [
        latency_series(str(number), durations(random, per_minute=per_minute, minutes=minutes)) for number in range(4)
    ]
    assert episodes(judge(Latency(), minutes, *made).findings) <= 3


def episodes(findings: Sequence[Finding]) -> int:
    """Findings of a key within ten minutes are one alarm."""
    newest: dict[object, int] = {}
    count = 0
    for one in findings:
        count += one.at_ms - newest.get(one.key, -(10**18)) > 10 * MINUTE_MS
        newest[one.key] = one.at_ms
    return count


@pytest.mark.parametrize(
    ("per_minute", "change", "least_share", "median_delay"),
    [
        (60, slower(2, 5), 1.0, 2),
        (5, slower(2, 10), 0.9, 4),
        (60, slower(5, 10, share=0.15), 1.0, 3),
        (60, slower(1.6, 30), 0.9, 6),
    ],
    ids=["twice as slow", "twice as slow at 5 a minute", "a slow minority", "1.6 times as slow"],
)
def test_slowdowns_are_found_within_minutes(
    per_minute: float, change: Change, least_share: float, median_delay: float
) -> None:
    """In most series, and soon; minutes count from the change to the end of the bucket that shows it."""
    found = changed(per_minute, change)
    delays = [minute(one[0].at_ms) - CHANGE for one in found if one]
    assert len(delays) >= least_share * len(found)
    assert np.median(delays) <= median_delay


def test_a_finding_says_since_when_how_slow_and_what_is_usual() -> None:
    """Twice as slow from minute 300 to 330; it ends soon after that."""
    for found in changed(60, slower(2, 30)):
        first, last = found[0], found[-1]
        assert first.reason is Reason.LATENCY_SHIFT
        assert first.unit == "ms"
        assert abs(minute(last.since_ms) - CHANGE) <= 2
        assert len({one.since_ms for one in found}) == 1
        assert first.expected.high is not None
        assert first.details["usual"] < first.expected.high < first.observed
        assert CHANGE + 30 <= minute(last.at_ms) <= CHANGE + 38
        slow, quick = ({"event_type": "inference_complete", "duration_ms": value} for value in (1e4, 1.0))
        assert matches(first.evidence.bad, slow)
        assert not matches(first.evidence.bad, quick)
        assert matches(first.evidence.baseline, quick)


def test_a_slowdown_is_not_learned_until_it_has_lasted() -> None:
    """Found for as long as `adapt_after`; after that the new level is usual, and a further doubling is found."""

    def change(number: int, values: Floats, random: np.random.Generator) -> Floats:
        return values * (1 if number < CHANGE else 2 if number < CHANGE + 240 else 4)

    random = np.random.default_rng(2)
    series = latency_series("a", durations(random, per_minute=60, minutes=CHANGE + 260, change=change))
    found = judge(Latency(adapt_after="2h"), CHANGE + 260, series).findings
    times = [minute(one.at_ms) - CHANGE for one in found]
    assert [time for time in times if 5 < time < 115] == list(range(6, 115))
    assert not [time for time in times if 122 < time <= 240]
    assert min(time for time in times if time > 240) <= 243


def test_changes_that_do_not_matter_are_not_told() -> None:
    """Clearly significant, but 10 %; or 100 %, but of two milliseconds."""
    random = np.random.default_rng(4)

    def series(factor: float, size: float) -> Series:
        values = [random.lognormal(np.log(size), 0.1, 200) * (factor if m > 200 else 1) for m in range(260)]
        return latency_series("a", values)

    assert judge(Latency(), 260, series(1.1, 50)).findings == ()
    assert judge(Latency(), 260, series(2, 2)).findings == ()
    assert judge(Latency(min_change_value=1), 260, series(2, 2)).findings
    assert judge(Latency(min_change=0.05, min_change_value=1), 260, series(1.1, 50)).findings


def test_five_slow_requests_alone_are_no_slowdown() -> None:
    """A night of few requests after a busy day: fewer events are noisier, and known to be."""
    random = np.random.default_rng(8)
    busy = [random.lognormal(4, 0.5, 200) for _ in range(300)]
    night = [random.lognormal(4, 0.5, 3) for _ in range(400)]
    found = judge(Latency(), 700, latency_series("a", busy + night)).findings
    assert episodes(found) <= 1


def test_the_unit_of_the_field_does_not_matter() -> None:
    """Seconds instead of milliseconds: the same times, observed a thousandth."""
    random = np.random.default_rng(6)
    minutes = durations(random, per_minute=30, minutes=400, change=slower(2, 20))
    in_ms = judge(Latency(min_change_value=0), 400, latency_series("a", minutes)).findings
    seconds = Latency(min_change_value=0, shortest=0.001, longest=60)
    in_s = judge(seconds, 400, latency_series("a", [values / 1_000 for values in minutes], seconds.edges)).findings
    assert [one.at_ms for one in in_ms] == [one.at_ms for one in in_s] != []
    assert in_s[0].observed == pytest.approx(in_ms[0].observed / 1_000, rel=0.01)


def test_short_buckets_for_a_demonstration() -> None:
    """Buckets of five seconds over a real store: a minute to learn, found within fifteen seconds."""
    story = Story(Latency(bucket="5s", min_history="1m", group_by=()))
    random = np.random.default_rng(1)
    for number in range(300):
        slow = 4.0 if number >= 200 else 1.0
        story.happens(number / 2, "inference_complete", duration_ms=float(random.lognormal(3, 0.3)) * slow)
    found = story.looks_every(5, 165)
    assert 100 < (found[0].at_ms - T0_MS) / 1_000 <= 115


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"min_history": "5m"}, "'min_history' must be at least 10 buckets, 10m"),
        ({"history": "30m"}, "'history' must be at least as long as 'min_history'"),
        ({"history": "3d"}, "1,500 buckets at most, 1d1h; a longer 'bucket' allows more"),
        ({"adapt_after": "30m"}, "'adapt_after' must be at least as long as 'min_history'"),
        (
            {"bucket": "1h", "adapt_after": "2h"},
            "'min_history' must be at least 10 buckets, 10h; 'adapt_after' must be",
        ),
        ({"percent": 100}, "less than 100"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, object], message: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValidationError, match=message):
        Latency(**parameters)
