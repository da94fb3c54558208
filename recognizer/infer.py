"""Asking the network about many pictures at once, so that one that makes it fail fails alone."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from recognizer.fault import InputFault
from recognizer.manifest import ScoreKind
from recognizer.model import Model
from recognizer.reasons import InputReason
from recognizer.scores import entropy
from recognizer.tensor_facts import COLUMNS, TensorFacts, facts, from_row, measure

TOP = 3
_HIGHEST_PROBABILITY = 1.001
"""Half precision rounds a sure answer up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The best labels of one picture, best first, with scores from 0 to 1.

    logit      the best label's output, before softmax or sigmoid
    margin     the best score minus the second best
    entropy    how undecided between the classes it is, nats

    ``duration_ms`` is how long the whole batch of ``batch_size`` pictures took: so long the picture was waited for.
    """

    labels: tuple[str, ...]
    scores: tuple[float, ...]
    logit: float
    margin: float
    entropy: float
    logits_dim: int
    batch_size: int
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input: the network's answer or the reason why there is none, and the input's figures."""

    answer: Answer | InputFault
    facts: TensorFacts


class Inference:
    """A model with the batch size it has turned out to bear: after an out-of-memory it asks in smaller pieces."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._bearable: int | None = None

    def answers(self, tensors: list[Tensor]) -> list[Outcome]:
        """One outcome for each input, in their order. Never raises for what a picture or the network does."""
        limit = self._bearable or len(tensors)
        result: list[Outcome] = []
        for start in range(0, len(tensors), max(1, limit)):
            result += self._ask(tensors[start : start + limit])
        return result

    def _ask(self, tensors: list[Tensor]) -> list[Outcome]:
        started = time.perf_counter()
        try:
            batch = torch.stack(tensors).to(self._model.device)
            figures = measure(batch)
            logits = self._model.logits(batch)
            fault = _misshapen(logits, len(tensors), len(self._model.labels))
            if fault is not None:
                return [Outcome(fault, from_row(row)) for row in figures.tolist()]
            return self._judge(logits, figures, started)
        except Exception as error:  # noqa: BLE001  # a network may raise anything; it becomes the pictures' reason
            fault = as_fault(error)
        # Out of the handler, where the traceback no longer keeps the failed batch's memory.
        if fault.reason is InputReason.MODEL_OUT_OF_MEMORY:
            self._bearable = max(1, len(tensors) // 2)
            if self._model.device.type == "cuda":
                torch.cuda.empty_cache()
        if len(tensors) == 1:
            return [Outcome(fault, facts(tensors[0]))]
        middle = len(tensors) // 2
        return self._ask(tensors[:middle]) + self._ask(tensors[middle:])

    def _judge(self, logits: Tensor, figures: Tensor, started: float) -> list[Outcome]:
        outputs, kind = logits.float(), self._model.manifest.score
        best = self._model.scores(outputs).topk(min(TOP, outputs.shape[1]), dim=1)
        columns = (
            figures,
            outputs.gather(1, best.indices[:, :1]),
            entropy(outputs, kind)[:, None],
            outputs.isfinite().all(1)[:, None],
            best.values,
            best.indices,
        )
        # one small copy from the device, which is waited for once; a double holds every index
        rows = torch.cat([column.double() for column in columns], 1).tolist()
        count = best.indices.shape[1]
        duration_ms = (time.perf_counter() - started) * 1_000
        outcomes: list[Outcome] = []
        for row in rows:
            found = from_row(row[:COLUMNS])
            logit, nats, finite, *best_of_all = row[COLUMNS:]
            scores, places = tuple(best_of_all[:count]), best_of_all[count:]
            answer: Answer | InputFault | None = _fault(found, finite, scores[0], kind)
            if answer is None:
                labels = tuple(self._model.labels[int(one)] for one in places)
                margin = scores[0] - scores[1] if len(scores) > 1 else scores[0]
                sizes = len(self._model.labels), len(outputs)
                answer = Answer(labels, scores, logit, margin, nats, *sizes, duration_ms)
            outcomes.append(Outcome(answer, found))
        return outcomes


_DEVICE_LOST = ("cuda error", "device-side assert", "fallen off the bus", "no cuda-capable device")
"""After these a process can't use its GPU any more."""


def _fault(found: TensorFacts, finite: float, score: float, kind: ScoreKind) -> InputFault | None:
    """What is wrong with an answer that came: its input, itself, or its scale."""
    if found.bad_values:
        return InputFault(InputReason.TENSOR_NOT_FINITE, "preprocessing gave NaN or infinity")
    if not finite:
        return InputFault(InputReason.TENSOR_NOT_FINITE, "the network answered with NaN or infinity")
    if kind is ScoreKind.PROBABILITY and not 0 <= score <= _HIGHEST_PROBABILITY:
        message = f"the best score is {score:.3f}, and a probability lies between 0 and 1"
        return InputFault(InputReason.MODEL_SCORE_IS_LOGIT, message)
    return None


def _misshapen(logits: object, pictures: int, classes: int) -> InputFault | None:
    if isinstance(logits, Tensor) and logits.shape == (pictures, classes):
        return None
    found = str(list(logits.shape)) if isinstance(logits, Tensor) else type(logits).__name__
    message = f"the network answered {found} where [{pictures}, {classes}] was expected"
    return InputFault(InputReason.MODEL_OUTPUT_INVALID, message)


def as_fault(error: Exception) -> InputFault:
    """What a network or its device raised, as the pictures' reason; nothing of the error's traceback is kept."""
    if isinstance(error, InputFault):
        return InputFault(error.reason, error.message)
    lines = str(error).splitlines() or [""]
    # The CPU's allocator has no exception class of its own.
    full = isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
    lost = any(word in str(error).lower() for word in _DEVICE_LOST)
    failed = InputReason.MODEL_DEVICE_LOST if lost else InputReason.MODEL_FAILED
    reason = InputReason.MODEL_OUT_OF_MEMORY if full else failed
    return InputFault(reason, f"{type(error).__name__}: {lines[0]}")
