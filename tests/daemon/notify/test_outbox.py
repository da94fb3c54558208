"""The sender: at least once, in order, each channel on its own, with a schedule that can be recomputed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from daemon.clock import ManualClock
from daemon.errors import DeliveryReason
from daemon.notify.outbox import GIVE_UP_MS, LONGEST_BREAK_S, LONGEST_DELAY_S, Sender, SendReport
from tests.support.outbox import HangingChannel, MemoryOutbox, ScriptedChannel, always, refusal

HOUR_MS = 3_600_000


@contextmanager
def sender(
    rows: MemoryOutbox, clock: ManualClock, *channels: ScriptedChannel | HangingChannel, seed: int = 1
) -> Iterator[Sender]:
    made = Sender({one.name: one for one in channels}, rows, clock=clock, random=random.Random(seed), timeout_s=1)
    try:
        yield made
    finally:
        for one in channels:
            if isinstance(one, HangingChannel):
                one.release.set()
        made.close()


def run(sending: Sender, clock: ManualClock, until_ms: int, step_ms: int = 1_000) -> list[SendReport]:
    """Let time pass; the reports in which something happened."""
    reports = []
    while clock.now_ms() <= until_ms:
        report = sending.send_due(clock.now_ms(), wait_s=10)
        if report.delivered or report.retried or report.dead:
            reports.append(report)
        clock.advance_ms(step_ms)
    return reports


def test_what_is_due_is_delivered_in_order() -> None:
    """Two messages of an alert arrive in their order within one call, although only one is due at a time."""
    rows, clock, mail = MemoryOutbox(), ManualClock(1_000), ScriptedChannel("mail")
    for row_id in ("firing", "repeat", "resolved"):
        rows.post(row_id, "mail", "alert-1")
    with sender(rows, clock, mail) as sending:
        report = sending.send_due(clock.now_ms(), wait_s=10)
    assert report.delivered == 3
    assert mail.sent == ["firing", "repeat", "resolved"]


def test_resolved_never_overtakes_firing() -> None:
    """While firing is retried, the resolved of the same alert waits and that of another alert goes out."""
    clock, rows = ManualClock(), MemoryOutbox()
    mail = ScriptedChannel("mail", refusal(DeliveryReason.MESSAGE_REFUSED))
    rows.post("a-firing", "mail", "a")
    rows.post("a-resolved", "mail", "a")
    rows.post("b-firing", "mail", "b")
    with sender(rows, clock, mail) as sending:
        sending.send_due(0, wait_s=10)
        assert mail.sent == ["b-firing"]
        run(sending, clock, 60_000)
    assert mail.sent == ["b-firing", "a-firing", "a-resolved"]


def test_a_dead_letter_lets_the_next_one_pass() -> None:
    """A message that is given up does not hold up its thread for ever; the report names it."""
    clock, rows = ManualClock(), MemoryOutbox()
    mail = ScriptedChannel("mail", refusal(DeliveryReason.MESSAGE_REFUSED, retryable=False))
    rows.post("firing", "mail", "a")
    rows.post("resolved", "mail", "a")
    with sender(rows, clock, mail) as sending:
        report = sending.send_due(0, wait_s=10)
    assert [(letter.row_id, letter.reason) for letter in report.dead] == [("firing", DeliveryReason.MESSAGE_REFUSED)]
    assert rows.state("firing") == "dead"
    assert mail.sent == ["resolved"]


def test_a_hanging_channel_delays_no_other() -> None:
    """One channel never returns; the other's messages go out at once, and again in later calls."""
    clock, rows = ManualClock(), MemoryOutbox()
    stuck, mail = HangingChannel("stuck"), ScriptedChannel("mail")
    rows.post("s1", "stuck", "a")
    rows.post("m1", "mail", "a")
    with sender(rows, clock, stuck, mail) as sending:
        report = sending.send_due(0, wait_s=0.2)
        assert stuck.entered.wait(5)
        rows.post("m2", "mail", "b")
        second = sending.send_due(0, wait_s=0.2)
        assert (report.delivered + second.delivered, second.busy) == (2, ("stuck",))
        assert mail.sent == ["m1", "m2"]
    assert rows.state("s1") == "delivered"


