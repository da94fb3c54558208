"""The calculation of a batch: from grey levels to rows, on whatever device, by a plan."""

import copy
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from recognizer.device.plan import SAFE, Layout, Plan, Precision
from recognizer.fault import InputFault
from recognizer.infer import rows_of
from recognizer.manifest import ScoreKind
from recognizer.preprocess import Normalization
from recognizer.reasons import InputReason
from recognizer.tensor_facts import measure

Program = Callable[[Tensor], Tensor]
"""Levels (pictures, 3, height, width) to rows (pictures, columns), both on the device."""

DTYPES: Final = {
    Precision.FLOAT32: torch.float32,
    Precision.BFLOAT16: torch.bfloat16,
    Precision.FLOAT16: torch.float16,
}
FORMATS: Final = {Layout.CONTIGUOUS: torch.contiguous_format, Layout.CHANNELS_LAST: torch.channels_last}
_NORMALISATIONS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Variant(nn.Module):
    """A network in another precision or layout, taking and giving float32."""

    def __init__(self, network: nn.Module, plan: Plan) -> None:
        super().__init__()
        self.dtype, self.format = DTYPES[plan.precision], FORMATS[plan.layout]
        self.network = copy.deepcopy(network)
        if plan.precision is not Precision.FLOAT32:
            self.network.to(self.dtype)
            for module in self.network.modules():
                if isinstance(module, _NORMALISATIONS):
                    module.float()  # statistics of eight bits would move every answer; the kernels take both
        self.network.to(memory_format=self.format)
        self.eval()

    def forward(self, batch: Tensor) -> Tensor:
        outputs: Tensor = self.network(batch.to(dtype=self.dtype, memory_format=self.format))
        return outputs.float()


def variant(network: nn.Module, plan: Plan) -> nn.Module:
    """The network as ``plan`` wants it; the very same one where nothing changes, else a copy."""
    unchanged = (plan.precision, plan.layout) == (SAFE.precision, SAFE.layout)
    return network if unchanged else Variant(network, plan)


def program(network: nn.Module, normalization: Normalization, kind: ScoreKind, classes: int) -> Program:
    """The whole calculation. It raises `InputFault` for a network that answers with another shape."""

    def rows(levels: Tensor) -> Tensor:
        batch = normalization(levels)
        outputs: Any = network(batch)
        if not isinstance(outputs, Tensor) or outputs.shape != (len(levels), classes):
            found = str(list(outputs.shape)) if isinstance(outputs, Tensor) else type(outputs).__name__
            message = f"the network answered {found} where [{len(levels)}, {classes}] was expected"
            raise InputFault(InputReason.MODEL_OUTPUT_INVALID, message)
        return rows_of(measure(batch), outputs.float(), kind)

    return rows


def compiled(rows: Program) -> Program:
    """The same, made into few kernels. Every new size of a batch is compiled when it is first seen."""
    faster: Program = torch.compile(rows, dynamic=False)
    return faster
