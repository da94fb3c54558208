"""`metric` and `rate`: what they find, what they leave alone, and what they can be told."""

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from detectors.base import Learner, Stage
from detectors.finding import Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, Series
from detectors.statistical.metric import Metric
from detectors.statistical.rate import Rate
from detectors.statistical.unusual import Unusual
from detectors.stats.series import Floats

MINUTE_MS = 60_000
T0_MS = 1_700_006_400_000
KEY: Key = (("host", "a"),)
HOST = ("host",)
PROMISE = "1 per 1d"
LEARNED = 600


def metric(**changes: object) -> Metric:
    return Metric(**({"group_by": HOST, "field": "duration_ms", "false_alarms": PROMISE} | changes))


def rate(**changes: object) -> Rate:
    return Rate(**({"group_by": HOST, "false_alarms": PROMISE} | changes))


def tell(
    kind: Unusual,
    values: Sequence[float | None] | Floats,
    *,
    memory: Mapping[Key, Memory] | None = None,
    first: int = 0,
    step: int = 100,
) -> tuple[list[Finding], Mapping[Key, Memory]]:
    """The findings, frame after frame; None is a bucket without events. Memory goes through JSON in between."""
    known: Mapping[Key, Memory] = memory or {}
    findings: list[Finding] = []
    name = kind.query().measures[0].name
    for begin in range(0, len(values), step):
        part = values[begin : begin + step]
        starts = [T0_MS + (first + begin + place) * kind.bucket for place in range(len(part))]
        shown = [(at, value) for at, value in zip(starts, part, strict=True) if value is not None]
        series = Series(KEY, tuple(at for at, _ in shown), {name: tuple(value for _, value in shown)})
        frame = Frame(Interval(starts[0], starts[-1] + kind.bucket), starts[0], kind.bucket, (series,) if shown else ())
        detection = kind.detect(frame, known)
        findings.extend(detection.findings)
        known = {key: json.loads(json.dumps(value)) for key, value in detection.memory.items()}
    return findings, known


def told(kind: Unusual, values: Sequence[float | None]) -> list[Finding]:
    return tell(kind, values)[0]


def bucket(finding: Finding, *, since: bool = False) -> int:
    """The number of the bucket that was judged, or in which it began."""
    return ((finding.since_ms if since else finding.at_ms - MINUTE_MS) - T0_MS) // MINUTE_MS


