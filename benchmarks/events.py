"""A day of a recognition service as JSON lines: 8 hosts, 40 labels, 50 directories, the same for the same seed.

    python -m benchmarks.events day.jsonl --events 1000000

A request writes five events within a second, or two when its picture can't be read (2 %). Requests come evenly over
the day with random gaps; lines are ordered by request, so nearly by time, as a log is.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

EVENTS = 1_000_000
SEED = 20_260_329
START_MS = 1_774_742_400_000
"""2026-03-29 00:00 UTC."""
DAY_MS = 86_400_000
HOSTS = tuple(f"gpu-{number:02}" for number in range(8))
LABELS = tuple(f"label_{number:02}" for number in range(40))
DIRECTORIES = tuple(f"/data/{'upload' if number % 5 == 0 else 'camera'}/{number:02}" for number in range(50))
CHUNK_REQUESTS = 10_000
ERROR_SHARE = 0.02
EVENTS_A_REQUEST = 5 * (1 - ERROR_SHARE) + 2 * ERROR_SHARE

_FAULTS = (
    ("file_missing", "[Errno 2] No such file or directory", ""),
    ("image_truncated", "image file is truncated", ""),
    ("path_invisible_character", "cv2.imread returned None", "\u200b"),
    ("image_not_an_image", "cannot identify image file", ""),
)


def chunks(events: int = EVENTS, seed: int = SEED, start_ms: int = START_MS) -> Iterator[list[str]]:
    """The day's lines, without newlines, some ten thousands at a time; ``events`` in all."""
    random = np.random.default_rng(seed)
    requests = round(events / EVENTS_A_REQUEST) + CHUNK_REQUESTS
    gap_ms = DAY_MS / (events / EVENTS_A_REQUEST)
    written = first = 0
    while written < events and first < requests:
        times = (start_ms + (np.arange(first, first + CHUNK_REQUESTS) + random.random(CHUNK_REQUESTS)) * gap_ms).astype(
            int
        )
        lines = _requests(random, first, times)[: events - written]
        written += len(lines)
        first += CHUNK_REQUESTS
        yield lines


def write(file: BinaryIO, events: int = EVENTS, seed: int = SEED, start_ms: int = START_MS) -> int:
    """Writes the day's lines; how many bytes."""
    size = 0
    for lines in chunks(events, seed, start_ms):
        size += file.write(("\n".join(lines) + "\n").encode())
    return size


def _requests(random: np.random.Generator, first: int, times: NDArray[np.int64]) -> list[str]:
    count = len(times)
    hosts = random.integers(len(HOSTS), size=count).tolist()
    labels = (len(LABELS) * random.random(count) ** 1.5).astype(int).tolist()
    directories = random.integers(len(DIRECTORIES), size=count).tolist()
    faulty = (random.random(count) < ERROR_SHARE).tolist()
    numbers = random.random((count, 4)).round(6).tolist()
    inference = random.lognormal(3.0, 0.4, count).round(3).tolist()
    preprocess = random.lognormal(1.5, 0.3, count).round(3).tolist()
    lines: list[str] = []
    for index in range(count):
        name = f"{first + index:07x}"
        path = f"{DIRECTORIES[directories[index]]}/{name}.jpg"
        tail = (
            f'"model_name":"resnet50-v2","host":"{HOSTS[hosts[index]]}","pid":{4000 + hosts[index]},'
            f'"request_id":"r-{name}","event_id":"e-{name}'
        )
        at = int(times[index])
        if faulty[index]:
            lines += _failure(at, tail, path, DIRECTORIES[directories[index]], index)
        else:
            stages = (inference[index], preprocess[index], labels[index], numbers[index])
            lines += _success(at, tail, path, DIRECTORIES[directories[index]], stages)
    return lines


def _failure(at: int, tail: str, path: str, directory: str, index: int) -> list[str]:
    reason, error, suffix = _FAULTS[index % len(_FAULTS)]
    where = f'"schema_version":1,"file_path":"{path}{suffix}","file_dir":"{directory}"'
    issues = f',"path_issues":["{reason}"],"path_cleaned":"{path}"' if suffix else ""
    return [
        f'{{"timestamp":{at},"event_type":"input_start",{tail}0",{where}{issues},"file_size":0}}',
        (
            f'{{"timestamp":{at + 2},"event_type":"input_error",{tail}1",{where}{issues},'
            f'"error":"{error}","reason":"{reason}"}}'
        ),
    ]


def _success(at: int, tail: str, path: str, directory: str, stages: tuple[float, float, int, list[float]]) -> list[str]:
    inference, preprocess, label, (score, mean, variance, size) = stages
    where = f'"schema_version":1,"file_path":"{path}","file_dir":"{directory}"'
    done = at + 5 + int(preprocess) + int(inference)
    top1 = round(0.5 + score / 2, 6)
    others = LABELS[(label + 1) % len(LABELS)], LABELS[(label + 2) % len(LABELS)]
    scores = f"{top1},{round((1 - top1) * 0.6, 6)},{round((1 - top1) * 0.3, 6)}"
    return [
        f'{{"timestamp":{at},"event_type":"input_start",{tail}0",{where},"file_size":{int(size * 900_000) + 20_000}}}',
        (
            f'{{"timestamp":{at + 3},"event_type":"input_success",{tail}1",{where},"shape":[480,640,3],"channels":3,'
            '"dtype":"uint8","image_format":"jpeg"}'
        ),
        (
            f'{{"timestamp":{at + 4 + int(preprocess)},"event_type":"preprocess_complete",{tail}2",{where},'
            f'"output_shape":[1,3,224,224],"duration_ms":{preprocess},"resized":true,"normalized":true,'
            f'"channel_conversion":"bgr_to_rgb","scale_ratio":0.35,"mean":{round(mean - 0.5, 6)},'
            f'"variance":{variance}}}'
        ),
        (
            f'{{"timestamp":{done},"event_type":"inference_complete",{tail}3",{where},"duration_ms":{inference},'
            f'"top1_label":"{LABELS[label]}","top1_score":{top1},"top3_labels":["{LABELS[label]}","{others[0]}",'
            f'"{others[1]}"],"top3_scores":[{scores}],"logits_dim":40,"device":"cuda:0","batch_size":32}}'
        ),
        (
            f'{{"timestamp":{done + 1},"event_type":"business_output",{tail}4",{where},"http_status":200,'
            f'"response_size":512,"status":"success","low_confidence_filtered":{"true" if top1 < 0.55 else "false"},'
            '"client_ip":"10.0.0.7"}'
        ),
    ]


def main() -> None:
    """Writes the day to a file and says how long it took, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("file", type=Path)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    begun = time.perf_counter()
    with options.file.open("wb") as file:
        size = write(file, options.events, options.seed)
    print(json.dumps({"events": options.events, "bytes": size, "seconds": round(time.perf_counter() - begun, 2)}))


if __name__ == "__main__":
    main()
