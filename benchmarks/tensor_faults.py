"""Which faults of the preprocessing are found, by what: running traffic, the canary, the look at each picture.

Prints one JSON object. 24 faults are put, one at a time, between real pictures (crops of the photographs that
scikit-learn and matplotlib bring along) and a small CNN that was trained to tell the photographs' parts apart. Each
fault is judged three ways:

    windows   the monitor of running traffic, on windows of 64 pictures drawn anew: found when it tells at least 97 %
              of the windows, or of the first long ones, or when an exact test of single inputs does
    canary    `recognizer.canary.diagnose` on one picture
    picture   the reader's own look at each file (Exif, end of the JPEG)

The false alarms are windows of healthy pictures, drawn anew, that the monitor tells of. Seeds are fixed.
"""

import argparse
import io
import json
import math
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import cbook
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from benchmarks.conditions import conditions
from recognizer.canary import diagnose, record
from recognizer.decode import read
from recognizer.fault import InputFault
from recognizer.inspect import Pixels
from recognizer.manifest import Architecture, CheckedFile, Manifest, Preprocessing, ScoreKind
from recognizer.network import build
from recognizer.preprocess import prepare, to_input
from recognizer.scores import entropy
from recognizer.tensor_facts import from_row, measure
from recognizer.tensor_monitor import (
    LEARNING_WINDOWS,
    LONG,
    SIGNALS,
    WINDOW,
    Bounds,
    TensorMonitor,
    impossible,
    signals,
)

SIDE, SOURCE_SIDE = 32, 64
CLASSES = 10
POOL, TRAINING = 4_096, 2_560
FOUND_SHARE = 0.97
BAR_WINDOWS, BAR_ALL, BAR_FALSE = 18, 24, 1e-4
SEED = 20_240_521
SPEC = Preprocessing(height=SIDE, width=SIDE, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
MEAN, DEVIATION = (torch.tensor(one).reshape(1, 3, 1, 1) for one in (SPEC.mean, SPEC.deviation))
LABELS = tuple(f"part {index}" for index in range(CLASSES))


def photographs() -> list[Pixels]:
    """Ten parts of real photographs, one a class."""
    portrait = np.asarray(Image.open(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))).convert("RGB"))
    china, flower = (np.asarray(one) for one in load_sample_images().images)
    halves = [part for photo in (china, flower) for row in np.array_split(photo, 2) for part in _columns(row)]
    return [*halves, *np.array_split(portrait, 2)]


def _columns(row: Pixels) -> list[Pixels]:
    return list(np.array_split(row, 2, axis=1))


def crops(count: int, random: np.random.Generator) -> tuple[Pixels, NDArray[np.int64]]:
    """Square parts of the photographs, (count, side, side, 3), and their classes."""
    sources = photographs()
    classes = random.integers(0, CLASSES, count)
    pixels = np.empty((count, SOURCE_SIDE, SOURCE_SIDE, 3), np.uint8)
    for index, which in enumerate(classes):
        source = sources[which]
        side = int(random.integers(SOURCE_SIDE, min(160, *source.shape[:2])))
        top, left = (int(random.integers(0, room - side + 1)) for room in source.shape[:2])
        part = Image.fromarray(source[top : top + side, left : left + side])
        pixels[index] = np.asarray(part.resize((SOURCE_SIDE, SOURCE_SIDE), Image.Resampling.BILINEAR))
    return pixels, classes


def channels_first(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)


def train(pixels: Pixels, classes: NDArray[np.int64]) -> nn.Module:
    """A small CNN that has seen no wrong input."""
    torch.manual_seed(SEED)
    module = build("small_cnn", {"channels": [16, 32, 64]}, CLASSES)
    inputs, wanted = to_input(channels_first(pixels), SPEC), torch.from_numpy(classes)
    optimizer = torch.optim.AdamW(module.parameters(), 3e-3)
    module.train()
    for _ in range(12):
        for part in torch.split(torch.randperm(len(wanted)), 64):
            loss = nn.functional.cross_entropy(module(inputs[part]), wanted[part])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimizer.step()
    return module.eval()


# ---------------------------------------------------------------- the faults


def unit(pixels: Tensor) -> Tensor:
    """Resized, 0 … 1."""
    return to_input(pixels, SPEC) * DEVIATION + MEAN


def normal(values: Tensor) -> Tensor:
    return (values - MEAN) / DEVIATION


def some(pixels: Tensor, change: Callable[[Tensor], Tensor], every: int = 10) -> Tensor:
    changed = pixels.clone()
    changed[::every] = change(pixels[::every])
    return changed


