"""What one tick of a learning kind costs with many series, on one core, memory as JSON values, as JSON.

    python -m benchmarks.detection.tick_cost latency [--series 10000] [--warm 70]

The series are copies of a few different ones (made-up answers to the kind's own query). After ``warm`` buckets in one
frame, single buckets are judged one by one, as the daemon does every minute; memory goes through JSON outside of the
measured time, as the ledger keeps it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from benchmarks.conditions import conditions
from detectors.base import Detector
from detectors.check_worlds import make_world
from detectors.finding import Memory
from detectors.frame import Frame, Key
from detectors.registry import DETECTORS

_DIFFERENT = 20


def copies(frame: Frame, count: int) -> Frame:
    """The frame with its series repeated under other keys."""
    series = []
    for number in range(count):
        one = frame.series[number % len(frame.series)]
        key = tuple((name, f"{value}-{number:06}") for name, value in one.key)
        series.append(replace(one, key=key))
    return replace(frame, series=tuple(series))


def measure(kind: str, series: int, warm: int, ticks: int) -> dict[str, object]:
    """CPU seconds of each tick."""
    detector = cast("Detector", DETECTORS[kind]())
    world = make_world(detector.query(), seed=1, buckets=warm + ticks, keys=_DIFFERENT)
    memory: Mapping[Key, Memory] = detector.detect(copies(world.frame(0, warm), series), {}).memory
    spent_s: list[float] = []
    for number in range(warm, warm + ticks):
        frame = copies(world.frame(number, number + 1), series)
        memory = {key: json.loads(json.dumps(value)) for key, value in memory.items()}
        begun = time.process_time()
        memory = detector.detect(frame, memory).memory
        spent_s.append(time.process_time() - begun)
    sizes = [len(json.dumps(value)) for value in memory.values()]
    return {
        "kind": kind,
        "series": series,
        "tick_cpu_s": [round(one, 3) for one in spent_s],
        "median_cpu_s": round(statistics.median(spent_s), 3),
        "memory_bytes_per_series": max(sizes),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(DETECTORS))
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--warm", type=int, default=70)
    parser.add_argument("--ticks", type=int, default=3)
    given = parser.parse_args()
    report = measure(given.kind, given.series, given.warm, given.ticks)
    print(json.dumps({"conditions": conditions("numpy")} | report, indent=2))


if __name__ == "__main__":
    main()
