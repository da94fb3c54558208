"""`ratio`, `threshold` and `absence` on stories."""

import pytest
from pydantic import ValidationError

from detectors.condition import equals
from detectors.finding import Reason
from detectors.matching.absence import Absence
from detectors.matching.ratio import Ratio
from detectors.matching.threshold import Threshold
from tests.detectors.story import Story, seconds

ERROR = equals("event_type", "input_error")


def spread(start_s: float, end_s: float, count: int) -> list[float]:
    return [start_s + (end_s - start_s) * number / count for number in range(count)]


def test_a_high_share_is_found_when_its_bucket_has_closed() -> None:
    """A tenth of the pictures fails for two minutes; ten seconds are given to late events."""
    story = Story(Ratio(bad=ERROR, above=0.05))
    story.happens(spread(0, 600, 600), "input_success")
    story.happens(spread(300, 420, 60), "input_error")
    found = story.looks_every(5, 900)
    assert seconds(found[0]) == (60, 360)
    assert found[0].reason is Reason.RATIO_TOO_HIGH
    assert found[0].observed == pytest.approx(30 / 330)
    assert found[0].score == pytest.approx(30 / 330 / 0.05)
    assert (story.evidence(found[0]), story.evidence(found[0], baseline=True)) == (30, 300)


@pytest.mark.parametrize(
    ("good", "bad", "found"), [(95, 5, False), (94, 6, True), (10, 9, False), (10, 10, True), (0, 20, True)]
)
def test_the_bound_is_not_part_of_it_and_few_events_say_nothing(good: int, bad: int, found: bool) -> None:
    """More than above, with at least twenty events in the window."""
    story = Story(Ratio(bad=ERROR, above=0.05, window="1m"))
    story.happens(spread(0, 60, good), "input_success")
    story.happens(spread(0, 60, bad), "input_error")
    assert bool(story.looks_every(5, 90)) is found


@pytest.mark.parametrize(
    ("good", "bad", "found"),
    [(37, 3, False), (3, 3, False), (1, 4, True), (14, 6, True), (54, 6, True), (57, 3, False)],
)
def test_fewer_events_speak_early_where_chance_would_hardly_ever_give_as_many(
    good: int, bad: int, *, found: bool
) -> None:
    """Three of forty are a twentieth by chance, four of five are not; from sixty on the share alone counts."""
    story = Story(Ratio(bad=ERROR, above=0.05, window="1m", at_least_events=60, early_chance=0.0005))
    story.happens(spread(0, 60, good), "input_success")
    story.happens(spread(0, 60, bad), "input_error")
    assert bool(story.looks_every(5, 90)) is found


@pytest.mark.parametrize(("good", "found"), [(0, True), (9, False)])
def test_a_share_that_is_too_low_speaks_early_too(good: int, *, found: bool) -> None:
    """Of twelve pictures nine tenths should be read: none is news, nine may be chance."""
    story = Story(
        Ratio(bad=equals("event_type", "input_success"), below=0.9, window="1m", at_least_events=60, early_chance=0.001)
    )
    story.happens(spread(0, 60, good), "input_success")
    story.happens(spread(0, 60, 12 - good), "input_error")
    assert bool(story.looks(75)) is found


def test_where_none_is_allowed_one_speaks_early() -> None:
    """A bound of 0: chance gives none."""
    story = Story(Ratio(bad=ERROR, above=0.0, window="1m", at_least_events=60, early_chance=0.001))
    story.happens((1, 2), "input_success")
    story.happens(3, "input_error")
    assert story.looks(75)


def test_a_low_share_is_shown_by_what_is_missing_from_it() -> None:
    """`below`: the events that speak for it are those that don't match."""
    story = Story(Ratio(bad=equals("event_type", "input_success"), below=0.9, window="1m"))
    story.happens(spread(0, 60, 40), "input_success")
    story.happens(spread(0, 60, 10), "input_error")
    (found,) = story.looks(75)
    assert (found.reason, found.observed, found.expected.low) == (Reason.RATIO_TOO_LOW, 0.8, 0.9)
    assert story.evidence(found) == 10


def test_late_failures_count_in_every_window_that_reaches_them() -> None:
    """They come two minutes late; the next windows know of them."""
    story = Story(Ratio(bad=ERROR, above=0.2, at_least_events=20))
    story.happens(spread(0, 300, 40), "input_success")
    assert story.looks_every(5, 190) == []
    story.happens(spread(60, 70, 30), "input_error")
    assert [seconds(one)[1] for one in story.looks_every(5, 480)] == [240, 300, 360]


@pytest.mark.parametrize(
    ("parameters", "values", "observed"),
    [
        ({"measure": "avg", "above": 100, "at_least_events": 3}, [100, 100, 130], 110.0),
        ({"measure": "avg", "above": 100}, [200] * 19, None),
        ({"measure": "max", "above": 100}, [1, 2, 101], 101.0),
        ({"measure": "max", "above": 100}, [1, 2, 100], None),
        ({"measure": "min", "below": 5}, [4, 50, 60], 4.0),
        ({"measure": "sum", "above": 100}, [50, 51], 101.0),
        ({"measure": "percentile", "percent": 50, "above": 10}, [9] * 9 + [20] * 11, 20.0),
        ({"measure": "cardinality", "above": 2}, [1, 1, 2, 3], 3.0),
        ({"measure": "cardinality", "above": 2}, [1, 1, 2, 2], None),
    ],
)
def test_each_measure(parameters: dict[str, object], values: list[float], observed: float | None) -> None:
    """Over one window of a minute."""
    story = Story(Threshold(field="duration_ms", window="1m", **parameters))
    for number, value in enumerate(values):
        story.happens(number, "inference_complete", duration_ms=float(value))
    found = story.looks(75)
    assert [one.observed for one in found] == ([] if observed is None else [observed])
    assert all(one.unit == ("values" if "cardinality" in parameters.values() else "ms") for one in found)


