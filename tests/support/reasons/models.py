"""For each reason of tensors and models: a real tensor, network or model folder that has it, and what is told."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recognizer.manifest import ModelError, ScoreKind, sha256_of
from recognizer.model import load
from recognizer.model_events import check_canary
from recognizer.pipeline import Recognizer
from recognizer.reasons import InputReason as Reason
from recognizer.sinks import MemorySink
from recognizer.tensor_facts import facts, from_row, measure
from recognizer.tensor_monitor import TensorMonitor, signals
from tests.support.emission import emitting_to
from tests.support.model_files import (
    LABELS,
    PICTURE,
    SIDE,
    SPEC,
    edit,
    network,
    safetensors_bytes,
    torchscript_bytes,
    write,
)
from tests.support.pictures import encoded

Case = Callable[[Path], Iterable[str]]
WINDOW, LEARNING = 64, 40
MEAN, DEVIATION = (torch.tensor(one).reshape(3, 1, 1) for one in (SPEC.mean, SPEC.deviation))


def pictures(count: int, seed: int) -> Tensor:
    """Smooth pictures, 0 … 1, more red than blue."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    smooth = nn.functional.interpolate(coarse, 16, mode="bicubic").clamp(0, 1)
    return smooth * torch.tensor([0.9, 0.7, 0.4]).reshape(3, 1, 1)


def normal(values: Tensor) -> Tensor:
    return (values - MEAN) / DEVIATION


@cache
def _healthy_windows() -> list[tuple[float, ...]]:
    rows = measure(normal(pictures(WINDOW * LEARNING, 1))).tolist()
    each = np.array([signals(from_row(row), SPEC, 0.9, 0.3, 5.0) for row in rows])
    return [tuple(map(float, window)) for window in each.reshape(LEARNING, WINDOW, -1).mean(1)]


def _in_traffic(wrong: Callable[[Tensor], Tensor], score: float = 0.9) -> Case:
    """A window of inputs after healthy ones."""

    def case(_: Path) -> list[str]:
        monitor = TensorMonitor(SPEC, window=WINDOW, learning_windows=LEARNING)
        monitor.learn(_healthy_windows())
        told = [monitor.observe(facts(one), score, 0.3, 5.0) for one in wrong(pictures(WINDOW, 3))]
        return [one.reason for one in told if one is not None]

    return case


def _impossible(wrong: Callable[[Tensor], Tensor]) -> Case:
    """One input by itself."""

    def case(_: Path) -> list[str]:
        return [str(TensorMonitor(SPEC).impossible(facts(wrong(normal(pictures(1, 5)[0])))))]

    return case


def _model(folder: Path) -> Path:
    return write(folder / "model", safetensors_bytes(network()), canary_of=network())


def _refused(folder: Path, device: str = "cpu") -> list[str]:
    """The reasons that the events of a model tell which is not served."""
    with emitting_to(MemorySink()) as sink, pytest.raises(ModelError):
        Recognizer.load(folder, device)
    return [event["reason"] for event in sink.events]


def _described_wrongly(**change: Any) -> Case:
    def case(folder: Path) -> list[str]:
        model = _model(folder)
        edit(model, lambda manifest: manifest["preprocessing"].update(change))
        return _refused(model)

    return case