def test_back_off_grows_with_full_jitter_for_72_hours() -> None:
    """Delays stay under 5 s x 2^n and 6 h, the message is tried for 72 h, then it is a dead letter."""
    clock, rows = ManualClock(), MemoryOutbox()
    mail = ScriptedChannel("mail", *always(lambda: refusal(DeliveryReason.MESSAGE_REFUSED)))
    rows.post("m", "mail", "a")
    delays: list[tuple[int, float]] = []
    with sender(rows, clock, mail) as sending:
        while rows.state("m") == "pending":
            tried = len(mail.tried)
            sending.send_due(clock.now_ms(), wait_s=10)
            assert len(mail.tried) == tried + 1
            delays.append((tried, (rows.entry("m").next_ms - clock.now_ms()) / 1_000))
            clock.advance_ms(max(1, rows.entry("m").next_ms - clock.now_ms()))
    assert all(1 <= delay <= max(1, min(LONGEST_DELAY_S, 5 * 2**n)) for n, delay in delays[:-1])
    assert max(delay for _, delay in delays) > 3_600
    assert clock.now_ms() >= GIVE_UP_MS
    assert rows.state("m") == "dead"


def test_the_schedule_depends_on_the_seed_alone() -> None:
    """The same seed gives the same delays, another one others."""

    def delay(seed: int) -> int:
        rows, clock = MemoryOutbox(), ManualClock()
        rows.post("m", "mail", "a")
        with sender(rows, clock, ScriptedChannel("mail", refusal(DeliveryReason.CONNECTION)), seed=seed) as sending:
            sending.send_due(0, wait_s=10)
        return rows.entry("m").next_ms

    assert delay(1) == delay(1)
    assert delay(1) != delay(2)


@pytest.mark.parametrize(("wish_s", "least_s"), [(120.0, 120), (1e9, 24 * 3600)])
def test_retry_after_is_obeyed_up_to_a_day(wish_s: float, least_s: int) -> None:
    """A receiver that asks for time gets it, also for the messages behind; one that asks for years gets a day."""
    clock, rows = ManualClock(), MemoryOutbox()
    hook = ScriptedChannel("hook", refusal(DeliveryReason.RATE_LIMITED, after_s=wish_s))
    rows.post("first", "hook", "a")
    rows.post("second", "hook", "b")
    with sender(rows, clock, hook) as sending:
        sending.send_due(0, wait_s=10)
        assert rows.entry("first").next_ms == least_s * 1_000
        clock.advance_ms(least_s * 1_000 - 1)
        assert sending.send_due(clock.now_ms(), wait_s=10) == SendReport()
        clock.advance_ms(1)
        assert sending.send_due(clock.now_ms(), wait_s=10).delivered == 2


def test_the_breaker_spares_a_channel_that_is_down() -> None:
    """With the server down, 50 messages cost three attempts, then one at a time; once it is back all go out soon."""
    clock, rows = ManualClock(), MemoryOutbox()
    mail = ScriptedChannel("mail", *(refusal(DeliveryReason.CONNECTION) for _ in range(30)))
    for number in range(50):
        rows.post(f"m{number}", "mail", f"alert-{number}")
    with sender(rows, clock, mail) as sending:
        first = sending.send_due(0, wait_s=10)
        assert (len(mail.tried), first.retried) == (3, 3)
        assert "mail" in first.failing
        while len(mail.tried) < 30:
            sending.send_due(clock.now_ms(), wait_s=10)
            clock.advance_ms(1_000)
        down_ms = clock.now_ms()
        while len(mail.sent) < 40:
            sending.send_due(clock.now_ms(), wait_s=10)
            clock.advance_ms(1_000)
        assert clock.now_ms() - down_ms <= (LONGEST_BREAK_S + 60) * 1_000
    assert down_ms < 30 * (LONGEST_BREAK_S + 1) * 1_000


