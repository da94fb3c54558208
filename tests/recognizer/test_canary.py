"""The canary names the fault: each wrong preprocessing, label file or mode stops the start with a code of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recognizer.canary import diagnose, record
from recognizer.manifest import Canary, ModelError, ModelFault, sha256_of
from recognizer.model import load
from recognizer.preprocess import prepare
from tests.support.model_files import LABELS, PICTURE, SPEC, edit, export_bytes, grey, network, safetensors_bytes, write
from tests.support.pictures import colours


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    module = network()
    return write(tmp_path / "model", safetensors_bytes(module), canary_of=module)


def code_of(folder: Path) -> ModelFault:
    with pytest.raises(ModelError) as caught:
        load(folder, "cpu")
    assert str(caught.value)
    assert caught.value.hint
    return caught.value.code


def spec(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda manifest: manifest["preprocessing"].update(changes)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (spec(channel_order="bgr"), ModelFault.CHANNEL_ORDER_DIFFERS),
        (spec(mean=[0, 0, 0], deviation=[1 / 255] * 3), ModelFault.SCALE_DIFFERS),
        (spec(mean=[0, 0, 0], deviation=[255] * 3), ModelFault.SCALE_DIFFERS),
        (spec(mean=[0, 0, 0], deviation=[1, 1, 1]), ModelFault.NORMALIZATION_DIFFERS),
        (spec(mean=[0.5] * 3, deviation=[0.5] * 3), ModelFault.NORMALIZATION_DIFFERS),
        (spec(mean=[0.229, 0.224, 0.225], deviation=[0.485, 0.456, 0.406]), ModelFault.NORMALIZATION_DIFFERS),
        (spec(interpolation="nearest", antialias=False), ModelFault.RESIZE_DIFFERS),
        (spec(short_side=44), ModelFault.RESIZE_DIFFERS),
        (spec(resize="stretch", short_side=None), ModelFault.RESIZE_DIFFERS),
    ],
)
def test_a_wrong_preprocessing_stops_the_start_by_its_name(
    folder: Path, change: Callable[[dict[str, Any]], None], code: ModelFault
) -> None:
    assert load(folder, "cpu").labels == LABELS
    edit(folder, change)
    assert code_of(folder) == code


def labels_rewritten(folder: Path, labels: tuple[str, ...]) -> None:
    text = "".join(f"{label}\n" for label in labels).encode()
    (folder / "labels.txt").write_bytes(text)
    edit(folder, lambda manifest: manifest["labels"].update(sha256=sha256_of(text)))


def test_a_shifted_labels_file_stops_the_start(folder: Path) -> None:
    """As many labels as outputs, every SHA-256 right: only the canary tells."""
    labels_rewritten(folder, (*LABELS[1:], LABELS[0]))
    assert code_of(folder) == ModelFault.LABELS_SHIFTED


def test_other_weights_stop_the_start(folder: Path) -> None:
    other = network()
    with torch.no_grad():
        other.get_parameter("head.bias").add_(torch.arange(7.0))
    data = safetensors_bytes(other)
    (folder / "weights").write_bytes(data)
    edit(folder, lambda manifest: manifest["weights"].update(sha256=sha256_of(data)))
    assert code_of(folder) == ModelFault.CANARY_FAILED


def test_a_graph_that_was_exported_in_training_mode_stops_the_start(tmp_path: Path) -> None:
    """Its batch normalisation asks the neighbours in the batch; nothing else shows it."""
    healthy, live = network(), network().train()
    folder = write(tmp_path / "model", export_bytes(live), architecture=None, canary_of=healthy)
    assert code_of(folder) == ModelFault.TRAIN_MODE


def test_a_network_put_into_training_mode_later_is_noticed(folder: Path) -> None:
    model = load(folder, "cpu")
    model.check_canary()
    model.network.train()
    with pytest.raises(ModelError) as caught:
        model.check_canary()
    assert caught.value.code == ModelFault.TRAIN_MODE


# ---------------------------------------------------------------- inputs that a service prepared itself


def known() -> tuple[Tensor, Canary]:
    """The right input of the canary and what was recorded of it."""
    manifest = load_manifest()
    return prepare(PICTURE, SPEC), record("canary.png", PICTURE, manifest, LABELS, network())


def load_manifest() -> Any:
    from recognizer.manifest import Architecture, CheckedFile, Manifest, ScoreKind

    part = CheckedFile(file="x", sha256="0" * 64)
    return Manifest(
        format_version=1,
        name="tiny",
        architecture=Architecture(name="small_cnn"),
        weights=part,
        labels=part,
        preprocessing=SPEC,
        score=ScoreKind.SOFTMAX,
    )


def denormalized(tensor: Tensor) -> Tensor:
    """Back to 0 … 1."""
    return tensor * torch.tensor(SPEC.deviation).reshape(3, 1, 1) + torch.tensor(SPEC.mean).reshape(3, 1, 1)


def again(pixels: Tensor) -> Tensor:
    """From 0 … 1 to the network's input."""
    return (pixels - torch.tensor(SPEC.mean).reshape(3, 1, 1)) / torch.tensor(SPEC.deviation).reshape(3, 1, 1)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (lambda right: again(denormalized(right).flip(0)), ModelFault.CHANNEL_ORDER_DIFFERS),
        (lambda right: again(denormalized(right) * 255), ModelFault.SCALE_DIFFERS),
        (lambda right: again(denormalized(right) / 255), ModelFault.SCALE_DIFFERS),
        (again, ModelFault.NORMALIZATION_DIFFERS),
        (denormalized, ModelFault.NORMALIZATION_DIFFERS),
        (lambda right: right.permute(1, 2, 0), ModelFault.LAYOUT_DIFFERS),
        (lambda right: right.permute(1, 2, 0).reshape(3, 32, 32), ModelFault.LAYOUT_DIFFERS),
        (lambda right: right.flip(2), ModelFault.ORIENTATION_DIFFERS),
        (lambda right: torch.rot90(right, 1, (1, 2)), ModelFault.ORIENTATION_DIFFERS),
        (lambda right: torch.rot90(right, 2, (1, 2)), ModelFault.ORIENTATION_DIFFERS),
        (lambda right: torch.full_like(right, torch.nan), ModelFault.NORMALIZATION_DIFFERS),
        (torch.zeros_like, ModelFault.CANARY_FAILED),
        (lambda right: right[:, :31], ModelFault.SIGNATURE_DIFFERS),
        (lambda right: right.to(torch.uint8), ModelFault.SIGNATURE_DIFFERS),
        (lambda right: right.roll(1, 2), ModelFault.RESIZE_DIFFERS),
    ],
)
def test_the_input_of_any_service_can_be_diagnosed(wrong: Callable[[Tensor], Tensor], code: ModelFault) -> None:
    right, canary = known()
    assert diagnose(right, canary, SPEC) is None
    assert diagnose(wrong(right), canary, SPEC) == code


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_grey_level_of_difference_is_no_fault(noise: float) -> None:
    """Another decoder or device rounds otherwise."""
    right, canary = known()
    levels = torch.randn(right.shape, generator=torch.Generator().manual_seed(2)).clamp(-1, 1) * noise / 255
    assert diagnose(right + levels / min(SPEC.deviation) * 0.9, canary, SPEC) is None


