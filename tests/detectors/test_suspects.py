"""Which values the bad events share."""

import pytest

from daemon.store.base import Ask, Sample
from detectors.condition import Always, Compare, Op, all_of, equals
from detectors.finding import Finding
from detectors.frame import Interval
from detectors.keys import key_condition, value_condition
from detectors.matching.count import Count
from detectors.matching.streak import Streak
from detectors.suspects import (
    Tally,
    pair_query,
    pair_tallies,
    pairs,
    rank,
    suspect_fields,
    suspect_interval,
    suspect_query,
    tally,
    usual_weight,
)
from tests.detectors.story import T0_MS, Story

Counts = dict[str, dict[str | None, Tally]]

FIELDS = ("host", "file_dir", "top1_label", "dtype", "channels")


def suspects_of(story: Story, finding: Finding) -> list[tuple[str, str, int, int]]:
    """Ask the store what the daemon would ask, and rank."""
    fields = suspect_fields(finding, FIELDS)
    asks = [Ask(suspect_query(finding, name), suspect_interval(finding), 0) for name in (None, *fields)]
    total, *answers = (tally(frame) for frame in story.store.ask(asks))
    counts = dict(zip(fields, answers, strict=True))
    wanted = pairs(total[None], counts)
    (both,) = story.store.ask([Ask(pair_query(finding, wanted), suspect_interval(finding), 0)]) if wanted else (None,)
    ranked = rank(total[None], counts, pair_tallies(both, wanted) if both is not None else {})
    return [
        (one.field if one.also is None else f"{one.field}+{one.also[0]}", one.value, one.bad, one.base)
        for one in ranked
    ]


def a_story(detector: object) -> Story:
    """Forty failures, 36 of them under /upload and grey; two hundred successes all over the place."""
    story = Story(detector)  # type: ignore[arg-type]
    for number in range(200):
        story.happens(number / 2, "input_success", file_dir=f"/d{number % 10}", channels=3, host=f"h{number % 4}")
    for number in range(40):
        folder, channels = ("/upload", 1) if number % 10 else (f"/d{number % 3}", 3)
        story.happens(
            number * 2 + 0.1, "input_error", reason="image_corrupt", file_dir=folder, channels=channels,
            host=f"h{number % 4}",
        )  # fmt: skip
    return story


def test_the_folder_that_the_failures_share_is_named() -> None:
    """36 of 40, none of the 200; the grey ones are the same events, the hosts tell nothing."""
    story = a_story(Count(where=equals("event_type", "input_error"), at_least=10))
    found = story.looks(100)[-1]
    assert suspects_of(story, found) == [("channels", "1", 36, 0)]


def test_an_hour_of_others_is_compared_where_the_window_holds_few() -> None:
    """Four slow pictures on one host of five, and two others in that minute: the hour before tells how usual it is."""
    slow = all_of(equals("event_type", "preprocess_complete"), Compare("duration_ms", Op.GT, 50))
    story = Story(Count(where=slow, at_least=4, within="1m"))
    for number in range(100):
        story.happens(number * 36, "preprocess_complete", duration_ms=20.0, host=f"h{number % 5}")
    for number in range(6):
        duration_ms = 20.0 if number % 3 == 2 else 80.0
        host = "h4" if duration_ms > 50 else "h1"
        story.happens(3_650 + number, "preprocess_complete", duration_ms=duration_ms, host=host)
    found = story.looks(3_660)[-1]
    assert suspects_of(story, found) == [("host", "h4", 4, 20)]


def test_a_field_of_the_key_or_of_the_condition_says_nothing_new() -> None:
    """Grouped by folder, the folder is no suspect; nor is the reason that makes a streak."""
    story = a_story(Count(where=equals("event_type", "input_error"), at_least=10, group_by=("file_dir",)))
    found = story.looks(100)[-1]
    assert found.key == (("file_dir", "/upload"),)
    assert "file_dir" not in suspect_fields(found, FIELDS)
    streak = Story(Streak())
    streak.happens((1, 2, 3), "input_error", reason="file_missing")
    assert suspect_fields(streak.looks(5)[0], ("reason", "host")) == ("host",)


