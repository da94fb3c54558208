"""A program of ``torch.export`` (.pt2): the graph and its weights, without Python code.

torch's own reader trusts the file: it unpickles what the archive marks so, evaluates the expressions of its sizes, and
looks its operators up from ``torch``, from where every module of Python can be reached. So the archive is packed anew
before it is read: weights as plain bytes, no pickle, known operators and plain arithmetic alone.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass

from recognizer.formats import archive
from recognizer.formats.base import Built, Graph, Request, first_line, invalid
from recognizer.manifest import ModelError, ModelFault

_KEPT = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/version|models/model\.json"
    r"|data/(?:weights/model_weights_config|constants/model_constants_config)\.json"
    r"|data/weights/weight_\d+|data/constants/tensor_\d+"
)
_DROPPED = re.compile(r"\.data/\w+|extra/.*|data/sample_inputs/model\.pt|\.format_version|\.storage_alignment")
"""Members that a network needs not: sample inputs are a pickle."""
_SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_OPERATORS = re.compile(
    r"torch\.ops\.(?:aten|prims)\.\w+(?:\.\w+)?"
    r"|_operator\.(?:getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_)"
)
_SIZES = re.compile(
    r"(?:Symbol\('[su]\d+'(?:, \w+=(?:True|False))*\)"
    r"|Add|Mul|Pow|Integer|Rational|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|[su]?\d+|[-+*/(), ])*"
)
"""sympy's own notation, of symbols for sizes and arithmetic on them."""


class TorchExportFormat:
    """A graph; compiled packages with machine code in them (AOTInductor) are refused."""

    name = "torch_export"
    graph = True

    def recognizes(self, data: bytes) -> bool:
        return "archive_format" in archive.members(data)

    def build(self, request: Request) -> Built:
        plain = _repacked(request)
        try:
            program = torch.export.load(io.BytesIO(plain))
            tensors: dict[str, Tensor] = {name: one.detach() for name, one in program.state_dict.items()}
            module = move_to_device_pass(program, request.device).module()
        except Exception as error:  # its reader raises anything for a damaged archive; all mean the same
            raise invalid(request.path, f"can't be read as a torch.export program: {first_line(error)}") from error
        return Built(
            network=Graph(module), keys_expected=len(tensors), keys_loaded=len(tensors), tensors=lambda: tensors
        )


def _repacked(request: Request) -> bytes:
    """The archive with nothing in it that could run."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as plain:
        for name, content in archive.contents(request.data, request.path):
            if name.endswith(".json"):
                _screen_json(name, content, request.path)
            if _KEPT.fullmatch(name):
                plain.writestr(f"archive/{name}", content)
            elif not _DROPPED.fullmatch(name):
                raise _refused(request.path, f"holds {name}, which can bring code along")
        plain.writestr(f"archive/{_SAMPLE_INPUTS}", b"")
    return buffer.getvalue()


def _screen_json(name: str, content: bytes, path: Path) -> None:
    try:
        described = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise invalid(path, f"can't be read as a torch.export program: {name}: {error}") from error
    for key, value in _pairs(described):
        if key == "use_pickle" and value:
            raise ModelError(
                ModelFault.PICKLE_REFUSED,
                f"{path} marks {name} to be unpickled, which can run any program; nothing of it was run",
                hint="export it anew from weights that are plain tensors",
            )
        if key == "target" and isinstance(value, str) and not _OPERATORS.fullmatch(value):
            raise _refused(path, f"calls {value[:100]!r}, which is no operator of a network")
        if key == "expr_str" and not (isinstance(value, str) and _SIZES.fullmatch(value)):
            raise _refused(path, f"has the size {str(value)[:100]!r}, which is no arithmetic")


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one.items()
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _refused(path: Path, what: str) -> ModelError:
    return ModelError(
        ModelFault.NATIVE_CODE_REFUSED,
        f"{path} {what}",
        hint="export the network alone: torch.export.save(torch.export.export(model, …), 'model.pt2')",
    )


FORMAT = TorchExportFormat()
