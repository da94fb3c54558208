"""The ledger keeps what was committed, all or nothing, and the outbox keeps its order."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from daemon.alerts.lifecycle import advance
from daemon.errors import DeliveryReason, LedgerError
from daemon.evaluate import Evaluation
from daemon.ledger import codec
from daemon.ledger.commit import Commit, RuleChange
from daemon.ledger.ledger import EVALUATIONS_KEPT, Ledger
from daemon.ledger.outbox import Outbox
from daemon.notify.channel import Message, Occasion
from daemon.notify.decide import Told
from detectors.condition import AnyCharacter, Exists, Not, Wildcard, all_of, any_of, equals
from detectors.finding import Evidence, Memory
from detectors.frame import Interval, Key
from tests.support.findings import finding, rule

KEY = (("host", "gpu-1"), ("file_dir", None))


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "state" / "ledger.sqlite")


def message(name: str, thread: str = "t") -> Message:
    return Message(
        id=name,
        thread=thread,
        occasion=Occasion.FIRING,
        created_at_ms=1,
        subject="s",
        text="t",
        html="h",
        data={"a": [1]},
    )


def test_a_commit_comes_back_whole(ledger: Ledger, tmp_path: Path) -> None:
    """Alerts with every kind of condition, memory, watermark, what was told and the evaluation survive a restart."""
    condition = all_of(
        any_of(equals("a", 1), equals("b", True)), Not(Exists("c")), Wildcard("d", "*x"), AnyCharacter("e", ((1, 9),))
    )
    evidence = Evidence(Interval(0, 9), bad=condition, baseline=condition, compare_with=Interval(1, 2))
    alerts, moved = advance({}, [finding(60_000, key=KEY, evidence=evidence)], rule(None), 60_000)
    alert = alerts[KEY]
    ledger.commit(
        Commit(
            now_ms=70_000,
            rules=(
                RuleChange(rule_id="a-rule", detector="streak:1", judged_until_ms=60_000, remembered={KEY: {"n": 1}}),
            ),
            alerts=(alert,),
            transitions=moved,
            evaluations=(Evaluation(rule_id="a-rule", at_ms=70_000, from_ms=0, until_ms=60_000),),
            messages=(("ops", message("m1")),),
            told={alert.id: Told(1, 70_000)},
        )
    )
    ledger.close()
    again = Ledger.open(tmp_path / "state" / "ledger.sqlite")
    state, detector = again.states()["a-rule"]
    assert (state.judged_until_ms, dict(state.memory), dict(state.alerts)) == (60_000, {KEY: {"n": 1}}, {KEY: alert})
    assert detector == "streak:1"
    assert again.told() == {alert.id: Told(1, 70_000)}
    assert [turn["until_ms"] for turn in again.evaluations("a-rule", 5)] == [60_000]
    assert [step["after"] for step in again.transitions(alert.id)] == ["firing"]
    assert [row.message for row in Outbox(again).due(70_000, 10)] == [message("m1")]


def test_a_commit_that_fails_leaves_nothing(ledger: Ledger) -> None:
    """Memory that is no JSON breaks the commit; the alert of the same commit is not there afterwards."""
    alerts, moved = advance({}, [finding(60_000, key=KEY)], rule(None), 60_000)
    bad = RuleChange(rule_id="a-rule", detector="d", judged_until_ms=1, remembered={KEY: {"x": object()}})
    with pytest.raises(TypeError):
        ledger.commit(Commit(now_ms=1, alerts=tuple(alerts.values()), transitions=moved, rules=(bad,)))
    assert ledger.alerts() == []
    assert ledger.states() == {}


@pytest.mark.parametrize("label", ["cat", "half of a pair: \ud83d", "\u202e\x00\U0001f431"])
def test_memory_survives_any_label(ledger: Ledger, label: str) -> None:
    """Also one that is no valid Unicode, which the faster writer and reader refuse."""
    memory = {"version": 1, "label": label, "numbers": [1, 2.5, 1e300, None, True], "packed": "AAAA"}
    remembered: dict[Key, Memory] = {(("label", label),): memory}
    change = RuleChange(rule_id="r", detector="label_drift:1", judged_until_ms=1, remembered=remembered)
    ledger.commit(Commit(now_ms=2, rules=(change,)))
    assert dict(ledger.states()["r"][0].memory) == remembered


@pytest.mark.parametrize("value", ["", '{"version": 1,', "[]", "null", "\x00", b"\x00\xff\xfe"])
def test_damaged_memory_is_a_fresh_start_of_its_series_alone(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture, value: str | bytes
) -> None:
    """A bad sector must not keep the daemon from starting: one series learns anew, the log says so."""
    other: Key = (("host", "other"),)
    change = RuleChange(rule_id="r", detector="d", judged_until_ms=5, remembered={KEY: {"n": 1}, other: {"n": 2}})
    ledger.commit(Commit(now_ms=2, rules=(change,)))
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.sqlite")) as file, file:
        file.execute("UPDATE memory SET value = ? WHERE key = ?", (value, codec.dump_key(KEY)))
    state, detector = ledger.states()["r"]
    assert (dict(state.memory), state.judged_until_ms, detector) == ({other: {"n": 2}}, 5, "d")
    assert caplog.messages == ["rule r: what was learned of 1 series is damaged: they start to learn anew"]


def test_memory_that_is_forgotten_and_rules_that_are_removed_go(ledger: Ledger) -> None:
    change = RuleChange(rule_id="r", detector="d", judged_until_ms=1, remembered={KEY: {"n": 1}, (): {"n": 2}})
    ledger.commit(Commit(now_ms=1, rules=(change,)))
    ledger.commit(Commit(now_ms=2, rules=(RuleChange(rule_id="r", detector="d", judged_until_ms=2, forgotten=(KEY,)),)))
    assert dict(ledger.states()["r"][0].memory) == {(): {"n": 2}}
    ledger.commit(Commit(now_ms=3, removed=("r",)))
    assert ledger.states() == {}


def test_evaluations_are_bounded(ledger: Ledger) -> None:
    for at_ms in range(EVALUATIONS_KEPT + 20):
        record = Evaluation(rule_id="r", at_ms=at_ms, from_ms=0, until_ms=at_ms)
        ledger.commit(Commit(now_ms=at_ms, evaluations=(record,)))
    kept = ledger.evaluations("r", 10_000)
    assert len(kept) == EVALUATIONS_KEPT
    assert kept[0]["at_ms"] == EVALUATIONS_KEPT + 19


def test_the_outbox_keeps_the_order_of_a_thread_and_hides_no_channel(ledger: Ledger) -> None:
    posts = [("mail", "a1", "a"), ("mail", "a2", "a"), ("mail", "b1", "b"), ("hook", "a1h", "a")]
    for channel, name, thread in posts:
        ledger.post(channel, message(name, thread), 0)
    outbox = Outbox(ledger)
    assert [row.id for row in outbox.due(0, 10)] == ["a1", "b1", "a1h"]
    assert [row.id for row in outbox.due(0, 1)] == ["a1", "a1h"]
    outbox.retry("a1", 5, 1_000, DeliveryReason.TIMEOUT, "slow", ("x@y",))
    assert [row.id for row in outbox.due(10, 10)] == ["b1", "a1h"]
    (row, *_) = outbox.due(1_000, 10)
    assert (row.id, row.attempts, row.first_try_ms, row.message.delivered) == ("a1", 1, 5, ("x@y",))
    outbox.retry("a1", 1_000, 1_000, DeliveryReason.TIMEOUT, "slow", ("z@y",))
    assert outbox.due(1_000, 10)[0].message.delivered == ("x@y", "z@y")
    outbox.delivered("a1", 1_001, "ok")
    assert [row.id for row in outbox.due(1_001, 10)] == ["a2", "b1", "a1h"]
    outbox.dead("a2", 1_002, DeliveryReason.GONE, "410", ())
    assert outbox.undelivered() == (2, 0)
    assert outbox.revive("a2", 2_000)
    assert not outbox.revive("a1", 2_000)
    assert [row.id for row in outbox.due(2_000, 10)] == ["a2", "b1", "a1h"]


def test_the_same_message_decided_twice_is_one(ledger: Ledger) -> None:
    ledger.post("ops", message("m"), 0)
    Outbox(ledger).delivered("m", 1, "ok")
    ledger.post("ops", message("m"), 2)
    assert Outbox(ledger).due(10, 10) == []


def test_prune_keeps_what_is_alive(ledger: Ledger) -> None:
    alerts, moved = advance({}, [finding(60_000, key=KEY)], rule(None), 60_000)
    _, ended = advance(alerts, [], rule(None), 120_000)
    fresh, more = advance({}, [finding(90_000)], rule(None), 90_000)
    resolved = ended[0].alert
    ledger.commit(Commit(now_ms=120_000, alerts=(resolved, *fresh.values()), transitions=(*moved, *ended, *more)))
    ledger.prune(200_000)
    assert ledger.alerts() == list(fresh.values())


def test_others_may_read_while_the_daemon_writes(ledger: Ledger, tmp_path: Path) -> None:
    ledger.post("ops", message("m"), 0)
    reader = Ledger.read_only(tmp_path / "state" / "ledger.sqlite")
    assert [row["id"] for row in reader.messages()] == ["m"]
    with pytest.raises(LedgerError, match="readonly"):
        reader.post("ops", message("n"), 0)


def test_no_ledger_a_broken_one_and_one_from_the_future_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger") as missing:
        Ledger.read_only(tmp_path / "none.sqlite")
    assert "wumu run" in missing.value.hint
    broken = tmp_path / "broken.sqlite"
    broken.write_bytes(b"this is no database, " * 500)
    with pytest.raises(LedgerError, match="not a database") as spoiled:
        Ledger.open(broken)
    assert "set the file aside" in spoiled.value.hint
    newer = tmp_path / "newer.sqlite"
    Ledger.open(newer).close()
    with sqlite3.connect(newer) as db:
        db.execute("UPDATE meta SET value = '99'")
    db.close()
    with pytest.raises(LedgerError, match="newer wumu"):
        Ledger.open(newer)


WRITER = """
import sys
from pathlib import Path
from daemon.ledger.commit import Commit, RuleChange
from daemon.ledger.ledger import Ledger
from daemon.notify.channel import Message, Occasion
ledger = Ledger.open(Path(sys.argv[1]))
start = ledger.states()["r"][0].judged_until_ms if ledger.states() else 0
for n in range(start + 1, 10**9):
    m = Message(id=f"m{n}", thread="t", occasion=Occasion.FIRING, created_at_ms=n, subject="", text="", html="")
    change = RuleChange(rule_id="r", detector="d", judged_until_ms=n)
    ledger.commit(Commit(now_ms=n, rules=(change,), messages=(("c", m),)))
    print(n, flush=True)
"""


@pytest.mark.slow
def test_kill_at_any_moment_loses_no_commit_and_splits_none(tmp_path: Path) -> None:
    """Twenty SIGKILLs of a writer: the watermark and the outbox always agree, and nothing that was told is gone."""
    path = tmp_path / "ledger.sqlite"
    told = 0
    for kill in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        ) as child:
            assert child.stdout is not None
            for _ in range(3 + kill * 2):
                told = int(child.stdout.readline())
            os.kill(child.pid, signal.SIGKILL)
        ledger = Ledger.open(path)
        (until, count) = (ledger.states()["r"][0].judged_until_ms, Outbox(ledger).undelivered()[0])
        assert until is not None
        assert until == count >= told
        ledger.close()


def test_keys_survive_as_text() -> None:
    key = (("host", "a'\"\n\u200b百"), ("reason", None))
    assert codec.load_key(codec.dump_key(key)) == key
