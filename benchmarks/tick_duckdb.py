"""What a tick of the shipped rules costs on the embedded store that holds a day of 1,000,000 events.

    python -m benchmarks.tick_duckdb --events 1000000

Prints one JSON object: one closed minute (the bar is 200 ms) and the catching up of an hour (2,000 ms), each as the
median and the first of the rounds.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions
from benchmarks.events import DAY_MS, EVENTS, START_MS, chunks
from daemon.evaluate import RuleState, tick
from daemon.plugins import registry
from daemon.store.base import Batch
from daemon.store.duckdb.store import DuckDBStore
from recognizer.decode_lines import decode_batch
from rules.load import load_file
from rules.model import Rule

NOW_MS = START_MS + 20 * 3_600_000
"""Eight in the evening of the day of the events."""
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
BARS_MS = {"one_minute": 200, "one_hour": 2_000}


def fill(store: DuckDBStore, events: int) -> int:
    """Stores the day; how many events are there."""
    for lines in chunks(events):
        decoded = decode_batch(
            [line.encode() for line in lines], now_ms=START_MS + DAY_MS, max_age_ms=2 * DAY_MS, max_future_ms=DAY_MS
        )
        store.append(Batch(decoded.events, decoded.lines))
    return store.health().events or 0


def measure(store: DuckDBStore, rules: tuple[Rule, ...], behind_ms: int, rounds: int) -> dict[str, Any]:
    """A tick of rules that were judged last ``behind_ms`` ago."""
    states = {rule.id: RuleState(NOW_MS - behind_ms - rule.detector.query().settle_ms) for rule in rules}
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        judged = tick(rules, states, store, NOW_MS, DAY_MS)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        errors = [turn.evaluation.error for turn in judged if turn.evaluation.error]
        if errors:
            raise SystemExit(f"rules failed: {errors}")
    return {
        "rules": len(judged),
        "wall_ms": round(statistics.median(walls) * 1_000, 1),
        "wall_ms_first": round(walls[0] * 1_000, 1),
        "cpu_ms": round(statistics.median(cpus) * 1_000, 1),
        "findings": sum(turn.evaluation.findings for turn in judged),
    }


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--rules", type=Path, default=Path("alerts.yaml"))
    given = parser.parse_args()
    config = load_file(given.rules, registry()).config
    if config is None:
        raise SystemExit(f"{given.rules} can't be used: see wumu check")
    with tempfile.TemporaryDirectory() as folder:
        store = DuckDBStore(Path(folder) / "events.duckdb")
        stored = fill(store, given.events)
        figures = {
            "one_minute": measure(store, config.rules, MINUTE_MS, given.rounds),
            "one_hour": measure(store, config.rules, HOUR_MS, given.rounds),
        }
        store.close()
    result = {
        "benchmark": "tick_duckdb",
        "conditions": conditions("duckdb"),
        "events": stored,
        **figures,
        "bars_ms": BARS_MS,
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
