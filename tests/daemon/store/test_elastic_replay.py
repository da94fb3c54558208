"""Events that Elasticsearch refused are stored exactly once when the mapping was mended."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.clock import ManualClock
from daemon.cycle import Cycle
from daemon.ingest.ingest import Ingest
from daemon.ledger.ledger import Ledger
from daemon.letters import QUARANTINE, Letter, letters
from daemon.orders import Orders
from daemon.store.conformance.support import START_MS
from recognizer.events import MalformedReason
from rules.model import Config, IngestConfig
from tests.support.elasticsearch import proxy as faults
from tests.support.elasticsearch.client import call
from tests.support.elasticsearch.scene import DAY_INDEX, Scene, scene_at
from tests.support.logs import event_line

pytestmark = pytest.mark.elasticsearch

EVENTS = 20


class Bench:
    """A log of which every other line has a host that the day's mapping refuses, ingested once."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.log = scene.folder / "app.log"
        self.config = Config(rules=(), ingest=IngestConfig(paths=(str(self.log),)))
        self.clock = ManualClock(START_MS + 60_000)
        self.ledger = Ledger.open(scene.folder / "ledger.sqlite")
        self.lines = [
            event_line(f"e{n}", timestamp_ms=START_MS + n, host="7" if n % 2 else "gpu", error="x" * (n * 5_000))
            for n in range(EVENTS)
        ]
        self.log.write_bytes(b"".join(line + b"\n" for line in self.lines))
        mapping = {"mappings": {"dynamic": False, "properties": {"host": {"type": "long"}}}}
        call(scene.server, "PUT", f"/{scene.prefix}-{DAY_INDEX}", mapping)
        ingest = Ingest(self.config.ingest, scene.store, scene.folder / QUARANTINE, self.clock)
        assert ingest.poll().trouble is None
        ingest.close()

    def mend_the_mapping(self) -> None:
        """The index is made anew by our template; what it held is sent there again by whoever mended it."""
        call(self.scene.server, "DELETE", f"/{self.scene.prefix}-{DAY_INDEX}")

    def letters(self) -> list[Letter]:
        return list(letters(self.scene.folder))

    def replay(self, *ids: str) -> dict[str, Any]:
        self.clock.advance_ms(1)
        orders = Orders(
            self.config, self.ledger, self._cycle, self.clock.now_ms, lambda: self.scene.store, self.scene.folder
        )
        return orders.replay(dict.fromkeys(ids or [letter.id for letter in self.letters()]))

    def _cycle(self) -> Cycle:
        raise AssertionError("a replay takes no turn")


@pytest.fixture
def bench(elasticsearch: str, tmp_path: Path) -> Iterator[Bench]:
    with scene_at(elasticsearch, tmp_path) as scene:
        made = Bench(scene)
        yield made
        made.ledger.close()


def test_each_refused_event_is_one_letter_with_its_place(bench: Bench) -> None:
    """Though it stands in the store's file and in the quarantine."""
    content = bench.log.read_bytes()
    found = bench.letters()
    assert [letter.reason for letter in found] == [MalformedReason.REFUSED_BY_STORE] * (EVENTS // 2)
    for letter in found:
        assert letter.offset is not None
        assert letter.whole
        assert content[letter.offset :].partition(b"\n")[0] in bench.lines[::2]
        assert "host" in letter.detail


def test_refused_again_they_stay_and_once_the_mapping_is_mended_they_are_stored(bench: Bench) -> None:
    again = bench.replay()
    assert (again["stored"], len(again["failed"])) == ([], EVENTS // 2)
    assert "host" in again["failed"][0]["detail"]
    assert len(bench.letters()) == EVENTS // 2
    bench.mend_the_mapping()
    assert len(bench.replay()["stored"]) == EVENTS // 2
    assert bench.scene.count() == EVENTS // 2
    once_more = bench.replay()
    assert (once_more["stored"], len(once_more["before"]), once_more["failed"]) == ([], EVENTS // 2, [])
    assert bench.scene.count() == EVENTS // 2


def test_a_replay_that_broke_off_after_the_store_took_it_stores_nothing_twice(bench: Bench) -> None:
    """A crash before the ledger's note: the letter still waits, and the event's name tells that it is there."""
    bench.mend_the_mapping()
    first = bench.letters()[0].id
    assert bench.replay(first)["stored"] == [first]
    with bench.ledger.transaction() as db:
        db.execute("DELETE FROM replayed")
    bench.scene.proxy.faults.append(faults.lose_answer)
    assert len(bench.replay()["stored"]) == EVENTS // 2
    assert bench.scene.count() == EVENTS // 2
