"""What the HTTP front costs: pictures a second through `wumu serve`, beside the pipeline alone on the same files.

Prints one JSON object for each case: the small network with one picture in a request, the same with several, and
``resnest101e``, the network the product is made for, from a folder as ModelScope gives it, with random weights.

The service runs in a process of its own with its limits as they are by default; the load comes from vegeta (`go install
github.com/tsenart/vegeta/v12@latest`, on the PATH), each picture as a multipart upload. A round is the pipeline alone;
then callers that send the next request when they have an answer (closed loop), which gives the rate; then half of that
rate on a fixed schedule, whoever has been answered (open loop), which gives the latencies. Rounds are taken in turns, a
ratio is one of a round, and the median counts. ``ratio`` is that of the clock, where the load costs processor time too
when it comes from the same machine; ``ratio_cpu`` is that of the processor time of a picture in both processes, which
the load is no part of.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import base64
import itertools
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
import torch

from benchmarks.conditions import conditions
from benchmarks.recognize import SEED, write_photos
from recognizer.device.opening import LaneSettings
from recognizer.emit import configure
from recognizer.formats.modelscope import CONFIGURATION_NAME, LABELS_NAME, TASK, WEIGHTS_NAME
from recognizer.network import build
from recognizer.pipeline import Recognizer
from recognizer.sinks import FileSink
from recognizer.train import train

ROUNDS = 5
LABELS = 54_092
SECONDS = 8.0
BAR, BATCH_TIMES_WANTED = 0.9, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Which network in batches of which size, and how many callers with how many pictures in a request.

    ``longer``: how many times longer than others a part of its round takes.
    """

    network: str
    batch: int
    callers: int
    pictures: int
    longer: int = 1


SMALL, LARGE = "small_cnn", "resnest101e"
CASES = {
    "single": Case(network=SMALL, batch=32, callers=64, pictures=1),
    "several": Case(network=SMALL, batch=32, callers=8, pictures=8),
    "resnest101e": Case(network=LARGE, batch=4, callers=8, pictures=1, longer=4),
}


@dataclass(frozen=True, slots=True)
class Load:
    """What an attack came to: pictures a second, seconds of the service's processor for each, latencies in ms."""

    rate: float
    processor: float
    p50_ms: float
    p99_ms: float


class Service:
    """`wumu serve` in a process of its own."""

    def __init__(self, model: Path, log: Path, case: Case) -> None:
        self._case = case
        command = [sys.executable, "-m", "daemon.cli", "serve", "--port", "0", "--device", "cpu", "--model", str(model)]
        command += ["--log", str(log), "--max-batch", str(case.batch)]
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
        """By vegeta: on a schedule of ``rate`` pictures a second, or as fast as the callers get answers."""
        how = ["-rate=0", f"-max-workers={self._case.callers}"]
        if rate is not None:
            how = [f"-rate={max(1, round(rate / self._case.pictures * 60))}/60s"]
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
        pictures = self._case.pictures
        rate, each = found["throughput"] * pictures, spent / found["requests"] / pictures
        return Load(rate, each, late["50th"] / 1e6, late["99th"] / 1e6)


def write_targets(file: Path, url: str, paths: list[str], pictures: int = 1) -> None:
    """An upload of so many pictures each, as vegeta reads requests."""
    with file.open("w") as out:
        for start in range(0, len(paths), pictures):
            images = [("image", ("照片.jpg", Path(path).read_bytes())) for path in paths[start : start + pictures]]
            request = requests.Request("POST", f"{url}/recognize", files=images).prepare()
            assert isinstance(request.body, bytes)
            body = base64.b64encode(request.body).decode()
            header = {"Content-Type": [request.headers["Content-Type"]]}
            out.write(json.dumps({"method": "POST", "url": request.url, "header": header, "body": body}) + "\n")


def alone(recognizer: Recognizer, paths: list[str], log: Path, seconds: float, batch: int) -> tuple[float, float]:
    """The pipeline without the front, events on: pictures a second, and seconds of processor a picture."""
    configure(FileSink(log), host="benchmark")
    processor, began = time.process_time(), time.monotonic()
    source = itertools.takewhile(lambda _: time.monotonic() < began + seconds, itertools.cycle(paths))
    done = sum(1 for _ in recognizer.recognize(itertools.chain(paths[:batch], source), batch_size=batch))
    spent = time.monotonic() - began
    configure(None)
    return done / spent, (time.process_time() - processor) / done


