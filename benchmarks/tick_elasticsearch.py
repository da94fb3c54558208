"""What a tick of the shipped rules costs on a real Elasticsearch that holds a day of 1,000,000 events.

    python -m benchmarks.tick_elasticsearch --events 1000000

Prints one JSON object: one closed minute and the catching up of an hour, each with its requests and answer bytes
(counted by a proxy, in a run that is not timed), its wall time and the client's CPU time (median of the rounds).
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions
from benchmarks.events import DAY_MS, START_MS, chunks
from benchmarks.ingest_elasticsearch import batch_of
from daemon.evaluate import RuleState, tick
from daemon.plugins import registry
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from rules.load import load_file
from rules.model import Rule
from tests.support.elasticsearch.client import call, count
from tests.support.elasticsearch.nodes import start_node
from tests.support.elasticsearch.proxy import proxy_to

NOW_MS = START_MS + 20 * 3_600_000
"""Eight in the evening of the day of the events."""
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def fill(url: str, events: int, folder: Path) -> int:
    """Stores the day; how many events are there."""
    store = ElasticStore(ElasticSettings(urls=(url,), bulk_lines=4_000), folder)
    try:
        for lines in chunks(events):
            store.append(batch_of([line.encode() for line in lines]))
    finally:
        store.close()
    call(url, "POST", "/wumu-*/_refresh")
    return count(url, "wumu")


def measure(url: str, folder: Path, rules: tuple[Rule, ...], behind_ms: int, rounds: int) -> dict[str, Any]:
    """A tick of rules that were judged last ``behind_ms`` ago."""
    states = {rule.id: RuleState(NOW_MS - behind_ms - rule.detector.query().settle_ms) for rule in rules}
    with proxy_to(url) as proxy:
        store = ElasticStore(ElasticSettings(urls=(proxy.url,)), folder)
        judged = tick(rules, states, store, NOW_MS, DAY_MS)
        store.close()
        requests, answered = list(proxy.requests), list(proxy.answered_bytes)
    errors = [turn.evaluation.error for turn in judged if turn.evaluation.error or not turn.evaluation.complete]
    assert not errors, errors
    store = ElasticStore(ElasticSettings(urls=(url,)), folder)
    walls, cpus = [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        tick(rules, states, store, NOW_MS, DAY_MS)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    store.close()
    return {
        "rules": len(judged),
        "requests": len(requests),
        "answer_kib": [round(size / 1024, 1) for size in answered],
        "wall_ms": round(statistics.median(walls) * 1000, 1),
        "wall_ms_first": round(walls[0] * 1000, 1),
        "client_cpu_ms": round(statistics.median(cpus) * 1000, 1),
        "findings": sum(turn.evaluation.findings for turn in judged),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--version", default="8.12.2")
    parser.add_argument("--rules", type=Path, default=Path("alerts.yaml"))
    given = parser.parse_args()
    config = load_file(given.rules, registry()).config
    assert config is not None, f"{given.rules} can't be used: see wumu check"
    node = start_node(given.version, heap="1g")
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            stored = fill(node.url, given.events, folder)
            result = {
                "benchmark": "tick_elasticsearch",
                "elasticsearch": given.version,
                "conditions": conditions("elasticsearch"),
                "events": stored,
                "one_minute": measure(node.url, folder, config.rules, MINUTE_MS, given.rounds),
                "one_hour": measure(node.url, folder, config.rules, HOUR_MS, given.rounds),
            }
    finally:
        node.stop()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