def cut_tail(pixels: Tensor) -> Tensor:
    """The lower tenth grey, as a decoder fills what is missing."""
    cut = pixels.clone()
    cut[:, :, -math.ceil(pixels.shape[2] / 10) :] = 128
    return cut


def stuck(pixels: Tensor) -> Tensor:
    return pixels[:1].expand_as(pixels)


FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "channels_swapped": lambda pixels: to_input(pixels.flip(1), SPEC),
    "not_divided_by_255": lambda pixels: normal(unit(pixels) * 255),
    "normalized_twice": lambda pixels: normal(normal(unit(pixels))),
    "divided_twice": lambda pixels: normal(unit(pixels) / 255),
    "not_normalized": unit,
    "half_and_half": lambda pixels: (unit(pixels) - 0.5) / 0.5,
    "mean_and_deviation_swapped": lambda pixels: (unit(pixels) - DEVIATION) / MEAN,
    "all_zero": lambda pixels: torch.zeros_like(to_input(pixels, SPEC)),
    "nan": lambda pixels: to_input(pixels, SPEC).masked_fill(torch.zeros(1, dtype=torch.bool), 0) * torch.nan,
    "infinite": lambda pixels: to_input(pixels, SPEC) / 0.0,
    "layout": lambda pixels: to_input(pixels, SPEC).permute(0, 2, 3, 1).reshape(len(pixels), 3, SIDE, SIDE),
    "bytes_wrap": lambda pixels: to_input((pixels.int() * 2 % 256).to(torch.uint8), SPEC),
    "bits_lost": lambda pixels: to_input(pixels // 64, SPEC),
    "overexposed": lambda pixels: to_input((pixels.int() * 2).clamp(max=255).to(torch.uint8), SPEC),
    "blurred": lambda pixels: to_input(nn.functional.avg_pool2d(pixels.float(), 9, 1, 4).to(torch.uint8), SPEC),
    "grey": lambda pixels: to_input(pixels.float().mean(1, keepdim=True).expand(-1, 3, -1, -1).to(torch.uint8), SPEC),
    "inverted": lambda pixels: to_input(255 - pixels, SPEC),
    "stuck": lambda pixels: to_input(stuck(pixels), SPEC),
    "resized_nearest": lambda pixels: normal(nn.functional.interpolate(pixels.float(), SIDE, mode="nearest") / 255),
    "turned_90": lambda pixels: to_input(torch.rot90(pixels, 1, (2, 3)), SPEC),
    "turned_180": lambda pixels: to_input(torch.rot90(pixels, 2, (2, 3)), SPEC),
    "mirrored": lambda pixels: to_input(pixels.flip(3), SPEC),
    "tail_cut": lambda pixels: to_input(cut_tail(pixels), SPEC),
    "channels_swapped_in_10_percent": lambda pixels: to_input(some(pixels, lambda one: one.flip(1)), SPEC),
}


# ---------------------------------------------------------------- judges


@dataclass(frozen=True, slots=True)
class Traffic:
    """The signals of every picture of a pool under one fault, and which inputs are impossible."""

    rows: NDArray[np.float64]
    certain: float


def traffic(pixels: Tensor, module: nn.Module, fault: Callable[[Tensor], Tensor]) -> Traffic:
    inputs = fault(pixels).float()
    with torch.inference_mode():
        outputs = torch.cat([module(part) for part in torch.split(inputs, 256)])
    best = outputs.softmax(1).amax(1).tolist()
    unsure, logits = entropy(outputs, ScoreKind.SOFTMAX).tolist(), outputs.amax(1).tolist()
    facts = [from_row(row) for row in measure(inputs).tolist()]
    bounds = Bounds.of(SPEC)
    rows = [signals(one, SPEC, *rest) for one, *rest in zip(facts, best, unsure, logits, strict=True)]
    certain = sum(impossible(one, bounds) is not None for one in facts) / len(facts)
    return Traffic(np.asarray(rows), certain)


