"""Loading a model folder, strictly: what is not exactly as model.json says is refused with its own code.

Weights only. A pickle can run any program when it is loaded, so no pickle is ever opened here.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from recognizer import network
from recognizer.decode import read
from recognizer.fault import InputFault
from recognizer.manifest import (
    MANIFEST_NAME,
    MAX_LABELS_BYTES,
    Canary,
    Manifest,
    ModelError,
    ModelFault,
    ScoreKind,
    read_checked,
    read_manifest,
)
from recognizer.preprocess import prepare

_PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"})
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_PICKLE_HINT = "convert it once, where you trust it: safetensors.torch.save_file(state_dict, 'model.safetensors')"


@dataclass(frozen=True, slots=True)
class Model:
    """A network ready to be asked: evaluation mode, on ``device``, one label per output."""

    manifest: Manifest
    labels: tuple[str, ...]
    network: nn.Module
    device: torch.device

    @property
    def name(self) -> str:
        return self.manifest.name

    def logits(self, batch: Tensor) -> Tensor:
        """Raw outputs (pictures, labels) for a batch (pictures, 3, height, width) on the same device."""
        with torch.inference_mode():
            answer: Tensor = self.network(batch)
        return answer

    def scores(self, logits: Tensor) -> Tensor:
        """Scores from 0 to 1, by the kind the manifest states."""
        logits = logits.float()
        return logits.softmax(1) if self.manifest.score is ScoreKind.SOFTMAX else logits.sigmoid()


def load(path: str | Path, device: str = "auto") -> Model:
    """The model in the folder ``path`` on ``device`` (auto, cpu, cuda, cuda:1…); `ModelError` for every fault."""
    folder = Path(path)
    _check_folder(folder)
    manifest = read_manifest(folder)
    labels = _labels(folder, manifest)
    place = choose_device(device)
    module = network.build(manifest.architecture.name, manifest.architecture.parameters, len(labels))
    _fill(module, folder, manifest)
    module.eval().requires_grad_(requires_grad=False).to(place)
    model = Model(manifest, labels, module, place)
    if manifest.canary is not None:
        _check_canary(model, folder, manifest.canary)
    return model


def choose_device(device: str) -> torch.device:
    """The device by name; ``auto`` takes a GPU when there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        message = f"device {device!r} can't be used: {reason}"
        raise ModelError(ModelFault.DEVICE_UNAVAILABLE, message, hint="use auto or cpu") from error
    return place


def _check_folder(folder: Path) -> None:
    if folder.suffix.lower() in _PICKLE_SUFFIXES and not folder.is_dir():
        message = f"{folder} is a pickled checkpoint, and a pickle can run any program when it is loaded"
        raise ModelError(ModelFault.PICKLE_REFUSED, message, hint=_PICKLE_HINT)
    if not folder.exists():
        message = f"there is no model folder {folder}"
        raise ModelError(
            ModelFault.NOT_FOUND, message, hint=f"train the small one: python -m recognizer.train {folder}"
        )
    if not folder.is_dir():
        hint = f"give the folder that holds {MANIFEST_NAME}"
        raise ModelError(ModelFault.NOT_A_FOLDER, f"{folder} is no folder", hint=hint)
    if not (folder / MANIFEST_NAME).exists():
        pickles = sorted(one.name for one in folder.iterdir() if one.suffix.lower() in _PICKLE_SUFFIXES)
        if pickles:
            message = f"{folder} holds {pickles[0]}, a pickled checkpoint, and no {MANIFEST_NAME}"
            raise ModelError(ModelFault.PICKLE_REFUSED, message, hint=_PICKLE_HINT)


# ---------------------------------------------------------------- labels


def _labels(folder: Path, manifest: Manifest) -> tuple[str, ...]:
    data = read_checked(folder, manifest.labels, MAX_LABELS_BYTES)
    path = folder / manifest.labels.file
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _labels_invalid(f"{path}:{line}: not UTF-8", "save the file as UTF-8") from error
    labels = tuple(line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines))
    for number, label in enumerate(labels, 1):
        if not label.strip():
            raise _labels_invalid(f"{path}:{number}: an empty label", "one label a line, in the order of the outputs")
        if not label.isprintable():
            raise _labels_invalid(f"{path}:{number}: the label holds control characters: {label!r}", "remove them")
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise _labels_invalid(f"{path}: the label {twice[0]!r} stands there twice", "make the labels distinct")
    if not labels:
        raise _labels_invalid(f"{path}: no label", "one label a line, in the order of the outputs")
    return labels


