"""What is wrong with wumu itself, over kill -9: nothing is told twice, and every end is told."""

import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.ledger.outbox import Outbox
from daemon.watch import PATIENCE_MS, Trouble
from tests.support.http_receiver import Receiver, Reply, http_receiver
from tests.support.rules import config_of
from tests.support.site import OTHER, RULE, Site, tell_and_die

MINUTE = 60_000
TROUBLES = [
    pytest.param(Trouble.STORE_UNAVAILABLE, "", id="store"),
    pytest.param(Trouble.LEDGER_UNAVAILABLE, "", id="ledger"),
    pytest.param(Trouble.INGEST_STALLED, "", id="ingest"),
    pytest.param(Trouble.RULE_FAILING, "many", id="rule"),
    pytest.param(Trouble.CHANNEL_FAILING, "ops", id="channel"),
    pytest.param(Trouble.MESSAGE_UNDELIVERABLE, "ops", id="message"),
]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with http_receiver(Reply()) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path, receiver: Receiver) -> Iterator[Callable[..., Site]]:
    """A daemon on the same state folder, once more."""
    sites: list[Site] = []

    def make(rules: str = RULE, *, logs: bool = True) -> Site:
        sites.append(Site(tmp_path, receiver.url, rules, logs=logs))
        sites[-1].clock.advance_ms(60 * MINUTE)
        return sites[-1]

    yield make
    for one in sites:
        one.close()


@pytest.fixture
def killed(tmp_path: Path, receiver: Receiver) -> Callable[[Trouble, str], None]:
    """A daemon told of a trouble and was killed; the pager heard of it."""

    def kill(trouble: Trouble, name: str) -> None:
        process = multiprocessing.get_context("spawn").Process(
            target=tell_and_die, args=(tmp_path, receiver.url, trouble, name)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert receiver.heard("pager") == 1

    return kill


def work(site: Site) -> None:
    """A few seconds in which everything is in order, and a message to ops arrives."""
    site.engine.read()
    site.engine.turn()
    site.post(f"drill-{site.clock.now_ms()}")
    site.deliver()


@pytest.mark.parametrize(("trouble", "name"), TROUBLES)
def test_what_still_lasts_is_not_told_twice(
    killed: Callable[[Trouble, str], None], start: Callable[..., Site], receiver: Receiver, trouble: Trouble, name: str
) -> None:
    killed(trouble, name)
    for _ in range(2):
        site = start()
        assert list(site.engine.watch.troubles) == [f"{trouble} {name}".strip()]
        site.engine.watch.seen(trouble, name, "still a fault", site.clock.now_ms())
        site.clock.advance_ms(2 * PATIENCE_MS[trouble])
        site.deliver()
    assert receiver.heard("pager") == 1


@pytest.mark.parametrize(("trouble", "name"), TROUBLES)
def test_what_is_over_is_told_once(
    killed: Callable[[Trouble, str], None], start: Callable[..., Site], receiver: Receiver, trouble: Trouble, name: str
) -> None:
    killed(trouble, name)
    for _ in range(2):
        site = start()
        work(site)
        assert site.engine.watch.troubles == {}
        assert receiver.heard("pager") == 2
    told = [json.loads(request.body) for request in receiver.requests if request.path.endswith("pager")]
    assert [one["type"] for one in told] == ["wumu.trouble", "wumu.over"]


@pytest.mark.parametrize(
    ("trouble", "name", "rules", "logs"),
    [(Trouble.RULE_FAILING, "many", OTHER, True), (Trouble.INGEST_STALLED, "", RULE, False)],
)
def test_what_the_configuration_has_no_more_is_over(
    killed: Callable[[Trouble, str], None],
    start: Callable[..., Site],
    receiver: Receiver,
    trouble: Trouble,
    name: str,
    rules: str,
    logs: bool,
) -> None:
    killed(trouble, name)
    start(rules, logs=logs).deliver()
    assert receiver.heard("pager") == 2


def test_a_trouble_that_comes_again_is_told_again(
    killed: Callable[[Trouble, str], None], start: Callable[..., Site], receiver: Receiver
) -> None:
    killed(Trouble.STORE_UNAVAILABLE, "")
    site = start()
    work(site)
    site.engine.watch.seen(Trouble.STORE_UNAVAILABLE, "", "gone", site.clock.now_ms())
    site.clock.advance_ms(PATIENCE_MS[Trouble.STORE_UNAVAILABLE])
    site.deliver()
    assert receiver.heard("pager") == 3


def test_a_message_that_was_given_up_a_moment_before_a_kill_is_told(
    start: Callable[..., Site], receiver: Receiver
) -> None:
    """The dead letter is in the ledger, and nobody was told of it yet."""
    receiver.replies[:] = [Reply(status=400), Reply()]
    first = start()
    first.post("m")
    first.engine.send()
    assert [letter["id"] for letter in Outbox(first.ledger).dead_letters()] == ["m"]
    assert receiver.heard("pager") == 0
    for _ in range(2):
        start().deliver()
        assert receiver.heard("pager") == 1


def test_a_message_for_a_channel_that_is_gone_is_given_up_with_one_line(
    start: Callable[..., Site], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It was the user's own doing: no trouble of wumu, nothing waits for ever, and it can be had back."""
    site = start()
    for name in ("m", "n"):
        site.post(name, "ops")
    without = config_of(site.config(RULE.replace("ops", "pager"), channels=("pager",)))
    with caplog.at_level("WARNING", "wumu.engine"):
        old, site.engine = site.engine, site.engine.renewed(without)
        old.close(10)
        site.deliver()
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("channel ops is in alerts.yaml no more; messages that waited for it and are given up: 2; ")
    assert (site.engine.undelivered, site.engine.watch.troubles) == (0, {})
    assert len(receiver.requests) == 0
