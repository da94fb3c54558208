"""What a network answered, from its outputs on the device to answers on the host.

One row of numbers a picture is all that comes back, small enough to be copied at once: the input's figures
(`recognizer.tensor_facts`), the answer's (logit, entropy, whether all outputs are finite), the best scores and their
places. float32 holds every place: nobody has 16 million labels.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from recognizer.fault import InputFault
from recognizer.formats.base import first_line
from recognizer.manifest import ScoreKind
from recognizer.reasons import InputReason
from recognizer.scores import entropy, scores
from recognizer.tensor_facts import COLUMNS, TensorFacts, from_row

TOP: Final = 3
_FIGURES: Final = 3
_HIGHEST_PROBABILITY: Final = 1.001
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


def columns(classes: int) -> int:
    """How many numbers a row has."""
    return COLUMNS + _FIGURES + 2 * min(TOP, classes)


def rows_of(figures: Tensor, outputs: Tensor, kind: ScoreKind) -> Tensor:
    """Rows, float32 (pictures, columns), from `tensor_facts.measure` and the network's float32 outputs.

    Nothing in it waits for a device.
    """
    best = scores(outputs, kind).topk(min(TOP, outputs.shape[1]), dim=1)
    parts = (
        figures,
        outputs.gather(1, best.indices[:, :1]),
        entropy(outputs, kind)[:, None],
        outputs.isfinite().all(1)[:, None],
        best.values,
        best.indices,
    )
    return torch.cat([part.float() for part in parts], dim=1)


@dataclass(frozen=True, slots=True)
class Reader:
    """From rows to answers, by the labels and the kind of score of a model."""

    labels: tuple[str, ...]
    kind: ScoreKind

    def read(self, row: list[float], batch_size: int, duration_ms: float) -> tuple[Answer | InputFault, TensorFacts]:
        """The answer of one picture, or what is wrong with it, and its input's figures."""
        facts = from_row(row[:COLUMNS])
        logit, nats, finite = row[COLUMNS : COLUMNS + _FIGURES]
        best = row[COLUMNS + _FIGURES :]
        count = len(best) // 2
        values, places = tuple(best[:count]), best[count:]
        if (fault := _fault(facts, finite, values[0], self.kind)) is not None:
            return fault, facts
        names = tuple(self.labels[int(place)] for place in places)
        margin = values[0] - values[1] if count > 1 else values[0]
        sizes = len(self.labels), batch_size
        return Answer(names, values, logit, margin, nats, *sizes, duration_ms), facts


def _fault(facts: TensorFacts, finite: float, score: float, kind: ScoreKind) -> InputFault | None:
    """What is wrong with an answer that came: its input, itself, or its scale."""
    if facts.bad_values:
        return InputFault(InputReason.TENSOR_NOT_FINITE, "preprocessing gave NaN or infinity")
    if not finite:
        return InputFault(InputReason.TENSOR_NOT_FINITE, "the network answered with NaN or infinity")
    if kind is ScoreKind.PROBABILITY and not 0 <= score <= _HIGHEST_PROBABILITY:
        message = f"the best score is {score:.3f}, and a probability lies between 0 and 1"
        return InputFault(InputReason.MODEL_SCORE_IS_LOGIT, message)
    return None


_DEVICE_LOST: Final = (
    "device-side assert",
    "illegal memory access",
    "illegal instruction",
    "illegal address",
    "misaligned address",
    "invalid program counter",
    "hardware stack error",
    "unspecified launch failure",
    "launch timed out",
    "uncorrectable ecc",
    "uncorrectable nvlink",
    "unknown error",
    "context is destroyed",
    "driver shutting down",
    "fallen off the bus",
    "no cuda-capable device",
    "devices are busy or unavailable",
)
"""After these a process can't use its GPU any more. Other CUDA errors are those of one call."""
_MEMORY_FULL: Final = ("out of memory", "alloc_failed", "defaultcpuallocator")
"""Where no exception class says so: the processor's memory, pinned memory, cuBLAS's and cuDNN's own."""


def as_fault(error: Exception) -> InputFault:
    """What a network or its device raised, as the pictures' reason; nothing of the error's traceback is kept."""
    if isinstance(error, InputFault):
        return InputFault(error.reason, error.message)
    return InputFault(_reason(error, InputReason.MODEL_FAILED), first_line(error))


def as_lost(error: Exception) -> InputFault:
    """The same of what came up where the device was only waited for: it fails there for nothing but its own end."""
    return InputFault(_reason(error, InputReason.MODEL_DEVICE_LOST), first_line(error))


def is_out_of_memory(error: Exception) -> bool:
    """Whether something smaller might still do."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _MEMORY_FULL)


def _reason(error: Exception, otherwise: InputReason) -> InputReason:
    if is_out_of_memory(error):
        return InputReason.MODEL_OUT_OF_MEMORY
    lost = any(word in str(error).lower() for word in _DEVICE_LOST)
    return InputReason.MODEL_DEVICE_LOST if lost else otherwise
