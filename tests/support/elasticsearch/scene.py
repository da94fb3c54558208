"""A store that reaches a real server through a proxy that can fail."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import orjson

from daemon.store.base import Batch, Checkpoint
from daemon.store.conformance.support import batch, event
from daemon.store.elastic.files import DEAD_LETTERS_FILE
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from tests.support.elasticsearch.client import count, delete_all
from tests.support.elasticsearch.proxy import Proxy, proxy_to

DAY_INDEX = "2026.03.29"
"""The end of the name of the index that the events of `daemon.store.conformance.support` go to."""


class Scene:
    """``make`` opens another store on the same folder, ``remake`` exchanges the one in use."""

    def __init__(self, proxy: Proxy, server: str, folder: Path) -> None:
        self.proxy = proxy
        self.server = server
        self.folder = folder
        self.prefix = "faults"
        self.store = self.make()

    def make(self, **more: object) -> ElasticStore:
        settings = {"urls": (self.proxy.url,), "prefix": self.prefix, "bulk_lines": 100, "backoff_s": 0.001} | more
        return ElasticStore(ElasticSettings.model_validate(settings), self.folder)

    def remake(self, **more: object) -> None:
        self.store.close()
        self.store = self.make(**more)

    def count(self) -> int:
        return count(self.server, self.prefix)

    def letters(self) -> list[str]:
        """The event_id of every line in the dead-letter file."""
        path = self.folder / DEAD_LETTERS_FILE
        lines = path.read_bytes().splitlines() if path.exists() else []
        return [orjson.loads(orjson.loads(line)["line"])["event_id"] for line in lines]

    def bulks(self) -> int:
        """How many bulk requests came."""
        return sum(request.startswith("POST /_bulk") for request in self.proxy.requests)


@contextlib.contextmanager
def scene_at(server: str, folder: Path) -> Iterator[Scene]:
    """A scene of its own on a server that others use too."""
    with proxy_to(server) as proxy:
        scene = Scene(proxy, server, folder)
        try:
            yield scene
        finally:
            scene.store.close()
            delete_all(server, scene.prefix)


def some_events(number: int, first: int = 0) -> Batch:
    """Events ``e<first>`` and on, with a place in a log."""
    return batch([event(i * 10, event_id=f"e{i}") for i in range(first, first + number)], Checkpoint("log", "/l", 7))
