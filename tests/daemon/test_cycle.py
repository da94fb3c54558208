"""The turn over restarts and changed rules: what is remembered, what is told, and to whom."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.alerts.lifecycle import advance
from daemon.alerts.model import Cause, State
from daemon.clock import ManualClock
from daemon.cycle import Cycle
from daemon.ledger.commit import Commit, RuleChange
from daemon.ledger.ledger import Ledger
from daemon.ledger.outbox import Outbox
from daemon.notify.announce import Announcer
from daemon.store.base import Batch
from daemon.store.reference import ReferenceStore
from daemon.watch import Trouble, Word
from recognizer.events import Event
from tests.support.findings import finding, rule
from tests.support.rules import config_of

MINUTE = 60_000
HOUR = 60 * MINUTE
BEGIN = 1_000 * HOUR

CHANNELS = """
channels:
  ops: {kind: webhook, url: "http://127.0.0.1:9/ops", allow_private: true}
  pager: {kind: webhook, url: "http://127.0.0.1:9/pager", allow_private: true}
"""
LOST = """
  - id: lost
    kind: missing_step
    group_by: [host]
    notify: [ops, pager]
"""
SILENT = """
  - id: silent
    kind: absence
    where: "{where}"
    group_by: [host]
    silent_for: 10m
    notify: [ops]
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger.sqlite")
    yield opened
    opened.close()


class Bench:
    """A store, a ledger and a clock; `cycle` starts the judging anew, as a restart or a reload does."""

    def __init__(self, ledger: Ledger) -> None:
        self.store, self.ledger, self.clock = ReferenceStore(), ledger, ManualClock(BEGIN)

    def cycle(self, *rules: str, channels: str = CHANNELS) -> Cycle:
        config = config_of(f"version: 1\n{channels}\nrules:{''.join(rules)}")
        return Cycle(config, self.store, self.ledger, Announcer(config, self.store), self.clock)

    def event(self, host: str, model: str = "m1") -> None:
        """One begun request, now."""
        now_ms, name = self.clock.now_ms(), f"{host}-{self.clock.now_ms()}"
        event = Event(
            timestamp=now_ms, event_type="input_start", host=host, model_name=model, request_id=name, event_id=name
        )
        self.store.append(Batch([event], [b"{}"]))

    def minutes(self, cycle: Cycle, count: int, *, lost: str = "") -> None:
        for _ in range(count):
            if lost:
                self.event(lost)
            self.clock.advance_ms(MINUTE)
            cycle.turn(self.clock.now_ms())

    def told(self) -> list[tuple[str, str]]:
        """Channel and occasion of every message, oldest first."""
        rows = self.ledger.rows("SELECT channel, body ->> 'occasion' FROM outbox ORDER BY seq")
        return [(channel, occasion) for channel, occasion in rows]

    def messages(self, channel: str) -> list[str]:
        """The ids of a channel's messages."""
        return [
            row_id for (row_id,) in self.ledger.rows("SELECT id FROM outbox WHERE channel = ? ORDER BY seq", channel)
        ]


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        ("  - {id: other, kind: count, at_least: 1000, notify: [ops]}\n", Cause.RULE_REMOVED),
        (LOST.replace("missing_step", "missing_step\n    timeout: 3m"), Cause.RULE_CHANGED),
    ],
)
def test_who_heard_of_an_alert_hears_of_its_end_when_its_rule_goes(ledger: Ledger, after: str, cause: Cause) -> None:
    """A pager that was told must not stay open for ever because someone edited alerts.yaml."""
    bench = Bench(ledger)
    bench.minutes(bench.cycle(LOST), 6, lost="gpu-1")
    assert bench.told() == [("ops", "firing"), ("pager", "firing")]
    for _ in range(2):  # the second start finds nothing left to end
        bench.cycle("\n" + after)
        assert bench.told()[2:] == [("ops", "resolved"), ("pager", "resolved")]
    (alert,) = ledger.alerts()
    assert alert.state is State.RESOLVED
    assert ledger.transitions(alert.id)[-1]["cause"] == cause
    (text,) = {text for (text,) in ledger.rows("SELECT body ->> 'text' FROM outbox WHERE seq = 3")}
    assert "only because its rule was removed or changed" in text