def test_a_picture_that_can_not_tell_is_no_canary() -> None:
    """Grey can't tell swapped channels, a symmetric one can't tell a mirror."""
    with pytest.raises(ValueError, match="swapped channels"):
        record("canary.png", grey(PICTURE), load_manifest(), LABELS, network())
    symmetric = colours(80, 80)
    symmetric[:, 40:] = symmetric[:, 39::-1]
    with pytest.raises(ValueError, match="mirrored"):
        record("canary.png", symmetric, load_manifest(), LABELS, network())


def test_a_canary_without_samples_still_asks_for_its_answer(folder: Path) -> None:
    """As older folders have it."""
    edit(folder, lambda manifest: manifest["canary"].update(samples=[], outputs=[], logits=[]))
    assert load(folder, "cpu").labels == LABELS
    labels_rewritten(folder, (*LABELS[1:], LABELS[0]))
    assert code_of(folder) == ModelFault.CANARY_FAILED


class Dropping(nn.Module):
    """A network whose dropout is never off."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, pixels: Tensor) -> Tensor:
        answer: Tensor = nn.functional.dropout(self.inner(pixels), 0.5, training=True)
        return answer


def test_an_answer_by_chance_stops_the_start(tmp_path: Path) -> None:
    healthy = network()
    folder = write(tmp_path / "model", export_bytes(Dropping(network())), architecture=None, canary_of=healthy)
    assert code_of(folder) == ModelFault.TRAIN_MODE
