"""What the HTTP front costs: pictures a second through `wumu serve`, beside the pipeline alone on the same files.

Prints one JSON object. The service runs in a process of its own with its limits as they are by default; the load comes
from vegeta (`go install github.com/tsenart/vegeta/v12@latest`, on the PATH), each picture as a multipart upload. A
round is the pipeline alone; then callers that send the next picture when they have an answer (closed loop), which
gives the rate; then half of that rate on a fixed schedule, whoever has been answered (open loop), which gives the
latencies. Rounds are taken in turns, a ratio is one of a round, and the median counts. ``ratio`` is that of the clock,
where the load costs processor time too when it comes from the same machine; ``ratio_cpu`` is that of the processor
time of a picture in both processes, which the load is no part of.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import base64
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests

from benchmarks.conditions import conditions
from benchmarks.recognize import SEED, write_photos
from recognizer.emit import configure
from recognizer.pipeline import Recognizer
from recognizer.sinks import FileSink
from recognizer.train import train

CALLERS = 32
ROUNDS = 5
SECONDS = 8.0
BATCH = 32
BAR, BATCH_TIMES_WANTED = 0.9, 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """What an attack came to: answers a second, seconds of the service's processor for each, latencies in ms."""

    rate: float
    processor: float
    p50_ms: float
    p99_ms: float


class Service:
    """`wumu serve` in a process of its own."""

    def __init__(self, model: Path, log: Path) -> None:
        command = [sys.executable, "-m", "daemon.cli", "serve", "--port", "0", "--device", "cpu", "--model", str(model)]
        command += ["--log", str(log), "--max-batch", str(BATCH)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        line = next(line for line in self._process.stderr if "listening on" in line)
        self.url = line.split("listening on ")[1].split()[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def processor_seconds(self) -> float:
        """Of all its threads, so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def attacked(self, targets: Path, seconds: float, rate: float | None) -> Load:
        """By vegeta: on a schedule of ``rate`` a second, or as fast as `CALLERS` connections get answers."""
        how = ["-rate=0", f"-max-workers={CALLERS}"] if rate is None else [f"-rate={max(1, round(rate * 60))}/60s"]
        before = self.processor_seconds()
        attack = subprocess.run(
            ["vegeta", "attack", "-format=json", f"-targets={targets}", f"-duration={seconds}s", "-timeout=60s", *how],
            stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        spent = self.processor_seconds() - before
        told = subprocess.run(["vegeta", "report", "-type=json"], input=attack.stdout, capture_output=True, check=True)
        found = json.loads(told.stdout)
        assert set(found["status_codes"]) == {"200"}, found
        late = found["latencies"]
        return Load(found["throughput"], spent / found["requests"], late["50th"] / 1e6, late["99th"] / 1e6)


def write_targets(file: Path, url: str, paths: list[str]) -> None:
    """An upload of each picture, as vegeta reads requests."""
    with file.open("w") as out:
        for path in paths:
            image = {"image": ("照片.jpg", Path(path).read_bytes())}
            request = requests.Request("POST", f"{url}/recognize", files=image).prepare()
            assert isinstance(request.body, bytes)
            body = base64.b64encode(request.body).decode()
            header = {"Content-Type": [request.headers["Content-Type"]]}
            out.write(json.dumps({"method": "POST", "url": request.url, "header": header, "body": body}) + "\n")


def alone(recognizer: Recognizer, paths: list[str], log: Path, seconds: float) -> tuple[float, float]:
    """The pipeline without the front, events on: pictures a second, and seconds of processor a picture."""
    configure(FileSink(log), host="benchmark")
    done, processor, began = 0, time.process_time(), time.monotonic()
    while (spent := time.monotonic() - began) < seconds or not done:
        done += sum(1 for _ in recognizer.recognize(paths * 2, batch_size=BATCH))
    configure(None)
    return done / spent, (time.process_time() - processor) / done


def measure(folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    train(folder / "model", SEED % 1000)
    paths = write_photos(folder)
    recognizer = Recognizer.load(folder / "model", "cpu")
    log, targets = folder / "pipeline.jsonl", folder / "targets.json"
    pipeline: list[tuple[float, float]] = []
    full: list[Load] = []
    half: list[Load] = []
    with Service(folder / "model", folder / "serve.jsonl") as service:
        write_targets(targets, service.url, paths)
        alone(recognizer, paths, log, 0.0)
        service.attacked(targets, 2.0, None)
        for _ in range(rounds):
            pipeline.append(alone(recognizer, paths, log, seconds))
            full.append(service.attacked(targets, seconds, None))
            half.append(service.attacked(targets, seconds, full[-1].rate / 2))
    return told(pipeline, full, half)


def told(pipeline: list[tuple[float, float]], full: list[Load], half: list[Load]) -> dict[str, Any]:
    """Medians of the rounds, and what each came to."""
    ratios = [load.rate / rate for load, (rate, _) in zip(full, pipeline, strict=True)]
    cpu = [processor / load.processor for load, (_, processor) in zip(full, pipeline, strict=True)]
    batches_ms = [BATCH / rate * 1_000 for rate, _ in pipeline]
    times = [load.p99_ms / batch_ms for load, batch_ms in zip(half, batches_ms, strict=True)]
    return {
        "benchmark": "serve",
        "ratio": round(statistics.median(ratios), 3),
        "ratio_cpu": round(statistics.median(cpu), 3),
        "ratio_wanted": BAR,
        "ratios": [round(each, 3) for each in ratios],
        "ratios_cpu": [round(each, 3) for each in cpu],
        "requests_per_second": round(statistics.median(load.rate for load in full), 1),
        "pipeline_pictures_per_second": round(statistics.median(rate for rate, _ in pipeline), 1),
        "processor_ms_per_request": round(statistics.median(load.processor for load in full) * 1e3, 2),
        "processor_ms_per_picture_of_the_pipeline": round(statistics.median(cost for _, cost in pipeline) * 1e3, 2),
        "half_load_p50_ms": round(statistics.median(load.p50_ms for load in half), 1),
        "half_load_p99_ms": round(statistics.median(load.p99_ms for load in half), 1),
        "full_batch_ms": round(statistics.median(batches_ms), 1),
        "half_load_p99_in_batch_times": round(statistics.median(times), 2),
        "half_load_p99_in_batch_times_of_each_round": [round(each, 2) for each in times],
        "batch_times_wanted": BATCH_TIMES_WANTED,
        "conditions": {
            "load_from": "vegeta on the same machine: client and service share its processors",
            "callers": CALLERS,
            "rounds": len(full),
            "picture": "640 × 427 JPEG, multipart",
            "max_batch": BATCH,
            **conditions("fastapi", "uvicorn", "torch"),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each of the three parts of a round")
    wanted = parser.parse_args()
    if shutil.which("vegeta") is None:
        sys.exit(
            "vegeta is not on the PATH: go install github.com/tsenart/vegeta/v12@latest, and add $(go env GOPATH)/bin"
        )
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), wanted.rounds, wanted.seconds), ensure_ascii=False))


if __name__ == "__main__":
    main()
