"""Lines into a real Elasticsearch beside `elasticsearch.helpers.parallel_bulk` of the same events.

    python -m benchmarks.ingest_elasticsearch --events 100000

Prints one JSON object. Each side begins with the events in memory in the form it takes, decoded lines here and dicts
there, and ends when the last answer has come; what making that form costs is told beside it. The other side is given
the client's orjson serializer. Several settings of each are tried in turns, in the same run on the same node, and the
best of each counts.
"""

import argparse
import json
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson
from elasticsearch import Elasticsearch, OrjsonSerializer
from elasticsearch.helpers import parallel_bulk

from benchmarks.conditions import conditions
from benchmarks.events import DAY_MS, START_MS, chunks
from daemon.store.base import Batch
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from recognizer.decode_lines import decode_batch
from recognizer.mapping import elasticsearch_template
from tests.support.elasticsearch.client import call, count, delete_all
from tests.support.elasticsearch.nodes import start_node

Form = TypeVar("Form")

BATCH_LINES = 10_000
WARM_UP_EVENTS = 400_000
OURS = ((2, 2_000), (2, 5_000), (4, 2_500))
"""(connections, lines in a request)"""
THEIRS = ((2, 1_000), (2, 2_000), (4, 1_000), (4, 2_000))
"""(threads, events in a request)"""


def batch_of(lines: list[bytes]) -> Batch:
    """The lines as the daemon's ingest hands them to a store."""
    decoded = decode_batch(lines, now_ms=START_MS + DAY_MS, max_age_ms=DAY_MS, max_future_ms=DAY_MS)
    return Batch(decoded.events, decoded.lines)


def timed(make: Callable[[], Form]) -> tuple[float, Form]:
    """What is made, and how long it took, seconds."""
    began = time.perf_counter()
    made = make()
    return time.perf_counter() - began, made


def ours(url: str, prefix: str, batches: list[Batch], connections: int, bulk_lines: int) -> None:
    settings = ElasticSettings(urls=(url,), prefix=prefix, connections=connections, bulk_lines=bulk_lines)
    with tempfile.TemporaryDirectory() as folder:
        store = ElasticStore(settings, Path(folder))
        try:
            for batch in batches:
                store.append(batch)
        finally:
            store.close()


def theirs(url: str, prefix: str, events: list[dict[str, Any]], threads: int, chunk_size: int) -> None:
    call(url, "PUT", f"/_index_template/{prefix}", elasticsearch_template(f"{prefix}-*"))

    def actions() -> Iterator[dict[str, Any]]:
        for event in events:
            day = time.strftime("%Y.%m.%d", time.gmtime(event["timestamp"] / 1000))
            yield {
                "_op_type": "create",
                "_index": f"{prefix}-{day}",
                "_id": event["event_id"],
                "_source": {"@timestamp": event["timestamp"], **event},
            }

    with Elasticsearch(url, serializer=OrjsonSerializer(), connections_per_node=threads) as client:
        deque(parallel_bulk(client, actions(), thread_count=threads, chunk_size=chunk_size), maxlen=0)


def warm_up(url: str, batches: list[Batch]) -> None:
    """Indexes until Java has compiled what it runs: the first events cost it six times as much as later ones."""
    done = 0
    while done < WARM_UP_EVENTS:
        ours(url, "warm-up", batches, 2, 2_000)
        delete_all(url, "warm-up")
        done += sum(len(batch.events) for batch in batches)


def measure(url: str, batches: list[Batch], events: list[dict[str, Any]], rounds: int) -> list[dict[str, Any]]:
    """The best round of every setting."""
    sides: list[tuple[str, Callable[..., None], Any, tuple[int, int]]] = [
        *(("wumu", ours, batches, each) for each in OURS),
        *(("parallel_bulk", theirs, events, each) for each in THEIRS),
    ]
    best: dict[tuple[str, tuple[int, int]], tuple[float, float]] = {}
    for _ in range(rounds):
        for name, side, form, setting in sides:
            prefix = f"bench-{uuid.uuid4().hex[:8]}"
            wall, cpu = time.perf_counter(), time.process_time()
            side(url, prefix, form, *setting)
            taken = time.perf_counter() - wall, time.process_time() - cpu
            stored = count(url, prefix)
            delete_all(url, prefix)
            assert stored == len(events), f"{name} {setting} stored {stored} of {len(events)}"
            best[name, setting] = min(best.get((name, setting), taken), taken)
    return [
        {
            "way": name,
            "connections": setting[0],
            "events_a_request": setting[1],
            "events_per_s": round(len(events) / wall),
            "client_cpu_us_per_event": round(cpu / len(events) * 1e6, 2),
        }
        for (name, setting), (wall, cpu) in best.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--version", default="8.12.2")
    given = parser.parse_args()
    lines = [line.encode() for part in chunks(given.events) for line in part]
    decoding, batches = timed(
        lambda: [batch_of(lines[first : first + BATCH_LINES]) for first in range(0, len(lines), BATCH_LINES)]
    )
    parsing, events = timed(lambda: [orjson.loads(line) for line in lines])
    node = start_node(given.version, heap="1g")
    try:
        warm_up(node.url, batches)
        found = measure(node.url, batches, events, given.rounds)
    finally:
        node.stop()
    best = {
        way: max((row for row in found if row["way"] == way), key=lambda row: row["events_per_s"])
        for way in ("wumu", "parallel_bulk")
    }
    result = {
        "benchmark": "ingest_elasticsearch",
        "elasticsearch": given.version,
        "conditions": conditions("elasticsearch"),
        "events": len(lines),
        "bytes_per_event": round(sum(map(len, lines)) / len(lines)),
        "decoding_us_per_event": round(decoding / len(lines) * 1e6, 2),
        "parsing_us_per_event": round(parsing / len(lines) * 1e6, 2),
        "all": found,
        "best": best,
        "ratio": round(best["wumu"]["events_per_s"] / best["parallel_bulk"]["events_per_s"], 2),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
