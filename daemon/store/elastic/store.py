"""Events in Elasticsearch: one index a day, aggregated where they lie."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from daemon.errors import StoreUnavailable
from daemon.store.base import Appended, Ask, Batch, Checkpoint, Sample, StoreHealth
from daemon.store.contract import check_ask, check_sample
from daemon.store.elastic import conversation, searches
from daemon.store.elastic.backoff import Backoff
from daemon.store.elastic.bulk import BulkWriter, refused_lines
from daemon.store.elastic.client import Client, TooDeep
from daemon.store.elastic.documents import read_event
from daemon.store.elastic.files import DEAD_LETTERS_FILE, CheckpointFile, DeadLetters
from daemon.store.elastic.filters import TIME_FIELD
from daemon.store.elastic.indices import Indices
from daemon.store.elastic.replies import Reply, ShardsStarting, read_replies
from daemon.store.elastic.searches import FILTER_PATH, Search
from daemon.store.elastic.settings import ElasticSettings
from detectors.frame import Frame, Interval
from recognizer.events import Event, Malformed

CHECKPOINTS_FILE = "elasticsearch-checkpoints.json"

_SEARCH_TARGET = f"/_msearch?filter_path={FILTER_PATH}"
_ALL_TIME = Interval(-(2**62), 2**62)


class _ClusterHealth(msgspec.Struct):
    status: str = "unknown"
    number_of_nodes: int = 0


class ElasticStore:
    """An `EventStore` over Elasticsearch 8.12 or newer. Safe to use from several threads.

    Checkpoints and refused lines lie in two files of ``state_dir``; the checkpoint of a batch is written after all of
    its events are stored, so a crash in between sends events twice, which stores them once.
    """

    def __init__(self, settings: ElasticSettings, state_dir: Path) -> None:
        """Connects to nothing yet. Raises ConfigError or StoreError when settings or files can't be used."""
        self._settings = settings
        self._client = Client(settings)
        self._indices = Indices(self._client, settings.prefix)
        self._backoff = Backoff(settings.backoff_s)
        self._bulk = BulkWriter(self._client, settings, self._backoff)
        self._checkpoints = CheckpointFile(state_dir / CHECKPOINTS_FILE)
        self._dead_letters = DeadLetters(state_dir / DEAD_LETTERS_FILE)

    def append(self, batch: Batch) -> Appended:
        """Stores the events, then the checkpoint. Batches of several times ``bulk_lines`` use all connections."""
        refused: tuple[Malformed, ...] = ()
        stored = duplicates = 0
        if batch.events:
            self._indices.prepare()
            outcome = self._bulk.write(batch)
            stored, duplicates, refused = outcome.stored, outcome.duplicates, refused_lines(batch, outcome)
            self._dead_letters.append(refused, "" if batch.checkpoint is None else batch.checkpoint.path)
        if batch.checkpoint is not None:
            self._checkpoints.save(batch.checkpoint)
        return Appended(stored, duplicates, refused)

    def checkpoints(self) -> Mapping[str, Checkpoint]:
        return self._checkpoints.all()

    def ask(self, asks: Sequence[Ask]) -> tuple[Frame, ...]:
        for ask in asks:
            check_ask(ask)
        return conversation.converse([conversation.answer(ask) for ask in asks], self._exchange)

    def sample(self, samples: Sequence[Sample]) -> tuple[tuple[Event, ...], ...]:
        for sample in samples:
            check_sample(sample)
        if not samples:
            return ()
        try:
            replies = self._exchange([searches.events(sample) for sample in samples])
        except TooDeep:
            replies = self._exchange([searches.events(sample, contract_alone=True) for sample in samples])
        return tuple(tuple(event for hit in reply.hits if (event := read_event(hit)) is not None) for reply in replies)

    def explain(self, ask: Ask) -> str:
        """The request as a curl command with its body. It names the place of a secret, never the secret."""
        check_ask(ask)
        lines = b"".join(search.lines(self._settings.prefix) for search in conversation.first_searches(ask)).decode()
        wanted = conversation.first_searches(ask)
        pretty = "\n".join(json.dumps(search.body, ensure_ascii=False, indent=2) for search in wanted)
        return (
            f"curl -sS{self._credentials()} -H 'Content-Type: application/x-ndjson' \\\n"
            f"  '{self._settings.urls[0].rstrip('/')}{_SEARCH_TARGET}' --data-binary @- <<'QUERY'\n{lines}QUERY\n\n"
            f"# the same, to read:\n{pretty}\n"
        )

    def expire(self, before_ms: int) -> int:
        """Deletes the indices of days that ended before; refused lines of older events go with them."""
        self._dead_letters.expire(before_ms)
        return self._indices.expire(before_ms)

    def health(self) -> StoreHealth:
        try:
            answer = self._client.request("GET", "/_cluster/health?filter_path=status,number_of_nodes")
            cluster = answer.read(_ClusterHealth)
            (reply,) = self._exchange([_everything()])
        except StoreUnavailable as error:
            return StoreHealth(ok=False, detail=f"{error}; {error.hint}".replace("\n", " "))
        newest = reply.aggregations.get("newest", {}).get("value")
        detail = (
            f"Elasticsearch at {answer.node}: {cluster.status}, {cluster.number_of_nodes} nodes, "
            f"{reply.total:,} events in {searches.index_pattern(self._settings.prefix)}"
        )
        return StoreHealth(
            ok=cluster.status != "red" and reply.complete,
            detail=detail,
            events=reply.total,
            newest_ms=None if newest is None else int(newest),
        )

    def close(self) -> None:
        self._backoff.stop()
        self._bulk.close()
        self._client.close()

    def _exchange(self, wanted: list[Search]) -> list[Reply]:
        """The replies. The first events of a day make an index, which can't be read for the blink of an eye."""
        body = b"".join(search.lines(self._settings.prefix) for search in wanted)
        for attempt in range(self._settings.attempts):
            try:
                answer = self._client.request("POST", _SEARCH_TARGET, body, lines=True, zipped=True)
                return read_replies(answer, len(wanted))
            except ShardsStarting:
                if attempt + 1 == self._settings.attempts:
                    raise
                self._backoff.pause(attempt)
        raise AssertionError("at least one attempt is made")

    def _credentials(self) -> str:
        settings = self._settings
        if settings.api_key is not None:
            return f" -H 'Authorization: ApiKey <{settings.api_key.place}>'"
        if settings.password is not None:
            return f" -u '{settings.username}:<{settings.password.place}>'"
        return ""


def _everything() -> Search:
    body = {"size": 0, "track_total_hits": True, "aggs": {"newest": {"max": {"field": TIME_FIELD}}}}
    return Search(_ALL_TIME, body)
