"""A state dict that ``torch.save`` wrote, as an archive or as the older plain pickle. Tensors alone are read."""

import io
import pickle
from typing import Any

import torch
from torch import Tensor

from recognizer import weights
from recognizer.formats import archive
from recognizer.formats.base import Built, Request, first_line, invalid

_WRAPPER = "state_dict"
_PARALLEL = "module."


class StateDictFormat:
    """Weights alone, so the manifest must name the architecture."""

    name = "state_dict"
    graph = False

    def recognizes(self, data: bytes) -> bool:
        names = archive.members(data)
        return ("data.pkl" in names and "constants.pkl" not in names) or data[:1] == b"\x80"

    def build(self, request: Request) -> Built:
        archive.screen(request.data, request.path)
        try:
            content = torch.load(io.BytesIO(request.data), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError) as error:
            raise invalid(request.path, f"can't be read as weights: {first_line(error)}") from error
        return weights.build(request, _tensors(content, request))


def _tensors(content: Any, request: Request) -> dict[str, Tensor]:
    """The tensors by name, out of a checkpoint's wrapper and without the prefix of data-parallel training."""
    if isinstance(content, dict) and isinstance(content.get(_WRAPPER), dict):
        content = content[_WRAPPER]
    if not isinstance(content, dict):
        raise invalid(request.path, f"holds a {type(content).__name__}, not a state dict")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise invalid(request.path, f"is no state dict: {name!r} is a {type(value).__name__}, not a tensor")
    if content and all(name.startswith(_PARALLEL) for name in content):
        return {name.removeprefix(_PARALLEL): value for name, value in content.items()}
    return dict(content)


FORMAT = StateDictFormat()
