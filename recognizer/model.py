"""Loading a model, strictly: what is not exactly as its description says is refused with its own code.

Weights only. A pickle can run any program when it is loaded, so a pickle is read for its tensors alone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from recognizer import canary as canaries
from recognizer.formats import modelscope
from recognizer.formats.base import Built, Format, Request, first_line
from recognizer.formats.registry import identify
from recognizer.infer import is_out_of_memory
from recognizer.labels import Labels
from recognizer.labels import parse as parse_labels
from recognizer.manifest import (
    MANIFEST_NAME,
    MAX_LABELS_BYTES,
    Manifest,
    ModelError,
    ModelFault,
    ScoreKind,
    read_checked,
    read_manifest,
    read_part,
    sha256_of,
)
from recognizer.scores import scores
from recognizer.sinks import say
from recognizer.weights import labels_count

_PROBE_SEED = 20_240_519
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What was loaded, as the model_loaded event tells it. ``format`` is a name of `recognizer.formats.registry`."""

    format: str
    keys_expected: int
    keys_loaded: int
    duplicate_labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A network ready to be asked: evaluation mode, on ``device``, one label per output; ``folder`` is its own."""

    manifest: Manifest
    labels: tuple[str, ...]
    network: nn.Module
    device: torch.device
    folder: Path
    facts: ModelFacts

    @property
    def name(self) -> str:
        return self.manifest.name

    def logits(self, batch: Tensor) -> Tensor:
        """Raw outputs (pictures, labels) for a batch (pictures, 3, height, width) on the same device."""
        with torch.inference_mode():
            answer: Tensor = self.network(batch)
        return answer

    def scores(self, logits: Tensor) -> Tensor:
        """Scores by the kind the manifest states: from 0 to 1, but for ``logit`` the outputs themselves."""
        return scores(logits.float(), self.manifest.score)

    def check_canary(self) -> None:
        """Ask about the canary once more; `ModelError` when the answer is no longer the one recorded."""
        if self.manifest.canary is not None:
            canaries.check(self.folder, self.manifest, self.labels, self.network, self.device)


@dataclass(frozen=True, slots=True)
class Source:
    """A model's files, read and checked against their SHA-256, and what they are; no network is built yet."""

    folder: Path
    manifest: Manifest
    labels: Labels
    weights: bytes
    format: Format

    def build(self, place: torch.device) -> Built:
        """The network on a device."""
        parts = {part.file: read_checked(self.folder, part) for part in self.manifest.parts}
        request = Request(
            path=self.folder / self.manifest.weights.file,
            data=self.weights,
            classes=len(self.labels.names),
            device=place,
            architecture=self.manifest.architecture,
            parts=parts,
        )
        return self.format.build(request)


def load(path: str | Path, device: str = "auto") -> Model:
    """The model at ``path`` on ``device`` (auto, cpu, cuda, cuda:1…), its canary asked; `ModelError` for every fault.

    ``path`` is a folder with a model.json, a folder of ModelScope's hub, or the weights file in the former.
    """
    source = find(Path(path))
    place = choose_device(device)
    try:
        return _on(source, place)
    except (RuntimeError, MemoryError) as error:
        if (refusal := device_refusal(error, source.manifest.name, place)) is None:
            raise
        raise refusal from error


def _on(source: Source, place: torch.device) -> Model:
    built = source.build(place)
    model = Model(
        source.manifest,
        source.labels.names,
        built.network,
        place,
        source.folder,
        ModelFacts(source.format.name, built.keys_expected, built.keys_loaded, source.labels.duplicates),
    )
    _check_signature(model)
    model.check_canary()
    return model


def device_refusal(error: Exception, what: str, place: torch.device) -> ModelError | None:
    """The error of a device that has no room for ``what`` or can't run it; None for what is no fault of the device."""
    if is_out_of_memory(error):
        message = f"{what} does not fit into the memory of {place}"
        hint = "free memory of the device (nvidia-smi shows who has it), or use another one"
    elif any(word in str(error).lower() for word in _OF_THE_DEVICE):
        message = f"{place} can't run {what}: {first_line(error)}"
        hint = "compare nvidia-smi and torch.cuda.get_arch_list(), see dmesg | grep -i xid; or use cpu"
    else:
        return None
    return ModelError(ModelFault.DEVICE_UNAVAILABLE, message, hint=hint)


_OF_THE_DEVICE: Final = ("cuda error", "cudnn", "cublas", "nvrtc", "nvidia driver", "device-side assert")
_KINDS: Final = frozenset({"cpu", "cuda"})


