"""TorchScript: an older graph format that torch only reads on. It is read here, never written."""

import io
import re
import warnings
import zipfile
from typing import Any

import torch
from torch import Tensor

from recognizer.formats import archive
from recognizer.formats.base import Built, Graph, Request, first_line, invalid
from recognizer.manifest import ModelError, ModelFault

_REACHES_OUT = re.compile(rb"torch\.(?:save|load|from_file)\(|ops\.(?!prim\.)\w+\.\w+")
"""Calls that touch files or come from foreign libraries: a network needs none of them."""


class TorchScriptFormat:
    """A graph with code in a restricted language; what in it could touch files is refused."""

    name = "torchscript"
    graph = True

    def recognizes(self, data: bytes) -> bool:
        return "constants.pkl" in archive.members(data)

    def build(self, request: Request) -> Built:
        _screen_code(request)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # torch says at each load that the format is old
                warnings.simplefilter("ignore", DeprecationWarning)
                module: Any = torch.jit.load(  # type: ignore[no-untyped-call]  # torch leaves it unannotated
                    io.BytesIO(request.data), map_location=request.device
                )
        except Exception as error:  # its reader raises anything for a damaged archive; all mean the same
            raise invalid(request.path, f"can't be read as TorchScript: {first_line(error)}") from error
        tensors: dict[str, Tensor] = {name: one.detach().cpu() for name, one in module.state_dict().items()}
        module.eval()
        return Built(
            network=Graph(module), keys_expected=len(tensors), keys_loaded=len(tensors), tensors=lambda: tensors
        )


def _screen_code(request: Request) -> None:
    with zipfile.ZipFile(io.BytesIO(request.data)) as content:
        for name in content.namelist():
            if "/code/" in name and name.endswith(".py") and (found := _REACHES_OUT.search(content.read(name))):
                call = found[0].decode(errors="replace").rstrip("(")
                raise ModelError(
                    ModelFault.NATIVE_CODE_REFUSED,
                    f"{request.path} calls {call}, which a network has no need of",
                    hint="export the model anew: torch.export.save(torch.export.export(model, …), 'model.pt2')",
                )


FORMAT = TorchScriptFormat()
