"""Planned changes, alerts that were normal, dead letters: over restarts, once, and a clear line where it can't be."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.alerts.model import Cause, State
from daemon.baseline import LEEWAY_MS, SHORTLY_MS, Mark, preceding
from daemon.clock import ManualClock
from daemon.cycle import Cycle
from daemon.errors import BadRequest, DeliveryReason
from daemon.ledger.ledger import Ledger
from daemon.ledger.marks import Marks
from daemon.ledger.outbox import Outbox
from daemon.notify.announce import Announcer
from daemon.orders import Orders
from daemon.store.base import Batch
from daemon.store.reference import ReferenceStore
from detectors.matching.count import Count
from detectors.query import MINUTE_MS
from recognizer.events import Event
from rules.model import Config
from tests.support.findings import rule
from tests.support.learner import Habit
from tests.support.rules import config_of

HOUR = 60 * MINUTE_MS
BEGIN = 1_000 * HOUR
CHANNELS = "version: 1\nchannels: {ops: {kind: webhook, url: 'http://127.0.0.1:9/', allow_private: true}}\nrules: []\n"


class Bench:
    """One learning rule and one with a limit, told to ops; `restart` takes everything up from the ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.clock = folder, ReferenceStore(), ManualClock(BEGIN)
        self.ledger = Ledger.open(folder / "ledger.sqlite")
        rules = (rule(Habit(), "habit"), rule(Count(at_least=50, within="1m"), "limit"))
        self.config = Config(rules=rules, channels=config_of(CHANNELS).channels)
        self.restart()

    def restart(self) -> None:
        self.cycle = Cycle(self.config, self.store, self.ledger, Announcer(self.config, self.store), self.clock)
        self.orders = Orders(
            self.config, self.ledger, lambda: self.cycle, self.clock.now_ms, lambda: self.store, self.folder
        )

    def minute(self, count: int, *, judged: bool = True) -> None:
        """A minute with so many events on one host."""
        at_ms = self.clock.now_ms()
        made = [
            Event(timestamp=at_ms + n, event_type="input_start", host="gpu-1", event_id=f"{at_ms}-{n}")
            for n in range(count)
        ]
        self.store.append(Batch(made, [b"{}"] * count))
        self.clock.advance_ms(MINUTE_MS)
        if judged:
            self.cycle.turn(self.clock.now_ms())

    def minutes(self, *counts: int) -> None:
        for count in counts:
            self.minute(count)

    def memory(self) -> dict[str, object]:
        (memory,) = self.ledger.states()["habit"][0].memory.values()
        return dict(memory)

    def told(self) -> list[tuple[str, str]]:
        """Occasion and text of every message."""
        return self.ledger.rows("SELECT body ->> 'occasion', body ->> 'text' FROM outbox ORDER BY seq")  # type: ignore[return-value]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.ledger.close()


def test_a_planned_change_starts_a_new_baseline_once_over_restarts(bench: Bench) -> None:
    """Ten events a minute after three: an alert without the mark, the new normal with it."""
    bench.minutes(3, 3, 3, 3)
    at_ms = bench.clock.now_ms() + 20_000
    assert bench.orders.mark("model v2", at_ms, ()) == {
        "id": Mark.of("model v2", at_ms, 0).id,
        "name": "model v2",
        "at_ms": at_ms,
        "rules": ["habit"],
        "new": True,
    }
    for count in (10, 10, 10, 12):
        bench.restart()
        bench.minute(count)
    assert bench.memory() == {"usual": [10, 10, 10], "alarm": None, "rebased": [at_ms]}
    assert bench.ledger.alerts() == []
    (told,) = bench.told()
    assert told[0] == "mark"
    assert "model v2 was marked: baselines start anew" in told[1]
    assert "Rules: habit" in told[1]


def test_catching_up_judges_each_side_of_the_change_with_its_own_baseline(bench: Bench) -> None:
    """A stop of nine minutes with a change in its middle ends as if there had been none."""
    bench.minutes(3, 3, 3)
    for count in (3, 9, 3):
        bench.minute(count, judged=False)
    bench.orders.mark("model v2", bench.clock.now_ms() + 5_000, ())
    for count in (20, 20, 20, 20, 90, 20):
        bench.minute(count, judged=False)
    turn = bench.cycle.turn(bench.clock.now_ms())
    found = [one.alert.finding.observed for one in turn.transitions if one.cause is Cause.FOUND]
    assert [count for count in found if count in {9.0, 90.0}] == [9.0, 90.0]
    assert [record.until_ms for record in turn.evaluations if record.rule_id == "habit"] == [
        BEGIN + 6 * MINUTE_MS,
        BEGIN + 12 * MINUTE_MS,
    ]
    assert bench.memory()["usual"] == [20, 20, 20]


def test_a_first_look_tells_only_what_still_fires_on_both_sides_of_a_change(bench: Bench) -> None:
    """A burst long ago is no news, also where the history that is looked at for the first time holds a change."""
    for count in (3, 3, 3, 20, 3, 3):
        bench.minute(count, judged=False)
    bench.orders.mark("model v2", bench.clock.now_ms(), ())
    for count in (5, 5, 5, 40, 5, 30):
        bench.minute(count, judged=False)
    bench.cycle.turn(bench.clock.now_ms())
    assert [occasion for occasion, _ in bench.told()] == ["firing", "mark"]
    assert len(bench.ledger.alerts()) == 3


