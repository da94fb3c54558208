"""From a log file to queryable in the embedded store, against DuckDB's own read_json load of the same file.

    python -m benchmarks.ingest_duckdb --events 300000

The daemon's way (tail, decode, validate, append, until a query sees every event) and the loader, which infers its
columns or is given ours, run in a process of their own, one after the other, `--rounds` times in turn; the best of each
counts, and of the two loaders the faster. The file lies in the page cache. Prints one JSON line; exit 1 when a bar is
missed. The memory is that of the whole process with DuckDB, whose own limit is 128 MB; the bar is that of the daemon.
"""

import argparse
import gc
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.conditions import conditions
from benchmarks.events import DAY_MS, write
from daemon.cli.run import GC_THRESHOLD
from daemon.clock import SystemClock
from daemon.ingest.ingest import Ingest
from daemon.store.duckdb.schema import quoted, sql_types
from daemon.store.duckdb.store import DuckDBStore
from rules.model import IngestConfig

BAR_RATIO = 0.4
BAR_RSS_MIB = 250
EVENTS = 300_000


def ours(log: Path, folder: Path) -> dict[str, float]:
    """Tail the whole file into a fresh store, as `wumu run` does."""
    gc.set_threshold(*GC_THRESHOLD)
    store = DuckDBStore(folder / "events.duckdb")
    config = IngestConfig(paths=(str(log),))
    ingest = Ingest(config, store, folder / "quarantine", SystemClock())
    started = time.perf_counter()
    events = 0
    behind = True
    while behind:
        report = ingest.poll()
        events, behind = events + report.events, report.behind
    if store.health().events != events:
        raise SystemExit("not every event that was read can be queried")
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ingest.close()
    store.close()
    return {"events": events, "seconds": seconds, "rss_mib": peak}


def loader_inferring(log: Path, folder: Path) -> dict[str, float]:
    """DuckDB's read_json as it is."""
    return _load(log, folder, "")


def loader_given_columns(log: Path, folder: Path) -> dict[str, float]:
    """DuckDB's read_json, spared the inference."""
    columns = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in sql_types().items())
    return _load(log, folder, f", columns = {{{columns}}}")


def _load(log: Path, folder: Path, options: str) -> dict[str, float]:
    connection = duckdb.connect(str(folder / "theirs.duckdb"))
    connection.execute("SET enable_progress_bar = false")
    started = time.perf_counter()
    connection.execute(
        f"CREATE TABLE events AS SELECT * FROM read_json(?, format = 'newline_delimited'{options})",  # noqa: S608
        [str(log)],
    )
    seconds = time.perf_counter() - started
    events = connection.execute("SELECT count(*) FROM events").fetchall()[0][0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    connection.close()
    return {"events": events, "seconds": seconds, "rss_mib": peak}


def measure(events: int, rounds: int) -> dict[str, Any]:
    """The best of each side; ``ratio`` is our rate over DuckDB's."""
    with tempfile.TemporaryDirectory(prefix="wumu-bench-") as name:
        folder = Path(name)
        log = folder / "app.log"
        with log.open("wb") as file:
            size = write(file, events, start_ms=time.time_ns() // 1_000_000 - DAY_MS)
        best: dict[str, dict[str, float]] = {}
        for number in range(rounds):
            for side in (ours, loader_inferring, loader_given_columns):
                place = folder / f"{side.__name__}-{number}"
                place.mkdir()
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    result = pool.apply(side, (log, place))
                if result["events"] != events:
                    raise SystemExit(f"{side.__name__}: {result['events']} events of {events} arrived")
                known = best.get(side.__name__)
                best[side.__name__] = result if known is None or result["seconds"] < known["seconds"] else known
    loader = min(best["loader_inferring"]["seconds"], best["loader_given_columns"]["seconds"])
    return {
        "benchmark": "ingest_duckdb",
        "events": events,
        "bytes": size,
        "events_per_s": round(events / best["ours"]["seconds"]),
        "read_json_events_per_s": round(events / loader),
        "ratio": round(loader / best["ours"]["seconds"], 3),
        "bar_ratio": BAR_RATIO,
        "rss_mib": round(best["ours"]["rss_mib"], 1),
        "bar_rss_mib": BAR_RSS_MIB,
        "conditions": conditions("duckdb", "msgspec"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    result = measure(arguments.events, arguments.rounds)
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["ratio"] >= BAR_RATIO and result["rss_mib"] <= BAR_RSS_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
