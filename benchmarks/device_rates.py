"""The rates of the real device there is, and what the pipeline makes of them. Part of `benchmarks.pipeline`.

plans         a full batch by each way of running the network: layouts, precisions, one by one, as a graph, compiled
model_only    pictures that lie decoded in the host's memory, to answers: copy, resize, network, copy back
told          the same with every event written
decode_only   JPEG bytes in memory to what the device takes, all processors
memory, disk  `Recognizer.recognize` from files of a memory file system, and of a disk whose cache is warm

All sides are taken in turns, some batches each, forwards and backwards; a ratio is one of a turn, and the median of all
turns counts. On a GPU the processors decode while the device calculates, so the slower of the two is the bound, and the
clock on the wall decides. A machine without one is the twin: there decoding and the network share the processors,
so what both take together is the bound, and processor time decides, which other programs disturb least. What it can
show: that the pipeline and its events add next to nothing to the two. What it can't: that both run at the same time.
"""

import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace
from torch import nn

from benchmarks.recognize import write_photos
from recognizer.decode import decode
from recognizer.device.autotune import measured
from recognizer.device.cuda import CudaDriver
from recognizer.device.driver import CpuDriver, Driver
from recognizer.device.lane import Handle, Lane
from recognizer.device.opening import LaneSettings, open_lane
from recognizer.device.plan import Layout, Mode, Plan, Precision, choose
from recognizer.device.staging import Staged
from recognizer.emit import configure, log_event, log_events
from recognizer.formats.modelscope import PREPROCESSING
from recognizer.infer import Answer
from recognizer.manifest import CheckedFile, Manifest, Preprocessing, ScoreKind
from recognizer.model import Model, ModelFacts
from recognizer.network import build
from recognizer.pipeline import Recognizer
from recognizer.sinks import FileSink

