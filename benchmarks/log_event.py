"""What events cost the thread that tells them, beside the least that could be done and beside other libraries.

Prints one JSON object. All figures are processor time but where ``wall`` is said: on a busy machine the time of other
programs is none of ours. All sides run in turns in one run; ``best`` is the best round, ``median`` the middle one.

The event has 17 fields with a Chinese path and labels: 8 given, 9 stamped. The least that could be done: ``floor`` is
orjson.dumps of the given fields alone plus an appending write of the finished line alone, with nothing stamped and no
dict built; ``by_hand`` is what one would write oneself: a dict of the same 17 fields, encoded and written.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from benchmarks.conditions import conditions
from benchmarks.log_peers import Write, installed
from recognizer.emit import configure, log_event, log_events
from recognizer.sinks import FileSink

Round = Callable[[], object]
"""Tells the events of the benchmark once."""

EVENTS = 640
ROUNDS = 200
BATCHES = (64, 320)
SEED = 20_240_517
RUN = os.urandom(8).hex()
PID = os.getpid()
LABELS = ("百灵", "喜鹊", "麻雀", "燕子")


def fields(count: int) -> list[dict[str, Any]]:
    """What a service knows of each picture when the model has answered."""
    chance = random.Random(SEED)
    made = []
    for number in range(count):
        labels = chance.sample(LABELS, 3)
        scores = [round(score, 4) for score in sorted((chance.random() for _ in range(3)), reverse=True)]
        made.append(
            {
                "request_id": f"{number:024x}",
                "file_path": f"/data/上传/相机{chance.randrange(9)}/图片_{number}.jpg",
                "top1_label": labels[0],
                "top1_score": scores[0],
                "top3_labels": labels,
                "top3_scores": scores,
                "duration_ms": round(chance.uniform(5, 20), 3),
                "device": "cuda:0",
            }
        )
    return made


def ready(event: dict[str, Any], number: int) -> dict[str, Any]:
    """The same event as `log_event` writes it."""
    return {
        "timestamp": time.time_ns() // 1_000_000,
        "event_type": "inference_complete",
        "event_id": f"{RUN}-{number}",
        "dropped_before": 0,
        "host": "recognizer-01",
        "pid": PID,
        "schema_version": 1,
        "model_name": "resnest101",
        "file_dir": event["file_path"].rpartition("/")[0],
        **event,
    }


def rounds_of(sides: dict[str, Round], rounds: int) -> dict[str, dict[str, float]]:
    """Best and middle round of each side, microseconds of processor an event."""
    times: dict[str, list[int]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            began = time.process_time_ns()
            run()
            times[name].append(time.process_time_ns() - began)
    return {
        name: {
            "best_us": round(min(found) / EVENTS / 1e3, 3),
            "median_us": round(sorted(found)[len(found) // 2] / EVENTS / 1e3, 3),
        }
        for name, found in times.items()
    }


def single_calls(write: Write, events: list[dict[str, Any]], rounds: int) -> dict[str, float]:
    """Median and 99.9th percentile of single calls in processor time of the calling thread, the clock's cost taken off;
    ``p99_9_wall_us`` holds the turns of other programs too."""
    clock, wall_clock = time.thread_time_ns, time.perf_counter_ns
    own, wall = [], []
    clock_ns = min(-clock() + clock() for _ in range(1_000))
    for _ in range(rounds):
        for event in events:
            began = clock()
            write(event)
            own.append(clock() - began - clock_ns)
        for event in events:
            began = wall_clock()
            write(event)
            wall.append(wall_clock() - began)
    own.sort(), wall.sort()
    rare = -len(own) // 1_000
    return {
        "median_us": round(own[len(own) // 2] / 1e3, 2),
        "p99_9_us": round(own[rare] / 1e3, 1),
        "p99_9_wall_us": round(wall[rare] / 1e3, 1),
    }


def per_second(tell: Round, threads: int, rounds: int) -> int:
    """Events a second of processor of all threads together, best of the rounds."""
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(rounds):
            began = time.process_time()
            list(pool.map(lambda _: tell(), range(threads)))
            best = max(best, threads * EVENTS / (time.process_time() - began))
    return round(best)


def each(call: Callable[[Any], object], values: Sequence[Any]) -> Round:
    """The call of every value, by a loop that costs next to nothing."""
    return lambda: deque(map(call, values), maxlen=0)


def parts(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The values in batches of ``size``."""
    return (values[start : start + size] for start in range(0, len(values), size))


