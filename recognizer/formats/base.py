"""What a format of model files is: found by its bytes, read without running anything that a pickle could hold."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Protocol

import torch
from torch import Tensor, nn

from recognizer.manifest import Architecture, ModelError, ModelFault
from recognizer.paths import visible

MAX_SAID_CHARACTERS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a format is asked for: the network of ``data``, which was read from ``path`` and whose SHA-256 is right.

    ``parts`` are the further files of the manifest by name, checked likewise. ``classes`` is the number of labels.
    """

    path: Path
    data: bytes
    classes: int
    device: torch.device
    architecture: Architecture | None = None
    parts: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A network on its device, in evaluation mode.

    keys_expected, keys_loaded   tensors the network has, and those that the file gave: equal, or it was refused
    tensors                      all of them by name, on the CPU; what `wumu model convert` writes
    """

    network: nn.Module
    keys_expected: int
    keys_loaded: int
    tensors: Callable[[], dict[str, Tensor]]


class Format(Protocol):
    """One format: a module of this folder has one, and `recognizer.formats.registry` lists them."""

    @property
    def name(self) -> str:
        """As in the model_loaded event."""

    @property
    def graph(self) -> bool:
        """Whether the file brings its network along; else the manifest must name an architecture."""

    def recognizes(self, data: bytes) -> bool:
        """Whether these are the bytes of such a file, whatever its name."""

    def build(self, request: Request) -> Built:
        """The network; `ModelError` for everything that is not exactly right."""


class Graph(nn.Module):
    """A network that is a finished graph: it has no training mode, and its weights are its own affair."""

    def __init__(self, answer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._answer = (answer,)  # in a tuple: as a module of its own it would be asked to change its mode, and refuse
        self.eval()

    def forward(self, batch: Tensor) -> Tensor:
        return self._answer[0](batch)


def optional(module: str, purpose: str) -> ModuleType:
    """A module of the extra `models`, imported only now; `ModelError` in one line when it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module.split(".", maxsplit=1)[0]:
            raise
        raise ModelError(
            ModelFault.EXTRA_MISSING,
            f"{purpose} needs the module {module}, which is not installed",
            hint="pip install 'wumu[models]'",
        ) from error


def invalid(path: Path, what: str) -> ModelError:
    """The file begins like its format and can't be read to its end."""
    return ModelError(
        ModelFault.WEIGHTS_INVALID, f"{path} {what}", hint="it was cut or damaged: copy the whole model folder again"
    )


def first_line(error: Exception) -> str:
    """The error's class and what it says, short enough for one line and safe to show."""
    said = next(iter(str(error).strip().splitlines()), "")
    return visible(f"{type(error).__name__}: {said}" if said else type(error).__name__, MAX_SAID_CHARACTERS)
