"""An hour under load: memory and file descriptors stay flat. python -m benchmarks.soak --minutes N

Prints one JSON object, and ends with 1 when something grew. A recognizer with all events on reads pictures, some of
them broken; the resident memory of the first fifth of the run, after a warm-up, is compared with that of the last.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.conditions import conditions
from recognizer.emit import configure
from recognizer.pipeline import Recognizer
from recognizer.sinks import FileSink
from recognizer.train import train

SEED = 20_240_517
PICTURES = 48
ROUNDS_OF_WARMING = 5
GROWTH_ALLOWED = 0.01
NOISE_MIB = 4.0
"""What the allocator keeps back or not, whatever the program does."""


def write_pictures(folder: Path) -> list[str]:
    """Pictures of many sizes; every eighth is cut off, every ninth is missing."""
    random = np.random.default_rng(SEED)
    paths = []
    for index in range(PICTURES):
        height, width = random.integers(40, 400, 2)
        path = folder / f"图片_{index:02}.jpg"
        data = cv2.imencode(".jpg", random.integers(0, 255, (height, width, 3), np.uint8))[1].tobytes()
        if index % 9:
            path.write_bytes(data[: len(data) // 2] if index % 8 == 0 else data)
        paths.append(str(path))
    return paths


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def soak(folder: Path, seconds: float) -> dict[str, Any]:
    """The load for so long, and what became of memory and descriptors."""
    train(folder / "model", SEED % 1000)
    paths = write_pictures(folder)
    configure(FileSink(folder / "events.jsonl", max_bytes=4 * 2**20, keep=2), host="soak")
    recognizer = Recognizer.load(folder / "model", "cpu")
    for _ in range(ROUNDS_OF_WARMING):
        list(recognizer.recognize(paths, batch_size=16))
    began = time.monotonic()
    memory, opened, pictures = [resident_mib()], [descriptors()], 0
    while time.monotonic() - began < seconds:
        pictures += sum(1 for _ in recognizer.recognize(paths, batch_size=16))
        memory.append(resident_mib())
        opened.append(descriptors())
    configure(None)
    part = max(1, len(memory) // 5)
    first, last = statistics.median(memory[:part]), statistics.median(memory[-part:])
    return {
        "benchmark": "soak",
        "flat": last - first <= max(NOISE_MIB, first * GROWTH_ALLOWED) and max(opened) <= opened[0],
        "resident_mib_first": round(first, 1),
        "resident_mib_last": round(last, 1),
        "descriptors_first": opened[0],
        "descriptors_most": max(opened),
        "pictures": pictures,
        "pictures_per_second": round(pictures / seconds, 1),
        "conditions": {"seconds": round(seconds, 1), "device": "cpu", **conditions("torch", "opencv-python-headless")},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), parser.parse_args().minutes * 60)
    print(json.dumps(found))
    return 0 if found["flat"] else 1


if __name__ == "__main__":
    sys.exit(main())
