"""What `log_event` costs beside the least that could be done: orjson.dumps and one appending write of the same fields.

Prints one JSON object. The other side is what one would write by hand: a dict with the same stamps and fields (17, with
a Chinese path), encoded and written; and, harder still, a dict that was made beforehand. They run in turns, and the
best round of each counts, so that the ratio means something on a busy machine too.

Then, in the same run: single events timed one by one, a batch call, one thread and four, and the logging libraries that
are installed.
"""

import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

from benchmarks.conditions import conditions
from benchmarks.log_peers import Write, installed
from recognizer.emit import configure, log_event, log_events
from recognizer.sinks import FileSink

EVENTS = 500
ROUNDS = 200
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


def ours_single(event: dict[str, Any]) -> None:
    log_event("inference_complete", **event)


def timed(write: Write, events: list[dict[str, Any]], rounds: int) -> dict[str, float]:
    """Median and 99.9th percentile of single calls on the calling thread, microseconds, clock included."""
    times = []
    for _ in range(rounds):
        for event in events:
            began = time.perf_counter_ns()
            write(event)
            times.append(time.perf_counter_ns() - began)
    times.sort()
    return {"median_us": round(times[len(times) // 2] / 1e3, 2), "p99_9_us": round(times[-len(times) // 1000] / 1e3, 1)}


def per_second(write: Write, events: list[dict[str, Any]], threads: int, rounds: int) -> int:
    """Events a second of all threads together, best of the rounds."""
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(rounds):
            began = time.perf_counter()
            list(pool.map(lambda _: [write(event) for event in events], range(threads)))
            best = max(best, threads * len(events) / (time.perf_counter() - began))
    return round(best)


def batch_us(events: list[dict[str, Any]], size: int) -> float:
    """Microseconds an event of `log_events` with ``size`` events a call, median of the calls."""
    part = [{"event_type": "inference_complete", **event} for event in events[:size]]
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        log_events(part)
        times.append(time.perf_counter() - began)
    return round(statistics.median(times) / size * 1e6, 2)


def compared(folder: Path, rounds: int) -> dict[str, Any]:
    """Ours beside what is installed, one after the other."""
    events = fields(EVENTS)
    configure(FileSink(folder / "compared.jsonl", max_bytes=0), model_name="resnest101", host="recognizer-01")
    peers, absent = installed(folder)
    table: dict[str, Any] = {}
    for name, write in {"log_event": ours_single, **peers}.items():
        table[name] = timed(write, events, rounds) | {
            "events_per_second_1_thread": per_second(write, events, 1, rounds),
            "events_per_second_4_threads": per_second(write, events, 4, rounds),
        }
    batch = {f"log_events_of_{size}_us_per_event": batch_us(events, size) for size in (64, 320)}
    configure(None)
    return {**batch, "batch_us_wanted": 0.6, "single": table, "absent": absent}


def measure(folder: Path) -> dict[str, Any]:
    events = fields(EVENTS)
    made = [ready(event, number) for number, event in enumerate(events)]
    handle = os.open(folder / "baseline.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    dumps, write, newline = orjson.dumps, os.write, orjson.OPT_APPEND_NEWLINE

    def by_hand() -> None:
        for number, event in enumerate(events):
            write(handle, dumps(ready(event, number), option=newline))

    def ready_made() -> None:
        for event in made:
            write(handle, dumps(event, option=newline))

    def ours() -> None:
        for event in events:
            log_event("inference_complete", **event)

    configure(FileSink(folder / "events.jsonl", max_bytes=0), model_name="resnest101", host="recognizer-01")
    sides: list[tuple[Callable[[], None], list[float]]] = [(by_hand, []), (ready_made, []), (ours, [])]
    for _ in range(ROUNDS):
        for run, times in sides:
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
    configure(None)
    os.close(handle)
    hand_ns, ready_made_ns, ours_ns = (round(min(times) / EVENTS * 1e9) for _, times in sides)
    return {
        "benchmark": "log_event",
        "ratio": round(ours_ns / hand_ns, 3),
        "ratio_allowed": 1.5,
        "ratio_to_ready_made_dict": round(ours_ns / ready_made_ns, 3),
        "log_event_ns": ours_ns,
        "orjson_and_write_ns": hand_ns,
        "orjson_and_write_of_ready_made_dict_ns": ready_made_ns,
        **compared(folder, ROUNDS // 10),
        "bytes_per_event": (folder / "events.jsonl").stat().st_size // (ROUNDS * EVENTS),
        "conditions": {
            "events_per_round": EVENTS,
            "rounds": ROUNDS,
            "taken": "best round of each, in turns, one thread",
            "fields": len(made[0]),
            "seed": SEED,
            "file_system": str(folder.parent),
            **conditions("orjson"),
        },
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder))))


if __name__ == "__main__":
    main()
