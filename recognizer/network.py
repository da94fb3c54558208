"""The networks we can build by name. Weights come beside them, so a model file brings no code along."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import torch
from torch import Tensor, nn

from recognizer.formats.base import first_line, optional
from recognizer.manifest import ModelError, ModelFault


class SmallCnnParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``channels`` of each block, every block halving the sides; ``dropout`` before the head."""

    channels: Annotated[tuple[Annotated[int, msgspec.Meta(ge=1, le=4096)], ...], msgspec.Meta(min_length=1)] = (
        16,
        32,
        64,
    )
    dropout: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.1


class SmallCnn(nn.Module):
    """Blocks of a 3 × 3 convolution, batch normalisation and pooling; global average and maximum; one linear layer."""

    def __init__(self, parameters: SmallCnnParameters, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after in parameters.channels:
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
            before = after
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(parameters.dropout)
        self.head = nn.Linear(2 * before, classes)

    def forward(self, batch: Tensor) -> Tensor:
        features = self.features(batch)
        pooled = torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


def _small_cnn(parameters: dict[str, Any], classes: int) -> nn.Module:
    return SmallCnn(msgspec.convert(parameters, SmallCnnParameters), classes)


class TimmParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``model``: a name of timm's own list, such as resnest101e; ``layers``: blocks a stage, where they differ."""

    model: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,100}$")]
    layers: tuple[Annotated[int, msgspec.Meta(ge=1, le=200)], ...] | None = None


def _timm(parameters: dict[str, Any], classes: int) -> nn.Module:
    """A network of timm without its weights. Names of hubs and local folders are no names here: nothing is fetched."""
    wanted = msgspec.convert(parameters, TimmParameters)
    timm = optional("timm", f"the network {wanted.model}")
    if not timm.is_model(wanted.model):
        message = f"timm {timm.__version__} has no model {wanted.model!r}"
        raise ModelError(ModelFault.ARCHITECTURE_UNKNOWN, message, hint="its names: timm.list_models()")
    options = {} if wanted.layers is None else {"layers": list(wanted.layers)}
    try:
        module: nn.Module = timm.create_model(wanted.model, pretrained=False, num_classes=classes, **options)
    except (TypeError, ValueError, AssertionError) as error:
        message = f"timm can't build {wanted.model} so: {first_line(error)}"
        hint = "leave layers out, or give one number a stage"
        raise ModelError(ModelFault.ARCHITECTURE_PARAMETERS, message, hint=hint) from error
    return module


ARCHITECTURES: dict[str, Callable[[dict[str, Any], int], nn.Module]] = {"small_cnn": _small_cnn, "timm": _timm}


def build(name: str, parameters: dict[str, Any], classes: int) -> nn.Module:
    """The network with fresh weights; `ModelError` when we know no such network or its parameters are wrong."""
    builder = ARCHITECTURES.get(name)
    if builder is None:
        known = ", ".join(sorted(ARCHITECTURES))
        message = f"there is no architecture {name!r}"
        raise ModelError(ModelFault.ARCHITECTURE_UNKNOWN, message, hint=f"known: {known}")
    try:
        return builder(parameters, classes)
    except msgspec.ValidationError as error:
        message = f"the parameters of architecture {name} are wrong: {error}"
        hint = "see docs/reference/model-format.md for its parameters"
        raise ModelError(ModelFault.ARCHITECTURE_PARAMETERS, message, hint=hint) from error
