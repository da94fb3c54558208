"""From a network's outputs to scores, and how sure an answer is."""

import torch
from torch import Tensor

from recognizer.manifest import ScoreKind


def scores(outputs: Tensor, kind: ScoreKind) -> Tensor:
    """Scores of (pictures, classes): from 0 to 1, but for ``logit`` the outputs themselves."""
    if kind is ScoreKind.SOFTMAX:
        return outputs.softmax(1)
    return outputs.sigmoid() if kind is ScoreKind.SIGMOID else outputs


def entropy(outputs: Tensor, kind: ScoreKind) -> Tensor:
    """How undecided between the classes each answer is, in nats: 0 for one class alone, ln(classes) for all alike.

    Shannon's entropy of the scores, divided by their sum where they need not add up to 1.
    """
    if kind in {ScoreKind.SOFTMAX, ScoreKind.LOGIT}:
        shares = outputs.softmax(1)
    else:
        values = scores(outputs, kind).clamp_min(0)
        shares = values / values.sum(1, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny)
    nats: Tensor = torch.special.entr(shares).sum(1)
    return nats
