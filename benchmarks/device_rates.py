"""The rates of the real device there is, and what the pipeline makes of them. Part of `benchmarks.pipeline`.

plans         a full batch by each way of running the network: layouts, precisions, one by one, as a graph, compiled
model_only    pictures that lie decoded in the host's memory, to answers: copy, resize, network, copy back
told          the same with every event written
decode_only   JPEG bytes in memory to pixels, all processors
memory, disk  `Recognizer.recognize` from files of a memory file system, and of a disk whose cache is warm

On a GPU the processors decode while the device calculates, so the slower of the two is the bound; a processor does both
one after the other, so its bound is the sum of their times: ``bound`` says which was taken.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import nn

from benchmarks.recognize import write_photos
from recognizer.decode import decode
from recognizer.device.autotune import measured
from recognizer.device.cuda import CudaDriver
from recognizer.device.driver import CpuDriver, Driver
from recognizer.device.lane import Handle, Lane
from recognizer.device.opening import LaneSettings, open_lane
from recognizer.device.plan import Layout, Mode, Plan, Precision, choose
from recognizer.emit import configure, log_events
from recognizer.formats.modelscope import PREPROCESSING as SPEC
from recognizer.infer import Answer
from recognizer.manifest import CheckedFile, Manifest, Preprocessing, ScoreKind
from recognizer.model import Model, ModelFacts
from recognizer.network import build
from recognizer.pipeline import Recognizer
from recognizer.sinks import FileSink

SECONDS = 10.0
SEED = 20_240_522
CLASSES = 54_092
STAGES = ("input_start", "input_success", "preprocess_complete", "inference_complete", "business_output")
_MEMORY = Path("/dev/shm")  # noqa: S108 - a memory file system is what is meant


def tell(batch: int, handle: Handle) -> None:
    """Every event of a batch, as much as a real one tells, with the answers of the lane."""
    now_ms = time.time_ns() // 1_000_000
    log_events(
        {
            "event_type": stage,
            "timestamp": now_ms,
            "request_id": f"{batch:012x}{picture:012x}",
            "file_path": f"/data/上传/相机{picture % 9}/图片_{picture}.jpg",
            "duration_ms": one.answer.duration_ms,
            "top1_label": one.answer.labels[0],
            "top1_score": one.answer.scores[0],
            "top3_labels": one.answer.labels,
            "top3_scores": one.answer.scores,
            "batch_size": one.answer.batch_size,
        }
        for picture, one in enumerate(handle.result())
        if isinstance(one.answer, Answer)
        for stage in STAGES
    )


def fetch(_batch: int, handle: Handle) -> None:
    """The answers alone."""
    handle.result()


def model_of(network: nn.Module, classes: int, spec: Preprocessing, device: torch.device) -> Model:
    """A model without files: what it answers is of no interest."""
    file = CheckedFile(file="none", sha256="0" * 64)
    manifest = Manifest(
        format_version=1, name="benchmark", weights=file, labels=file, preprocessing=spec, score=ScoreKind.SOFTMAX
    )
    labels = tuple(f"标签{index}" for index in range(classes))
    return Model(manifest, labels, network.to(device).eval(), device, Path("none"), ModelFacts("none", 0, 0, ()))


def measure(folder: Path, seconds: float) -> dict[str, Any]:
    """Every rate in pictures a second, each from rounds of about ``seconds``."""
    gpu = torch.cuda.is_available()
    device, name, batch = (torch.device("cuda"), "resnest101e", 64) if gpu else (torch.device("cpu"), "resnet18", 16)
    torch.manual_seed(SEED)
    model = model_of(build("timm", {"model": name}, CLASSES), CLASSES, SPEC, device)
    driver: Driver = CudaDriver(device) if gpu else CpuDriver()
    found = measured(model, driver, batch, _plans(gpu=gpu), seconds)
    plan = choose(found)
    settings = LaneSettings(largest=batch, plan=plan)
    paths = [Path(one) for one in write_photos(folder)]
    pictures = [one.read_bytes() for one in paths]
    lane = open_lane(model, settings)
    silent = _lane_rate(lane, pictures, batch, seconds, None)
    told = _lane_rate(lane, pictures, batch, seconds, folder / "lane.jsonl")
    decoded = _decode_rate(pictures, seconds)
    ends = _ends(Recognizer(model, lane=settings, searchable=False), paths, pictures, batch, folder, seconds)
    bound = min(silent, decoded) if gpu else 1 / (1 / silent + 1 / decoded)
    return {
        "device": driver.name,
        "network": f"{name}, {CLASSES} labels, 224 × 224, batch {batch}",
        "plans_pictures_per_second": {
            str(one.plan): one.fault or round(batch / one.batch_ms * 1_000, 1) for one in found
        },
        "chosen": str(plan),
        "model_only": round(silent, 1),
        "model_only_with_its_answers_told": round(told, 1),
        "told_ratio": round(told / silent, 4),
        "told_ratio_wanted": 0.95,
        "decode_only": round(decoded, 1),
        "bound": round(bound, 1),
        "bound_is": "the slower of model_only and decode_only" if gpu else "both, one after the other",
        **ends,
        "memory_ratio": round(ends["memory"]["with_events"] / bound, 4),
        "memory_ratio_wanted": 0.9,
        "disk_ratio": round(ends["disk"]["with_events"] / bound, 4),
        "disk_ratio_wanted": 0.8,
        "picture": "640 × 427 JPEG",
        "threads": torch.get_num_threads(),
    }


def _plans(*, gpu: bool) -> list[Plan]:
    """On a GPU all that the autotune knows and the operations one by one; a processor is asked about its layouts."""
    precisions = list(Precision) if gpu else [Precision.FLOAT32]
    modes = list(Mode) if gpu else [Mode.EAGER]
    return [
        Plan(*parts)
        for parts in itertools.product(precisions, Layout, modes)
        if parts[2] is not Mode.COMPILED or parts[0] is Precision.BFLOAT16
    ]


def _lane_rate(lane: Lane, pictures: list[bytes], batch: int, seconds: float, log: Path | None) -> float:
    """The lane alone, from pixels in the host's memory; with a log every event of a picture is written too."""
    staged = [lane.stage(decode(one, "photo.jpg").pixels) for one in itertools.islice(itertools.cycle(pictures), batch)]
    configure(None if log is None else FileSink(log, max_bytes=0), model_name="benchmark", host="benchmark")
    take: Callable[[int, Handle], None] = fetch if log is None else tell
    waiting: list[Handle] = []
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds or done == 0:
        waiting.append(lane.submit(staged))
        if len(waiting) > 1:
            take(done, waiting.pop(0))
            done += 1
    for one in waiting:
        take(done, one)
        done += 1
    spent = time.perf_counter() - began
    configure(None)
    return done * batch / spent


