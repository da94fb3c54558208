"""Trains the small digit recognizer that the demo and the tests use: seeded, within seconds, on the CPU.

The data are scikit-learn's 1,797 handwritten digits of 8 × 8 pixels, drawn as ink on paper in random colours. Patterns
that are no digits are trained towards "all classes alike", so that a score means something on a foreign picture too
(outlier exposure: Hendrycks, Mazeika, Dietterich, ICLR 2019).
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from recognizer.canary import record
from recognizer.folder import check_replaceable, store, written
from recognizer.inspect import Pixels
from recognizer.manifest import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    Architecture,
    Manifest,
    ModelError,
    Preprocessing,
    ScoreKind,
    encode_manifest,
)
from recognizer.network import build
from recognizer.preprocess import to_input

LABELS = tuple("零一二三四五六七八九")
MODEL_NAME = "digits-small-cnn"
SIDE = 32
_SPEC = Preprocessing(height=SIDE, width=SIDE, mean=(0.5, 0.5, 0.5), deviation=(0.25, 0.25, 0.25))
_ARCHITECTURE = Architecture(name="small_cnn", parameters={"channels": [16, 32, 64], "dropout": 0.1})
_HELD_OUT_SHARE = 0.25
_EPOCHS = 8
_BATCH = 64
_OUTLIERS = 8
_SMOOTHING = 0.05
_COLOURFUL = 20.0
"""Grey levels between the means of the canary's channels."""


@dataclass(frozen=True, slots=True)
class Digits:
    """``strokes`` (n, 8, 8): how much ink, from 0 to 1; ``classes``: the digit each one shows."""

    strokes: NDArray[np.float32]
    classes: NDArray[np.int64]


def load_digits(seed: int) -> tuple[Digits, Digits]:
    """The digits to learn from, and those held out: another quarter for every seed."""
    try:
        from sklearn.datasets import load_digits as bundled  # noqa: PLC0415  # an extra; only training needs it
    except ModuleNotFoundError as error:
        raise SystemExit("training needs scikit-learn: pip install 'wumu[demo]'") from error
    data = bundled()
    strokes, classes = (data.images / 16).astype(np.float32), data.target.astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(classes))
    held_out = round(len(classes) * _HELD_OUT_SHARE)
    parts = order[held_out:], order[:held_out]
    learn, test = (Digits(strokes[part], classes[part]) for part in parts)
    return learn, test


def draw(stroke: NDArray[np.float32], side: int, random: np.random.Generator) -> Pixels:
    """One digit as an RGB picture of ``side`` pixels: dark ink on light paper, somewhat turned, moved and noisy."""
    scale = side / 8 * random.uniform(0.72, 0.88)  # leaves a margin
    matrix = np.asarray(cv2.getRotationMatrix2D((3.5, 3.5), random.uniform(-8, 8), scale), np.float64)
    matrix[:, 2] += (side - 1) / 2 - 3.5 + random.uniform(-0.04, 0.04, 2) * side
    ink = cv2.warpAffine(stroke, matrix, (side, side), flags=cv2.INTER_CUBIC)[..., np.newaxis].clip(0, 1)
    paper, pen = random.uniform(170, 255, 3), random.uniform(0, 90, 3)
    if random.random() < 0.3:
        paper[:], pen[:] = paper[0], pen[0]
    picture = paper * (1 - ink) + pen * ink + random.normal(0, random.uniform(0, 5), (side, side, 3))
    return np.asarray(picture.clip(0, 255).round().astype(np.uint8))


def _image(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)


def _draw_all(digits: Digits, random: np.random.Generator) -> Tensor:
    """Every digit drawn once and preprocessed as a picture of the service would be."""
    return torch.cat([to_input(_image(draw(stroke, SIDE, random)), _SPEC) for stroke in digits.strokes])