def test_a_change_can_be_told_ahead_and_for_one_rule_alone(bench: Bench) -> None:
    bench.minutes(3, 3, 3)
    bench.orders.mark("tomorrow", bench.clock.now_ms() + 24 * HOUR, ("habit",))
    bench.minutes(3, 3)
    assert "rebased" not in bench.memory()
    assert Marks(bench.ledger).applied() == {}
    assert Marks(bench.ledger).all()[0].rules == ("habit",)


def test_the_same_change_marked_twice_is_one(bench: Bench) -> None:
    assert bench.orders.mark("model v2", BEGIN, ())["new"]
    assert not bench.orders.mark(" model  v2 ", BEGIN, ())["new"]
    assert len(Marks(bench.ledger).all()) == 1


@pytest.mark.parametrize(
    ("name", "at_ms", "rules", "said"),
    [
        (" \n", BEGIN, (), "a change needs a name"),
        ("x", BEGIN + 400 * 24 * HOUR, (), "too far away"),
        ("x", BEGIN - 40 * 24 * HOUR, (), "too far away"),
        ("x", BEGIN, ("nobody",), "there is no rule nobody"),
        ("x", BEGIN, ("limit",), "rule limit is of kind count, which learns nothing"),
    ],
)
def test_what_can_not_be_marked_is_refused(
    bench: Bench, name: str, at_ms: int, rules: tuple[str, ...], said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        bench.orders.mark(name, at_ms, rules)
    assert Marks(bench.ledger).all() == ()


def test_an_alert_soon_after_a_change_names_it_in_its_message(bench: Bench) -> None:
    """Also an alert of a rule that learns nothing; what is hostile in the name is shown, not done."""
    bench.minutes(3, 3, 3)
    bench.orders.mark("model \u202ev2 <b>", bench.clock.now_ms() - 4 * MINUTE_MS, ())
    bench.minute(60)
    text = next(text for occasion, text in bench.told() if occasion == "firing")
    assert "model ‹U+202E›v2 <b> was marked " in text
    (html,) = {
        html for (html,) in bench.ledger.rows("SELECT body ->> 'html' FROM outbox WHERE body ->> 'occasion' = 'firing'")
    }
    assert "v2 &lt;b&gt; was marked" in html


def test_the_change_that_is_named_is_the_last_one_shortly_before() -> None:
    marks = [Mark.of(name, at_ms, 0) for name, at_ms in (("a", 0), ("b", 10 * MINUTE_MS), ("c", 300 * MINUTE_MS))]

    def named(began_ms: int) -> str | None:
        mark = preceding(marks, began_ms)
        return None if mark is None else mark.name

    assert named(9 * MINUTE_MS) == "b"  # when it began is known to a minute or two
    assert named(10 * MINUTE_MS + SHORTLY_MS) == "b"
    assert named(10 * MINUTE_MS + SHORTLY_MS + 1) is None
    assert named(300 * MINUTE_MS - LEEWAY_MS - 1) is None


def test_an_alert_that_was_normal_ends_with_a_message_and_is_usual_from_then_on(bench: Bench) -> None:
    bench.minutes(3, 3, 3, 20)
    (alert,) = bench.ledger.alerts(active=True)
    assert f"If it is normal: `wumu expected {alert.id}`" in bench.told()[0][1]
    answer = bench.orders.expected(alert.id[:6])
    assert (answer["id"], answer["rule"], answer["messages"]) == (alert.id, "habit", 1)
    assert bench.ledger.transitions(alert.id)[-1]["cause"] == Cause.DECLARED_NORMAL
    occasion, text = bench.told()[-1]
    assert (occasion, "Somebody declared it normal" in text) == ("resolved", True)
    bench.minutes(20)
    bench.restart()
    bench.minutes(20, 20)
    assert [one.state for one in bench.ledger.alerts()] == [State.RESOLVED]
    assert bench.memory()["usual"] == [3, 3, 3, 20]
    with pytest.raises(BadRequest, match="has ended already"):
        bench.orders.expected(alert.id)


@pytest.mark.parametrize(("name", "said"), [("ffff00", "there is no alert ffff00"), ("", "there is no alert ")])
def test_an_alert_that_nobody_knows_is_refused(bench: Bench, name: str, said: str) -> None:
    bench.minutes(3, 3, 3, 20)
    with pytest.raises(BadRequest, match=said):
        bench.orders.expected(name)


def test_a_rule_with_a_limit_has_nothing_to_learn(bench: Bench) -> None:
    bench.minute(60)
    (alert,) = bench.ledger.alerts(active=True)
    with pytest.raises(BadRequest, match="of rule limit, whose kind count learns nothing"):
        bench.orders.expected(alert.id)
    assert bench.ledger.alerts(active=True) == [alert]


def test_a_dead_letter_is_queued_again_once(bench: Bench) -> None:
    bench.minute(60)
    outbox = Outbox(bench.ledger)
    (row,) = outbox.due(bench.clock.now_ms(), 10)
    outbox.dead(row.id, bench.clock.now_ms(), DeliveryReason.AUTHENTICATION, "401", ())
    (letter,) = outbox.dead_letters()
    assert (letter["channel"], letter["reason"], letter["detail"]) == ("ops", "authentication", "401")
    assert bench.orders.retry("another") == []
    assert [one["id"] for one in bench.orders.retry(letter["thread"][:5])] == [row.id]
    assert [one.id for one in outbox.due(bench.clock.now_ms(), 10)] == [row.id]
    assert bench.orders.retry(None) == []
