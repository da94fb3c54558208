"""The parts at work together: words about ourselves, a reload, a ledger that can't be written, a stepped clock."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import LedgerError
from daemon.ledger.outbox import Outbox
from daemon.store.base import Batch
from daemon.watch import PATIENCE_MS, Trouble
from recognizer.events import Event
from tests.support.http_receiver import Receiver, Reply, http_receiver
from tests.support.rules import config_of
from tests.support.site import BEGIN, HOUR, OTHER, Site


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver(Reply()) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, receiver: Receiver) -> Iterator[Site]:
    made = Site(tmp_path, receiver.url)
    yield made
    made.close()


def test_a_ledger_that_can_not_be_written_makes_no_storm_of_messages(site: Site, receiver: Receiver) -> None:
    """What was sent and could not be recorded is recorded first; until then nobody hears the same again and again."""
    site.post("m")
    with site.locked():
        for _ in range(5):
            with pytest.raises(LedgerError):
                site.engine.send()
            site.clock.advance_ms(1_000)
    site.engine.send()
    assert receiver.heard("ops") == 1
    assert site.engine.undelivered == 0


def test_a_word_about_ourselves_that_could_not_be_posted_is_posted_later(site: Site, receiver: Receiver) -> None:
    site.engine.watch.seen(Trouble.STORE_UNAVAILABLE, "", "gone", BEGIN)
    site.clock.advance_ms(PATIENCE_MS[Trouble.STORE_UNAVAILABLE])
    with site.locked(), pytest.raises(LedgerError):
        site.engine.send()
    for _ in range(2):
        site.engine.send()
    assert (receiver.heard("ops"), receiver.heard("pager")) == (1, 1)


def test_a_channel_that_loses_messages_is_not_over_because_another_works(site: Site, receiver: Receiver) -> None:
    """ops refuses for good; pager accepts, also the very message about ops."""
    receiver.replies[:] = [Reply(status=400), Reply()]
    site.post("m")
    for _ in range(4):
        site.engine.send()
    assert list(site.engine.watch.troubles) == ["message_undeliverable ops"]
    assert (receiver.heard("ops"), receiver.heard("pager")) == (1, 1)
    site.post("n")
    for _ in range(2):
        site.engine.send()
    assert site.engine.watch.troubles == {}
    assert receiver.heard("pager") == 2


def test_a_channel_whose_messages_do_not_arrive_is_told_to_the_others(
    site: Site, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """ops answers 503 for ever: nobody should have to wait three days to hear it. It is over when one arrives."""
    receiver.path_replies["ops"] = Reply(status=503)
    site.post("m")
    with caplog.at_level("INFO", "wumu.engine"):
        for _ in range(PATIENCE_MS[Trouble.CHANNEL_FAILING] // 1_000 + 5):
            site.engine.send()
            site.clock.advance_ms(1_000)
        assert (receiver.heard("pager"), list(site.engine.watch.troubles)) == (1, ["channel_failing ops"])
        receiver.path_replies.clear()
        site.post("n")
        site.clock.advance_ms(HOUR)
        site.deliver()
    assert (receiver.heard("pager"), site.engine.watch.troubles) == (2, {})
    said = [record.getMessage().split(":")[0] for record in caplog.records]
    assert said == [
        "a message to channel ops is put off and tried again",
        "channel_failing ops lasts",
        "messages to channel ops arrive again",
        "channel_failing ops is over",
    ]


def test_a_reload_that_fails_leaves_the_engine_at_work(site: Site, receiver: Receiver) -> None:
    """The new rules can't be written down: the old engine still sends."""
    site.engine.turn()
    with site.locked(), pytest.raises(LedgerError):
        site.engine.renewed(config_of(site.config(OTHER)))
    site.post("m")
    site.engine.send()
    assert receiver.heard("ops") == 1


def test_a_reload_forgets_no_trouble_and_ends_those_of_what_is_gone(site: Site, receiver: Receiver) -> None:
    """Told before the reload: once, not again afterwards, and its end is told."""
    watch = site.engine.watch
    watch.seen(Trouble.STORE_UNAVAILABLE, "", "gone", BEGIN)
    watch.seen(Trouble.RULE_FAILING, "many", "a bug", BEGIN)
    site.clock.advance_ms(HOUR)
    site.engine.send()
    assert receiver.heard("ops") == 2
    old, site.engine = site.engine, site.engine.renewed(config_of(site.config(OTHER)))
    old.close(10)
    site.engine.send()
    assert receiver.heard("ops") == 3, "the rule that failed is gone"
    assert list(site.engine.watch.troubles) == ["store_unavailable"]
    site.engine.turn()
    site.engine.send()
    assert receiver.heard("ops") == 4, "the store is there again"


def test_a_clock_that_was_a_day_ahead_holds_no_message_back(site: Site, receiver: Receiver) -> None:
    """Made, tried and put off by a clock that is a day ahead; then it is set right."""
    receiver.replies[:] = [Reply(status=503), Reply()]
    site.clock.advance_ms(24 * HOUR)
    site.post("tried")
    site.engine.send()
    site.post("made")
    site.clock.advance_ms(-24 * HOUR)
    site.engine.send()
    assert Outbox(site.ledger).undelivered()[0] == 0


def test_a_clock_that_is_a_year_ahead_costs_no_events(site: Site) -> None:
    """Age is told from the newest event: what lies within the retention before it stays."""
    newest, old = BEGIN, BEGIN - 40 * 24 * HOUR
    for at_ms in (newest, newest - HOUR, old):
        event = Event(timestamp=at_ms, event_type="input_start", event_id=str(at_ms))
        site.store.append(Batch([event], [b"{}"]))
    site.clock.advance_ms(365 * 24 * HOUR)
    site.engine.housekeeping()
    assert site.store.health().events == 2
