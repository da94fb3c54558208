"""The daily indices: the template they are made from, and forgetting the old ones."""

import logging
import threading
from urllib.parse import quote

import msgspec
import orjson

from daemon.errors import StoreError
from daemon.store.elastic.client import Answer, Client, Fault
from daemon.store.elastic.searches import index_day_ms, index_pattern
from detectors.duration import DAY_MS
from recognizer.mapping import elasticsearch_template

_log = logging.getLogger(__name__)

_FORBIDDEN = 403
_MISSING = 404
_NAMES_PER_DELETE = 50
"""Names of indices in one request: an address line may hold 4,096 bytes."""


class _Version(msgspec.Struct):
    version: int = 0


class _Named(msgspec.Struct):
    index_template: _Version


class _Templates(msgspec.Struct):
    index_templates: list[_Named] = []


class _Index(msgspec.Struct):
    index: str


class Indices:
    """Manages the indices of one prefix. Needs no ILM; where one deletes the indices earlier, nothing breaks."""

    def __init__(self, client: Client, prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._lock = threading.Lock()
        self._prepared = False

    def prepare(self) -> None:
        """Sees once that the template is there and not older than the event contract.

        Raises StoreError when there is none and it can't be made: without it, names and numbers would be guessed.
        """
        with self._lock:
            if not self._prepared:
                self._install()
                self._prepared = True

    def expire(self, before_ms: int) -> int:
        """Deletes the indices whose whole day lies before; how many."""
        target = f"/_cat/indices/{index_pattern(self._prefix)}?format=json&h=index&expand_wildcards=open,closed"
        answer = self._client.request("GET", target, accept={_MISSING})
        if answer.status == _MISSING:
            return 0
        names = [each.index for each in _checked(answer).read(list[_Index])]
        old = sorted(
            name
            for name in names
            if (day := index_day_ms(self._prefix, name)) is not None and day + DAY_MS <= before_ms
        )
        for first in range(0, len(old), _NAMES_PER_DELETE):
            part = ",".join(quote(name) for name in old[first : first + _NAMES_PER_DELETE])
            _checked(self._client.request("DELETE", f"/{part}?ignore_unavailable=true"))
        return len(old)

    def _install(self) -> None:
        target = f"/_index_template/{self._prefix}"
        template = elasticsearch_template(f"{self._prefix}-*")
        answer = self._client.request("GET", target, accept={_MISSING, _FORBIDDEN})
        found = answer.read(_Templates).index_templates if answer.ok else []
        if found and found[0].index_template.version >= template["version"]:
            return
        made = self._client.request("PUT", target, orjson.dumps(template), accept={_FORBIDDEN})
        if made.status == _FORBIDDEN and (found or answer.status == _FORBIDDEN):
            _log.warning("the index template %s may not be changed by this user: it is taken as it is", self._prefix)
            return
        _checked(made)
        _log.info("index template %s, version %d, is in place", self._prefix, template["version"])


def _checked(answer: Answer) -> Answer:
    if answer.ok:
        return answer
    fault = Fault.of(answer.body)
    raise StoreError(
        f"Elasticsearch refuses ({answer.status} {fault.type}): {fault.reason}",
        hint="give the user the rights manage and manage_index_templates, or have an operator do this step once",
    )
