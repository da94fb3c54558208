"""The shipper is killed again and again while answers get lost, the cluster is busy and its node dies: exact counts."""

import multiprocessing
import os
import random
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from daemon.clock import SystemClock
from daemon.ingest.ingest import Ingest
from daemon.ingest.quarantine import read_quarantine
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from rules.model import IngestConfig
from tests.support.elasticsearch import proxy as faults
from tests.support.elasticsearch.client import documents
from tests.support.elasticsearch.nodes import Node
from tests.support.logs import Log

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]

KILLS = int(os.environ.get("WUMU_SHIPPER_KILLS", "8"))
"""The full measure is 50."""
KILLS_A_RESTART = 10
SEED = 20_261_123
LONGEST_LIFE_S = 1.0
"""From its first event or trouble on: before that a kill would meet nothing but its start."""
PATIENCE_S = 30
PREFIX = "killed-shipper"
MISHAPS: tuple[faults.Fault, ...] = (
    faults.lose_answer,
    faults.lose_answer,
    faults.reset,
    faults.cut_answer,
    faults.answer_with(429),
    faults.answer_with(503, b"<html>503</html>"),
    faults.refuse_items(3),
    faults.refuse_items(2, 503, "unavailable_shards_exception"),
)
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["daemon.ingest.ingest", "daemon.store.elastic.store"])


def open_ingest(folder: Path, url: str) -> tuple[Ingest, ElasticStore]:
    settings = {"urls": (url,), "prefix": PREFIX, "bulk_lines": 20, "timeout_s": 20, "backoff_s": 0.01}
    store = ElasticStore(ElasticSettings.model_validate(settings), folder)
    config = IngestConfig(paths=(str(folder / "logs" / "*.log"),), poll_ms=10)
    return Ingest(config, store, folder / "quarantine", SystemClock(), batch_lines=50), store


def ship_until_killed(folder: Path, url: str, at_work: Event) -> None:
    ingest, _ = open_ingest(folder, url)
    while True:
        report = ingest.poll()
        if report.events or report.trouble is not None:
            at_work.set()


def ship_the_rest(folder: Path, url: str) -> None:
    ingest, store = open_ingest(folder, url)
    while (report := ingest.poll()).behind or report.events or report.duplicates or report.lag_bytes:
        assert report.trouble is None
    ingest.close()
    store.close()


@pytest.mark.timeout(3_600)
def test_killed_and_lied_to_it_ships_every_event_once(node: Node, tmp_path: Path) -> None:
    moments, now_ms = random.Random(SEED), SystemClock().now_ms()
    log = Log(tmp_path / "logs" / "app.log")
    with faults.proxy_to(node.url) as proxy:
        for number in range(KILLS):
            proxy.faults.extend(moments.choices(MISHAPS, k=moments.randrange(12)))
            log.write(log.own(timestamp=now_ms))
            at_work = _PROCESSES.Event()
            process = _PROCESSES.Process(target=ship_until_killed, args=(tmp_path, proxy.url, at_work))
            process.start()
            at_work.wait(PATIENCE_S)
            until = moments.random() * LONGEST_LIFE_S
            for _ in range(10):
                log.write(*(log.own(timestamp=now_ms) for _ in range(moments.randrange(30))))
                process.join(until / 10)
            if number % KILLS_A_RESTART == KILLS_A_RESTART // 2:
                proxy.always = faults.reset
                node.kill()
                log.write(*(log.own(timestamp=now_ms) for _ in range(50)))
                process.join(until)
                node.start()
                proxy.always = None
            process.kill()
            process.join()
        shipped_before = len(documents(node.url, PREFIX))
        proxy.faults.clear()
        ship_the_rest(tmp_path, proxy.url)
    log.close()
    assert shipped_before > len(log.complete) // 2, "those that were killed shipped most of it"
    shipped = [document["event_id"] for document in documents(node.url, PREFIX)]
    assert sorted(shipped) == sorted(f"app.log-{number}" for number in range(len(log.complete)))
    assert list(read_quarantine(tmp_path / "quarantine")) == []