def choose_device(device: str) -> torch.device:
    """The device by name; ``auto`` takes a GPU when there is one that can be used."""
    if device == "auto":
        try:
            return _usable(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        except (RuntimeError, AssertionError) as error:
            say(f"the GPU can't be used, the processor is: {first_line(error)}")
            return torch.device("cpu")
    try:
        place = torch.device(device)
        if place.type not in _KINDS:
            raise RuntimeError(f"only {' and '.join(sorted(_KINDS))} are known here")
        return _usable(place)
    except (RuntimeError, AssertionError) as error:
        message = f"device {device!r} can't be used: {first_line(error)}"
        raise ModelError(ModelFault.DEVICE_UNAVAILABLE, message, hint="use auto or cpu") from error


def _usable(place: torch.device) -> torch.device:
    """The device, once something was put there; raises what torch raises."""
    torch.empty(1, device=place)
    return place


def find(path: Path) -> Source:
    """The files of the model at ``path``; `ModelError` when they are not whole and as described."""
    folder = _folder(path)
    if (folder / MANIFEST_NAME).exists() or not modelscope.is_folder(folder):
        manifest = read_manifest(folder)
        _check_named(path, folder, manifest)
        weights = read_checked(folder, manifest.weights)
        labels, column = read_checked(folder, manifest.labels, MAX_LABELS_BYTES), None
    else:
        weights = read_part(folder, modelscope.WEIGHTS_NAME)
        labels, column = read_part(folder, modelscope.LABELS_NAME, MAX_LABELS_BYTES), modelscope.LABEL_COLUMN
        manifest = modelscope.manifest(folder, sha256_of(weights), sha256_of(labels))
    file = manifest.labels
    return Source(
        folder=folder,
        manifest=manifest,
        labels=parse_labels(labels, folder / file.file, file.sha256, column),
        weights=weights,
        format=identify(weights, folder / manifest.weights.file),
    )


def _folder(path: Path) -> Path:
    if path.is_dir():
        return path
    if not path.exists():
        hint = f"train the small one: python -m recognizer.train {path}"
        raise ModelError(ModelFault.NOT_FOUND, f"there is no model {path}", hint=hint)
    if path.name == MANIFEST_NAME or (path.parent / MANIFEST_NAME).exists():
        return path.parent
    raise ModelError(
        ModelFault.NOT_A_FOLDER,
        f"{path} is no folder, and no {MANIFEST_NAME} beside it says what it is",
        hint=f"write {MANIFEST_NAME} beside it: docs/reference/model-format.md",
    )


def _check_named(path: Path, folder: Path, manifest: Manifest) -> None:
    if path.is_dir() or path.name in {MANIFEST_NAME, manifest.weights.file}:
        return
    raise ModelError(
        ModelFault.MANIFEST_INVALID,
        f"{folder / MANIFEST_NAME} describes {manifest.weights.file}, not {path.name}",
        hint="name the described file, or the folder",
    )


def _check_signature(model: Model) -> None:
    """Whether inputs of the described size come out as one number a label, for one picture and for two."""
    spec = model.manifest.preprocessing
    generator = torch.Generator().manual_seed(_PROBE_SEED)
    noise = torch.randn(2, 3, spec.height, spec.width, generator=generator)
    path = model.folder / model.manifest.weights.file
    for batch in (noise, noise[:1]):
        try:
            outputs = model.logits(batch.to(model.device))
        except Exception as error:  # a graph may raise anything for an input that it was not made for
            if (refusal := device_refusal(error, model.name, model.device)) is not None:
                raise refusal from error
            message = f"{path} does not take {list(batch.shape)}: {first_line(error)}"
            raise _signature(message, "see height and width in model.json; export with a free batch size") from error
        if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(batch):
            found = list(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
            message = f"{path} answers {list(batch.shape)} with {found}, not with one line of outputs a picture"
            raise _signature(message, "export the classifier alone, with a free batch size")
        if outputs.shape[1] != len(model.labels):
            raise labels_count(path, outputs.shape[1], len(model.labels))
    _check_score_kind(model, model.logits(noise.to(model.device)).float(), path)


def _check_score_kind(model: Model, outputs: Tensor, path: Path) -> None:
    """A softmax of probabilities makes every answer unsure; an output called probability must be one."""
    kind = model.manifest.score
    bounded = bool((outputs >= 0).all() and (outputs <= 1).all())
    sums = bool(((outputs.sum(1) - 1).abs() < _SUM_TOLERANCE).all())
    if kind is ScoreKind.PROBABILITY and not bounded:
        found = "are no probabilities"
    elif kind in {ScoreKind.SOFTMAX, ScoreKind.LOGIT} and bounded and sums and outputs.shape[1] > 1:
        found = "are probabilities already"
    else:
        return
    raise ModelError(
        ModelFault.SCORE_KIND_DIFFERS,
        f"the outputs of {path} {found}, and model.json says score: {kind}",
        hint="probability for a network that ends in softmax, softmax or sigmoid for one that ends in a linear layer",
    )


def _signature(message: str, hint: str) -> ModelError:
    return ModelError(ModelFault.SIGNATURE_DIFFERS, message, hint=hint)
