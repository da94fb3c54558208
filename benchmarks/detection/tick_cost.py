"""What one usual tick of a learning kind costs with many series, on one core, as JSON.

    python -m benchmarks.detection.tick_cost metric [--series 10000] [--warm 800] [--ticks 5]

A few different series (made-up, calm answers to the kind's own query) learn ``warm`` buckets; then every one of them
is given so many copies that there are ``series``, and single buckets are judged one by one, as the daemon does every
minute, with the garbage collector set as the daemon sets it. Counted is what the detector does with them, unpacking
and packing of its memory included; what it takes to write that memory as JSON text, as the
ledger does, is told apart. ``python_loop_us``
is what 100 turns of a loop took in the same run, so that machines and loads can be compared.
"""

import argparse
import gc
import json
import statistics
import time
import timeit
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from benchmarks.conditions import conditions
from daemon.cli.run import GC_THRESHOLD
from daemon.ledger.codec import dump_memory
from detectors.base import Detector
from detectors.check_worlds import Style, World, make_world
from detectors.finding import Memory
from detectors.frame import Bins, Frame, Key, Series, Value
from detectors.registry import DETECTORS
from detectors.stats.scores import EDGES

_DIFFERENT = 20
_PARAMETERS: Mapping[str, dict[str, Any]] = {"metric": {"field": "duration_ms"}}
_SCORES = "scores"


def copied(key: Key, number: int) -> Key:
    """The key of a copy."""
    return tuple((name, f"{value}-{number:06}") for name, value in key)


def copies(frame: Frame, keys: list[Key], count: int) -> Frame:
    """The frame with its series repeated under other keys; one that has sent nothing has no copies."""
    sent = {series.key: series for series in frame.series}
    wanted = ((keys[number % len(keys)], number) for number in range(count))
    series = (replace(sent[key], key=copied(key, number)) for key, number in wanted if key in sent)
    return replace(frame, series=tuple(series))


def bucket(world: World, first: int, last: int) -> Frame:
    """A stretch of the world; a kind that asks for scores is told some, between 0 and 1."""
    frame = world.frame(first, last)
    if any(measure.name == _SCORES for measure in world.query.measures):
        random = np.random.default_rng(first)
        return replace(frame, series=tuple(_with_scores(series, random) for series in frame.series))
    return frame


def _with_scores(series: Series, random: np.random.Generator) -> Series:
    drawn = [random.beta(8.0, 1.5, int(cast("float", count))) for count in series.values["count"]]
    places = [Counter(np.searchsorted(EDGES, scores, side="right").tolist()) for scores in drawn]
    values: dict[str, tuple[Value, ...]] = {
        "sum": tuple(float(scores.sum()) for scores in drawn),
        "squares": tuple(float(np.square(scores).sum()) for scores in drawn),
        _SCORES: tuple(Bins(tuple(sorted(counted.items()))) for counted in places),
    }
    return replace(series, values={**series.values, **values})


def measure(kind: str, series: int, warm: int, ticks: int) -> dict[str, object]:
    """CPU seconds of each tick."""
    detector = cast("Detector", DETECTORS[kind](**_PARAMETERS.get(kind, {})))
    world = make_world(detector.query(), seed=1, buckets=warm + ticks, keys=_DIFFERENT, style=Style.CALM)
    learned = detector.detect(bucket(world, 0, warm), {}).memory
    keys = sorted(learned)
    memory: Mapping[Key, Memory] = {
        copied(keys[number % len(keys)], number): json.loads(json.dumps(learned[keys[number % len(keys)]]))
        for number in range(series)
    }
    spent_s: list[float] = []
    written_s: list[float] = []
    findings = 0
    for number in range(warm, warm + ticks):
        frame = copies(bucket(world, number, number + 1), keys, series)
        gc.collect()
        begun = time.process_time()
        detection = detector.detect(frame, memory)
        ended = time.process_time()
        texts = [dump_memory(value) for value in detection.memory.values()]
        written_s.append(time.process_time() - ended)
        spent_s.append(ended - begun)
        memory, findings = detection.memory, findings + len(detection.findings)
    return {
        "kind": kind,
        "series": series,
        "findings": findings,
        "tick_cpu_s": [round(one, 3) for one in spent_s],
        "median_cpu_s": round(statistics.median(spent_s), 3),
        "json_cpu_s": round(statistics.median(written_s), 3),
        "python_loop_us": round(timeit.timeit(_loop, timer=time.process_time, number=2_000) * 500, 2),
        "memory_bytes_per_series": max(map(len, texts)),
    }


def _loop() -> int:
    return sum(number * number for number in range(100))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(DETECTORS))
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--warm", type=int, default=800)
    parser.add_argument("--ticks", type=int, default=5)
    given = parser.parse_args()
    gc.set_threshold(*GC_THRESHOLD)
    report = measure(given.kind, given.series, given.warm, given.ticks)
    print(json.dumps({"conditions": conditions("numpy")} | report, indent=2))


if __name__ == "__main__":
    main()