@pytest.mark.parametrize("notify", ["[ops]", "[]"])
def test_a_channel_that_a_rule_tells_no_more_hears_how_what_it_heard_of_ends(ledger: Ledger, notify: str) -> None:
    """It was told that gpu-1 fires, so it is told the end, and nothing else: not of gpu-2, no repetition."""
    bench = Bench(ledger)
    bench.minutes(bench.cycle(LOST), 6, lost="gpu-1")
    assert bench.told() == [("ops", "firing"), ("pager", "firing")]
    dropped = LOST.replace("[ops, pager]", notify + "\n    repeat_every: 5m")
    bench.minutes(bench.cycle(dropped), 20, lost="gpu-2")
    bench.minutes(bench.cycle(dropped), 40)
    pager = [occasion for channel, occasion in bench.told() if channel == "pager"]
    assert pager == ["firing", "resolved"]
    assert [alert.state for alert in ledger.alerts()] == [State.RESOLVED, State.RESOLVED]


def test_a_channel_that_is_gone_is_named_once_and_its_end_goes_to_nobody(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(ledger)
    bench.minutes(bench.cycle(LOST), 6, lost="gpu-1")
    Outbox(ledger).delivered(bench.messages("pager")[0], bench.clock.now_ms(), "ok")
    without = CHANNELS[: CHANNELS.index("  pager")]
    with caplog.at_level("WARNING", "wumu.cycle"):
        cycle = bench.cycle(LOST.replace("[ops, pager]", "[ops]"), channels=without)
        bench.minutes(cycle, 20)
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("channel pager is in alerts.yaml no more and won't hear how alerts end; it was told of 1 ")
    assert bench.told() == [("ops", "firing"), ("pager", "firing"), ("ops", "resolved")]


def test_who_was_told_is_known_as_long_as_the_alert_lasts(ledger: Ledger) -> None:
    """An alert may last longer than the retention of what was sent about it."""
    bench = Bench(ledger)
    bench.minutes(bench.cycle(LOST), 6, lost="gpu-1")
    for channel in ("ops", "pager"):
        Outbox(ledger).delivered(bench.messages(channel)[0], bench.clock.now_ms(), "ok")
    ledger.prune(bench.clock.now_ms() + HOUR)
    bench.minutes(bench.cycle(LOST.replace("[ops, pager]", "[ops]")), 20)
    assert bench.told()[2:] == [("ops", "resolved"), ("pager", "resolved")]
    ledger.prune(bench.clock.now_ms() + HOUR)
    assert [channel for channel, _ in bench.told()] == ["ops", "pager"], "what waits is kept"


def test_a_rule_that_changed_does_not_find_its_old_memory_after_a_restart(ledger: Ledger) -> None:
    """gpu-1 runs another model: a rule that is narrowed to m1 must not wait for it, today or after a restart."""
    bench = Bench(ledger)
    narrowed = SILENT.format(where="model_name: m1")
    before = bench.cycle(SILENT.format(where="model_name: *"))
    for _ in range(5):
        bench.event("gpu-1", "m2")
        bench.minutes(before, 1, lost="gpu-2")
    bench.minutes(bench.cycle(narrowed), 2, lost="gpu-2")
    bench.minutes(bench.cycle(narrowed), 30, lost="gpu-2")
    assert bench.told() == []


def test_every_open_alert_is_taken_up_again_however_many(ledger: Ledger) -> None:
    subject = rule(None)
    found = [finding(MINUTE, key=(("file_dir", f"/data/{n}"),)) for n in range(10_050)]
    alerts, _ = advance({}, found, subject, MINUTE)
    change = RuleChange(rule_id=subject.id, detector="d", judged_until_ms=MINUTE)
    ledger.commit(Commit(now_ms=MINUTE, rules=(change,), alerts=tuple(alerts.values())))
    assert len(ledger.states()[subject.id][0].alerts) == 10_050


def test_told_and_resolved_have_one_story_over_restarts(ledger: Ledger) -> None:
    """A restart at every minute: one firing and one resolved for each channel, as without any."""
    bench = Bench(ledger)
    for _ in range(6):
        bench.minutes(bench.cycle(LOST), 1, lost="gpu-1")
    for _ in range(14):
        bench.minutes(bench.cycle(LOST), 1)
    assert bench.told() == [(c, o) for o in ("firing", "resolved") for c in ("ops", "pager")]


def test_a_rule_named_like_a_channel_hides_its_fault_from_nobody() -> None:
    config = config_of(f"version: 1\n{CHANNELS}\nrules:{LOST.replace('id: lost', 'id: pager')}")
    announcer = Announcer(config, ReferenceStore())

    def heard(trouble: Trouble) -> list[str]:
        word = Word(trouble=trouble, name="pager", detail="a fault", since_ms=BEGIN, over=False)
        return [channel for channel, _ in announcer.about_us(word, BEGIN)]

    assert heard(Trouble.RULE_FAILING) == ["ops", "pager"]
    assert heard(Trouble.MESSAGE_UNDELIVERABLE) == heard(Trouble.CHANNEL_FAILING) == ["ops"]
