"""A node that is killed while events stream in and comes back on the same data."""

import threading
from pathlib import Path

import pytest

from daemon.errors import StoreUnavailable
from daemon.store.base import Batch, Checkpoint
from daemon.store.conformance.support import batch, event
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from tests.support.elasticsearch.client import count
from tests.support.elasticsearch.nodes import Node

pytestmark = [pytest.mark.elasticsearch, pytest.mark.slow]

BATCHES = 40
BATCH = 1_000


def _batch(number: int) -> Batch:
    events = [event(number * BATCH + i, event_id=f"{number}-{i}", file_path=f"/d/{i}.png") for i in range(BATCH)]
    return batch(events, Checkpoint("log", "/log", (number + 1) * BATCH))


def _store(node: Node, folder: Path) -> ElasticStore:
    settings = {"urls": (node.url,), "prefix": "killed", "bulk_lines": 250, "attempts": 1, "timeout_s": 20}
    return ElasticStore(ElasticSettings.model_validate(settings), folder)


def _ingest(store: ElasticStore, stored: threading.Semaphore) -> None:
    """From the checkpoint on, as the tailer does. Raises StoreUnavailable when the store is gone."""
    checkpoint = store.checkpoints().get("log")
    for number in range(0 if checkpoint is None else checkpoint.offset // BATCH, BATCHES):
        store.append(_batch(number))
        stored.release()


def test_a_killed_node_loses_and_doubles_nothing(node: Node, tmp_path: Path) -> None:
    """Killed in the middle of the bulk requests; the ingest goes on from its checkpoint."""
    store, stored = _store(node, tmp_path), threading.Semaphore(0)
    caught: list[Exception] = []

    def run() -> None:
        try:
            _ingest(store, stored)
        except StoreUnavailable as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    for _ in range(5):
        assert stored.acquire(timeout=60)
    node.kill()
    thread.join(60)
    assert caught, "the kill came after the last batch: raise BATCHES"
    store.close()
    node.start()
    again = _store(node, tmp_path)
    _ingest(again, threading.Semaphore(0))
    assert again.checkpoints()["log"].offset == BATCHES * BATCH
    assert count(node.url, "killed") == BATCHES * BATCH
    again.close()
