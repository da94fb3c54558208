"""safetensors: the native format. Plain numbers behind a JSON header; nothing in it can run."""

import safetensors
import safetensors.torch
from torch import Tensor

from recognizer import weights
from recognizer.formats.base import Built, Request, first_line, invalid

_HEADER_LENGTH_BYTES = 8
_LONGEST_HEADER_BYTES = 100_000_000
"""The format's own limit."""


class SafetensorsFormat:
    """Weights alone, so the manifest must name the architecture."""

    name = "safetensors"
    graph = False

    def recognizes(self, data: bytes) -> bool:
        """Eight bytes with the length of a JSON object, then that object."""
        length = int.from_bytes(data[:_HEADER_LENGTH_BYTES], "little")
        begins = data[_HEADER_LENGTH_BYTES : _HEADER_LENGTH_BYTES + 2]
        return begins in {b'{"', b"{}", b"{ "} and 2 <= length <= _LONGEST_HEADER_BYTES

    def build(self, request: Request) -> Built:
        try:
            tensors: dict[str, Tensor] = safetensors.torch.load(request.data)
        except safetensors.SafetensorError as error:
            raise invalid(request.path, f"is no whole safetensors file: {first_line(error)}") from error
        return weights.build(request, tensors)


FORMAT = SafetensorsFormat()
