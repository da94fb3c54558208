"""The scenario suite's judge, on cases made by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.scenarios.elastalert import flatline, frequency, percentage_match, spike_count, spike_mean
from benchmarks.scenarios.journal import Entry, Journal, Past, Played, Terms
from benchmarks.scenarios.judge import GRACE_MS, Alarm, by_kind, judge, rank_of, summary
from benchmarks.scenarios.table import table
from benchmarks.scenarios.truth import Onset, Truth, Wanted

START, END = 1_000_000, 4_600_000
MINUTE = 60_000


def truth(**changes: Any) -> Truth:
    """Host a is slow."""
    given: dict[str, Any] = {
        "kind": "slow",
        "start_ms": START,
        "end_ms": END,
        "wanted": Wanted.YES,
        "onset": Onset.ABRUPT,
        "causes": (("host", "a"), ("device", "cpu")),
        "touched": {"host": frozenset({"a"}), "device": frozenset({"cpu"})},
        "changed": frozenset({"duration_ms", "device"}),
    }
    return Truth(**given | changes)


def alarm(known_ms: int, *suspects: tuple[str, str], rule: str = "r", **key: str) -> Alarm:
    alone = tuple((suspect,) for suspect in suspects)
    return Alarm(rule=rule, key=key, known_ms=known_ms, suspects=alone, about=frozenset({"duration_ms"}))


def test_the_first_right_alarm_gives_delay_and_rank() -> None:
    """Later and wrong ones do not count for either."""
    verdict = judge(
        [
            alarm(START + 5 * MINUTE, ("host", "a")),
            alarm(START + 2 * MINUTE, ("file_dir", "/x"), ("device", "cpu")),
            alarm(START - 1, ("host", "a")),
        ],
        truth(),
    )
    assert verdict.delay_ms == 2 * MINUTE
    assert verdict.rank == 2
    assert len(verdict.right) == 2
    assert len(verdict.wrong) == 1


@pytest.mark.parametrize(
    ("known_ms", "right"),
    [(START - 1, False), (START, True), (END, True), (END + GRACE_MS - 1, True), (END + GRACE_MS, False)],
)
def test_an_alarm_is_right_from_the_start_to_shortly_after_the_end(known_ms: int, right: bool) -> None:
    """Half open, with the grace that windows need."""
    assert bool(judge([alarm(known_ms)], truth()).right) is right


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ({"host": "a"}, True),
        ({"host": "b"}, False),
        ({"model_name": "m"}, True),
        ({"host": "a", "device": "cuda"}, False),
    ],
)
def test_an_alarm_about_something_else_is_wrong(key: dict[str, str], right: bool) -> None:
    """A key may not name another value of what was touched; what the truth says nothing about may be anything."""
    assert bool(judge([alarm(START, **key)], truth()).right) is right


def test_an_alarm_about_what_did_not_change_is_wrong() -> None:
    """A chance alarm of a rule on scores does not catch a slow host."""
    chance = Alarm(rule="r", key={"host": "a"}, known_ms=START, about=frozenset({"top1_score"}))
    assert not judge([chance], truth()).right


def test_a_key_that_names_the_cause_needs_no_suspect() -> None:
    """An alert of the very host is as good as a first suspect."""
    assert judge([alarm(START, ("file_dir", "/x"), host="a")], truth()).rank == 1


def test_nobody_wanted_to_be_told() -> None:
    """Every alarm about a change that is none of anybody's business is wrong, and nothing can be missed."""
    verdict = judge([alarm(START)], truth(wanted=Wanted.NO, causes=(), touched={}))
    assert (verdict.right, len(verdict.wrong), verdict.delay_ms) == ((), 1, None)


def test_rank_is_the_place_of_the_first_cause() -> None:
    """None where no cause is named."""
    assert rank_of([(("a", "1"),), (("host", "a"),)], truth()) == 2
    assert rank_of([(("host", "b"),)], truth()) is None
    assert rank_of([], truth()) is None


def test_two_values_together_must_both_be_touched() -> None:
    """The host with a folder that has nothing to do with it is no cause."""
    wrong, right = (("host", "a"), ("file_dir", "/x")), (("host", "a"), ("device", "cpu"))
    assert rank_of([wrong], truth()) is None
    assert rank_of([wrong, right], truth()) == 2