def _decode_rate(pictures: list[bytes], seconds: float) -> float:
    """All processors at once, one thread each as in the pipeline."""
    before, done, began = cv2.getNumThreads(), 0, time.perf_counter()
    with ThreadPoolExecutor() as pool:
        while time.perf_counter() - began < seconds:
            done += sum(1 for _ in pool.map(lambda data: decode(data, "photo.jpg"), pictures))
    assert cv2.getNumThreads() == before
    return done / (time.perf_counter() - began)


def _ends(
    recognizer: Recognizer, paths: list[Path], pictures: list[bytes], batch: int, folder: Path, seconds: float
) -> dict[str, dict[str, float]]:
    """End to end, in turns with events and without, from memory and from disk; p99 is that of a batch's time."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as memory:
        copies = [Path(memory) / one.name for one in paths]
        for path, data in zip(copies, pictures, strict=True):
            path.write_bytes(data)
        return {
            name: _end(recognizer, [str(one) for one in files], batch, folder / f"{name}.jsonl", seconds)
            for name, files in (("memory", copies), ("disk", paths))
        }


def _end(recognizer: Recognizer, paths: list[str], batch: int, log: Path, seconds: float) -> dict[str, float]:
    times: dict[bool, list[float]] = {True: [], False: []}
    list(recognizer.recognize(paths[:batch], batch_size=batch))
    for events in (True, False, False, True) * 2:  # neither side always comes after the other
        configure(FileSink(log, max_bytes=0) if events else None, host="benchmark")
        times[events] += _batch_seconds(recognizer, paths, batch, seconds / 4)
    configure(None)
    on, off = (batch / statistics.fmean(times[side]) for side in (True, False))
    late_on, late_off = (statistics.quantiles(times[side], n=100)[98] * 1_000 for side in (True, False))
    return {
        "with_events": round(on, 1),
        "without": round(off, 1),
        "ratio": round(on / off, 4),
        "p99_batch_ms_with_events": round(late_on, 2),
        "p99_batch_ms_without": round(late_off, 2),
        "batches": len(times[True]),
    }


def _batch_seconds(recognizer: Recognizer, paths: list[str], batch: int, seconds: float) -> list[float]:
    """From one batch's last answer to the next one's; the first, for which the pipeline fills, is left out."""
    ends = []
    source = _for_a_while(paths, batch, seconds)
    for index, result in enumerate(recognizer.recognize(source, batch_size=batch), 1):
        assert result.ok, result.message
        if index % batch == 0:
            ends.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(ends)]


def _for_a_while(paths: list[str], batch: int, seconds: float) -> Iterator[str]:
    """Whole batches, four at least."""
    endless, began = itertools.cycle(paths), time.perf_counter()
    for count in itertools.count():
        if count >= 4 and time.perf_counter() - began >= seconds:
            return
        yield from itertools.islice(endless, batch)
