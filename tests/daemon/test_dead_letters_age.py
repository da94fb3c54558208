"""How long the dead letters of the logs, and what is known of their replay, are kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.ingest.quarantine import Misfit, Quarantine
from daemon.ledger.replayed import Replayed
from daemon.letters import QUARANTINE, letters
from daemon.store.base import Batch
from recognizer.events import Event, Malformed, MalformedReason
from tests.support.http_receiver import Reply, http_receiver
from tests.support.site import BEGIN, HOUR, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with http_receiver(Reply()) as receiver:
        made = Site(tmp_path, receiver.url)
        yield made
        made.close()


def test_a_replay_is_known_as_long_as_its_letter_is_kept(site: Site, tmp_path: Path) -> None:
    """A line that was put aside and replayed on one day: at no time between then and the retention is it open again."""
    folder, replayed = tmp_path, Replayed(site.ledger)
    malformed = Malformed(b"{", MalformedReason.NOT_JSON, "detail", "hint")
    Quarantine(folder / QUARANTINE).put([Misfit("/l", "identity", 0, malformed, 1)], site.clock.now_ms())
    (letter,) = letters(folder)
    replayed.add([letter.id], site.clock.now_ms() + HOUR)
    states = []
    for hour in range(0, 40 * 24, 5):
        event = Event(timestamp=site.clock.now_ms(), event_type="input_start", event_id=str(hour))
        site.store.append(Batch([event], [b"{}"]))
        site.engine.housekeeping()
        kept, times_ms = list(letters(folder)), replayed.times_ms()
        assert not any(one.is_open(times_ms.get(one.id)) for one in kept)
        states.append((len(kept), len(times_ms)))
        site.clock.advance_ms(5 * HOUR)
    assert (states[0], states[-1]) == ((1, 1), (0, 0))
    assert site.clock.now_ms() - BEGIN >= site.engine.config.retention_ms + 48 * HOUR