def test_the_summary_adds_up() -> None:
    """Recall over the wanted, precision over all alarms, medians in minutes by onset."""
    verdicts = [
        judge([alarm(START + MINUTE, host="a"), alarm(START + 9 * MINUTE, host="a")], truth()),
        judge([alarm(START + 3 * MINUTE, rule="s"), alarm(START, host="b")], truth()),
        judge([], truth(kind="missed")),
        judge([alarm(START)], truth(kind="holiday", wanted=Wanted.NO)),
        judge([alarm(START + 30 * MINUTE, host="a")], truth(kind="leak", onset=Onset.GRADUAL)),
    ]
    total = summary(verdicts)
    assert total["scenarios"] == 5
    assert total["recall"] == 0.75
    assert total["precision"] == 0.6
    assert total["alarms"] == {"right": 3, "repeated": 1, "wrong": 2}
    assert total["median_delay_min"] == {"abrupt": 2.0, "gradual": 30.0}
    assert total["cause_first"] == pytest.approx(2 / 3, abs=1e-4)
    assert total["wrong_by_rule"] == {"r": 2}
    assert total["first_by_rule"] == {"r": 2, "s": 1}
    kinds = by_kind(verdicts)
    assert kinds["missed"]["recall"] == 0.0
    assert kinds["holiday"]["recall"] is None
    assert kinds["holiday"]["precision"] == 0.0


def test_the_table_has_a_row_for_every_kind() -> None:
    """What was caught, by how many alarms, after how long; a dash where nobody should be told."""
    ours = [
        judge([alarm(START + MINUTE, host="a"), alarm(START, host="b")], truth()),
        judge([], truth(kind="quiet_day", wanted=Wanted.NO)),
    ]
    theirs = [judge([], truth()), judge([alarm(START)], truth(kind="quiet_day", wanted=Wanted.NO))]
    assert table(ours, theirs).splitlines()[2:] == [
        "| slow | 1 of 1 | 1 / 1 | 1.0 | 1.00 | 0 of 1 | 0 / 0 |",
        "| quiet day | – | 0 / 0 | – | – | – | 0 / 1 |",
    ]


def test_a_journal_goes_on_where_it_was(tmp_path: Path) -> None:
    """What was kept is there again, equal in every field."""
    path, terms = tmp_path / "journal.jsonl", Terms("rules:\n", 8)
    kept: list[Entry] = [
        Past(3, ("slow-inference",)),
        Played(3, 1, judge([alarm(START + MINUTE, ("device", "cpu"), host="a")], truth()), judge([], truth())),
    ]
    journal = Journal(path, terms)
    for entry in kept:
        journal.add(entry)
    again = Journal(path, terms)
    assert again.entries == [terms, *kept]
    assert again.pasts[3].alarms == ("slow-inference",)
    assert again.played[3, 1, "slow"].ours.delay_ms == MINUTE


def test_a_journal_of_other_rules_is_refused(tmp_path: Path) -> None:
    """Figures of different rules are not mixed."""
    path = tmp_path / "journal.jsonl"
    Journal(path, Terms("rules: one\n", 8))
    with pytest.raises(SystemExit, match="other rules"):
        Journal(path, Terms("rules: two\n", 8))


def row(*values: float) -> Any:
    return np.array([values], dtype=float)


def test_rules_of_the_baseline_do_what_they_are_documented_to_do() -> None:
    """Windows slide by a minute, each named by its last one."""
    assert frequency(row(1, 1, 1, 0), 3, 3).tolist() == [[False, False, True, False]]
    assert flatline(row(0, 1, 0, 0), 1, 2).tolist() == [[False, False, False, True]]
    assert percentage_match(row(0, 1, 1), row(2, 2, 2), 40, 2, 3).tolist() == [[False, False, True]]
    assert spike_count(row(2, 2, 7, 1), 3, 1, 1).tolist() == [[False, False, True, True]]
    count = row(30, 30, 30)
    assert spike_mean(row(30, 30, 90), count, 3, 1, up=True).tolist() == [[False, False, True]]
    assert spike_mean(row(90, 90, 30), count, 3, 1, up=False).tolist() == [[False, False, True]]
    assert not spike_mean(row(30, 30, 90), count - 20, 3, 1, up=True).any()