def _of_fixed_size(folder: Path) -> list[str]:
    """A graph that takes 32 × 32 pixels and nothing else."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, len(LABELS))).eval()
    model = write(folder / "model", torchscript_bytes(module), architecture=None)
    edit(model, lambda manifest: manifest["preprocessing"].update(height=48, width=48, short_side=48))
    return _refused(model)


def _put_into_training(folder: Path) -> list[str]:
    model = load(_model(folder), "cpu")
    model.network.train()
    with emitting_to(MemorySink()) as sink, pytest.raises(ModelError):
        check_canary(model)
    return [event["reason"] for event in sink.events]


def _partial(folder: Path) -> list[str]:
    module = network()
    del module.head
    return _refused(write(folder / "model", safetensors_bytes(module)))


def _other_weights(folder: Path) -> list[str]:
    model, other = _model(folder), network()
    with torch.no_grad():
        other.get_parameter("head.bias").add_(torch.arange(7.0))
    data = safetensors_bytes(other)
    (model / "weights").write_bytes(data)
    edit(model, lambda manifest: manifest["weights"].update(sha256=sha256_of(data)))
    return _refused(model)


def _recognised(folder: Path, model: Path, instead: nn.Module | None = None, picture: Any = PICTURE) -> list[str]:
    """The reasons of one picture's events, with another network in place of the model's."""
    (folder / "a.png").write_bytes(encoded(picture, "PNG"))
    loaded = load(model, "cpu")
    recognizer = Recognizer(loaded if instead is None else replace(loaded, network=instead))
    with emitting_to(MemorySink()) as sink:
        list(recognizer.recognize([folder / "a.png"]))
    told = [event.get("reason") for event in sink.events]
    odd = [one for event in sink.events for one in event.get("tensor_issues", ())]
    return [one for one in (*told, *odd) if one is not None]


class Failing(nn.Module):
    """A network that does one thing whatever it is asked."""

    def __init__(self, does: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.does = does

    def forward(self, batch: Tensor) -> Tensor:
        return self.does(batch)


def _raise(error: Exception) -> Tensor:
    raise error


def _network(does: Callable[[Tensor], Tensor]) -> Case:
    return lambda folder: _recognised(folder, _model(folder), Failing(does).eval())


def _logits_as_probabilities(folder: Path) -> list[str]:
    """Told at the start, by what the outputs are."""
    return _refused(write(folder / "model", safetensors_bytes(network()), score=ScoreKind.PROBABILITY))


CASES: dict[Reason, Case] = {
    Reason.TENSOR_NOT_FINITE: _impossible(lambda right: right.index_fill(2, torch.tensor([3]), torch.nan)),
    Reason.TENSOR_CHANNEL_ORDER: _in_traffic(lambda values: normal(values.flip(1))),
    Reason.TENSOR_NOT_SCALED: _impossible(lambda right: normal((right * DEVIATION + MEAN) * 255)),
    Reason.TENSOR_NORMALIZATION: _impossible(normal),
    Reason.TENSOR_CONSTANT: _impossible(torch.zeros_like),
    Reason.TENSOR_LAYOUT: _in_traffic(lambda values: normal(values).permute(0, 2, 3, 1).reshape(WINDOW, 3, 16, 16)),
    Reason.TENSOR_OVERFLOW: _in_traffic(lambda values: normal((values * 2) % 1)),
    Reason.TENSOR_RESIZE: _described_wrongly(short_side=44),
    Reason.TENSOR_SIGNATURE: _of_fixed_size,
    Reason.TENSOR_CROPPED: lambda folder: _recognised(folder, _model(folder), picture=np.tile(PICTURE, (1, 6, 1))),
    Reason.TENSOR_UNUSUAL: _in_traffic(normal, score=0.2),
    # memory that no machine has, asked of the real allocator
    Reason.MODEL_OUT_OF_MEMORY: _network(lambda _: torch.empty(1 << 50)),
    # what CUDA says after an assertion in a kernel: no GPU need be lost for it
    Reason.MODEL_DEVICE_LOST: _network(lambda _: _raise(RuntimeError("CUDA error: device-side assert triggered"))),
    Reason.MODEL_DEVICE_FALLBACK: lambda folder: _refused(_model(folder), "cuda:99"),
    Reason.MODEL_OUTPUT_INVALID: _network(lambda batch: torch.zeros(len(batch), 3)),
    Reason.MODEL_SCORE_IS_LOGIT: _logits_as_probabilities,
    Reason.MODEL_FAILED: _network(lambda batch: batch @ torch.zeros(5, 5)),
    Reason.MODEL_REFUSED: lambda folder: _refused(write(folder / "model", b"no weights at all")),
    Reason.MODEL_PARTIAL_LOAD: _partial,
    Reason.MODEL_LABELS_MISMATCH: lambda folder: _refused(
        write(folder / "model", safetensors_bytes(network()), labels=LABELS[:-1])
    ),
    Reason.MODEL_TRAIN_MODE: _put_into_training,
    Reason.MODEL_CANARY_FAILED: _other_weights,
}
