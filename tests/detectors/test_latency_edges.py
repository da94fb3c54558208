"""`latency` where data are missing, odd or out of order, and what it can be told."""

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from detectors.base import Learner, Stage
from detectors.finding import Finding, Memory
from detectors.frame import Bins, Frame, Interval, Key, Series
from detectors.statistical.latency import Latency
from tests.detectors.noise import MINUTE_MS, T0_MS, Floats, durations, latency_series

KEY: Key = (("host", "a"), ("model_name", "digits"))
DAY = 1_440


def told(detector: Latency, minutes: Sequence[Floats], *, step: int = 60, first: int = 0) -> list[Finding]:
    return tell(detector, {}, minutes, step=step, first=first)[0]


def tell(
    detector: Latency, memory: Mapping[Key, Memory], minutes: Sequence[Floats], *, step: int = 60, first: int = 0
) -> tuple[list[Finding], Mapping[Key, Memory]]:
    """The findings, frame after frame; memory is written and read as JSON in between."""
    series = latency_series("a", list(minutes))
    series = dataclasses.replace(series, bucket_start_ms=tuple(t + first * MINUTE_MS for t in series.bucket_start_ms))
    findings: list[Finding] = []
    for start in range(0, len(minutes), step):
        begin, end = (T0_MS + (first + minute) * MINUTE_MS for minute in (start, min(start + step, len(minutes))))
        detection = detector.detect(cut(series, begin, end), memory)
        findings.extend(detection.findings)
        memory = {key: json.loads(json.dumps(value)) for key, value in detection.memory.items()}
    return findings, memory


def cut(series: Series, start_ms: int, end_ms: int) -> Frame:
    shown = [place for place, at_ms in enumerate(series.bucket_start_ms) if start_ms <= at_ms < end_ms]
    part = Series(
        series.key,
        tuple(series.bucket_start_ms[place] for place in shown),
        {name: tuple(values[place] for place in shown) for name, values in series.values.items()},
    )
    return Frame(Interval(start_ms, end_ms), start_ms, MINUTE_MS, (part,) if shown else ())


def usual(minutes: int, *, per_minute: float = 40, seed: int = 1, factor: float = 1.0) -> list[Floats]:
    random = np.random.default_rng(seed)
    return [values * factor for values in durations(random, per_minute=per_minute, minutes=minutes)]


def minute(finding: Finding) -> float:
    return (finding.at_ms - T0_MS) / MINUTE_MS


NONE: Floats = np.array([])


def test_gaps_and_zero_traffic_are_no_slowdown() -> None:
    """Holes of minutes and a silence of hours, and the level afterwards is as before."""
    random = np.random.default_rng(2)
    minutes = [values if random.random() < 0.6 else NONE for values in usual(600)]
    minutes[300:480] = [NONE] * 180
    assert told(Latency(), minutes) == []


def test_a_slowdown_right_after_a_silence_is_found() -> None:
    """What is usual is still known after three hours."""
    found = told(Latency(), [*usual(300), *([NONE] * 180), *usual(10, seed=2, factor=3)])
    assert 480 < minute(found[0]) <= 483


def test_after_a_silence_longer_than_the_history_it_learns_anew() -> None:
    """Nothing is said about another level a week later."""
    detector = Latency()
    _, memory = tell(detector, {}, usual(300))
    found, _ = tell(detector, memory, usual(60, factor=5), first=7 * DAY)
    assert found == []


def test_a_clock_that_jumps_ahead_or_back_is_survived() -> None:
    """Ahead by two hours: as a gap. Back: what was judged is not judged again, and nothing raises."""
    detector = Latency()
    found, memory = tell(detector, {}, usual(200))
    assert found == []
    ahead, memory = tell(detector, memory, usual(60, seed=3), first=320)
    assert ahead == []
    back, _ = tell(detector, memory, usual(60, seed=4, factor=5), first=100)
    assert back == []