def windows(rows: NDArray[np.float64], count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Means of windows of pictures drawn with replacement."""
    return np.stack([rows[random.integers(0, len(rows), WINDOW)].mean(0) for _ in range(count)])


def monitor_of(healthy: NDArray[np.float64], random: np.random.Generator) -> TensorMonitor:
    """A monitor that learned from its own windows of healthy pictures."""
    monitor = TensorMonitor(SPEC)
    for row in windows(healthy, LEARNING_WINDOWS, random):
        monitor.judge(tuple(row))
    return monitor


def in_windows(found: Traffic, healthy: NDArray[np.float64], random: np.random.Generator, count: int) -> dict[str, Any]:
    """The share of windows told, and the reason given most often."""
    if found.certain >= FOUND_SHARE:
        return {"share": round(found.certain, 3), "by": "each input", "found": True}
    monitor = monitor_of(healthy, random)
    shifts = [monitor.judge(tuple(row)) for row in windows(found.rows, count, random)]
    told = [one for one in shifts if one is not None]
    if not told:
        return {"share": 0.0, "by": "windows", "found": False}
    long = sum(one.pictures > WINDOW for one in told)
    share = (len(told) - long) / count
    reason = statistics.mode(one.reason.value for one in told)
    signal = statistics.mode(one.signal for one in told)
    chances = count // LONG
    by_long = long / chances if chances else 0.0
    return {
        "share": round(max(share, by_long), 3),
        "by": "windows" if share >= by_long else f"{LONG} windows together",
        "found": max(share, by_long) >= FOUND_SHARE,
        "reason": reason,
        "signal": signal,
    }


def false_alarms(healthy: NDArray[np.float64], random: np.random.Generator, total: int) -> dict[str, Any]:
    """Healthy windows that were told, over many monitors that each learned anew."""
    each = 2_000
    told = 0
    for _ in range(total // each):
        monitor = monitor_of(healthy, random)
        told += sum(monitor.judge(tuple(row)) is not None for row in windows(healthy, each, random))
    judged = total // each * each
    return {"windows": judged, "told": told, "share": told / judged}


def by_canary(module: nn.Module, pixels: Pixels) -> dict[str, str | None]:
    """What the canary says of each fault that befalls it; None when it says nothing."""
    part = CheckedFile(file="x", sha256="0" * 64)
    manifest = Manifest(
        format_version=1,
        name="parts",
        architecture=Architecture(name="small_cnn"),
        weights=part,
        labels=part,
        preprocessing=SPEC,
        score=ScoreKind.SOFTMAX,
    )
    canary = record("canary.png", pixels, manifest, LABELS, module)
    assert diagnose(prepare(pixels, SPEC), canary, SPEC) is None
    pair = channels_first(np.stack([pixels, pixels]))  # the second: a fault of every tenth picture passes it by
    return {name: diagnose(fault(pair)[1].float(), canary, SPEC) for name, fault in FAULTS.items()}


def by_picture(pixels: Pixels) -> dict[str, str]:
    """Files that carry a fault of single pictures, and what the reader says of them."""
    said = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        for orientation, name in ((6, "turned_90"), (3, "turned_180"), (2, "mirrored")):
            exif = Image.Exif()
            exif[0x0112] = orientation
            Image.fromarray(pixels).save(path, exif=exif)
            said[name] = ",".join(read(path).issues)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG")
        path.write_bytes(buffer.getvalue()[: int(0.9 * len(buffer.getvalue()))])
        try:
            said["tail_cut"] = ",".join(read(path).issues)
        except InputFault as fault:
            said["tail_cut"] = fault.reason
    return said


def measure_all(windows_each: int, false_total: int) -> dict[str, Any]:
    random = np.random.default_rng(SEED)
    pixels, classes = crops(POOL + TRAINING, random)
    module = train(pixels[:TRAINING], classes[:TRAINING])
    pool = channels_first(pixels[TRAINING:])
    healthy = traffic(pool, module, lambda batch: to_input(batch, SPEC))
    canary, picture = by_canary(module, pixels[0]), by_picture(pixels[0])
    faults = {}
    for name, fault in FAULTS.items():
        found = in_windows(traffic(pool, module, fault), healthy.rows, random, windows_each)
        faults[name] = found | {"canary": canary[name], "picture": picture.get(name) or None}
    in_traffic = sum(one["found"] for one in faults.values())
    at_all = sum(bool(one["found"] or one["canary"] or one["picture"]) for one in faults.values())
    false = false_alarms(healthy.rows, random, false_total)
    return {
        "benchmark": "tensor_faults",
        "signals": len(SIGNALS),
        "found_in_windows": in_traffic,
        "found_at_all": at_all,
        "of": len(FAULTS),
        "certain_in_healthy": healthy.certain,
        "false": false,
        "faults": faults,
        "bars": {"found_in_windows": BAR_WINDOWS, "found_at_all": BAR_ALL, "false_share": BAR_FALSE},
        "met": in_traffic >= BAR_WINDOWS and at_all >= BAR_ALL and false["share"] <= BAR_FALSE,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tensor_faults")
    parser.add_argument("--windows", type=int, default=640, help="windows of each fault")
    parser.add_argument("--false-windows", type=int, default=100_000, help="healthy windows")
    options = parser.parse_args()
    figures = measure_all(options.windows, options.false_windows)
    print(json.dumps(figures | {"conditions": conditions("torch", "numpy", "scikit-learn", "matplotlib")}, indent=2))
    return 0 if figures["met"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
