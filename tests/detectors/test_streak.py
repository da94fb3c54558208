"""`streak` on stories of failures and successes."""

import pytest

from detectors.matching.streak import Streak
from tests.detectors.story import Story, seconds

BAD, GOOD = "input_error", "input_success"


def fails(story: Story, *at_s: float, reason: str = "file_missing", **fields: object) -> None:
    story.happens(at_s, BAD, reason=reason, **fields)


def test_three_equal_failures_in_a_row_are_found_at_the_next_look() -> None:
    """The reason, the length and the beginning are told; the proof is there."""
    story = Story(Streak())
    fails(story, 1, 2, 3)
    (found,) = story.looks(5)
    assert seconds(found) == (1, 5)
    assert (found.observed, found.score, found.details["value"]) == (3, 1, "file_missing")
    assert story.evidence(found) == 3


@pytest.mark.parametrize(
    ("what", "events"),
    [
        ("two only", [(1, "a"), (2, "a")]),
        ("a success in between", [(1, "a"), (2, "a"), (3, None), (4, "a")]),
        ("another failure in between", [(1, "a"), (2, "a"), (3, "b"), (4, "a")]),
        ("too far apart", [(1, "a"), (2, "a"), (700, "a")]),
    ],
)
def test_what_is_no_streak(what: str, events: list[tuple[float, str | None]]) -> None:
    """A success or another failure resets, and the failures must lie close together."""
    story = Story(Streak())
    for at_s, reason in events:
        if reason is None:
            story.happens(at_s, GOOD)
        else:
            fails(story, at_s, reason=reason)
    assert story.looks_every(5, 800) == [], what


def test_it_keeps_being_found_until_a_success() -> None:
    """An open run is the newest state, however quiet it is."""
    story = Story(Streak())
    fails(story, 1, 2, 3)
    story.happens(302, GOOD)
    found = story.looks_every(5, 600)
    assert seconds(found[0]) == (1, 5)
    assert seconds(found[-1]) == (1, 300)
    assert {one.since_ms for one in found} == {found[0].since_ms}


def test_without_news_it_is_over_after_within() -> None:
    """A source that stopped for good does not fire for ever."""
    story = Story(Streak())
    fails(story, 1, 2, 3)
    assert seconds(story.looks_every(5, 1_500)[-1]) == (1, 600)


def test_a_run_between_two_looks_is_found_once() -> None:
    """It began and ended unseen, within one bucket and across two."""
    for times in ((10, 11, 12), (58, 59, 61)):
        story = Story(Streak())
        fails(story, *times)
        story.happens(times[-1] + 1, GOOD)
        found = [one for at_s in (120, 125, 130, 190, 250, 600) for one in story.looks(at_s)]
        assert [one.observed for one in found] == [3]


def test_a_long_outage_keeps_its_beginning() -> None:
    """An hour of failures: `since` stays the first one, though only the last ten minutes are read."""
    story = Story(Streak())
    fails(story, *range(0, 3_600, 20))
    found = story.looks_every(60, 3_600)
    assert {seconds(one)[0] for one in found} == {0}
    assert len(found) == 60


def test_keys_have_runs_of_their_own() -> None:
    """Two hosts that fail twice each are no streak; one that fails three times is."""
    story = Story(Streak(group_by=("host",)))
    fails(story, 1, 3, host="a")
    fails(story, 2, 4, host="b")
    assert story.looks(5) == ()
    fails(story, 6, host="b")
    assert [one.key for one in story.looks(10)] == [(("host", "b"),)]


def test_late_failures_complete_a_run_and_are_told_once() -> None:
    """The middle one comes eight minutes late, when the run has long been ended by a success."""
    story = Story(Streak())
    fails(story, 1, 3)
    story.happens(4, GOOD)
    assert story.looks_every(5, 480) == []
    fails(story, 2)
    found = story.looks_every(5, 1_500)
    assert [(one.observed, seconds(one)[0]) for one in found] == [(3, 1)]


def test_a_late_success_ends_a_run() -> None:
    """What was found stays found; the alert ends."""
    story = Story(Streak())
    fails(story, 1, 3, 5)
    assert len(story.looks_every(5, 20)) == 3
    story.happens(4, GOOD)
    assert story.looks_every(5, 60) == []


def test_two_runs_in_one_bucket_are_one_finding_that_names_both() -> None:
    """One alert per key: the newest run, and the other one beside it."""
    story = Story(Streak())
    fails(story, 1, 2, 3, reason="file_missing")
    fails(story, 4, 5, 6, 7, reason="image_truncated")
    (found,) = story.looks(10)
    assert found.details["value"] == "image_truncated"
    assert found.details["also"] == ["file_missing"]


def test_another_field_may_repeat() -> None:
    """Numbers as outcomes: the evidence finds the events again."""
    story = Story(Streak(where=Streak().where, same="http_status", times=2))
    story.happens((1, 2), BAD, http_status=503)
    (found,) = story.looks(5)
    assert found.details["value"] == "503"
    assert story.evidence(found) == 2


def test_a_catch_up_gives_the_same_as_looking_all_the_time() -> None:
    """After an outage of the daemon one look covers it all."""
    live, later = Story(Streak(group_by=("host",))), Story(Streak(group_by=("host",)))
    for story in (live, later):
        for host in "ab":
            fails(story, *range(50, 900, 45), host=host)
            story.happens((400, 1_200), GOOD, host=host)
    seen = live.looks_every(60, 1_800)
    assert list(later.looks(1_800)) == seen
    assert len({one.key for one in seen}) == 2


def test_memory_of_very_many_runs_is_bounded() -> None:
    """Three thousand short runs in ten minutes: the oldest are remembered together, none is told twice."""
    story = Story(Streak(times=2))
    for number in range(3_000):
        fails(story, number / 5, number / 5 + 0.05)
        story.happens(number / 5 + 0.1, GOOD)
    story.looks(600)
    assert len(story.state.memory[()]["told"]) <= 1_000
    assert story.looks(605) == ()
