"""Any readable model into the native format: safetensors and model.json, with a canary where a picture is given."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import safetensors.torch
import torch
from torch import Tensor, nn

from recognizer import weights
from recognizer.canary import record
from recognizer.decode import read
from recognizer.fault import InputFault
from recognizer.folder import check_replaceable, store, written
from recognizer.formats.base import Request
from recognizer.manifest import (
    MANIFEST_NAME,
    Architecture,
    Canary,
    Manifest,
    ModelError,
    ModelFault,
    Preprocessing,
    encode_manifest,
)
from recognizer.model import Source, find, load
from recognizer.network import ARCHITECTURES

_SEED = 20_240_519
_DIFFERENCE = 1e-4
"""Above this the new network is not the old one; two exact copies of a graph and a network differ by 1e-6."""


@dataclass(frozen=True, slots=True)
class Converted:
    """``largest_difference`` of an output between the old and the new model on the same random inputs."""

    canary: Canary | None
    largest_difference: float


def convert(
    path: Path,
    target: Path,
    *,
    name: str | None = None,
    picture: Path | None = None,
    architecture: str | None = None,
) -> Converted:
    """Writes the folder ``target`` at once or not at all; `ModelError` where the source is refused or can't become one.

    A graph holds its own network, so the architecture must be known to build it by name: from its model.json, or by
    ``architecture``. Its tensors must bear the network's names; a graph whose exporter has merged them can't be undone.
    """
    check_replaceable(target)
    source = find(path)
    old = source.build(torch.device("cpu"))
    load(path, "cpu")  # refuses what a service would refuse: signature, canary
    wanted = _architecture(source, architecture)
    request = Request(
        path=source.folder / source.manifest.weights.file,
        data=b"",
        classes=len(source.labels.names),
        device=torch.device("cpu"),
        architecture=wanted,
    )
    new = weights.build(request, old.tensors())
    difference = _difference(old.network, new.network, source.manifest.preprocessing)
    if not difference <= _DIFFERENCE:
        raise ModelError(
            ModelFault.WEIGHTS_DIFFER,
            f"{request.path} and the same weights in {wanted.name} answer differently, by up to {difference:.3g}",
            hint="the architecture is not the one that the graph was exported from",
        )
    canary = _write(target, source, wanted, new.network, name, picture)
    load(target, "cpu")
    return Converted(canary, difference)


def _architecture(source: Source, name: str | None) -> Architecture:
    if name is None and source.manifest.architecture is not None:
        return source.manifest.architecture
    if name is None:
        raise ModelError(
            ModelFault.ARCHITECTURE_MISSING,
            f"{source.folder / source.manifest.weights.file} is a graph, and nothing names its architecture",
            hint="name it with --architecture; a graph can also be served as it is, with its model.json",
        )
    return Architecture(name=name) if name in ARCHITECTURES else Architecture(name="timm", parameters={"model": name})


def _difference(old: nn.Module, new: nn.Module, spec: Preprocessing) -> float:
    noise = torch.randn(2, 3, spec.height, spec.width, generator=torch.Generator().manual_seed(_SEED))
    with torch.inference_mode():
        return float((old(noise) - new(noise)).abs().max())


def _write(
    target: Path, source: Source, architecture: Architecture, module: nn.Module, name: str | None, picture: Path | None
) -> Canary | None:
    """The new folder; without a new picture the source's canary goes along."""
    tensors: dict[str, Tensor] = {key: one.detach().contiguous() for key, one in module.state_dict().items()}
    with written(target) as scratch:
        labels = "".join(f"{label}\n" for label in source.labels.names).encode()
        manifest = msgspec.structs.replace(
            source.manifest,
            name=source.manifest.name if name is None else name,
            architecture=architecture,
            weights=store(scratch, "model.safetensors", safetensors.torch.save(tensors)),
            labels=store(scratch, "labels.txt", labels),
            parts=(),
        )
        canary = _canary(scratch, source, manifest, module, picture)
        store(scratch, MANIFEST_NAME, encode_manifest(msgspec.structs.replace(manifest, canary=canary)))
    return canary


def _canary(
    scratch: Path, source: Source, manifest: Manifest, module: nn.Module, picture: Path | None
) -> Canary | None:
    old = source.manifest.canary
    if picture is None:
        if old is not None:
            store(scratch, old.file, (source.folder / old.file).read_bytes())
        return old
    try:
        decoded = read(picture)
        file = f"canary.{decoded.format.value}"
        store(scratch, file, picture.read_bytes())
        return record(file, decoded.pixels, manifest, source.labels.names, module)
    except (InputFault, OSError, ValueError) as error:
        message = f"{picture} can't be the canary: {error}"
        hint = "give a picture in colour that the model knows for certain"
        raise ModelError(ModelFault.CANARY_FAILED, message, hint=hint) from error