def usual(count: int = LEARNED, *, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(100.0, 5.0, count)


def traffic(count: int = LEARNED, *, seed: int = 1, mean: float = 40.0) -> list[float | None]:
    return [float(number) or None for number in np.random.default_rng(seed).poisson(mean, count)]


def test_a_step_is_found_at_once_with_its_beginning_and_its_band() -> None:
    """Half as much again: told within three minutes, since the right minute, outside of the band it names."""
    values = [*usual(), *(usual(20, seed=2) + 50.0)]
    findings = told(metric(), values)
    first = findings[0]
    assert LEARNED <= bucket(first) <= LEARNED + 2
    assert abs(bucket(first, since=True) - LEARNED) <= 1
    assert first.reason is Reason.METRIC_UNUSUAL
    assert first.expected.high is not None
    assert first.observed > first.expected.high > 105
    assert first.unit == "ms"
    assert (first.details["field"], first.details["measure"]) == ("duration_ms", "avg")
    assert first.chance_days is not None
    assert first.chance_days >= 1.0
    assert first.details["way"] == "up"
    assert len(findings) >= 17


@pytest.mark.parametrize("spike_at", [0, 12])
def test_the_bucket_that_is_furthest_out_has_the_highest_score(spike_at: int) -> None:
    """A message tells what was worst: the spike, whether the step comes after it or began before it."""
    changed = usual(40, seed=2) + 50.0
    changed[spike_at] = 400.0
    findings = told(metric(), [*usual(), *changed])
    assert bucket(max(findings, key=lambda one: one.score)) == LEARNED + spike_at
    assert len(findings) >= 30


def test_an_alarm_ends_when_the_values_are_back() -> None:
    """Twenty bad minutes, then calm: nothing is told after three calm minutes, and nothing about the way back."""
    values = [*usual(), *(usual(20, seed=2) + 50.0), *usual(200, seed=3)]
    findings = told(metric(), values)
    assert LEARNED + 15 <= bucket(findings[-1]) <= LEARNED + 23


@pytest.mark.parametrize(("direction", "change", "found"), [("up", -50, False), ("down", -50, True), ("up", 50, True)])
def test_only_the_asked_direction_is_told(direction: str, change: float, found: bool) -> None:
    """Up finds rises, down finds falls."""
    values = [*usual(), *(usual(20, seed=2) + change)]
    assert bool(told(metric(direction=direction), values)) is found


def test_smaller_changes_than_asked_for_are_left_alone() -> None:
    """The same step, with a least change above it, relative or in units."""
    values = [*usual(), *(usual(20, seed=2) + 50.0)]
    assert not told(metric(min_change=0.8), values)
    assert not told(metric(min_change_value=80), values)


def test_nothing_is_said_before_enough_was_seen() -> None:
    """A step after two hours where three are asked for."""
    assert not told(metric(), [*usual(120), *(usual(50, seed=2) + 100.0)])


def test_a_source_that_goes_silent_is_found_by_rate() -> None:
    """No events at all: zero is a count too, though no frame holds the series any more."""
    findings = told(rate(), [*traffic(), *[None] * 30])
    assert findings
    assert LEARNED <= bucket(findings[0]) <= LEARNED + 5
    assert abs(bucket(findings[0], since=True) - LEARNED) <= 1
    assert findings[0].reason is Reason.RATE_UNUSUAL
    assert findings[0].observed == pytest.approx(0, abs=1)
    assert min(finding.observed for finding in findings) == 0.0
    assert findings[0].expected.low is not None
    assert findings[0].expected.low > 5


def test_tripled_traffic_is_found_by_rate_with_its_evidence() -> None:
    """The additional events stand against those just before; for a fall it is the other way round."""
    findings = told(rate(), [*traffic(), *traffic(20, seed=2, mean=120.0)])
    assert findings
    assert findings[0].details["way"] == "up"
    assert findings[0].evidence.compare_with is not None
    assert findings[0].evidence.compare_with.end_ms == findings[0].evidence.interval.start_ms
    fall = told(rate(), [*traffic(), *traffic(20, seed=2, mean=4.0)])[0]
    assert fall.evidence.compare_with is not None
    assert fall.evidence.interval.end_ms == fall.evidence.compare_with.start_ms


def test_a_silent_series_is_forgotten_after_history() -> None:
    """A host that was taken away is told, and then not for ever."""
    _, memory = tell(rate(history="6h", min_history="3h"), [*traffic(300), *[None] * 400])
    assert memory == {}


def test_a_fall_by_more_than_everything_is_refused() -> None:
    """Such a rule could never speak."""
    with pytest.raises(ValidationError, match="less than 1"):
        rate(direction="down", min_change=1)
    assert rate(direction="up", min_change=5).min_change == 5


def test_rare_traffic_is_no_alarm() -> None:
    """One event in five minutes: most buckets are empty, and that is usual."""
    assert not told(rate(), traffic(1_500, mean=0.2))


def test_gaps_say_nothing_about_a_metric() -> None:
    """Hours without values, and every second value missing: no findings, and the step after it is found."""
    holes: list[float | None] = [value if place % 2 else None for place, value in enumerate(usual(1_200))]
    assert not told(metric(), [*holes, *[None] * 300, *usual(100, seed=3)])
    assert told(metric(), [*holes, *[None] * 300, *(usual(20, seed=3) + 100.0)])


def test_a_clock_that_jumps_is_survived() -> None:
    """A day ahead: judged as a gap. Back again: the memory is from the future, so it is a fresh start."""
    _, memory = tell(metric(), usual())
    ahead, later = tell(metric(), usual(100, seed=2), memory=memory, first=LEARNED + 1_440)
    assert not ahead
    back, after = tell(metric(), usual(100, seed=3), memory=later, first=LEARNED)
    assert not back
    assert metric().progress(after[KEY]).seen <= 100


@pytest.mark.parametrize("value", [0.0, 7.0, -1e300])
def test_constant_series_are_silent_until_they_change(value: float) -> None:
    """One value for ever is no news; another one is."""
    assert not told(metric(), [value] * 800)
    assert told(metric(), [*[value] * 800, *[value + 10.0 + abs(value)] * 20])


def test_a_series_of_one_value_is_fine() -> None:
    """A key that was seen once."""
    for kind in (metric(), rate()):
        findings, memory = tell(kind, [5.0])
        assert not findings
        assert kind.progress(memory[KEY]).seen <= 1


def test_values_that_are_no_numbers_are_gaps() -> None:
    """NaN and infinity among usual values teach nothing and are not judged."""
    values: list[float | None] = list(usual(800))
    values[100::7] = [math.nan] * len(values[100::7])
    values[103::31] = [math.inf] * len(values[103::31])
    assert not told(metric(), values)


def test_a_counter_that_starts_again_is_no_alarm_and_one_that_runs_away_is() -> None:
    """With increase the growth is judged: a reset is none, ten times the growth is."""
    grown = np.random.default_rng(4).poisson(50, 900).cumsum()
    grown[500:] -= grown[500]
    grown[700:] -= grown[700]
    counter = metric(field="requests", measure="increase")
    assert not told(counter, grown.astype(float).tolist())
    runaway = [*grown.astype(float), *(grown[-1] + 500.0 * np.arange(1, 20))]
    assert {finding.details["way"] for finding in told(counter, runaway)} == {"up"}


def test_a_counter_over_a_gap_is_spread_over_it() -> None:
    """Ten missing minutes are ten minutes' growth, not one minute's."""
    values: list[float | None] = np.random.default_rng(4).poisson(50, 800).cumsum().astype(float).tolist()
    values[500:510] = [None] * 10
    assert not told(metric(field="requests", measure="increase"), values)


@pytest.mark.parametrize("hours", [-1, 1])
def test_days_of_23_and_25_hours_are_followed_within_a_week(hours: int) -> None:
    """The daily rhythm comes an hour early or late from one day on: after a week nothing is told of it."""
    quarter_hours = np.arange(28 * 96)
    local = quarter_hours + np.where(quarter_hours >= 14 * 96, 4 * hours, 0)
    wave = 100 + 40 * np.sin(local / 96 * 2 * np.pi) + np.random.default_rng(5).normal(0, 3, len(local))
    kind = metric(bucket="15m", min_history="2d", adapt_after="3d", false_alarms="1 per 30d")
    findings = told(kind, wave.tolist())
    assert all((finding.at_ms - T0_MS) / kind.bucket < 21 * 96 for finding in findings)


def test_a_change_that_lasts_becomes_the_new_usual() -> None:
    """After `adapt_after` the alarm ends, the new level is learned, and a change from it is told."""
    kind = metric(adapt_after="3h")
    values = [*usual(), *(usual(900, seed=2) + 50.0)]
    findings, memory = tell(kind, values)
    assert bucket(findings[-1]) <= LEARNED + 181
    assert tell(kind, usual(20, seed=3), memory=memory, first=len(values))[0]


def test_an_alarm_teaches_nothing_while_it_lasts() -> None:
    """The band named at the end of an hour of alarm is that of its beginning."""
    findings = told(metric(), [*usual(), *(usual(60, seed=2) + 50.0)])
    assert len(findings) > 50
    assert findings[0].details["usual"] == pytest.approx(findings[-1].details["usual"])


def test_it_warms_up_until_something_could_be_told() -> None:
    """Ten hours of 5-minute buckets say too little about one in 30 days; a day is enough, and then it is told."""
    kind = metric(bucket="5m", min_history="6h", false_alarms="1 per 30d")
    wild = usual(12, seed=9) * 8.0
    for learned, stage, found in ((125, Stage.WARMING_UP, False), (288, Stage.JUDGING, True)):
        _, memory = tell(kind, usual(learned), step=learned)
        progress = kind.progress(memory[KEY])
        assert progress.stage is stage
        assert (progress.seen < progress.needed) is not found
        assert bool(tell(kind, wild, memory=memory, first=learned)[0]) is found


def test_what_it_can_be_told() -> None:
    """Progress through the stages; accept ends an alarm; rebase starts a new baseline and keeps what chance does."""
    kind = metric()
    assert isinstance(kind, Learner)
    assert kind.progress({}).stage is Stage.WARMING_UP
    _, early = tell(kind, usual(60))
    assert (kind.progress(early[KEY]).seen, kind.progress(early[KEY]).needed) == (60, 180)
    _, calm = tell(kind, usual())
    assert kind.progress(calm[KEY]).stage is Stage.JUDGING
    assert kind.accept(calm[KEY]) == calm[KEY]
    _, alarmed = tell(kind, [*usual(), *(usual(20, seed=2) + 50.0)])
    assert kind.progress(alarmed[KEY]).stage is Stage.ALARMED
    accepted, rebased = kind.accept(alarmed[KEY]), kind.rebase(calm[KEY], T0_MS + LEARNED * MINUTE_MS)
    assert (accepted["tail"], rebased["tail"]) == (alarmed[KEY]["tail"], calm[KEY]["tail"])
    for changed in (accepted, rebased):
        assert kind.progress(changed).stage is Stage.WARMING_UP
        assert not tell(kind, usual(100, seed=4) + 50.0, memory={KEY: changed}, first=LEARNED + 20)[0]
    assert kind.accept({"version": 9}) == {"version": 9}
    assert kind.rebase({"version": 9}, 0) == {"version": 9}


def test_memory_is_small() -> None:
    """A day of minutes: a tenth of what is allowed."""
    _, memory = tell(rate(), traffic(1_440))
    assert len(json.dumps(memory[KEY])) < 12_000


@pytest.mark.parametrize(
    "wrong",
    [{"min_history": "5m"}, {"history": "2h"}, {"adapt_after": "1h"}, {"direction": "sideways"}, {"min_change": -1}],
)
def test_impossible_parameters_are_refused(wrong: dict[str, object]) -> None:
    """Each with a message, before anything runs."""
    with pytest.raises(ValidationError):
        metric(**wrong)
