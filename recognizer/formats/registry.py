"""Every format that can be read, and which one a file is: by its bytes, whatever its name."""

from pathlib import Path

from recognizer.formats import archive, onnx_graph, safetensors_file, state_dict, torch_export, torchscript
from recognizer.formats.base import Format, invalid
from recognizer.manifest import ModelError, ModelFault

FORMATS: tuple[Format, ...] = (
    safetensors_file.FORMAT,
    torchscript.FORMAT,
    torch_export.FORMAT,
    state_dict.FORMAT,
    onnx_graph.FORMAT,
)


def identify(data: bytes, path: Path) -> Format:
    """The format of a file's bytes; `ModelError` when it is none."""
    for one in FORMATS:
        if one.recognizes(data):
            return one
    if not data:
        raise ModelError(ModelFault.WEIGHTS_EMPTY, f"{path} is empty", hint="copy the whole model folder again")
    if data.startswith(archive.ZIP):
        raise invalid(path, "is a zip archive that is cut off, or no archive of torch's")
    known = ", ".join(one.name for one in FORMATS)
    message = f"{path} is in no known format (it begins with {data[:8].hex(' ')})"
    raise ModelError(ModelFault.FORMAT_UNKNOWN, message, hint=f"known: {known}")
