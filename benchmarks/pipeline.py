"""A simulated device of 5,000 pictures a second: how much of its rate is left with all events on.

Prints one JSON object. The device is a clock: a batch of 64 takes 12.8 ms of it, whatever the processor does, and
batches are worked on one after the other, as a GPU does. Submitting the next batch before the events of the last are
built is what `Recognizer.recognize` does; here it stands alone, because this machine can't decode 5,000 pictures a
second. ``before`` tells each batch before the next is submitted: what the overlap is worth.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions
from recognizer.emit import configure, log_events
from recognizer.sinks import FileSink

BATCH = 64
PICTURES_A_SECOND = 5_000
BATCHES = 400
BAR = 0.99
STAGES = ("input_start", "input_success", "preprocess_complete", "inference_complete", "business_output")


class Device:
    """Answers each batch at its time on a monotonic schedule; a late submission is idle time that is lost."""

    def __init__(self) -> None:
        self._free_at = 0.0
        self._pause = threading.Event()

    def run(self, submitted: float) -> float:
        """Wait until the batch is done; when that was due, seconds of the monotonic clock."""
        self._free_at = max(self._free_at, submitted) + BATCH / PICTURES_A_SECOND
        self._pause.wait(max(0.0, self._free_at - time.monotonic()))
        return self._free_at


def tell(batch: int) -> None:
    """Every event of a batch, as much as a real one tells."""
    now_ms = time.time_ns() // 1_000_000
    labels, scores = ["百灵", "喜鹊", "麻雀"], [0.91, 0.05, 0.01]
    log_events(
        {
            "event_type": stage,
            "timestamp": now_ms,
            "request_id": f"{batch:012x}{picture:012x}",
            "file_path": f"/data/上传/相机{picture % 9}/图片_{picture}.jpg",
            "duration_ms": 12.8,
            "top1_label": labels[0],
            "top1_score": scores[0],
            "top3_labels": labels,
            "top3_scores": scores,
            "batch_size": BATCH,
        }
        for picture in range(BATCH)
        for stage in STAGES
    )


def rate(batches: int, told: Callable[[int], None], *, overlap: bool) -> float:
    """Pictures a second of the whole run, by the schedule of the device."""
    device = Device()
    with ThreadPoolExecutor(1) as network:
        began = ended = time.monotonic()
        waiting: Future[float] | None = None
        for batch in range(batches):
            asked = network.submit(device.run, time.monotonic())
            if not overlap:
                ended = asked.result()
                told(batch)
                continue
            if waiting is not None:
                ended = waiting.result()
                told(batch - 1)
            waiting = asked
        if waiting is not None:
            ended = waiting.result()
            told(batches - 1)
    return batches * BATCH / (ended - began)


def measure(folder: Path, batches: int) -> dict[str, Any]:
    configure(None)
    without = rate(batches, lambda _batch: None, overlap=True)
    log = folder / "events.jsonl"
    configure(FileSink(log, max_bytes=0), model_name="resnest101", host="benchmark")
    processor = time.process_time()
    with_events = rate(batches, tell, overlap=True)
    processor = time.process_time() - processor
    before = rate(batches, tell, overlap=False)
    configure(None)
    written = sum(1 for _ in log.open("rb"))
    assert written == 2 * batches * BATCH * len(STAGES)
    return {
        "benchmark": "pipeline",
        "ratio": round(with_events / without, 4),
        "ratio_wanted": BAR,
        "ratio_when_told_before_the_next_batch": round(before / without, 4),
        "pictures_per_second_with_events": round(with_events, 1),
        "pictures_per_second_without": round(without, 1),
        "processor_us_per_event": round(processor / (batches * BATCH * len(STAGES)) * 1e6, 2),
        "conditions": {
            "device": f"simulated, {PICTURES_A_SECOND} pictures a second in batches of {BATCH}",
            "batches": batches,
            "events_per_picture": len(STAGES),
            **conditions("orjson"),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=BATCHES)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), parser.parse_args().batches), ensure_ascii=False))


if __name__ == "__main__":
    main()
