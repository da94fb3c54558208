"""Asking the network about many pictures at once, so that one that makes it fail fails alone."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from recognizer.fault import InputFault
from recognizer.model import Model
from recognizer.reasons import InputReason

TOP = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """The best labels of one picture, best first, with scores from 0 to 1.

    ``duration_ms`` is how long the whole batch of ``batch_size`` pictures took: so long the picture was waited for.
    """

    labels: tuple[str, ...]
    scores: tuple[float, ...]
    logits_dim: int
    batch_size: int
    duration_ms: float


class Inference:
    """A model with the batch size it has turned out to bear: after an out-of-memory it asks in smaller pieces."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._bearable: int | None = None

    def answers(self, tensors: list[Tensor]) -> list[Answer | InputFault]:
        """One answer or fault for each input, in their order. Never raises for what a picture or the network does."""
        limit = self._bearable or len(tensors)
        result: list[Answer | InputFault] = []
        for start in range(0, len(tensors), max(1, limit)):
            result += self._ask(tensors[start : start + limit])
        return result

    def _ask(self, tensors: list[Tensor]) -> list[Answer | InputFault]:
        started = time.perf_counter()
        try:
            logits = self._model.logits(torch.stack(tensors).to(self._model.device))
            fault = _misshapen(logits, len(tensors), len(self._model.labels))
            if fault is not None:
                return [fault] * len(tensors)
            return self._judge(logits, started)
        except Exception as error:  # noqa: BLE001  # a network may raise anything; it becomes the pictures' reason
            fault = _as_fault(error)
        # Out of the handler, where the traceback no longer keeps the failed batch's memory.
        if fault.reason is InputReason.MODEL_OUT_OF_MEMORY:
            self._bearable = max(1, len(tensors) // 2)
            if self._model.device.type == "cuda":
                torch.cuda.empty_cache()
        if len(tensors) == 1:
            return [fault]
        middle = len(tensors) // 2
        return self._ask(tensors[:middle]) + self._ask(tensors[middle:])

    def _judge(self, logits: Tensor, started: float) -> list[Answer | InputFault]:
        best = self._model.scores(logits).topk(min(TOP, logits.shape[1]), dim=1)
        scores, indices = best.values.tolist(), best.indices.tolist()
        finite = logits.isfinite().all(1).tolist()
        duration_ms = (time.perf_counter() - started) * 1_000
        labels = self._model.labels
        return [
            Answer(tuple(labels[one] for one in row), tuple(values), len(labels), len(logits), duration_ms)
            if good
            else InputFault(InputReason.TENSOR_NOT_FINITE, "the network answered with NaN or infinity")
            for row, values, good in zip(indices, scores, finite, strict=True)
        ]


def _misshapen(logits: object, pictures: int, classes: int) -> InputFault | None:
    if isinstance(logits, Tensor) and logits.shape == (pictures, classes):
        return None
    found = str(list(logits.shape)) if isinstance(logits, Tensor) else type(logits).__name__
    message = f"the network answered {found} where [{pictures}, {classes}] was expected"
    return InputFault(InputReason.MODEL_OUTPUT_INVALID, message)


def _as_fault(error: Exception) -> InputFault:
    lines = str(error).splitlines() or [""]
    # The CPU's allocator has no exception class of its own.
    full = isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
    reason = InputReason.MODEL_OUT_OF_MEMORY if full else InputReason.MODEL_FAILED
    return InputFault(reason, f"{type(error).__name__}: {lines[0]}")
