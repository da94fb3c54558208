"""kill -9 at random moments under load: no event and no alert is lost, and nothing has a second name."""

import json
import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.store.base import Ask
from daemon.store.duckdb.parameters import DuckDBParameters
from daemon.store.duckdb.store import FILE_NAME, DuckDBStore
from detectors.frame import Interval
from detectors.query import Query
from tests.acceptance.scenario import bare, incident, settings, write_log
from tests.support.daemon import Daemon, eventually
from tests.support.http_receiver import Receiver, Reply, http_receiver

KILLS = int(os.environ.get("WUMU_TEST_KILLS", "200"))
LONGEST_LIFE_S = 2.2
ROTATE_LINES = 3_000
DAY_MS = 86_400_000


class Service:
    """Writes pictures' events and incidents, each on a host of its own, and rotates its log by rename."""

    def __init__(self, log: Path) -> None:
        self.lines = 0
        self.hosts: list[str] = []
        self._log = log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        in_file = rotations = 0
        while not self._stop.wait(0.05):
            now_ms = time.time_ns() // 1_000_000
            events = [
                bare(now_ms, "inference_complete", "steady", duration_ms=20.0, n=self.lines + n) for n in range(8)
            ]
            if self.lines // 150 > len(self.hosts):
                self.hosts.append(f"host-{len(self.hosts)}")
                events += incident(now_ms, self.hosts[-1])
            written = write_log(self._log, events)
            self.lines += written
            in_file += written
            if in_file > ROTATE_LINES:
                rotations, in_file = rotations + 1, 0
                self._log.rename(self._log.with_name(f"{self._log.name}.{rotations}"))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()


def told_hosts(receiver: Receiver) -> dict[str, set[tuple[str, str]]]:
    """By host: the (alert, webhook-id) pairs of its firing messages."""
    told: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for request in list(receiver.requests):
        body = json.loads(request.body)
        if body["occasion"] == "firing" and body["alert"]["rule"] == "path-errors-in-a-row":
            told[body["alert"]["key"]["host"]].add((body["alert"]["id"], request.headers["webhook-id"]))
    return told


def first_life_s(daemon: Daemon) -> float:
    """How long a start takes here: on a busy machine a shorter life would never get as far as its first batch."""
    began = time.monotonic()
    daemon.start()
    daemon.wait_ready()
    daemon.kill()
    return time.monotonic() - began


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_killed_again_and_again_it_loses_and_renames_nothing(tmp_path: Path) -> None:
    """The receiver fails three times in twenty and loses one answer in ten; the daemon never ends by itself."""
    chance = random.Random(20261122)
    faults = [Reply(503), Reply(503), Reply(500), Reply(lost=True), Reply(lost=True), *[Reply(204)] * 15]
    log = tmp_path / "service.log"
    service = Service(log)
    with http_receiver(*chance.choices(faults, k=5_000), Reply(204)) as receiver:
        daemon = Daemon(settings(tmp_path / "alerts.yaml", log, receiver.url), tmp_path / "state")
        with service.at_work():
            longest_s = max(LONGEST_LIFE_S, 1.5 * first_life_s(daemon))
            for _ in range(KILLS):
                daemon.start()
                threading.Event().wait(chance.uniform(0.0, longest_s))
                assert daemon.alive(), daemon.log.read_text()
                daemon.kill()
        daemon.start()
        daemon.wait_ready()
        eventually(
            lambda: set(service.hosts) <= set(told_hosts(receiver)),
            "every incident is told",
            deadline_s=420,
        )
        assert daemon.stop() == 0
    store = DuckDBStore(tmp_path / "state" / FILE_NAME, DuckDBParameters())
    now_ms = time.time_ns() // 1_000_000
    day = Interval(now_ms - DAY_MS, now_ms + DAY_MS)
    (frame,) = store.ask([Ask(Query(bucket_ms=0), day, day.start_ms)])
    store.close()
    assert frame.series[0].values["count"] == (service.lines,)
    assert len(service.hosts) >= KILLS // 4
    for host, names in told_hosts(receiver).items():
        assert len(names) == 1, f"{host} was told under {names}"
    assert "Traceback" not in daemon.log.read_text()