def test_a_bad_message_does_not_open_the_breaker() -> None:
    """A refusal of one message says nothing about the next."""
    clock, rows = ManualClock(), MemoryOutbox()
    mail = ScriptedChannel("mail", refusal(DeliveryReason.MESSAGE_REFUSED, retryable=False))
    rows.post("bad", "mail", "a")
    rows.post("good", "mail", "b")
    with sender(rows, clock, mail) as sending:
        assert sending.send_due(0, wait_s=10).delivered == 1


def test_a_fault_in_a_channel_is_kept_and_retried(caplog: pytest.LogCaptureFixture) -> None:
    """A programming error neither loses the message nor ends the channel's thread, and is logged."""
    clock, rows = ManualClock(), MemoryOutbox()
    mail = ScriptedChannel("mail", ZeroDivisionError("oops\u200b"))
    rows.post("m", "mail", "a")
    with sender(rows, clock, mail) as sending:
        assert sending.send_due(0, wait_s=10).retried == 1
        assert rows.entry("m").reason is DeliveryReason.UNEXPECTED
        assert "oops‹U+200B›" in rows.entry("m").detail
        run(sending, clock, 10_000)
    assert mail.sent == ["m"]
    assert "unforeseen" in caplog.text


def test_a_channel_that_was_removed() -> None:
    """Messages to a channel that alerts.yaml no longer names become dead letters with that reason."""
    clock, rows = ManualClock(), MemoryOutbox()
    rows.post("m", "gone", "a")
    with sender(rows, clock) as sending:
        (letter,) = sending.send_due(0, wait_s=10).dead
    assert letter.reason is DeliveryReason.GONE
    assert "'gone'" in letter.detail


@pytest.mark.parametrize("crash_at", range(12))
def test_a_crash_between_sending_and_recording_loses_nothing(crash_at: int) -> None:
    """The process dies before the n-th outcome is recorded: all messages arrive in order, at most one twice."""
    clock, rows = ManualClock(), MemoryOutbox(fail_after=crash_at)
    names = [f"{kind}-{alert}" for alert in range(4) for kind in ("firing", "repeat", "resolved")]
    for name in names:
        rows.post(name, "mail", name[-1])
    mail = ScriptedChannel("mail", *(refusal(DeliveryReason.CONNECTION) if n % 5 == 4 else None for n in range(40)))
    first = Sender({"mail": mail}, rows, clock=clock, random=random.Random(1))
    with pytest.raises(ConnectionAbortedError):
        run(first, clock, HOUR_MS)
    rows.fail_after = None
    clock.advance_ms(HOUR_MS)
    with sender(rows, clock, mail, seed=2) as sending:
        run(sending, clock, clock.now_ms() + HOUR_MS, step_ms=10_000)
    assert {rows.state(name) for name in names} == {"delivered"}
    assert set(mail.sent) == set(names)
    for alert in range(4):
        once = list(dict.fromkeys(name for name in mail.sent if name.endswith(str(alert))))
        assert once == [f"firing-{alert}", f"repeat-{alert}", f"resolved-{alert}"]


def test_partial_recipients_travel_with_the_retry() -> None:
    """Who has it is stored with the message, so that the next attempt leaves them out."""
    clock, rows = ManualClock(), MemoryOutbox()
    partly = refusal(DeliveryReason.RECIPIENT_REFUSED)
    partly.delivered = ("a@example.com",)
    rows.post("m", "mail", "a")
    with sender(rows, clock, ScriptedChannel("mail", partly)) as sending:
        sending.send_due(0, wait_s=10)
    assert rows.entry("m").row.message.delivered == ("a@example.com",)


def test_close_records_what_is_under_way() -> None:
    """A stop waits for the attempt under way and records it."""
    clock, rows, slow = ManualClock(), MemoryOutbox(), HangingChannel("mail")
    rows.post("m", "mail", "a")
    made = Sender({"mail": slow}, rows, clock=clock, random=random.Random(1))
    made.send_due(0, wait_s=0)
    assert slow.entered.wait(5)
    slow.release.set()
    made.close(wait_s=10)
    assert rows.state("m") == "delivered"
