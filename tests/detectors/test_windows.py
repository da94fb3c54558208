"""`count`, `unsafe_path` and `missing_step`: windows over buckets that may still grow."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.condition import equals
from detectors.matching.count import Count
from detectors.matching.missing_step import MissingStep
from detectors.matching.unsafe_path import UnsafePath
from tests.detectors.story import Story, seconds

ZERO_WIDTH = "/data/upload/cat\u200b.png"


def test_enough_events_within_the_window_are_found() -> None:
    """Five within five minutes, at the next look after the fifth."""
    story = Story(Count(at_least=5, within="5m", where=equals("event_type", "input_error")))
    story.happens((0, 70, 140, 210), "input_error")
    assert story.looks_every(5, 285) == []
    story.happens(287, "input_error")
    (found,) = story.looks(290)
    assert seconds(found) == (0, 290)
    assert (found.observed, found.score, found.expected.high) == (5, 1, 4)


def test_it_lasts_as_long_as_the_window_holds_enough() -> None:
    """The condition is the window's, not the single event's."""
    story = Story(Count(at_least=3, within="1m"))
    story.happens((1, 2, 3), "input_error")
    found = story.looks_every(5, 300)
    assert seconds(found[0])[1] == 5
    assert 60 <= seconds(found[-1])[1] <= 66


@given(st.lists(st.integers(0, 599_999), min_size=1, max_size=40), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_no_burst_within_the_window_is_missed(times_ms: list[int], at_least: int) -> None:
    """Found if so many lie within `within`, not found if a tenth more time would not hold them either."""
    story = Story(Count(at_least=at_least, within="100s"))
    story.happens([time_ms / 1_000 for time_ms in times_ms], "input_error")
    found = story.looks_every(20, 720)
    ordered = sorted(times_ms)
    spans = [late - early for early, late in zip(ordered, ordered[at_least - 1 :], strict=False)]
    if any(span <= 100_000 for span in spans):
        assert found
    if not any(span < 110_000 for span in spans):
        assert not found


@pytest.mark.parametrize("lag_s", [30, 200, 590])
def test_events_that_come_late_are_counted_with_their_time(lag_s: float) -> None:
    """Two were in time, the third comes late: the window that holds all three is found, once."""
    story = Story(Count(at_least=3, within="1m"))
    story.happens((100, 110), "input_error")
    story.looks_every(5, 105 + lag_s - 5)
    story.happens(105, "input_error")
    found = story.looks_every(5, 1_200)
    assert found
    assert all(seconds(one)[0] in {99, 102, 105} or seconds(one)[0] <= 105 for one in found)
    times = [one.at_ms for one in found]
    assert len(times) == len(set(times))
    assert max(seconds(one)[1] for one in found) <= 171


def test_a_late_event_that_changes_no_verdict_is_not_told() -> None:
    """What was found once is not found again because a fourth event turns up."""
    story = Story(Count(at_least=3, within="1m"))
    story.happens((100, 105, 110), "input_error")
    before = story.looks_every(5, 400)
    story.happens(107, "input_error")
    assert before
    assert story.looks_every(5, 1_000) == []


def test_a_late_event_of_its_own_is_told_though_its_window_touches_a_told_one() -> None:
    """The alert about the first picture is over when the second, five minutes younger, comes in very late."""
    story = Story(UnsafePath())
    story.happens(10, "input_start", file_path=ZERO_WIDTH, file_dir="/d")
    assert story.looks_every(5, 1_150)
    story.happens(310, "input_start", file_path=ZERO_WIDTH, file_dir="/d")
    late = story.looks_every(5, 1_160)
    assert late
    assert {seconds(one)[0] for one in late} == {300}
    assert min(seconds(one)[1] for one in late) == 630
    assert story.looks_every(5, 2_000) == []


def test_a_path_with_an_invisible_character_is_found_whatever_the_service_says() -> None:
    """By its characters, or by the recognizer's own verdict; a clean path is not."""
    for fields in ({"file_path": ZERO_WIDTH}, {"file_path": "a.png", "path_issues": ["path_homoglyph"]}):
        story = Story(UnsafePath())
        story.happens(1, "input_start", file_dir="/data/upload", **fields)
        story.happens((2, 3), "input_start", file_path="/data/ok/照片（1）.png", file_dir="/data/ok")
        (found,) = story.looks(5)
        assert found.key == (("file_dir", "/data/upload"),)
        assert (found.observed, found.unit) == (1, "pictures")
        assert (story.evidence(found), story.evidence(found, baseline=True)) == (1, 2)


def test_the_events_of_one_picture_are_one_picture() -> None:
    """Start and error count once, later stages not at all; a service without starts counts as well."""
    story = Story(UnsafePath())
    for stage in ("input_start", "input_error", "input_success", "preprocess_complete", "inference_complete"):
        story.happens((1, 2), stage, file_path=ZERO_WIDTH, file_dir="/d")
    story.happens((1, 2, 3), "input_error", file_path=ZERO_WIDTH, file_dir="/foreign")
    assert [one.observed for one in story.looks(5)] == [2, 3]


def test_an_unsafe_path_is_over_after_within() -> None:
    """It fires from the first look on, for as long as `within` says."""
    story = Story(UnsafePath(within="2m"))
    story.happens(1, "input_start", file_path=ZERO_WIDTH, file_dir="/d")
    found = story.looks_every(5, 600)
    assert (seconds(found[0]), seconds(found[-1])[1]) == ((0, 5), 120)


def test_a_request_without_an_end_is_found_after_its_timeout() -> None:
    """Ends of any kind count, under any key; only what never ended is told."""
    story = Story(MissingStep(group_by=("host",), timeout="2m"))
    for number, end in enumerate(("input_error", "inference_complete", "business_output")):
        story.happens(10 + number, "input_start", request_id=f"r{number}")
        story.happens(100, end, request_id=f"r{number}", host="gpu-2")
    story.happens(30, "input_start", request_id="lost")
    assert story.looks_every(5, 175) == []
    (found,) = story.looks_every(5, 600)
    assert (found.observed, found.unit, found.key) == (1, "requests", (("host", "gpu-1"),))
    assert seconds(found) == (0, 60)


def test_a_start_that_comes_late_is_not_lost() -> None:
    """Start and its minute were judged before the start came in; it is told once."""
    story = Story(MissingStep(timeout="1m"))
    story.looks_every(5, 400)
    story.happens(30, "input_start", request_id="late")
    assert [one.observed for one in story.looks_every(5, 1_500)] == [1]


def test_at_least_so_many_requests() -> None:
    """A single lost request may be normal."""
    story = Story(MissingStep(timeout="10s", window="20s", at_least=3))
    story.happens(1, "input_start", request_id="a")
    for number in range(3):
        story.happens(45, "input_start", request_id=f"b{number}")
    assert [seconds(one) for one in story.looks_every(5, 200)] == [(40, 60)]


@pytest.mark.parametrize("make", [lambda: Count(at_least=2, within="1m"), UnsafePath, MissingStep])
def test_a_catch_up_gives_the_same_as_looking_all_the_time(
    make: Callable[[], Count | UnsafePath | MissingStep],
) -> None:
    """One look over half an hour equals a look at every bucket's end."""
    live, later = Story(make()), Story(make())
    for story in (live, later):
        story.happens((5, 50, 700, 701, 1_000), "input_start", file_path=ZERO_WIDTH, request_id="r")
    step_s = live.rule.detector.query().bucket_ms / 1_000
    assert live.looks_every(step_s, 1_800) == list(later.looks(1_800)) != []