def ours_single(event: dict[str, Any]) -> None:
    log_event("inference_complete", **event)


def least(events: list[dict[str, Any]], file: int) -> dict[str, Round]:
    """The sides that ours are measured against."""
    dumps = orjson.dumps
    lines = [line_by_hand(number, event) for number, event in enumerate(events)]
    append = partial(os.write, file)

    def by_hand() -> None:
        for number, event in enumerate(events):
            append(line_by_hand(number, event))

    sides: dict[str, Round] = {
        "orjson_alone": each(dumps, events),
        "write_alone": each(append, lines),
        "by_hand": by_hand,
    }
    for size in BATCHES:
        batches = list(parts(events, size))
        blocks = [b"".join(part) for part in parts(lines, size)]
        sides[f"orjson_alone_{size}"] = each(dumps, batches)
        sides[f"write_alone_{size}"] = each(append, blocks)
        sides[f"by_hand_{size}"] = each(partial(batch_by_hand, append), batches)
    return sides


def line_by_hand(number: int, event: dict[str, Any]) -> bytes:
    return orjson.dumps(ready(event, number), option=orjson.OPT_APPEND_NEWLINE)


def batch_by_hand(append: Callable[[bytes], object], events: Sequence[dict[str, Any]]) -> None:
    append(b"".join([line_by_hand(number, event) for number, event in enumerate(events)]))


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """Everything, in one run."""
    events = fields(EVENTS)
    configure(FileSink(folder / "events.jsonl", max_bytes=0), model_name="resnest101", host="recognizer-01")
    peers, versions, absent = installed(folder)
    file = os.open(folder / "baseline.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    ours: dict[str, Round] = {"log_event": each(ours_single, events)}
    for size in BATCHES:
        typed = [{"event_type": "inference_complete", **event} for event in events]
        ours[f"log_events_{size}"] = each(log_events, list(parts(typed, size)))
    us = rounds_of(least(events, file) | ours, rounds)
    few = max(1, rounds // 10)
    calls = {name: single_calls(write, events, few) for name, write in {"log_event": ours_single, **peers}.items()}
    sides = ours | {name: each(write, events) for name, write in peers.items()}
    rates = {
        name: {f"{threads}_threads": per_second(side, threads, few) for threads in (1, 4)}
        for name, side in sides.items()
    }
    configure(None)
    os.close(file)
    return {
        "benchmark": "log_event",
        "ratio_to_by_hand": round(us["log_event"]["best_us"] / us["by_hand"]["best_us"], 3),
        "ratio_allowed": 1.5,
        "floor_best_us": {name: floor(us, name.removeprefix("log_event").removeprefix("s")) for name in ours},
        "us_an_event": us,
        "single_calls": calls,
        "events_per_processor_second": rates,
        "wanted": {
            "single_median_us": 4,
            "single_p99_9_us": 60,
            "batch_us_an_event": 0.6,
            "events_per_second": 300_000,
        },
        "absent": absent,
        "bytes_per_event": len(line_by_hand(0, events[0])),
        "conditions": {
            "events_per_round": EVENTS,
            "rounds": rounds,
            "fields": len(ready(events[0], 0)),
            "seed": SEED,
            "file_system": str(folder.parent),
            **conditions("orjson"),
            **versions,
        },
    }


def floor(us: dict[str, dict[str, float]], which: str) -> float:
    """Encoding the given fields alone and writing the lines alone, with nothing between."""
    return round(us[f"orjson_alone{which}"]["best_us"] + us[f"write_alone{which}"]["best_us"], 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