def test_a_bucket_dated_before_the_newest_is_not_judged() -> None:
    """One frame holds buckets that were judged under another watermark."""
    detector = Latency()
    _, memory = tell(detector, {}, usual(200))
    late = latency_series("a", usual(200, factor=9))
    again = detector.detect(cut(late, T0_MS, T0_MS + 200 * MINUTE_MS), memory)
    assert again.findings == ()


@pytest.mark.parametrize("value", [0.2, 7.0, 120.0, 60_000.0, 1e7])
def test_a_constant_series_is_silent_and_its_change_is_found(value: float) -> None:
    """One single value for five hours, also below the first and above the last edge."""
    detector = Latency()
    calm = [np.full(30, value)] * 300
    assert told(detector, calm) == []
    if value < 10_000:
        found = told(detector, [*calm, *([np.full(30, 4 * value + 30)] * 5)])
        assert 300 < minute(found[0]) <= 303


def test_durations_below_the_first_and_above_the_last_edge_count_as_these() -> None:
    """A service of half a millisecond that hangs for minutes."""
    minutes = [np.full(30, 0.5)] * 200 + [np.full(30, 3e6)] * 5
    found = told(Latency(), minutes)
    assert found[0].observed == pytest.approx(60_000, rel=0.01)
    assert found[0].details["usual"] == pytest.approx(1.0, rel=0.06)


def test_one_request_a_minute_is_silent() -> None:
    """A series that says so little is learned without a word."""
    assert told(Latency(), usual(2 * DAY, per_minute=1)) == []


def test_five_requests_never_raise_an_alarm() -> None:
    """However slow they are: five in an hour without others, three times a night."""
    minutes = usual(400)
    for _ in range(3):
        minutes += [NONE] * 50 + [np.full(1, 50_000.0)] * 5 + [NONE] * 50
    assert told(Latency(), minutes) == []


def test_nothing_is_said_before_min_history() -> None:
    """A cold start into chaos: level and traffic change all the time."""
    random = np.random.default_rng(4)
    minutes = [random.lognormal(random.uniform(2, 8), 1, 60) for _ in range(60)]
    assert told(Latency(), minutes) == []


def test_values_that_are_no_histogram_teach_nothing() -> None:
    """Missing, NaN, a number, an empty histogram: as if the bucket were empty."""
    detector = Latency()
    series = latency_series("a", usual(120))
    values = list(series.values["values"])
    values[30], values[60], values[90], values[100] = None, float("nan"), 5.0, Bins()
    frame = Frame(
        Interval(T0_MS, T0_MS + 120 * MINUTE_MS),
        T0_MS,
        MINUTE_MS,
        (dataclasses.replace(series, values={"values": tuple(values)}),),
    )
    detection = detector.detect(frame, {})
    assert detection.findings == ()
    assert detector.progress(detection.memory[KEY]).stage is Stage.JUDGING


@pytest.mark.slow
@pytest.mark.parametrize("hours", [23, 25])
def test_a_day_of_23_or_25_hours_is_no_slowdown(hours: int) -> None:
    """The clocks change after eight days with a strong daily rhythm, which then comes an hour earlier or later."""
    random = np.random.default_rng(6)
    shift = np.zeros(12 * DAY)
    shift[8 * DAY :] = (24 - hours) * 60
    time = 2 * np.pi * (np.arange(12 * DAY) + shift) / DAY
    minutes = [random.lognormal(4 + 0.2 * np.sin(one), 0.3, 60) if n % 5 == 0 else NONE for n, one in enumerate(time)]
    assert told(Latency(), minutes, step=DAY) == []


def alarmed(detector: Latency) -> Mapping[Key, Memory]:
    """Ten minutes into a slowdown."""
    found, memory = tell(detector, {}, [*usual(300), *usual(10, seed=2, factor=3)])
    assert found
    assert detector.progress(memory[KEY]).stage is Stage.ALARMED
    return memory