def write_model(folder: Path, network: str) -> None:
    """The small network trained, or the large one with random weights in a folder as the hub gives it."""
    if network == SMALL:
        train(folder, SEED % 1000)
        return
    folder.mkdir()
    torch.manual_seed(SEED)
    torch.save(build("timm", {"model": network}, LABELS).state_dict(), folder / WEIGHTS_NAME)
    (folder / LABELS_NAME).write_text("".join(f"{index}\t标签{index}\t{index}\n" for index in range(LABELS)))
    (folder / CONFIGURATION_NAME).write_text(json.dumps({"task": TASK}))


def measure(folder: Path, case: Case, rounds: int, seconds: float) -> dict[str, Any]:
    folder.mkdir()
    write_model(folder / "model", case.network)
    paths = write_photos(folder)
    recognizer = Recognizer.load(folder / "model", "cpu", lane=LaneSettings(largest=case.batch))
    log, targets = folder / "pipeline.jsonl", folder / "targets.json"
    pipeline: list[tuple[float, float]] = []
    full: list[Load] = []
    half: list[Load] = []
    with Service(folder / "model", folder / "serve.jsonl", case) as service:
        write_targets(targets, service.url, paths, case.pictures)
        alone(recognizer, paths, log, 0.0, case.batch)
        service.attacked(targets, 2.0, None)
        for _ in range(rounds):
            pipeline.append(alone(recognizer, paths, log, seconds, case.batch))
            full.append(service.attacked(targets, seconds, None))
            half.append(service.attacked(targets, seconds, full[-1].rate / 2))
    return told(case, pipeline, full, half)


def told(case: Case, pipeline: list[tuple[float, float]], full: list[Load], half: list[Load]) -> dict[str, Any]:
    """Medians of the rounds, and what each came to."""
    ratios = [load.rate / rate for load, (rate, _) in zip(full, pipeline, strict=True)]
    cpu = [processor / load.processor for load, (_, processor) in zip(full, pipeline, strict=True)]
    batches_ms = [case.batch / rate * 1_000 for rate, _ in pipeline]
    times = [load.p99_ms / batch_ms for load, batch_ms in zip(half, batches_ms, strict=True)]
    return {
        "benchmark": "serve",
        "ratio": round(statistics.median(ratios), 3),
        "ratio_cpu": round(statistics.median(cpu), 3),
        "ratio_wanted": BAR,
        "ratios": [round(each, 3) for each in ratios],
        "ratios_cpu": [round(each, 3) for each in cpu],
        "pictures_per_second": round(statistics.median(load.rate for load in full), 1),
        "pipeline_pictures_per_second": round(statistics.median(rate for rate, _ in pipeline), 1),
        "processor_ms_per_picture": round(statistics.median(load.processor for load in full) * 1e3, 2),
        "processor_ms_per_picture_of_the_pipeline": round(statistics.median(cost for _, cost in pipeline) * 1e3, 2),
        "half_load_p50_ms": round(statistics.median(load.p50_ms for load in half), 1),
        "half_load_p99_ms": round(statistics.median(load.p99_ms for load in half), 1),
        "full_batch_ms": round(statistics.median(batches_ms), 1),
        "half_load_p99_in_batch_times": round(statistics.median(times), 2),
        "half_load_p99_in_batch_times_of_each_round": [round(each, 2) for each in times],
        "batch_times_wanted": BATCH_TIMES_WANTED,
        "conditions": {
            "load_from": "vegeta on the same machine: client and service share its processors",
            "network": case.network,
            "callers": case.callers,
            "pictures_per_request": case.pictures,
            "rounds": len(full),
            "picture": "640 × 427 JPEG, multipart",
            "max_batch": case.batch,
            **conditions("fastapi", "uvicorn", "torch"),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="may be repeated; all unless given")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each of the three parts of a round")
    wanted = parser.parse_args()
    if shutil.which("vegeta") is None:
        sys.exit(
            "vegeta is not on the PATH: go install github.com/tsenart/vegeta/v12@latest, and add $(go env GOPATH)/bin"
        )
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted.case or CASES:
            case = CASES[name]
            found = measure(Path(folder) / name, case, wanted.rounds, wanted.seconds * case.longer)
            print(json.dumps({**found, "case": name}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
