"""What the console says of a rule that learns."""

from pathlib import Path

import pytest

from daemon.app import CONTROL
from daemon.console import Console
from daemon.control import Control
from daemon.ledger.commit import Commit, RuleChange
from daemon.ledger.ledger import Ledger
from daemon.store.reference import ReferenceStore
from detectors.frame import Key
from rules.model import Config
from tests.support.console import verb
from tests.support.findings import rule
from tests.support.learner import Habit


@pytest.fixture
def console(tmp_path: Path) -> Console:
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    remembered: dict[Key, dict[str, object]] = {
        (("host", "a"),): {"usual": [1.0, 2.0, 3.0], "alarm": None},
        (("host", "b"),): {"usual": [1.0, 2.0, 3.0], "alarm": 9.0},
        (("host", None),): {"usual": [1.0], "alarm": None},
    }
    change = RuleChange(rule_id="habit", detector="habit:1", judged_until_ms=60_000, remembered=remembered)
    ledger.commit(Commit(now_ms=60_000, rules=(change,)))
    config = Config(rules=(rule(Habit(), "habit"),))
    return Console(config, ReferenceStore(), lambda: ledger, lambda: 90_000)


def test_every_series_says_how_far_it_is_and_what_it_promises(console: Console) -> None:
    """First what is alarmed, then what can't keep its promise yet."""
    series = console.explain("habit", 1)["series"]
    assert [(one["key"]["host"], one["stage"], one["seen"], one["needed"]) for one in series] == [
        ("b", "alarmed", 3, 3),
        (None, "warming_up", 1, 3),
        ("a", "judging", 3, 3),
    ]
    assert {(one["unit"], one["promised_days"]) for one in series} == {("buckets", 30.0)}


def test_explain_shows_them_in_a_table(console: Console, tmp_path: Path) -> None:
    control = Control(tmp_path / CONTROL, console.verbs())
    try:
        shown = verb("explain", "habit", "--state", tmp_path).stdout
    finally:
        control.close()
    assert "series         1 alarmed, 1 warming_up, 1 judging\n" in shown
    assert "host=(none)  warming_up  1 bucket   3       1 per 30 days at most\n" in shown