def _labels_invalid(message: str, hint: str) -> ModelError:
    return ModelError(ModelFault.LABELS_INVALID, message, hint=hint)


# ---------------------------------------------------------------- weights


def _fill(module: nn.Module, folder: Path, manifest: Manifest) -> None:
    path = folder / manifest.weights.file
    data = read_checked(folder, manifest.weights)
    if data.startswith(_PICKLE_STARTS):
        message = f"{path} is a pickled checkpoint under another name"
        raise ModelError(ModelFault.PICKLE_REFUSED, message, hint=_PICKLE_HINT)
    try:
        weights: dict[str, Tensor] = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        message = f"{path} is no safetensors file: {error}"
        raise ModelError(ModelFault.WEIGHTS_INVALID, message, hint="copy the whole model folder again") from error
    _compare(module.state_dict(), weights, path)
    module.load_state_dict(weights, strict=True)


def _compare(expected: dict[str, Tensor], found: dict[str, Tensor], path: Path) -> None:
    """Every tensor there, none besides, each of its shape and kind: a half-loaded model answers with confidence too."""
    _check_head(expected, found, path)
    missing = sorted(expected.keys() - found.keys())
    unexpected = sorted(found.keys() - expected.keys())
    shapes = [
        f"{name} is {list(found[name].shape)}, not {list(expected[name].shape)}"
        for name in sorted(expected.keys() & found.keys())
        if found[name].shape != expected[name].shape
        or found[name].is_floating_point() != expected[name].is_floating_point()
    ]
    if missing or unexpected or shapes:
        parts = [
            f"{len(names)} {what} (such as {names[0]})"
            for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
            if names
        ]
        message = f"{path} does not fit the architecture: of {len(expected)} tensors {', '.join(parts)}"
        hint = "the architecture in model.json must be the one the weights were trained with"
        raise ModelError(ModelFault.WEIGHTS_DIFFER, message, hint=hint)
    for name, tensor in found.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            message = f"{path}: {name} holds NaN or infinity"
            raise ModelError(ModelFault.WEIGHTS_NOT_FINITE, message, hint="the training diverged: use other weights")


def _check_head(expected: dict[str, Tensor], found: dict[str, Tensor], path: Path) -> None:
    """Labels of another number than the network's outputs: the likeliest mix-up, so it has words of its own."""
    head = list(expected)[-1]
    if head in found and found[head].dim() == 1 and found[head].shape != expected[head].shape:
        outputs, labels = len(found[head]), len(expected[head])
        raise ModelError(
            ModelFault.LABELS_COUNT,
            f"{path} answers with {outputs} classes, the labels file names {labels}",
            hint="labels and weights belong to different models: use the pair that was trained together",
        )


# ---------------------------------------------------------------- canary


def _check_canary(model: Model, folder: Path, canary: Canary) -> None:
    path = folder / canary.file
    try:
        picture = read(path)
    except InputFault as fault:
        message = f"the canary {path} can't be read: {fault}"
        raise ModelError(ModelFault.FILE_UNREADABLE, message, hint="copy the whole model folder again") from fault
    tensor = prepare(picture.pixels, model.manifest.preprocessing).tensor
    scores = model.scores(model.logits(tensor.unsqueeze(0).to(model.device)))[0]
    best = int(scores.argmax())
    score = float(scores[best])
    if model.labels[best] != canary.label or not abs(score - canary.score) <= canary.tolerance:
        answer, expected = f"{model.labels[best]} with {score:.3f}", f"{canary.label} with {canary.score:.3f}"
        raise ModelError(
            ModelFault.CANARY_FAILED,
            f"the canary answers {answer}, expected {expected}",
            hint="preprocessing, labels order or weights are not those the canary was recorded with",
        )