def _outliers(count: int, generator: torch.Generator) -> Tensor:
    """Patterns that are no digits: fields of colour of every coarseness, most with some contrast, grey or coloured."""
    patterns = []
    for _ in range(count):
        cells = int(torch.randint(1, 17, (), generator=generator))
        field = torch.randn(1, 3, cells, cells, generator=generator)
        if torch.rand((), generator=generator) < 0.3:
            field = field[:, :1].expand(-1, 3, -1, -1)
        mode = "nearest" if torch.rand((), generator=generator) < 0.3 else "bicubic"
        level = 1.2 * torch.randn(1, 3, 1, 1, generator=generator)
        patterns.append(functional.interpolate(field, (SIDE, SIDE), mode=mode) + level)
    return torch.cat(patterns).clamp(-2, 2)


def _fit(learn: Digits, seed: int) -> nn.Module:
    random = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    module = build(_ARCHITECTURE.name, _ARCHITECTURE.parameters, len(LABELS))
    module.to(memory_format=torch.channels_last)  # a third faster on a CPU
    classes = torch.from_numpy(learn.classes)
    steps = -(-len(classes) // _BATCH)
    optimizer = torch.optim.AdamW(module.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, epochs=_EPOCHS, steps_per_epoch=steps)
    even = torch.full((_OUTLIERS, len(LABELS)), 1 / len(LABELS))
    module.train()
    for _ in range(_EPOCHS):
        pictures = _draw_all(learn, random)
        for part in torch.split(torch.randperm(len(classes), generator=generator), _BATCH):
            wanted = functional.one_hot(classes[part], len(LABELS)) * (1 - _SMOOTHING) + _SMOOTHING / len(LABELS)
            batch = torch.cat([pictures[part], _outliers(_OUTLIERS, generator)])
            logits = module(batch.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits, torch.cat([wanted, even]))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            optimizer.step()
            schedule.step()
    return module.to(memory_format=torch.contiguous_format).eval()


def train(folder: str | Path, seed: int = 0) -> float:
    """Trains, writes the model folder at once or not at all, and returns the accuracy (0 to 1) on the held-out part.

    The same seed on the same machine gives the same weights. An existing folder is replaced only when it holds a
    model; `ModelError` otherwise.
    """
    target = Path(folder)
    check_replaceable(target)
    learn, test = load_digits(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _fit(learn, seed)
    random = np.random.default_rng(seed)
    with torch.inference_mode():
        right = module(_draw_all(test, random)).argmax(1) == torch.from_numpy(test.classes)
    canary = draw(test.strokes[int(right.nonzero()[0])], 96, random)
    while np.ptp(canary.mean((0, 1))) < _COLOURFUL:  # a grey one could not tell red from blue
        canary = draw(test.strokes[int(right.nonzero()[0])], 96, random)
    with written(target) as scratch:
        _write_parts(scratch, module, canary)
    return float(right.float().mean())


def _write_parts(folder: Path, module: nn.Module, canary: Pixels) -> None:
    weights = safetensors.torch.save(module.state_dict())
    labels = "".join(f"{label}\n" for label in LABELS).encode()
    encoded, picture = cv2.imencode(".png", cv2.cvtColor(canary, cv2.COLOR_RGB2BGR))
    if not encoded:
        raise RuntimeError("the canary could not be encoded as PNG")
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=MODEL_NAME,
        architecture=_ARCHITECTURE,
        weights=store(folder, "model.safetensors", weights),
        labels=store(folder, "labels.txt", labels),
        preprocessing=_SPEC,
        score=ScoreKind.SOFTMAX,
    )
    known = record("canary.png", canary, manifest, LABELS, module)
    store(folder, "canary.png", picture.tobytes())
    store(folder, MANIFEST_NAME, encode_manifest(msgspec.structs.replace(manifest, canary=known)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m recognizer.train", description="Train the small digit recognizer.")
    parser.add_argument("folder", help="where the model folder is written")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (default 0)")
    options = parser.parse_args()
    try:
        accuracy = train(options.folder, options.seed)
    except ModelError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return 3
    sys.stdout.write(f"{options.folder}: {accuracy:.1%} right on the held-out digits\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
