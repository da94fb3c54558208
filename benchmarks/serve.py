"""What the HTTP front costs: pictures a second through `wumu serve`, beside the pipeline alone on the same files.

Prints one JSON object. The service runs in a process of its own; the load comes from threads with a connection each,
which send the next picture when they have the answer (closed loop), and then at half of the reached rate on a fixed
schedule (open loop), where the latency counts from the moment at which a request was due.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import requests

from benchmarks.conditions import conditions
from benchmarks.recognize import SEED, write_photos
from recognizer.emit import configure
from recognizer.pipeline import Recognizer
from recognizer.sinks import FileSink
from recognizer.train import train

CALLERS = 32
REQUESTS = 600
BATCH = 32
BAR = 0.9


class Caller(threading.local):
    """A connection for each thread."""

    def __init__(self) -> None:
        self.session = requests.Session()


def load(url: str, pictures: list[bytes], total: int, interval_s: float) -> tuple[float, list[float]]:
    """Requests a second, and the latency of each, seconds; ``interval_s`` 0 sends as fast as answers come."""
    caller = Caller()
    began = time.monotonic() + 0.1
    pause = threading.Event()

    def ask(number: int) -> float:
        due = began + number * interval_s
        pause.wait(max(0.0, due - time.monotonic()))
        start = due if interval_s else time.monotonic()
        files = {"image": ("照片.jpg", pictures[number % len(pictures)])}
        answer = caller.session.post(f"{url}/recognize", files=files, timeout=60)
        assert answer.status_code == 200, answer.text
        return time.monotonic() - start

    with ThreadPoolExecutor(CALLERS) as pool:
        latencies = list(pool.map(ask, range(total)))
    return total / (time.monotonic() - began), latencies


def pipeline_rate(model: Path, paths: list[str], log: Path) -> float:
    """Pictures a second of the pipeline alone, events on."""
    configure(FileSink(log), host="benchmark")
    recognizer = Recognizer.load(model, "cpu")
    run: Callable[[], list[object]] = lambda: list(recognizer.recognize(paths * 4, batch_size=BATCH))  # noqa: E731
    run()
    began = time.monotonic()
    run()
    spent = time.monotonic() - began
    configure(None)
    return len(paths) * 4 / spent


def measure(folder: Path, total: int) -> dict[str, Any]:
    model = folder / "model"
    train(model, SEED % 1000)
    paths = write_photos(folder)
    pictures = [Path(path).read_bytes() for path in paths]
    alone = pipeline_rate(model, paths, folder / "pipeline.jsonl")
    command = [sys.executable, "-m", "daemon.cli", "serve", "--port", "0", "--device", "cpu", "--model", str(model)]
    command += ["--log", str(folder / "serve.jsonl"), "--max-batch", str(BATCH), "--max-waiting", "256"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        url = next(line for line in service.stderr if "listening on" in line).split("listening on ")[1].split()[0]
        load(url, pictures, CALLERS, 0.0)
        full, _ = load(url, pictures, total, 0.0)
        _, latencies = load(url, pictures, total // 2, 2 / full)
        service.terminate()
    p50, p99 = (float(np.percentile(latencies, share)) * 1_000 for share in (50, 99))
    return {
        "benchmark": "serve",
        "ratio": round(full / alone, 3),
        "ratio_wanted": BAR,
        "requests_per_second": round(full, 1),
        "pipeline_pictures_per_second": round(alone, 1),
        "half_load_p50_ms": round(p50, 1),
        "half_load_p99_ms": round(p99, 1),
        "full_batch_ms": round(BATCH / alone * 1_000, 1),
        "conditions": {
            "callers": CALLERS,
            "requests_sent": total,
            "picture": "640 × 427 JPEG, multipart",
            "max_batch": BATCH,
            "load_from": "the same machine: client and service share its processors",
            **conditions("fastapi", "uvicorn", "requests", "torch"),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), parser.parse_args().requests), ensure_ascii=False))


if __name__ == "__main__":
    main()