def test_before_and_after_can_be_compared() -> None:
    """Without other events the baseline is the time before: what is new in the mix is named."""
    story = Story(Count(at_least=150, within="1m"))
    for number in range(100):
        story.happens(number * 2, "inference_complete", top1_label=f"label {number % 5}", host=f"h{number % 2}")
    for number in range(200):
        label = "dog" if number % 2 else f"label {number % 10 // 2}"
        story.happens(200 + number / 4, "inference_complete", top1_label=label, host=f"h{number % 4 // 2}")
    found = story.looks_every(5, 250)[-1]
    assert found.evidence.bad == Always()
    assert [one[:2] for one in suspects_of(story, found)] == [("top1_label", "dog")]


@pytest.mark.parametrize(
    ("why", "total", "counts"),
    [
        ("as common as elsewhere", Tally(100, 1_000), Tally(50, 500)),
        ("too few of the bad ones", Tally(100, 1_000), Tally(19, 0)),
        ("hardly more common", Tally(10_000, 100_000), Tally(4_000, 30_000)),
        ("could be chance", Tally(4, 20), Tally(3, 8)),
        ("nothing bad", Tally(0, 20), Tally(0, 8)),
        ("nothing to compare with", Tally(20, 0), Tally(20, 0)),
    ],
)
def test_what_is_no_suspect(why: str, total: Tally, counts: Tally) -> None:
    """Common, significant and frequent enough, or nothing."""
    assert rank(total, {"host": {"h": counts}}) == (), why


def test_significance_is_corrected_for_how_many_values_were_compared() -> None:
    """One value of one is convincing; the same among five hundred others that might have been it is not."""
    lucky, total = Tally(9, 4), Tally(20, 40)
    others: dict[str | None, Tally] = {f"d{number}": Tally(4, 9) for number in range(500)}
    assert len(rank(total, {"file_dir": {"d": lucky}})) == 1
    assert rank(total, {"file_dir": {**others, "d": lucky}}) == ()


def test_values_too_rare_to_be_suspects_cost_nothing() -> None:
    """A long tail of labels that came once each does not hide the folder."""
    tail: dict[str | None, Tally] = {f"label {number}": Tally(number % 2, 1 - number % 2) for number in range(500)}
    (only,) = rank(Tally(20, 40), {"top1_label": tail, "file_dir": {"d": Tally(9, 4)}})
    assert only.value == "d"


def test_a_value_that_half_of_all_events_have_can_be_the_cause() -> None:
    """Its lift is at most two."""
    (only,) = rank(Tally(100, 1_000), {"model_name": {"m": Tally(72, 500)}})
    assert only.lift < 1.5


def test_of_an_answer_and_a_source_about_equal_the_source_comes_first() -> None:
    counts: Counts = {"top1_label": {"zero": Tally(24, 22)}, "file_dir": {"/partner": Tally(26, 27)}}
    assert rank(Tally(31, 61), counts)[0].field == "file_dir"


def test_three_at_most_the_clearest_first_and_missing_values_never() -> None:
    """Ordered by how much more common they are."""
    counts = {f"v{number}": Tally(900 - 100 * number, 10 * number) for number in range(5)}
    ranked = rank(Tally(1_000, 1_000), {f"f{number}": {f"v{number}": counts[f"v{number}"]} for number in range(5)})
    assert [one.value for one in ranked] == ["v0", "v1", "v2"]
    assert rank(Tally(1_000, 1_000), {"host": {None: Tally(900, 0)}}) == ()


def test_a_key_is_found_again_whatever_its_values_were() -> None:
    """Numbers and booleans are text in a key; a missing value is a condition of its own."""
    story = Story(Count(at_least=1))
    story.happens((1, 2), "business_output", http_status=503, low_confidence_filtered=True, scale_ratio=0.5)
    story.happens(3, "business_output", http_status=200, host=None)
    for key, expected in (
        ((("http_status", "503"),), 2),
        ((("low_confidence_filtered", "true"), ("scale_ratio", "0.5")), 2),
        ((("host", None),), 1),
        ((("host", "gpu-1"), ("http_status", "200")), 0),
        ((), 3),
    ):
        (events,) = story.store.sample([Sample(key_condition(key), Interval(T0_MS, T0_MS + 10_000), limit=10)])
        assert len(events) == expected, key
    assert value_condition("host", "x" * 10) == equals("host", "x" * 10)


