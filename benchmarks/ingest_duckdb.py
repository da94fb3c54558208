"""How fast a file of events becomes queryable in the embedded store, against DuckDB's own JSON loader.

    python -m benchmarks.ingest_duckdb --events 1000000 --rounds 3

Both read the same file into a new database file, in processes of their own, in turns; the best round of each counts.
Ours decodes and validates every line as the daemon does and ends when a query sees the last event; the loader infers
its columns or is given ours, whichever is faster. ``ratio`` is the loader's seconds by ours: the bar is 0.4. What the
tailing of files adds is measured by `benchmarks.ingest_tail`.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import duckdb

from benchmarks import events
from daemon.ingest.source import BLOCK_BYTES
from daemon.store.base import Batch, Checkpoint
from daemon.store.duckdb.schema import quoted, sql_types
from daemon.store.duckdb.store import DuckDBStore
from recognizer.decode_lines import decode_batch

BAR = 0.4

Timed = tuple[float, float]
"""Seconds, and the process's largest resident memory in MiB."""


def ours(source: Path, database: Path) -> Timed:
    """The daemon's way: read, decode, validate, append, until a query sees every event."""
    begun = time.perf_counter()
    store = DuckDBStore(database)
    with source.open("rb") as file:
        for lines in _blocks(file):
            decoded = decode_batch(
                lines, now_ms=events.START_MS + 2 * events.DAY_MS, max_age_ms=30 * events.DAY_MS, max_future_ms=0
            )
            if decoded.malformed:
                raise SystemExit(f"the generator writes malformed lines: {decoded.malformed[0]}")
            store.append(Batch(decoded.events, decoded.lines, Checkpoint("bench", str(source), file.tell())))
    count = store.health().events
    seconds = time.perf_counter() - begun
    store.close()
    _expect(count, source)
    return seconds, _rss_mib()


def loader_inferring(source: Path, database: Path) -> Timed:
    """DuckDB's read_json as it is."""
    return _load(source, database, "")


def loader_given_columns(source: Path, database: Path) -> Timed:
    """DuckDB's read_json, spared the inference."""
    columns = ", ".join(f"{quoted(name)}: '{type_}'" for name, type_ in sql_types().items())
    return _load(source, database, f", format = 'newline_delimited', columns = {{{columns}}}")


def _load(source: Path, database: Path, options: str) -> Timed:
    begun = time.perf_counter()
    with duckdb.connect(str(database)) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"CREATE TABLE events AS SELECT * FROM read_json('{source}'{options})")  # noqa: S608
        (row,) = connection.execute("SELECT count(*) FROM events").fetchall()
        seconds = time.perf_counter() - begun
    _expect(row[0], source)
    return seconds, _rss_mib()


def _blocks(file: BinaryIO) -> Iterator[list[bytes]]:
    """The file in pieces of whole lines, as large as the tailer's."""
    cut = b""
    while data := file.read(BLOCK_BYTES):
        *lines, cut = (cut + data).split(b"\n")
        yield lines


def _expect(count: int | None, source: Path) -> None:
    with source.open("rb") as file:
        lines = sum(1 for _ in file)
    if count != lines:
        raise SystemExit(f"{count} of {lines} events arrived")


def _rss_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _alone(work: Callable[[Path, Path], Timed], source: Path, folder: Path) -> Timed:
    """Runs the work in a process of its own on a new database."""
    with tempfile.TemporaryDirectory(dir=folder) as place, multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, (source, Path(place) / "events.duckdb"))


def measure(count: int, rounds: int, seed: int) -> dict[str, object]:
    """The figures as a mapping for JSON."""
    ways = (ours, loader_inferring, loader_given_columns)
    timed: dict[str, list[Timed]] = {way.__name__: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "day.jsonl"
        with source.open("wb") as file:
            size = events.write(file, count, seed)
        for _ in range(rounds):
            for way in ways:
                timed[way.__name__].append(_alone(way, source, Path(folder)))
    seconds = {name: min(each for each, _ in figures) for name, figures in timed.items()}
    fastest_loader = min(seconds["loader_inferring"], seconds["loader_given_columns"])
    return {
        "benchmark": "ingest_duckdb",
        "events": count,
        "megabytes": round(size / 1e6, 1),
        "rounds": rounds,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "events_per_second": round(count / seconds["ours"]),
        "peak_rss_mib": {name: round(max(rss for _, rss in figures)) for name, figures in timed.items()},
        "ratio": round(fastest_loader / seconds["ours"], 3),
        "bar": BAR,
    }


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=events.EVENTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=events.SEED)
    options = parser.parse_args()
    print(json.dumps(measure(options.events, options.rounds, options.seed), indent=2))


if __name__ == "__main__":
    main()