def test_an_average_is_that_of_all_events_not_of_minutes() -> None:
    """A busy slow minute weighs more than four quiet fast ones."""
    story = Story(Threshold(measure="avg", field="duration_ms", above=80, window="5m"))
    story.happens((10, 70, 130, 190), "inference_complete", duration_ms=10.0)
    story.happens(spread(240, 300, 96), "inference_complete", duration_ms=100.0)
    (found,) = story.looks_every(5, 310)
    assert found.observed == pytest.approx((4 * 10 + 96 * 100) / 100)
    assert (story.evidence(found), story.evidence(found, baseline=True)) == (96, 4)


def test_too_few_of_anything_is_noticed_even_when_nothing_comes_at_all() -> None:
    """A count of zero is a count where nothing is grouped."""
    story = Story(Threshold(measure="count", below=5, window="1m"))
    story.happens(spread(0, 60, 5), "input_start")
    assert [one.observed for one in story.looks_every(5, 200)] == [0, 0]


def test_a_source_that_falls_silent_is_found_and_ends_when_it_is_back() -> None:
    """Ten minutes after its last minute; another host talks on."""
    story = Story(Absence(group_by=("host",)))
    story.happens(range(0, 300, 10), "input_start", host="a")
    story.happens(range(0, 3_000, 30), "input_start", host="b")
    story.happens(1_500, "input_start", host="a")
    found = story.looks_every(5, 1_700)
    assert {one.key for one in found} == {(("host", "a"),)}
    assert (seconds(found[0]), seconds(found[-1])) == ((300, 900), (300, 1_500))
    assert found[0].observed == 600_000


def test_when_everything_is_silent_every_source_is_named() -> None:
    """One finding a key and step, though the answer holds no series."""
    story = Story(Absence(group_by=("host",), silent_for="2m"))
    for host in "abc":
        story.happens(range(0, 60, 10), "input_start", host=host)
    found = story.looks_every(5, 275)
    assert sorted({one.key[0][1] or "" for one in found}) == ["a", "b", "c"]


def test_a_source_is_only_missed_once_it_was_seen() -> None:
    """New hosts are not reported for the time before they existed, nor events without a host."""
    story = Story(Absence(group_by=("host",), silent_for="2m"))
    story.happens(range(900, 2_000, 30), "input_start", host="new")
    story.happens(range(0, 100, 30), "input_start", host=None)
    assert story.looks(1_900) == ()


def test_an_expected_source_is_missed_though_never_seen() -> None:
    """From the first evaluation on, on an empty store too; it is never forgotten."""
    story = Story(Absence(group_by=("host",), silent_for="2m", expect=[{"host": "gpu-9"}], forget_after="10m"))
    found = story.looks_every(5, 1_500)
    assert found[0].key == (("host", "gpu-9"),)
    assert found[0].details["last_seen_ms"] is None
    assert 120 <= seconds(found[0])[1] <= 180
    assert seconds(found[-1])[1] > 1_400


def test_a_source_silent_for_very_long_is_forgotten() -> None:
    """A host that was taken out of service does not fire for ever."""
    story = Story(Absence(group_by=("host",), silent_for="2m", forget_after="10m"))
    story.happens(1, "input_start")
    found = story.looks_every(5, 2_000)
    assert seconds(found[-1])[1] < 12 + 600
    assert story.state.memory == {}


def test_events_that_come_late_end_the_silence() -> None:
    """The shipper was behind by eight minutes: no alarm, because the lookback sees them."""
    story = Story(Absence(group_by=("host",)))
    story.happens(range(0, 120, 10), "input_start")
    story.looks_every(5, 600)
    story.happens(range(120, 600, 10), "input_start")
    assert story.looks_every(5, 1_190) == []
    assert story.looks_every(5, 1_300)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ratio(bad=ERROR), "write 'above' or 'below'"),
        (lambda: Ratio(bad=ERROR, above=5), "'above' is a share from 0 to 1, not 5: write 0.05 for five percent"),
        (lambda: Ratio(bad=ERROR, above=0.1, below=0.2), "every value would be reported"),
        (lambda: Ratio.model_validate({"above": 0.1}), "Field required"),
        (lambda: Threshold(measure="avg", above=1), "'avg' of what\\? write 'field'"),
        (lambda: Threshold(measure="percentile", field="duration_ms", above=1), "which percentile\\?"),
        (lambda: Threshold(measure="max", field="duration_ms", percent=9, above=1), "'percent' belongs to measure"),
        (lambda: Threshold(measure="max", field="duration_ms", above=1, window="0"), "a span of 0ms is impossible"),
        (lambda: Threshold(measure="max", field="duration_ms", above=float("nan")), "finite"),
        (lambda: Absence(expect=[{"host": "a"}]), "exactly the fields of group_by \\(nothing\\)"),
        (lambda: Absence(silent_for="1h", forget_after="1h"), "'forget_after' must be longer"),
        (lambda: Absence.model_validate({"silent": "1h"}), "Extra inputs"),
        (lambda: Ratio(bad="reason: x", above=0.1), "not a condition: write KQL"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_with_a_way_out(make: object, message: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValidationError, match=message):
        make()  # type: ignore[operator]
