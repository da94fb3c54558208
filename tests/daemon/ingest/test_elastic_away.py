"""Elasticsearch away while the services write on: the log is the buffer, memory stays flat, the count is exact."""

import gc
import os
from pathlib import Path

import pytest

from daemon.clock import ManualClock
from daemon.ingest.ingest import Ingest
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from rules.model import IngestConfig
from tests.support.elasticsearch.client import count
from tests.support.elasticsearch.nodes import Node
from tests.support.logs import NOW_MS, event_line

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]

BACKLOG = int(os.environ.get("WUMU_BACKLOG", "50000"))
BEFORE = 1_000
POLLS = 40
GROWTH_BYTES = 32 * 1024 * 1024
"""Between two measurements of a working set that the allocator keeps; the polls in between read a batch each."""


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _lines(first: int, number: int) -> bytes:
    """About 350 bytes an event, as a recognizer's."""
    return b"".join(
        event_line(f"e{n}", timestamp_ms=NOW_MS + n, request_id=f"r{n}", file_path=f"/上传/{n}.png", error="x" * 200)
        + b"\n"
        for n in range(first, first + number)
    )


def test_an_outage_holds_no_memory_and_loses_and_doubles_nothing(node: Node, tmp_path: Path) -> None:
    """The node is killed, a backlog grows in the log, polls go on; then the node comes back."""
    log, clock = tmp_path / "app.log", ManualClock(NOW_MS + 3_600_000)
    log.write_bytes(_lines(0, BEFORE))
    settings = {"urls": (node.url,), "prefix": "away", "attempts": 1, "timeout_s": 60}
    store = ElasticStore(ElasticSettings.model_validate(settings), tmp_path)
    ingest = Ingest(IngestConfig(paths=(str(log),)), store, tmp_path / "quarantine", clock)
    assert ingest.poll().events == BEFORE
    node.kill()
    with log.open("ab") as file:
        for first in range(BEFORE, BEFORE + BACKLOG, 10_000):
            file.write(_lines(first, min(10_000, BEFORE + BACKLOG - first)))
    before = 0
    for number in range(POLLS):
        before = before or (_resident_bytes() if number == POLLS // 4 else 0)
        clock.advance_ms(30_000)
        report = ingest.poll()
        assert report.events == 0
        assert report.trouble is not None
    assert report.lag_bytes > BACKLOG * 300
    assert _resident_bytes() - before < GROWTH_BYTES
    node.start()
    clock.advance_ms(30_000)
    caught_up = 0
    while (report := ingest.poll()).behind or report.events:
        assert report.trouble is None
        caught_up += report.events + report.duplicates
    assert (caught_up, report.lag_bytes, dict(ingest.counters().malformed_total)) == (BACKLOG, 0, {})
    assert count(node.url, "away") == BEFORE + BACKLOG
    ingest.close()
    store.close()
