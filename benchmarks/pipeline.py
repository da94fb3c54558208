"""How much of a device's rate the pipeline keeps, with all events on: a simulated device, and the real one there is.

Prints one JSON object. ``simulated`` is a clock of 5,000 pictures a second behind the real lane: a batch of 64 takes
12.8 ms of it, whatever the processor does, one after the other as on a GPU. Submitting the next batch before the events
of the last are built is what `Recognizer.recognize` does; here it stands alone, because few machines decode 5,000
pictures a second. ``before`` tells each batch before the next is submitted: what the overlap is worth.

``device`` is the GPU where there is one (resnest101e), else the processor (a small network): see
`benchmarks.device_rates`.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `wumu recognize` does, before torch is loaded

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import device_rates
from benchmarks.conditions import conditions
from benchmarks.device_rates import STAGES, fetch, tell
from benchmarks.simulated_device import SimulatedDriver
from recognizer.device.lane import Handle, Lane
from recognizer.emit import configure
from recognizer.manifest import Preprocessing
from recognizer.sinks import FileSink

BATCH = 64
PICTURES_A_SECOND = 5_000
BATCHES = 100
ROUNDS = 4
BAR = 0.99
CLASSES = 16


def rate(lane: Lane, batches: int, told: Callable[[int, Handle], None], *, overlap: bool) -> float:
    """Pictures a second from the first batch that is submitted to the last that is told of."""
    pixels = np.full((8, 8, 3), 99, np.uint8)
    staged = [lane.stage(pixels)] * BATCH
    with ThreadPoolExecutor(1) as network:
        began = time.monotonic()
        waiting: Future[Handle] | None = None
        for batch in range(batches):
            asked = network.submit(lane.submit, staged)
            if not overlap:
                told(batch, asked.result())
                continue
            if waiting is not None:
                told(batch - 1, waiting.result())
            waiting = asked
        if waiting is not None:
            told(batches - 1, waiting.result())
        return batches * BATCH / (time.monotonic() - began)


def simulated(folder: Path, batches: int) -> dict[str, Any]:
    driver = SimulatedDriver(BATCH / PICTURES_A_SECOND)
    spec = Preprocessing(height=8, width=8)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, CLASSES))
    lane = Lane(device_rates.model_of(network, CLASSES, spec, torch.device("cpu")), driver, largest=BATCH)
    log = folder / "events.jsonl"
    sides: dict[str, list[tuple[float, float]]] = {"on": [], "off": [], "before": []}

    def one_round(side: str) -> None:
        """Pictures a second and seconds of processor time a picture."""
        configure(None if side == "off" else FileSink(log, max_bytes=0), model_name="resnest101", host="benchmark")
        processor = time.process_time()
        found = rate(lane, batches, fetch if side == "off" else tell, overlap=side != "before")
        sides[side].append((found, (time.process_time() - processor) / (batches * BATCH)))

    rate(lane, 5, fetch, overlap=True)
    for _ in range(ROUNDS):
        for side in ("on", "off", "before", "off", "on"):  # neither side always comes after the other
            one_round(side)
    configure(None)
    written = sum(1 for _ in log.open("rb"))
    assert written == 3 * ROUNDS * batches * BATCH * len(STAGES)
    on, off, before = (max(found for found, _ in sides[side]) for side in ("on", "off", "before"))
    costs = {side: statistics.median(cost for _, cost in sides[side]) * 1e6 for side in ("on", "off")}
    return {
        "ratio": round(on / off, 4),
        "ratio_wanted": BAR,
        "share_of_the_clock": round(on / PICTURES_A_SECOND, 4),
        "ratio_when_told_before_the_next_batch": round(before / off, 4),
        "pictures_per_second_with_events": round(on, 1),
        "pictures_per_second_without": round(off, 1),
        "processor_us_per_picture_with_events": round(costs["on"], 2),
        "processor_us_per_picture_without": round(costs["off"], 2),
        "taken": f"best of {2 * ROUNDS} rounds of {batches} batches a side, in turns",
        "device": f"simulated, {PICTURES_A_SECOND} pictures a second in batches of {BATCH}",
        "events_per_picture": len(STAGES),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=BATCHES)
    parser.add_argument("--only", choices=("simulated", "device"), help="one of the two parts")
    parser.add_argument("--seconds", type=float, default=device_rates.SECONDS, help="about so long for each real rate")
    wanted = parser.parse_args()
    report: dict[str, Any] = {"benchmark": "pipeline"}
    with tempfile.TemporaryDirectory() as folder:
        if wanted.only != "device":
            report["simulated"] = simulated(Path(folder), wanted.batches)
        if wanted.only != "simulated":
            report["device"] = device_rates.measure(Path(folder), wanted.seconds)
    report["conditions"] = conditions("torch", "timm", "orjson", "opencv-python-headless")
    print(json.dumps(report, ensure_ascii=False))


if __name__ == "__main__":
    main()
