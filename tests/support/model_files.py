"""Tiny model folders in every format, built anew: real networks with random weights, small enough to load at once."""

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from recognizer.canary import record
from recognizer.inspect import Pixels
from recognizer.manifest import (
    Architecture,
    CheckedFile,
    Manifest,
    ModelError,
    ModelFault,
    Preprocessing,
    Resize,
    ScoreKind,
    encode_manifest,
    sha256_of,
)
from recognizer.model import load
from recognizer.network import build
from tests.support.pictures import colours, encoded

SIDE = 32
CLASSES = 7
LABELS = tuple(f"类别 {index}" for index in range(CLASSES))
NARROW = Architecture(name="small_cnn", parameters={"channels": [4, 8]})
RESNEST = Architecture(name="timm", parameters={"model": "resnest101e", "layers": [1, 1, 1, 1]})
SPEC = Preprocessing(
    height=SIDE,
    width=SIDE,
    resize=Resize.CROP,
    short_side=40,
    mean=(0.485, 0.456, 0.406),
    deviation=(0.229, 0.224, 0.225),
)
PICTURE = colours(60, 80, seed=5)


def network(architecture: Architecture = NARROW, classes: int = CLASSES) -> nn.Module:
    """A network with random weights and random running statistics, ready to answer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        module = build(architecture.name, architecture.parameters, classes)
        for one in module.modules():
            if isinstance(one, nn.BatchNorm2d) and one.running_mean is not None and one.running_var is not None:
                one.running_mean.uniform_(-0.5, 0.5)
                one.running_var.uniform_(0.5, 1.5)
    return module.eval()


def batch() -> torch.Tensor:
    """Two inputs."""
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))


def safetensors_bytes(module: nn.Module) -> bytes:
    return bytes(safetensors.torch.save({name: one.contiguous() for name, one in module.state_dict().items()}))


def saved(content: object) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def export_bytes(module: nn.Module) -> bytes:
    free = torch.export.Dim("batch", min=1, max=1024)
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module, (batch(),), dynamic_shapes=({0: free},)), buffer)
    return buffer.getvalue()


def torchscript_bytes(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(module, batch()), buffer)
    return buffer.getvalue()


def onnx_bytes(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    names: dict[str, Any] = {"input_names": ["pixels"], "output_names": ["logits"]}
    free = {"pixels": {0: "batch"}, "logits": {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (batch(),), buffer, dynamo=False, dynamic_axes=free, **names)
    return buffer.getvalue()


WRITERS: dict[str, Callable[[nn.Module], bytes]] = {
    "safetensors": safetensors_bytes,
    "state_dict": lambda module: saved(module.state_dict()),
    "torch_export": export_bytes,
    "onnx": onnx_bytes,
    "torchscript": torchscript_bytes,
}
"""The bytes of a network in each format of the registry, by the format's name."""


def write(
    folder: Path,
    data: bytes,
    *,
    architecture: Architecture | None = NARROW,
    canary_of: nn.Module | None = None,
    labels: tuple[str, ...] = LABELS,
    **changes: Any,
) -> Path:
    """A model folder around the weights; ``canary_of`` records a canary; ``changes`` are of the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{label}\n" for label in labels).encode()
    (folder / "labels.txt").write_bytes(text)
    (folder / "weights").write_bytes(data)
    fields: dict[str, Any] = {
        "format_version": 1,
        "name": "tiny",
        "architecture": architecture,
        "weights": CheckedFile(file="weights", sha256=sha256_of(data)),
        "labels": CheckedFile(file="labels.txt", sha256=sha256_of(text)),
        "preprocessing": SPEC,
        "score": ScoreKind.SOFTMAX,
    }
    manifest = Manifest(**fields)
    if canary_of is not None:
        (folder / "canary.png").write_bytes(encoded(PICTURE, "PNG"))
        fields["canary"] = record("canary.png", PICTURE, manifest, labels, canary_of)
    (folder / "model.json").write_bytes(encode_manifest(Manifest(**(fields | changes))))
    return folder


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit model.json as a value."""
    manifest = json.loads((folder / "model.json").read_text())
    change(manifest)
    (folder / "model.json").write_text(json.dumps(manifest))


def modelscope(folder: Path, classes: int, weights: bytes) -> Path:
    """A folder as the hub gives it: the label in the second column, the last one ends the line."""
    folder.mkdir()
    (folder / "pytorch_model.pt").write_bytes(weights)
    lines = "".join(f"{index}\t标签 {index}\t{index * 10}\n" for index in range(classes))
    (folder / "meta_info.txt").write_text(lines, encoding="utf-8")
    described = {"framework": "pytorch", "task": "general-recognition", "pipeline": {"type": "resnest101"}}
    (folder / "configuration.json").write_text(json.dumps(described))
    return folder


def grey(pixels: Pixels) -> Pixels:
    """The same without colour."""
    return np.repeat(pixels.mean(2, keepdims=True).astype(np.uint8), 3, axis=2)


def code_of(path: Path) -> ModelFault:
    """The code with which a model is refused; the refusal is one line and says what to do."""
    with pytest.raises(ModelError) as caught:
        load(path, "cpu")
    assert str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value.code
