"""A program of ``torch.export`` (.pt2): the graph and its weights, without Python code."""

import io

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass

from recognizer.formats import archive
from recognizer.formats.base import Built, Graph, Request, first_line, invalid
from recognizer.manifest import ModelError, ModelFault


class TorchExportFormat:
    """A graph; compiled packages with machine code in them (AOTInductor) are refused."""

    name = "torch_export"
    graph = True

    def recognizes(self, data: bytes) -> bool:
        return "archive_format" in archive.members(data)

    def build(self, request: Request) -> Built:
        native = [one for one in archive.members(request.data) if one.startswith("data/aotinductor/")]
        if native:
            raise ModelError(
                ModelFault.NATIVE_CODE_REFUSED,
                f"{request.path} holds compiled code ({min(native)}), which can do anything",
                hint="give the program itself: torch.export.save(program, 'model.pt2')",
            )
        archive.screen(request.data, request.path)
        try:
            program = torch.export.load(io.BytesIO(request.data))
            tensors: dict[str, Tensor] = {name: one.detach() for name, one in program.state_dict.items()}
            module = move_to_device_pass(program, request.device).module()
        except Exception as error:  # its reader raises anything for a damaged archive; all mean the same
            raise invalid(request.path, f"can't be read as a torch.export program: {first_line(error)}") from error
        return Built(
            network=Graph(module), keys_expected=len(tensors), keys_loaded=len(tensors), tensors=lambda: tensors
        )


FORMAT = TorchExportFormat()
