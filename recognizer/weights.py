"""Weights into a network, strictly: every tensor there, none besides, each of its shape and kind, all finite."""

from pathlib import Path

import torch
from torch import Tensor, nn

from recognizer import network
from recognizer.formats.base import Built, Request
from recognizer.manifest import MANIFEST_NAME, Architecture, ModelError, ModelFault


def build(request: Request, tensors: dict[str, Tensor]) -> Built:
    """The architecture of the request with these tensors; a half-loaded model would answer with confidence too."""
    if request.architecture is None:
        raise ModelError(
            ModelFault.ARCHITECTURE_MISSING,
            f"{request.path} holds weights alone, and {MANIFEST_NAME} names no architecture",
            hint="name the network in model.json: see architecture in docs/reference/model-format.md",
        )
    module = _empty(request.architecture, request.classes)
    expected = module.state_dict()
    check(expected, tensors, request.path)
    ready = {name: tensor.to(expected[name].dtype) for name, tensor in tensors.items()}
    module.load_state_dict(ready, strict=True, assign=True)
    module.eval().requires_grad_(requires_grad=False).to(request.device)
    return Built(network=module, keys_expected=len(expected), keys_loaded=len(tensors), tensors=lambda: tensors)


def _empty(architecture: Architecture, classes: int) -> nn.Module:
    """The network without memory for its weights, which come from the file; with it where it keeps tensors besides."""
    with torch.device("meta"):
        module = network.build(architecture.name, architecture.parameters, classes)
    if {name for name, _ in module.named_buffers()} <= module.state_dict().keys():
        return module
    return network.build(architecture.name, architecture.parameters, classes)


def check(expected: dict[str, Tensor], found: dict[str, Tensor], path: Path) -> None:
    """`ModelError` unless the tensors found are those expected."""
    if not found:
        raise ModelError(
            ModelFault.WEIGHTS_EMPTY, f"{path} holds no tensor", hint="save the weights of the model again"
        )
    common = expected.keys() & found.keys()
    if not common:
        message = f"{path} holds {len(found)} tensors (such as {min(found)}), none of them of this architecture"
        hint = "the weights belong to another network: see architecture in model.json"
        raise ModelError(ModelFault.WEIGHTS_UNRELATED, message, hint=hint)
    _check_head(expected, found, path)
    shapes = [
        f"{name} is {_form(found[name])}, not {_form(expected[name])}"
        for name in sorted(common)
        if found[name].shape != expected[name].shape
        or found[name].is_floating_point() != expected[name].is_floating_point()
    ]
    _check_sets(sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys()), shapes, path)
    for name, tensor in found.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            message = f"{path}: {name} holds NaN or infinity"
            raise ModelError(ModelFault.WEIGHTS_NOT_FINITE, message, hint="the training diverged: use other weights")


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _check_sets(missing: list[str], unexpected: list[str], shapes: list[str], path: Path) -> None:
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape or type", shapes))
    parts = [f"{len(names)} {what} (such as {names[0]})" for what, names in kinds if names]
    if not parts:
        return
    only_missing = bool(missing) and not unexpected and not shapes
    raise ModelError(
        ModelFault.WEIGHTS_PARTIAL if only_missing else ModelFault.WEIGHTS_DIFFER,
        f"{path} does not fit the architecture: {', '.join(parts)}",
        hint="save the whole state_dict again"
        if only_missing
        else "the architecture in model.json must be the one the weights were trained with",
    )


def _check_head(expected: dict[str, Tensor], found: dict[str, Tensor], path: Path) -> None:
    """Labels of another number than the network's outputs: the likeliest mix-up, so it has words of its own."""
    head = list(expected)[-1]
    others_fit = all(found[name].shape == one.shape for name, one in list(expected.items())[:-2] if name in found)
    if others_fit and head in found and found[head].dim() == 1 and found[head].shape != expected[head].shape:
        raise labels_count(path, len(found[head]), len(expected[head]))


def labels_count(path: Path, outputs: int, labels: int) -> ModelError:
    """The labels are not as many as the network's outputs."""
    return ModelError(
        ModelFault.LABELS_COUNT,
        f"{path} answers with {outputs} classes, the labels file names {labels}",
        hint="labels and weights belong to different models: use the pair that was trained together",
    )