def test_two_values_that_only_together_are_bad_are_told_as_one() -> None:
    """Grey pictures are fine elsewhere and colour is fine on gpu-2: it is grey pictures on gpu-2 that fail."""
    story = Story(Count(where=equals("event_type", "input_error"), at_least=10))
    for number in range(400):
        host, channels = f"gpu-{number % 4}", 1 if number // 4 % 3 == 0 else 3
        bad = host == "gpu-2" and channels == 1 and number % 8 == 2
        story.happens(number / 5, "input_error" if bad else "input_success", host=host, channels=channels)
    found = story.looks(100)[-1]
    (suspect,) = suspects_of(story, found)
    assert suspect[0] in {"channels+host", "host+channels"}


def test_what_is_as_bad_on_every_day_explains_nothing() -> None:
    """The large model is always among the slow ones; what came in addition came on one host."""
    counts: Counts = {
        "model_name": {"large": Tally(55, 834, usual=150)},
        "host": {"h2": Tally(49, 667, usual=35), "h1": Tally(7, 700, usual=40)},
    }
    total = Tally(76, 2_917, usual=150)
    assert [one.value for one in rank(total, counts)] == ["large", "h2"]
    assert [one.value for one in rank(total, counts, weight=1 / 6)] == ["h2", "large"]
    assert [one.value for one in rank(total, counts, weight=1.0)] == ["large", "h2"]  # hardly more than usual


def test_usual_ones_are_counted_before_the_window_and_weighed_by_its_length() -> None:
    """One slow picture every ten minutes of the hour before, four in the minute that is judged."""
    slow = all_of(equals("event_type", "preprocess_complete"), Compare("duration_ms", Op.GT, 50))
    story = Story(Count(where=slow, at_least=4, within="1m"))
    for number in range(100):
        story.happens(number * 36, "preprocess_complete", duration_ms=80.0 if number % 20 == 0 else 20.0, host="h1")
    story.happens(range(3_640, 3_644), "preprocess_complete", duration_ms=80.0, host="h4")
    found = story.looks(3_660)[-1]
    (frame,) = story.store.ask([Ask(suspect_query(found, "host"), suspect_interval(found), 0)])
    assert tally(frame) == {"h1": Tally(0, 94, usual=4), "h4": Tally(4, 0)}
    assert usual_weight(found) == pytest.approx(found.evidence.interval.length_ms / 3_600_000, rel=0.02)


def test_an_answer_is_no_part_of_a_pair() -> None:
    """All black pictures of one folder get one label: the folder is the cause, the label is what came of it."""
    counts: Counts = {"file_dir": {"/gate": Tally(61, 55)}, "top1_label": {"part_39": Tally(61, 1)}}
    assert pairs(Tally(79, 816), counts) == ()
    assert [one.field for one in rank(Tally(79, 816), counts)] == ["file_dir", "top1_label"]


def test_a_pair_that_adds_nothing_is_not_told() -> None:
    """All failures are on one host and most pictures are colour: the host alone says it."""
    singles: Counts = {"host": {"h": Tally(95, 100)}, "channels": {"3": Tally(90, 800)}}
    wanted = pairs(Tally(100, 1_000), singles)
    assert wanted == ((("host", "h"), ("channels", "3")),)
    (only,) = rank(Tally(100, 1_000), singles, {wanted[0]: Tally(86, 80)})
    assert (only.field, only.also) == ("host", None)


def test_a_pair_must_be_beyond_chance() -> None:
    """Four failures of two hosts' five are no ground for a story about two fields."""
    singles: Counts = {"host": {"h": Tally(5, 4)}, "channels": {"1": Tally(5, 4)}}
    (pair,) = pairs(Tally(5, 200), singles)
    assert all(one.also is None for one in rank(Tally(5, 200), singles, {pair: Tally(5, 2)}))


def test_few_pairs_are_asked_for() -> None:
    """The clearest two values of the clearest four fields, whatever there is."""
    counts: Counts = {f"f{number}": {f"v{value}": Tally(30, 10 + number) for value in range(5)} for number in range(9)}
    wanted = pairs(Tally(100, 1_000), counts)
    assert len(wanted) == 24
    assert {field for pair in wanted for field, _ in pair} == {"f0", "f1", "f2", "f3"}
    assert pairs(Tally(100, 1_000), {"host": {None: Tally(90, 1), "h": Tally(50, 900)}}) == ()
    assert pairs(Tally(0, 0), counts) == ()
