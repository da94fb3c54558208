"""ONNX, run by onnxruntime. Needs the extra ``models``."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recognizer.formats.base import Built, Graph, Request, first_line, invalid, optional
from recognizer.manifest import ModelError, ModelFault

_PURPOSE = "a model in ONNX"
_GRAPH_FIELD, _HIGHEST_FIELD = 7, 26
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class OnnxFormat:
    """A graph; data outside of the file is taken only from parts that the manifest names, with their SHA-256."""

    name = "onnx"
    graph = True

    def recognizes(self, data: bytes) -> bool:
        """A protocol buffer to its last byte, whose fields are those of an ONNX model, with a graph among them."""
        return data[:1] == b"\x08" and _GRAPH_FIELD in set(_fields(data))

    def build(self, request: Request) -> Built:
        onnx = optional("onnx", _PURPOSE)
        runtime = optional("onnxruntime", _PURPOSE)
        try:
            model = onnx.load_model_from_string(request.data)
        except Exception as error:  # protobuf's own exception class is no part of onnx's interface
            raise invalid(request.path, f"can't be read as ONNX: {first_line(error)}") from error
        external = _external(model, request)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        if external:
            contents = [request.parts[name] for name in external]
            options.add_external_initializers_from_files_in_memory(external, contents, [len(one) for one in contents])
        try:
            session = runtime.InferenceSession(request.data, options, providers=_providers(runtime, request.device))
        except Exception as error:  # onnxruntime has a class for each status, and no common one
            raise invalid(request.path, f"can't be run by onnxruntime: {first_line(error)}") from error
        count = len(model.graph.initializer)
        return Built(
            network=Graph(_caller(session, request)),
            keys_expected=count,
            keys_loaded=count,
            tensors=lambda: _tensors(onnx, model, request),
        )


def _fields(data: bytes) -> Iterator[int]:
    """The top-level field numbers of a protocol buffer; ends with -1 where the bytes are none."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, position = _varint(data, position)
        elif kind == _BYTES:
            length, position = _varint(data, position)
            position += length
        elif kind in {_FIXED64, _FIXED32}:
            position += 8 if kind == _FIXED64 else 4
        else:
            return
        if not 1 <= number <= _HIGHEST_FIELD or position > len(data):
            return
        yield number


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    return 0, len(data) + 1  # no end: the caller sees that it lies beyond the data


def _external(model: Any, request: Request) -> list[str]:
    """The files that tensors refer to, all of them named parts; anything else could read any file of the machine."""
    names: list[str] = []
    for tensor in _every_tensor(model.graph):
        for entry in tensor.external_data:
            if entry.key == "location" and entry.value not in names:
                names.append(entry.value)
    for name in names:
        if Path(name).name != name or name not in request.parts:
            raise ModelError(
                ModelFault.EXTERNAL_DATA_REFUSED,
                f"{request.path} refers to the file {name!r}, which model.json does not name under parts",
                hint="keep external data in the model's folder and list each file with its SHA-256 under parts",
            )
    return names


def _every_tensor(graph: Any) -> Iterator[Any]:
    """Initializers and tensors in attributes, also those of subgraphs (If, Loop)."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.initializer:
                    yield from _every_tensor(inner)


def _providers(runtime: Any, device: torch.device) -> list[Any]:
    """The provider for the device; without one for a GPU the answer would silently come from the CPU."""
    if device.type == "cpu":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        raise ModelError(
            ModelFault.DEVICE_UNAVAILABLE,
            f"onnxruntime was installed without CUDA, so the model can't run on {device}",
            hint="pip install onnxruntime-gpu, or use --device cpu",
        )
    return [("CUDAExecutionProvider", {"device_id": device.index or 0})]


def _caller(session: Any, request: Request) -> Callable[[Tensor], Tensor]:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(float)":
        found = ", ".join(f"{one.name} {one.type}{one.shape}" for one in (*inputs, *outputs))
        raise ModelError(
            ModelFault.SIGNATURE_DIFFERS,
            f"{request.path} takes and gives {found}; one float tensor in and one out were expected",
            hint="export the network alone, with float32 input",
        )
    name = inputs[0].name

    def answer(batch: Tensor) -> Tensor:
        (values,) = session.run(None, {name: batch.float().cpu().numpy()})
        return torch.from_numpy(values).to(batch.device)

    return answer


def _tensors(onnx: Any, model: Any, request: Request) -> dict[str, Tensor]:
    """The initializers by name; external ones are cut out of their parts."""
    return {one.name: torch.from_numpy(_array(onnx, one, request)) for one in model.graph.initializer}


def _array(onnx: Any, tensor: Any, request: Request) -> Any:
    if tensor.external_data:
        where = {entry.key: entry.value for entry in tensor.external_data}
        content, offset = request.parts[where["location"]], int(where.get("offset", 0))
        end = offset + int(where["length"]) if "length" in where else len(content)
        inline = onnx.TensorProto()
        inline.CopyFrom(tensor)
        inline.ClearField("external_data")
        inline.data_location = onnx.TensorProto.DEFAULT
        inline.raw_data = content[offset:end]
        tensor = inline
    return onnx.numpy_helper.to_array(tensor).copy()


FORMAT = OnnxFormat()
