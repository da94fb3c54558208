"""An hour under load: memory and file descriptors stay flat. python -m benchmarks.soak --minutes N

A recognizer with all events on reads pictures, some of them broken, into logs that are rotated. After a warm-up its
memory and the open descriptors are sampled all along. Memory is what the process has taken for itself (RssAnon): of
its libraries' files the kernel drops pages and reads them again as it likes. A line of JSON with the figures so far
goes to stderr sixty times a run, and the report to stdout, also when the run is cut short by SIGTERM or Ctrl-C. It
ends with 1 when something grew.

Flat is what passes three tests: the median of the last quarter is not above that of the first by more than what the
allocator keeps or not; nor is what the slope's upper limit makes of the whole run; and no descriptor was opened that
was not closed. The slope is Theil's and Sen's, of the medians of sixty equal parts, with its limits of 95 %
(`scipy.stats.theilslopes`): neighbouring samples are alike, medians of a minute are less so.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np
from scipy.stats import theilslopes  # type: ignore[import-untyped]

from benchmarks.conditions import conditions
from recognizer.emit import configure
from recognizer.pipeline import Recognizer
from recognizer.sinks import FileSink

SEED = 20_240_517
PICTURES = 48
BATCH = 16
ROUNDS_OF_WARMING = 30
PARTS = 60
SAMPLES_A_PART = 12
LEAST_SAMPLES = 3
LONGEST_ROUND_S = 10.0
"""Of a round that took longer, no more counts as time under load: somebody stopped the process."""
GROWTH_ALLOWED = 0.01
NOISE_MIB = 4.0
"""What the allocator keeps back or not, whatever the program does."""


@dataclass
class Course:
    """What was sampled, against the seconds under load."""

    seconds: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    pictures: int = 0

    def sample(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.memory_mib.append(memory_mib())
        self.descriptors.append(len(list(Path("/proc/self/fd").iterdir())))

    def report(self) -> dict[str, Any]:
        """The verdict over what there is so far, with the figures that it follows from."""
        quarter = max(1, len(self.seconds) // 4)
        first, last = (statistics.median(part) for part in (self.memory_mib[:quarter], self.memory_mib[-quarter:]))
        slope, low, high = self._slope()
        hours = self.seconds[-1] / 3_600
        allowed = max(NOISE_MIB, first * GROWTH_ALLOWED)
        return {
            "benchmark": "soak",
            "flat": last - first <= allowed
            and high * hours <= allowed
            and statistics.median(self.descriptors[-quarter:]) <= self.descriptors[0],
            "memory_mib_first_quarter": round(first, 2),
            "memory_mib_last_quarter": round(last, 2),
            "memory_mib_most": round(max(self.memory_mib), 2),
            "mib_an_hour": round(slope, 3),
            "mib_an_hour_95_percent": [round(low, 3), round(high, 3)],
            "mib_allowed": round(allowed, 2),
            "descriptors_first": self.descriptors[0],
            "descriptors_last": self.descriptors[-1],
            "descriptors_most": max(self.descriptors),
            "seconds_under_load": round(self.seconds[-1], 1),
            "pictures": self.pictures,
            "pictures_per_second": round(self.pictures / self.seconds[-1], 1),
        }

    def _slope(self) -> tuple[float, float, float]:
        """MiB an hour with the limits; 0 of a run that was cut short after fewer than `LEAST_SAMPLES`."""
        if len(self.seconds) < LEAST_SAMPLES:
            return 0.0, 0.0, 0.0
        found = theilslopes(*self._parts(), alpha=0.95)
        return found.slope * 3_600, found.low_slope * 3_600, found.high_slope * 3_600

    def _parts(self) -> tuple[list[float], list[float]]:
        """Medians of the memory in equal parts of the run, and their middles in seconds."""
        parts = np.array_split(np.arange(len(self.seconds)), min(PARTS, len(self.seconds)))
        return (
            [float(np.median([self.memory_mib[at] for at in part])) for part in parts],
            [float(np.mean([self.seconds[at] for at in part])) for part in parts],
        )


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


def memory_mib() -> float:
    """What the process has taken for itself and is resident."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1_024 for line in lines if line.startswith("RssAnon:"))


def load(recognizer: Recognizer, paths: list[str], seconds: float, course: Course) -> Iterator[float]:
    """Rounds of all pictures for so long, sampled into ``course``; the seconds under load, after each round."""
    under_load, sampled = 0.0, 0.0
    while under_load < seconds:
        began = time.monotonic()
        course.pictures += sum(1 for _ in recognizer.recognize(paths, batch_size=BATCH))
        under_load += min(LONGEST_ROUND_S, time.monotonic() - began)
        if under_load - sampled >= seconds / (PARTS * SAMPLES_A_PART) or not course.seconds:
            sampled = under_load
            course.sample(under_load)
        yield under_load


def soak(folder: Path, seconds: float, stop: Event) -> dict[str, Any]:
    """The load for so long or until ``stop``, and what became of memory and descriptors."""
    training = [sys.executable, "-m", "recognizer.train", str(folder / "model")]
    subprocess.run(training, check=True, stdout=subprocess.DEVNULL)  # what it leaves resident is not the recognizer's
    paths = write_pictures(folder)
    configure(FileSink(folder / "events.jsonl", max_bytes=4 * 2**20, keep=2), host="soak")
    recognizer = Recognizer.load(folder / "model", "cpu")
    for _ in range(ROUNDS_OF_WARMING):
        list(recognizer.recognize(paths, batch_size=BATCH))
    course, told = Course(), 0.0
    for under_load in load(recognizer, paths, seconds, course):
        if under_load - told >= seconds / PARTS:
            told = under_load
            print(json.dumps(course.report()), file=sys.stderr, flush=True)
        if stop.is_set():
            break
    configure(None)
    packages = conditions("torch", "opencv-python-headless")
    return course.report() | {"cut_short": stop.is_set(), "conditions": {"device": "cpu", **packages}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    wanted = parser.parse_args()
    stop = Event()
    for cut in (signal.SIGTERM, signal.SIGINT):
        signal.signal(cut, lambda *_: stop.set())
    with tempfile.TemporaryDirectory() as folder:
        found = soak(Path(folder), wanted.minutes * 60, stop)
    print(json.dumps(found))
    return 0 if found["flat"] else 1


if __name__ == "__main__":
    sys.exit(main())
