"""What the events cost the recognizer: pictures a second with events written to a file, beside the same without a sink.

Prints one JSON object. The two sides run in turns over the same pictures in one process, batches of 32 on the CPU.
``ratio`` is the median, over blocks of four rounds, of the wall time without by that with events, ``ratio_cpu`` the
same of processor time, which other programs disturb less. The network is the small digit CNN, the cheapest there
is: with a larger one the events weigh less, with smaller pictures than these more.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `wumu recognize` does, before torch is loaded

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from sklearn.datasets import load_sample_images

from benchmarks.conditions import conditions
from recognizer.emit import configure
from recognizer.model import load
from recognizer.pipeline import Recognizer
from recognizer.sinks import FileSink
from recognizer.train import train

PICTURES = 64
BATCH = 32
BLOCKS = 60
SEED = 20_240_517
EVENTS_A_PICTURE = 5
BAR = 0.98


def write_photos(folder: Path) -> list[str]:
    """Photos of 640 × 427 pixels, as a camera's thumbnails are: parts of two real ones, scaled, all different."""
    random = np.random.default_rng(SEED)
    sources = [cv2.cvtColor(one, cv2.COLOR_RGB2BGR) for one in load_sample_images().images]
    paths = []
    for index in range(PICTURES):
        top, left = random.integers(0, 40, 2)
        part = sources[index % 2][top : top + 380, left : left + 570]
        path = folder / f"照片_{index:03}.jpg"
        path.write_bytes(cv2.imencode(".jpg", cv2.resize(part, (640, 427), interpolation=cv2.INTER_CUBIC))[1].tobytes())
        paths.append(str(path))
    return paths


def measure(folder: Path, blocks: int) -> dict[str, Any]:
    train(folder / "model", SEED % 1000)
    recognizer = Recognizer(load(folder / "model", "cpu"))
    paths = write_photos(folder)
    log = folder / "events.jsonl"

    def one_round(*, events: bool) -> tuple[float, float]:
        """Seconds of wall and of processor time."""
        configure(FileSink(log, max_bytes=0) if events else None, host="benchmark")
        wall, processor = time.perf_counter(), time.process_time()
        results = list(recognizer.recognize(paths, batch_size=BATCH))
        spent = time.perf_counter() - wall, time.process_time() - processor
        assert all(result.ok for result in results)
        return spent

    one_round(events=True)
    log.unlink()
    with_events, without = [], []
    for _ in range(blocks):
        first, second, third, fourth = (one_round(events=events) for events in (True, False, False, True))
        with_events.append(np.add(first, fourth) / 2)  # neither side always comes after the other
        without.append(np.add(second, third) / 2)
    configure(None)
    written = sum(1 for _ in log.open("rb"))
    assert written == 2 * blocks * PICTURES * EVENTS_A_PICTURE
    on, cpu_on = np.median(with_events, axis=0)
    off, _ = np.median(without, axis=0)
    ratio, ratio_cpu = np.median(np.divide(without, with_events), axis=0)
    return {
        "benchmark": "recognize",
        "ratio": round(ratio, 4),
        "ratio_wanted": BAR,
        "ratio_cpu": round(ratio_cpu, 4),
        "pictures_per_second_with_events": round(PICTURES / on, 1),
        "cpu_ms_per_picture": round(cpu_on / PICTURES * 1e3, 2),
        "pictures_per_second_without": round(PICTURES / off, 1),
        "conditions": {
            "pictures": PICTURES,
            "size": "640 × 427 JPEG",
            "batch": BATCH,
            "blocks": blocks,
            "taken": "median over blocks on-off-off-on, one process",
            "events_per_picture": EVENTS_A_PICTURE,
            "network": "small_cnn 32 × 32",
            "device": "cpu",
            "threads": torch.get_num_threads(),
            **conditions("torch", "opencv-python-headless"),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), parser.parse_args().blocks), ensure_ascii=False))


if __name__ == "__main__":
    main()
