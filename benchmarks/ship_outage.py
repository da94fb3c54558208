"""Elasticsearch away for an hour while the services write on: the shipper's memory, and how fast it catches up.

    python -m benchmarks.ship_outage --live 100

Prints one JSON object, and on stderr each figure as soon as it is known. A real node is killed; the log grows by an
hour of events at the live rate; the shipper (the daemon's ingest with its Elasticsearch store, in a process of its
own) asks in vain as often as it does in an hour, by a clock that is turned on by hand. Then the node comes back, and
events go on being written at the live rate meanwhile. Its memory is all that the process has resident, interpreter
and libraries included, as the kernel counts it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions
from daemon.clock import ManualClock
from daemon.ingest.ingest import Ingest
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from rules.model import IngestConfig

START_MS = 1_700_000_000_000
HOUR_S = 3_600
PAUSE_MS = 30_000
"""The longest pause between two attempts: an hour has at least so many of them."""
BEFORE = 1_000
LIVE_A_SECOND = 100
"""8.6 million events a day; an hour of them is 130 MiB."""
TELL_EVERY_S = 10
MEMORY_ALLOWED_MIB = 64
CATCH_UP_WANTED = 5
PREFIX = "outage"


def lines(first: int, count: int) -> bytes:
    """About 370 bytes an event, as a recognizer's."""
    return b"".join(
        b'{"event_type":"inference_complete","host":"gpu-01","pid":7,"schema_version":1,"model_name":"resnest101",'
        b'"dropped_before":0,"event_id":"run-%d","timestamp":%d,"request_id":"%024x","file_path":"/data/%d/%d.jpg",'
        b'"file_dir":"/data/%d","top1_label":"\xe7\x99\xbe\xe7\x81\xb5","top1_score":0.9321,'
        b'"top3_scores":[0.9321,0.0312,0.0101],"duration_ms":12.345,"device":"cuda:0"}\n'
        % (n, START_MS + n, n, n % 9, n, n % 9)
        for n in range(first, first + count)
    )


def shipper(folder: Path, url: str) -> None:
    """The process that is measured; it says a line of JSON at each stage, and waits for one before the next."""
    log, clock = folder / "events.jsonl", ManualClock(START_MS + HOUR_S * 1_000)
    settings = {"urls": (url,), "prefix": PREFIX, "backoff_s": 0.001}  # as many attempts as ever, without the pauses
    store = ElasticStore(ElasticSettings.model_validate(settings), folder)
    ingest = Ingest(IngestConfig(paths=(str(log),)), store, folder / "quarantine", clock)
    stored = ingest.poll().events
    tell(stored=stored)
    resident: list[float] = []
    for _ in range(HOUR_S * 1_000 // PAUSE_MS):
        clock.advance_ms(PAUSE_MS)
        assert ingest.poll().trouble is not None, "the node is away"
        resident.append(resident_mib())
    tell(
        resident_mib_first=round(resident[0], 1),
        resident_mib_most=round(max(resident), 1),
        peak_mib_until_then=peak_mib(),
    )
    clock.advance_ms(PAUSE_MS)
    tell(**catch_up(ingest))
    ingest.close()
    store.close()


def catch_up(ingest: Ingest) -> dict[str, float]:
    """Everything that waits, and what is written meanwhile."""
    began, cpu, caught_up, told = time.monotonic(), time.process_time(), 0, 0.0
    found: dict[str, float] = {}
    while (report := ingest.poll()).events or report.duplicates or report.behind or report.lag_bytes:
        assert report.trouble is None, report.trouble
        caught_up += report.events + report.duplicates
        found = {
            "caught_up": caught_up,
            "seconds": round(time.monotonic() - began, 2),
            "processor_seconds": round(time.process_time() - cpu, 2),
            "peak_mib": peak_mib(),
        }
        if found["seconds"] - told >= TELL_EVERY_S:
            told = found["seconds"]
            print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def tell(**what: float) -> None:
    for stream in (sys.stdout, sys.stderr):
        print(json.dumps(what), file=stream, flush=True)
    sys.stdin.readline()


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib() -> float:
    """The most that was ever resident: that of a full block on its way, and of the moment in which it failed."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024, 1)


class Writer:
    """Appends events at the live rate until it is stopped."""

    def __init__(self, log: Path, first: int, a_second: int) -> None:
        self.written = first
        self._log, self._a_second = log, a_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        began, first = time.monotonic(), self.written
        while not self._stop.wait(0.1):
            due = first + round((time.monotonic() - began) * self._a_second)
            with self._log.open("ab") as file:
                file.write(lines(self.written, due - self.written))
            self.written = due

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def measure(folder: Path, live: int, version: str) -> dict[str, Any]:
    """The hour, and what came of it."""
    from tests.support.elasticsearch.client import count  # noqa: PLC0415  # the measured process needs neither
    from tests.support.elasticsearch.nodes import start_node  # noqa: PLC0415

    log = folder / "events.jsonl"
    log.write_bytes(lines(0, BEFORE))
    node = start_node(version)
    command = [sys.executable, "-m", "benchmarks.ship_outage", "--shipper", str(folder), node.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = [json.loads(process.stdout.readline())]
            node.kill()
            with log.open("ab") as file:
                for first in range(BEFORE, BEFORE + live * HOUR_S, 10_000):
                    file.write(lines(first, min(10_000, BEFORE + live * HOUR_S - first)))
            process.stdin.write("go on\n")
            process.stdin.flush()
            said.append(json.loads(process.stdout.readline()))
            node.start()
            writer = Writer(log, BEFORE + live * HOUR_S, live)
            process.stdin.write("go on\n")
            process.stdin.flush()
            try:
                said.append(json.loads(process.stdout.readline()))
            finally:
                writer.stop()
            there = count(node.url, PREFIX)
        finally:
            process.kill()
            node.stop()
    return told(said, live, there) | {"conditions": {"elasticsearch": version, **conditions("elastic-transport")}}


def told(said: list[dict[str, float]], live: int, there: int) -> dict[str, Any]:
    before, away, after = said
    rate = after["caught_up"] / after["seconds"]
    return {
        "benchmark": "ship_outage",
        **away,
        "peak_mib_with_catching_up": after["peak_mib"],
        "memory_allowed_mib": MEMORY_ALLOWED_MIB,
        "live_events_per_second": live,
        "events_caught_up": round(after["caught_up"]),
        "events_per_second": round(rate),
        "times_the_live_rate": round(rate / live, 1),
        "times_wanted": CATCH_UP_WANTED,
        "processor_us_an_event": round(after["processor_seconds"] / after["caught_up"] * 1e6, 1),
        "count_exact": there == before["stored"] + after["caught_up"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", type=int, default=LIVE_A_SECOND, help="events a second")
    parser.add_argument("--version", default="8.12.2", help="of Elasticsearch")
    parser.add_argument("--shipper", nargs=2, metavar=("FOLDER", "URL"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.shipper:
        shipper(Path(arguments.shipper[0]), arguments.shipper[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), arguments.live, arguments.version)))


if __name__ == "__main__":
    main()