SECONDS = 10.0
TURNS = 24
LEAST_BATCHES = 4
SEED = 20_240_522
STAGES = ("input_start", "input_success", "preprocess_complete", "inference_complete", "business_output")
SERVED_ALONE = 20_000
_MEMORY = Path("/dev/shm")  # noqa: S108 - a memory file system is what is meant


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured on a kind of device: a network of timm's, its labels, the side of its input, a full batch."""

    network: str
    labels: int
    side: int
    batch: int

    def model(self, device: torch.device) -> Model:
        torch.manual_seed(SEED)
        spec = replace(PREPROCESSING, height=self.side, width=self.side, short_side=self.side * 8 // 7)
        return model_of(build("timm", {"model": self.network}, self.labels), self.labels, spec, device)


ON_A_GPU = Setting("resnest101e", 54_092, 224, 64)
TWIN = Setting("mobilenetv3_small_050", 1_000, 112, 16)
"""A network that costs no more than the decoding before it: with a larger one the events would weigh less."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a picture took, seconds: by the clock on the wall, and of all processors together."""

    wall: float
    processor: float


@dataclass(slots=True)
class Batches:
    """Seconds by the clock between the ends of two batches, with events and without."""

    on: list[float] = field(default_factory=list)
    off: list[float] = field(default_factory=list)


Side = Callable[[float], Cost]
"""Works for so many seconds."""


def events_of(request_id: str, picture: int, answer: Answer) -> Iterator[dict[str, Any]]:
    """Every event of a picture, as much as a real one tells."""
    now_ms = time.time_ns() // 1_000_000
    for stage in STAGES:
        yield {
            "event_type": stage,
            "timestamp": now_ms,
            "request_id": request_id,
            "file_path": f"/data/上传/相机{picture % 9}/图片_{picture}.jpg",
            "duration_ms": answer.duration_ms,
            "top1_label": answer.labels[0],
            "top1_score": answer.scores[0],
            "top3_labels": answer.labels,
            "top3_scores": answer.scores,
            "batch_size": answer.batch_size,
        }


def tell(batch: int, handle: Handle) -> None:
    """Every event of a batch, with the answers of the lane."""
    log_events(
        event
        for picture, one in enumerate(handle.result())
        if isinstance(one.answer, Answer)
        for event in events_of(f"{batch:012x}{picture:012x}", picture, one.answer)
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
    """Every rate, each from about ``seconds`` in turns with all others."""
    gpu = torch.cuda.is_available()
    device, setting = (torch.device("cuda"), ON_A_GPU) if gpu else (torch.device("cpu"), TWIN)
    driver: Driver = CudaDriver(device) if gpu else CpuDriver()
    model = setting.model(device)
    found = measured(model, driver, setting.batch, _plans(gpu=gpu), seconds)
    settings = LaneSettings(largest=setting.batch, plan=choose(found))
    lane = open_lane(model, settings)
    paths = [Path(one) for one in write_photos(folder)]
    pictures = [one.read_bytes() for one in paths]
    taken = itertools.islice(itertools.cycle(pictures), setting.batch)
    staged = [lane.stage(decode(one, "photo.jpg").pixels) for one in taken]
    recognizer = Recognizer(model, lane=settings, searchable=False)
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as memory:
        copies = [Path(memory) / one.name for one in paths]
        for path, data in zip(copies, pictures, strict=True):
            path.write_bytes(data)
        ends = {"memory": End(recognizer, copies, folder / "memory.jsonl", setting.batch)}
        ends["disk"] = End(recognizer, paths, folder / "disk.jsonl", setting.batch)
        sides: dict[str, Side] = {
            "model_only": lambda slice_s: _lane_cost(lane, staged, slice_s, None),
            "told": lambda slice_s: _lane_cost(lane, staged, slice_s, folder / "lane.jsonl"),
            "decode_only": lambda slice_s: _decode_cost(lane, pictures, slice_s),
            **{f"{name}_on": each.with_events for name, each in ends.items()},
            **{f"{name}_off": each.without for name, each in ends.items()},
        }
        costs = in_turns(sides, seconds / TURNS)
    return {
        "device": driver.name,
        "network": setting.network,
        "labels": setting.labels,
        "side_pixels": setting.side,
        "batch": setting.batch,
        "plans_pictures_per_second": {
            str(one.plan): one.fault or round(setting.batch / one.batch_ms * 1_000, 1) for one in found
        },
        "chosen": str(settings.plan),
        **compared(costs, gpu=gpu),
        "batches": {name: late(each.batches) for name, each in ends.items()},
        "served_alone": served_alone(lane, staged[0], folder / "alone.jsonl"),
        "picture": "640 × 427 JPEG",
        "threads": torch.get_num_threads(),
    }


def in_turns(sides: dict[str, Side], slice_s: float) -> dict[str, list[Cost]]:
    """What a picture took on each side, turn by turn; no side always comes after the same other."""
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for side in sides.values():
        side(0.0)
    for turn in range(TURNS):
        for name in sides if turn % 2 else reversed(sides):
            costs[name].append(sides[name](slice_s))
    return costs


def compared(costs: dict[str, list[Cost]], *, gpu: bool) -> dict[str, Any]:
    """Rates and ratios by both clocks; ``decides`` names the one by which the bars are judged."""

    def ratio(wanted: float | None, bound: Callable[[float, float], float], side: str) -> dict[str, Any]:
        """Of what is possible, from what the network and the decoding take, to what the side took."""
        both = {}
        for clock in ("wall", "processor"):
            took = {name: [getattr(cost, clock) for cost in each] for name, each in costs.items()}
            turns = zip(took["model_only"], took["decode_only"], took[side], strict=True)
            both[clock] = [bound(network, decoding) / spent for network, decoding, spent in turns]
        return {"wanted": wanted} | {
            clock: {
                "median": round(statistics.median(each), 4),
                "quartiles": [round(one, 3) for one in statistics.quantiles(each)[::2]],
            }
            for clock, each in both.items()
        }

    slower_or_both: Callable[[float, float], float] = max if gpu else lambda network, decoding: network + decoding
    return {
        "decides": "wall" if gpu else "processor",
        "bound_is": "the slower of model_only and decode_only" if gpu else "model_only and decode_only together",
        "told_to_model_only": ratio(0.95, lambda network, _: network, "told"),
        "memory_to_bound": ratio(0.9, slower_or_both, "memory_on"),
        "disk_to_bound": ratio(0.8, slower_or_both, "disk_on"),
        "memory_to_bound_without_events": ratio(None, slower_or_both, "memory_off"),
        "pictures_per_second": {
            name: round(1 / statistics.median(cost.wall for cost in each), 1) for name, each in costs.items()
        },
        "processor_ms_per_picture": {
            name: round(statistics.median(cost.processor for cost in each) * 1e3, 3) for name, each in costs.items()
        },
        "turns": f"{TURNS}, at least {LEAST_BATCHES} batches a side in each",
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


def _lane_cost(lane: Lane, staged: list[Staged], seconds: float, log: Path | None) -> Cost:
    """The lane alone, from pixels in the host's memory; with a log every event of a picture is written too."""
    configure(None if log is None else FileSink(log, max_bytes=0), model_name="benchmark", host="benchmark")
    take: Callable[[int, Handle], None] = fetch if log is None else tell
    waiting: list[Handle] = []
    done, processor, began = 0, time.process_time(), time.perf_counter()
    while time.perf_counter() - began < seconds or done < LEAST_BATCHES:
        waiting.append(lane.submit(staged))
        if len(waiting) > 1:
            take(done, waiting.pop(0))
            done += 1
    for one in waiting:
        take(done, one)
        done += 1
    spent = Cost(time.perf_counter() - began, time.process_time() - processor)
    configure(None)
    return _a_picture(spent, done * len(staged))


def _decode_cost(lane: Lane, pictures: list[bytes], seconds: float) -> Cost:
    """All processors at once, one thread each as in the pipeline, as far as the device takes pictures."""
    done, processor, began = 0, time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while time.perf_counter() - began < seconds or not done:
            done += sum(1 for _ in pool.map(lambda data: lane.stage(decode(data, "photo.jpg").pixels), pictures))
    return _a_picture(Cost(time.perf_counter() - began, time.process_time() - processor), done)


def _a_picture(spent: Cost, pictures: int) -> Cost:
    return Cost(spent.wall / pictures, spent.processor / pictures)


class End:
    """`Recognizer.recognize` over files, with events and without; ``batches`` are the times of all so far."""

    def __init__(self, recognizer: Recognizer, paths: Iterable[Path], log: Path, batch: int) -> None:
        self._recognizer, self._paths, self._log, self._batch = recognizer, [str(one) for one in paths], log, batch
        self.batches = Batches()

    def with_events(self, seconds: float) -> Cost:
        configure(FileSink(self._log, max_bytes=0), host="benchmark")
        cost = self._cost(seconds, self.batches.on)
        configure(None)
        return cost

    def without(self, seconds: float) -> Cost:
        return self._cost(seconds, self.batches.off)

    def _cost(self, seconds: float, times: list[float]) -> Cost:
        """By the wall from one batch's last answer to the next one's: the first, for which the pipeline fills, is
        left out. The processor's time is that of all."""
        ends, processor = [], time.process_time()
        for index, result in enumerate(
            self._recognizer.recognize(self._for_a_while(seconds), batch_size=self._batch), 1
        ):
            assert result.ok, result.message
            if index % self._batch == 0:
                ends.append(time.perf_counter())
        between = [after - before for before, after in itertools.pairwise(ends)]
        if seconds:  # else it was the warm-up
            times += between
        spent = (time.process_time() - processor) / (len(ends) * self._batch)
        return Cost(statistics.fmean(between) / self._batch, spent)

    def _for_a_while(self, seconds: float) -> Iterator[str]:
        """Whole batches."""
        endless, began = itertools.cycle(self._paths), time.perf_counter()
        for count in itertools.count():
            if count >= LEAST_BATCHES and time.perf_counter() - began >= seconds:
                return
            yield from itertools.islice(endless, self._batch)


def late(batches: Batches) -> dict[str, float]:
    """The slowest of a hundred batches, by the wall: what disturbs the machine is in it."""
    on, off = (statistics.quantiles(times, n=100)[98] * 1e3 for times in (batches.on, batches.off))
    return {"p99_ms_with_events": round(on, 2), "p99_ms_without": round(off, 2), "count": len(batches.on)}


def served_alone(lane: Lane, staged: Staged, log: Path) -> dict[str, float]:
    """How long the events of a picture that is answered alone hold its thread up: each of them is a write of its own,
    which is the most that they can cost it."""
    answer = lane.submit([staged]).result()[0].answer
    assert isinstance(answer, Answer)
    configure(FileSink(log, max_bytes=0), model_name="benchmark", host="benchmark")
    walls, threads = [], []
    for picture in range(SERVED_ALONE):
        wall, thread = time.perf_counter(), time.thread_time()
        for event in events_of(f"{picture:024x}", picture, answer):
            log_event(event.pop("event_type"), **event)
        walls.append((time.perf_counter() - wall) * 1e3)
        threads.append((time.thread_time() - thread) * 1e3)
    configure(None)
    wall_p99, thread_p99 = (statistics.quantiles(each, n=100)[98] for each in (walls, threads))
    return {
        "events": len(STAGES),
        "p50_ms": round(statistics.median(walls), 4),
        "p99_ms": round(wall_p99, 4),
        "p99_ms_of_processor": round(thread_p99, 4),
        "p99_ms_wanted": 0.5,
    }
