"""What a device answers with: one row of numbers a picture, small enough to be copied back at once.

A row holds the input's figures (`recognizer.tensor_facts`), the answer's (logit, entropy, whether all outputs are
finite), and the best scores and their places. float32 holds every place: nobody has 16 million labels.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from recognizer.fault import InputFault
from recognizer.infer import TOP, Answer
from recognizer.manifest import ScoreKind
from recognizer.reasons import InputReason
from recognizer.scores import entropy, scores
from recognizer.tensor_facts import COLUMNS, TensorFacts, from_row

_FIGURES: Final = 3
_HIGHEST_PROBABILITY: Final = 1.001
"""Half precision rounds a sure answer up."""


def columns(classes: int) -> int:
    """How many numbers a row has."""
    return COLUMNS + _FIGURES + 2 * min(TOP, classes)


def pack(figures: Tensor, outputs: Tensor, kind: ScoreKind) -> Tensor:
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
