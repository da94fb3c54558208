"""The calculations of a batch with tensors that only pretend to lie on a GPU: what they ask of one, without having it.

Torch refuses there whatever would make the host wait for a value, and knows on which device each operation runs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from recognizer.device.plan import SAFE, Layout, Mode, Plan, Precision
from recognizer.device.program import compiled, program, variant
from recognizer.device.staging import pack, stage, unpack
from recognizer.formats.modelscope import PREPROCESSING as CROP
from recognizer.manifest import ChannelOrder, Interpolation, Preprocessing, Resize, ScoreKind
from recognizer.preprocess import Normalization

GPU = torch.device("cuda", 0)
CLASSES = 1_000
FIT = Preprocessing(height=224, width=224, resize=Resize.FIT, channel_order=ChannelOrder.BGR)
NEAREST = Preprocessing(height=224, width=224, interpolation=Interpolation.NEAREST, antialias=False)
HALF = Plan(Precision.BFLOAT16, Layout.CHANNELS_LAST, Mode.GRAPH)


class Moves(TorchDispatchMode):
    """Notes every operation that has to do with more than one device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = operation(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves((args, kwargs, answer)) if isinstance(one, Tensor)]
        if len({one.device for one in tensors}) > 1:
            self.found.append(str(operation))
        return answer


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES)
    ).eval()


class Undecided(nn.Module):
    """Asks the device for a value before it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, batch: Tensor) -> Tensor:
        outputs: Tensor = self.inner(batch)
        return outputs if bool(outputs.isfinite().all()) else outputs.nan_to_num()


def rows(spec: Preprocessing, made: nn.Module, kind: ScoreKind = ScoreKind.SOFTMAX) -> Tensor:
    """The rows of a batch of eight, from the copied bytes of three pictures on."""
    batch = [stage(np.zeros((*size, 3), np.uint8), spec, 1 << 20) for size in ((300, 400), (224, 224), (300, 400))]
    slab = np.zeros(3 << 20, np.uint8)
    packed = pack(batch, slab)
    with FakeTensorMode():
        for module in made.modules():
            for table in (module._parameters, module._buffers):
                for name, value in table.items():
                    if value is not None:
                        strides = value.stride()
                        table[name] = torch.empty_strided(value.shape, strides, dtype=value.dtype, device=GPU)  # type: ignore[index]
        calculation = program(made, Normalization(spec, GPU), kind, CLASSES)
        levels = torch.zeros(8, 3, spec.height, spec.width, dtype=torch.uint8, device=GPU)
        copy = torch.empty(len(slab), dtype=torch.uint8, device=GPU)
        with torch.inference_mode(), Moves() as moves:
            unpack(packed, copy, levels, spec)
            answer = calculation(levels)
    assert moves.found == []
    return answer


@pytest.mark.parametrize("spec", [CROP, FIT, NEAREST], ids=["crop", "fit", "nearest"])
@pytest.mark.parametrize("plan", [SAFE, HALF], ids=str)
def test_nothing_of_a_batch_waits_or_moves(plan: Plan, spec: Preprocessing) -> None:
    """From the bytes that were copied to the rows that are copied back; scores are float32 whatever the network is."""
    found = rows(spec, variant(network(), plan))
    assert found.device == GPU
    assert found.dtype is torch.float32


def test_a_network_of_the_hub_s_kind_does_not_wait_either() -> None:
    """The smallest of those that are built as ModelScope's general recognition is."""
    assert rows(CROP, variant(timm.create_model("resnest14d", num_classes=CLASSES).eval(), HALF)).device == GPU


@pytest.mark.parametrize("kind", ScoreKind)
def test_no_kind_of_score_waits(kind: ScoreKind) -> None:
    assert len(rows(CROP, network(), kind)) == 8


def test_a_network_that_waits_is_noticed() -> None:
    """So that the others of these tests can fail."""
    with pytest.raises(DataDependentOutputException):
        rows(CROP, Undecided())


@pytest.mark.parametrize("spec", [CROP, FIT], ids=["crop", "fit"])
def test_the_calculation_is_compiled_as_one_graph(spec: Preprocessing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in it falls back to Python, which a CUDA graph of the compiled whole could not hold."""
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _inputs: object) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda rows, **options: real(rows, backend=keep, fullgraph=True, **options))
    made = variant(network(), HALF).to("meta")
    calculation = compiled(program(made, Normalization(spec, torch.device("meta")), ScoreKind.SOFTMAX, CLASSES))
    levels = torch.zeros(8, 3, spec.height, spec.width, dtype=torch.uint8, device="meta")
    with torch.inference_mode():
        assert calculation(levels).shape[0] == 8
    assert len(graphs) == 1