def test_progress_says_how_far_it_is() -> None:
    """From nothing to judging; the promise in days."""
    detector = Latency(false_alarms="2 per 30d")
    assert isinstance(detector, Learner)
    _, memory = tell(detector, {}, usual(30))
    progress = detector.progress(memory[KEY])
    assert (progress.stage, progress.seen, progress.needed, progress.unit) == (Stage.WARMING_UP, 30, 60, "buckets")
    assert progress.promised_days == 15
    _, memory = tell(detector, memory, usual(60, seed=2), first=30)
    assert detector.progress(memory[KEY]).stage is Stage.JUDGING
    assert detector.progress({"version": 9}).seen == 0


def test_accepting_an_alarm_makes_it_usual() -> None:
    """It ends at once, the new level is quiet, and a further slowdown is found."""
    detector = Latency()
    memory = {KEY: detector.accept(alarmed(detector)[KEY])}
    assert detector.progress(memory[KEY]).stage is Stage.JUDGING
    found, memory = tell(detector, memory, usual(200, seed=3, factor=3), first=310)
    assert found == []
    found, _ = tell(detector, memory, usual(5, seed=4, factor=9), first=510)
    assert found


def test_accepting_where_nothing_is_wrong_changes_nothing() -> None:
    """Also of a memory that can't be read."""
    detector = Latency()
    _, memory = tell(detector, {}, usual(100))
    assert detector.accept(memory[KEY]) == memory[KEY]
    assert detector.accept({"version": 7}) == {"version": 7}


def test_a_planned_change_starts_a_new_baseline() -> None:
    """It warms up again, is silent about the new level, and keeps the noise it has learned."""
    detector = Latency()
    _, memory = tell(detector, {}, usual(300))
    rebased = {KEY: detector.rebase(memory[KEY], T0_MS + 300 * MINUTE_MS)}
    assert detector.progress(rebased[KEY]).stage is Stage.WARMING_UP
    found, later = tell(detector, rebased, usual(100, seed=3, factor=3), first=300)
    assert found == []
    assert detector.progress(later[KEY]).stage is Stage.JUDGING
    assert detector.rebase({"version": 7}, T0_MS) == {"version": 7}


def test_a_memory_is_small_and_a_bad_checksum_is_a_fresh_start() -> None:
    """Less than 12 KB; one changed digit is noticed."""
    detector = Latency()
    _, memory = tell(detector, {}, usual(300))
    assert len(json.dumps(memory[KEY])) < 12_000
    numbers = str(memory[KEY]["numbers"])
    damaged = {**memory[KEY], "numbers": ("B" if numbers[0] == "A" else "A") + numbers[1:]}
    assert detector.progress(damaged).seen == 0
    found, _ = tell(detector, {KEY: damaged}, usual(30, factor=9), first=300)
    assert found == []


def test_a_finding_says_how_unusual_it_is() -> None:
    """Chance would give it less often than promised, and one that is slower still is more unusual."""
    chances = []
    for factor in (1.7, 4.0):
        (first, *_) = told(Latency(), [*usual(400, per_minute=8), *usual(8, per_minute=8, seed=2, factor=factor)])
        assert first.chance_days is not None
        assert first.chance_days >= 30
        assert first.score >= 1
        assert first.details["slower"] == "all"
        assert first.details["requests"] >= 6
        chances.append(first.chance_days)
    assert chances[1] > chances[0]


def test_a_slow_minority_is_told_as_such() -> None:
    """A sixth of the requests hangs; most are as quick as ever."""
    random = np.random.default_rng(9)
    slow = [values * np.where(random.random(len(values)) < 0.16, 10, 1) for values in usual(10, seed=2)]
    found = told(Latency(), [*usual(400), *slow])
    assert found[0].details["slower"] == "tail"
    assert found[0].details["percent"] > 90
    assert found[0].observed > 2 * found[0].details["usual"]
