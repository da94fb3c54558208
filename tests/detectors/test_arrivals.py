"""Which values came with a change."""

from daemon.store.base import Ask
from detectors.arrivals import arrival_fields, arrival_interval, arrival_query, arrival_totals_query, arrivals
from detectors.duration import HOUR_MS
from detectors.finding import Evidence, Expected, Finding, Reason
from detectors.frame import Interval, Key
from detectors.matching.count import Count
from detectors.suspects import Arrival, Suspect, Tally, rank
from tests.detectors.story import T0_MS, Story
from tests.support.findings import low_scores

FIELDS = ("host", "file_dir", "channel_conversion", "reason", "top1_label")


def fallen(key: Key, since_s: float, at_s: float) -> Finding:
    """Low scores between two seconds of the story."""
    return low_scores(key, T0_MS + round(since_s * 1_000), T0_MS + round(at_s * 1_000))


def new_in(story: Story, finding: Finding) -> tuple[Suspect, ...]:
    """What the daemon would be told that it asked for the arrivals alone."""
    fields = arrival_fields(finding, FIELDS)
    queries = [arrival_totals_query(finding, fields), *(arrival_query(finding, field) for field in fields)]
    interval = arrival_interval(finding)
    totals, *answers = story.store.ask([Ask(query, interval, interval.start_ms) for query in queries])
    return rank(Tally(0, 0), {}, arrived=arrivals(totals, dict(zip(fields, answers, strict=True))))


def a_release(*, from_s: float) -> Story:
    """Three pictures a minute for two hours in two folders; from ``from_s`` on channels are no longer turned round."""
    story = Story(Count(at_least=1))
    for number, second in enumerate(range(0, 7_200, 20)):
        source = {"file_dir": f"/d{number % 2}", "host": f"h{number % 3}"}
        turned, score = ("bgr_to_rgb", 0.9) if second < from_s else ("none", 0.3)
        story.happens(second, "preprocess_complete", channel_conversion=turned, **source)
        story.happens(second + 0.1, "inference_complete", top1_score=score, **source)
    return story


def test_what_came_with_the_change_is_named_though_it_stands_in_other_events() -> None:
    """All scores of the folder are low, so nothing tells bad from good: the conversion is what is new."""
    finding = fallen((("file_dir", "/d0"),), 6_000, 7_200)
    (only,) = new_in(a_release(from_s=6_000), finding)
    assert (only.field, only.value, only.arrived) == ("channel_conversion", "none", True)
    assert (only.bad, only.bad_total, only.base, only.base_total) == (30, 30, 0, 90)


def test_what_was_there_before_did_not_come_with_the_change() -> None:
    """The conversion changed an hour earlier."""
    assert new_in(a_release(from_s=4_000), fallen((), 6_000, 7_200)) == ()


def test_a_field_that_few_events_have_says_little() -> None:
    """Five errors of a reason that was never met, beside sixty pictures that were read."""
    story = a_release(from_s=9_999)
    for second in range(7_000, 7_005):
        story.happens(second, "input_error", reason="file_missing", file_dir="/d0", host="h0")
    assert new_in(story, fallen((), 6_000, 7_200)) == ()


def test_an_hour_before_the_change_is_looked_at_or_as_long_as_it_lasts() -> None:
    """What did not come for a minute is not new."""
    at_ms = T0_MS + 10_000_000
    assert arrival_interval(fallen((), 9_940, 10_000)) == Interval(at_ms - 60_000 - HOUR_MS, at_ms)
    assert arrival_interval(fallen((), 2_000, 10_000)) == Interval(at_ms - 16_000_000, at_ms)


def test_a_finding_without_bad_events_or_without_duration_is_not_asked_about() -> None:
    """A host that is silent has sent nothing since."""
    assert arrival_fields(fallen((), 100, 100), FIELDS) == ()
    silent = Finding(
        key=(),
        at_ms=T0_MS,
        since_ms=T0_MS - 1,
        reason=Reason.SOURCE_SILENT,
        observed=1.0,
        expected=Expected(),
        unit="",
        score=1.0,
        evidence=Evidence(Interval(T0_MS - 1_000, T0_MS)),
    )
    assert arrival_fields(silent, FIELDS) == ()


def test_no_events_at_all_are_no_arrival() -> None:
    """The store was emptied in between."""
    assert new_in(Story(Count(at_least=1)), fallen((), 100, 200)) == ()


def test_the_folder_comes_before_what_is_new_in_it() -> None:
    """All pictures of one folder are suddenly small: who, then what; something new of its own comes by its share."""
    folder: dict[str, dict[str | None, Tally]] = {"file_dir": {"/north": Tally(27, 163)}}
    north = Arrival(Tally(970, 1_000), Tally(2_440, 2_555))
    small = Arrival(Tally(190, 0), Tally(488, 511))
    turned = Arrival(Tally(480, 0), Tally(488, 511))
    ranked = rank(Tally(42, 446), folder, arrived={("shape", "32"): small, ("file_dir", "/north"): north})
    assert [one.value for one in ranked] == ["/north", "32"]
    ranked = rank(
        Tally(42, 446), folder, arrived={("channel_conversion", "none"): turned, ("file_dir", "/north"): north}
    )
    assert [one.value for one in ranked] == ["none", "/north"]


def test_a_value_that_is_both_suspect_and_new_is_told_once() -> None:
    """A folder that never was there before, and whose pictures are the bad ones."""
    ranked = rank(
        Tally(50, 400),
        {"file_dir": {"/new": Tally(45, 5)}},
        arrived={("file_dir", "/new"): Arrival(Tally(50, 0), Tally(450, 3_000))},
    )
    assert [(one.value, one.arrived) for one in ranked] == [("/new", False)]


def test_what_is_new_must_be_frequent_and_far_more_common_than_before() -> None:
    """A rare one, one that came now and then, and one of which too little is known."""
    total = Tally(500, 3_000)
    arrived = {
        ("file_dir", "/rare"): Arrival(Tally(40, 0), total),
        ("file_dir", "/seldom"): Arrival(Tally(100, 60), total),
        ("file_dir", "/few"): Arrival(Tally(2, 0), Tally(3, 30)),
        ("file_dir", "/never"): Arrival(Tally(3, 0), Tally(3, 0)),
    }
    assert rank(Tally(0, 0), {}, arrived=arrived) == ()
    ranked = rank(Tally(0, 0), {}, arrived={**arrived, ("file_dir", "/new"): Arrival(Tally(60, 0), total)})
    assert [one.value for one in ranked] == ["/new"]
