"""Loading is strict: whatever is not as model.json says is refused, each fault with its own code."""

import hashlib
import json
import os
import pickle
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from recognizer.manifest import (
    Canary,
    Interpolation,
    Manifest,
    ModelError,
    ModelFault,
    Preprocessing,
    Resize,
    ScoreKind,
    read_part,
)
from recognizer.model import load
from tests.support.model import Trained


@pytest.fixture
def folder(digits_model: Trained, tmp_path: Path) -> Path:
    """A copy of the model to damage."""
    return Path(shutil.copytree(digits_model.folder, tmp_path / "digits"))


@pytest.mark.parametrize("kind", ["device", "pipe", "socket"])
def test_what_is_no_file_is_refused_unread(tmp_path: Path, kind: str) -> None:
    """Of /dev/zero the bytes never end, a pipe that nobody writes to never begins."""
    part = tmp_path / "model.safetensors"
    if kind == "device":
        part.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(part)
    else:
        os.mknod(part, stat.S_IFSOCK | 0o600)
    with pytest.raises(ModelError) as caught:
        read_part(tmp_path, part.name)
    assert caught.value.code == ModelFault.FILE_UNREADABLE
    assert "None" not in str(caught.value)


def code_of(path: Path, device: str = "cpu") -> ModelFault:
    with pytest.raises(ModelError) as caught:
        load(path, device)
    assert str(caught.value)
    assert caught.value.hint
    return caught.value.code


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit model.json as a value."""
    path = folder / "model.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def replace(folder: Path, part: str, data: bytes) -> None:
    """Another file for a part, with its SHA-256 made right: only the content is at fault."""
    (folder / json.loads((folder / "model.json").read_text())[part]["file"]).write_bytes(data)
    change(folder, lambda manifest: manifest[part].update(sha256=hashlib.sha256(data).hexdigest()))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(safetensors.torch.load_file(folder / "model.safetensors"))


def without_canary(folder: Path) -> None:
    change(folder, lambda manifest: manifest.update(canary=None))


def test_a_whole_folder_loads_and_answers(digits_model: Trained) -> None:
    model = load(str(digits_model.folder), "auto")
    assert not model.network.training
    assert not any(parameter.requires_grad for parameter in model.network.parameters())
    scores = model.scores(model.logits(torch.zeros(2, 3, 32, 32, device=model.device)))
    assert torch.allclose(scores.sum(1).cpu(), torch.ones(2))


def test_sigmoid_scores_stand_each_on_their_own(folder: Path) -> None:
    change(folder, lambda manifest: manifest.update(score="sigmoid", canary=None))
    model = load(folder, "cpu")
    logits = torch.tensor([[0.0] * 10])
    assert torch.allclose(model.scores(logits), torch.full((1, 10), 0.5))


# ---------------------------------------------------------------- what is no model folder


def test_paths_that_are_no_model_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    assert code_of(tmp_path / "none") == ModelFault.NOT_FOUND
    assert code_of(tmp_path / "file") == ModelFault.NOT_A_FOLDER
    assert code_of(tmp_path / "empty") == ModelFault.MANIFEST_MISSING


class Payload:
    """What an attacker pickles: a program that runs when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["WUMU_TEST_PAYLOAD"],)


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.pkl", "pytorch_model.bin"])
def test_a_pickle_that_nothing_describes_is_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("WUMU_TEST_PAYLOAD", str(tmp_path / "ran"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / name).write_bytes(pickle.dumps(Payload()))
    assert code_of(tmp_path / "model" / name) == ModelFault.NOT_A_FOLDER
    assert code_of(tmp_path / "model") == ModelFault.MANIFEST_MISSING
    assert not (tmp_path / "ran").exists()


def test_a_pickle_under_the_name_of_safe_weights_is_refused_and_never_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WUMU_TEST_PAYLOAD", str(tmp_path / "ran"))
    replace(folder, "weights", pickle.dumps(Payload()))
    assert code_of(folder) == ModelFault.PICKLE_REFUSED
    assert not (tmp_path / "ran").exists()


# ---------------------------------------------------------------- the manifest


@pytest.mark.parametrize(
    "edit",
    [
        lambda manifest: manifest.pop("score"),
        lambda manifest: manifest.update(score="odds"),
        lambda manifest: manifest.update(format_version=2),
        lambda manifest: manifest.update(colour="red"),
        lambda manifest: manifest["weights"].update(file="../model.safetensors"),
        lambda manifest: manifest["weights"].update(file="/etc/passwd"),
        lambda manifest: manifest["labels"].update(sha256="abc"),
        lambda manifest: manifest["preprocessing"].update(height=0),
        lambda manifest: manifest["preprocessing"].update(deviation=[1, 0, 1]),
        lambda manifest: manifest["preprocessing"].update(resize="crop"),
        lambda manifest: manifest["preprocessing"].update(resize="crop", short_side=8),
        lambda manifest: manifest["preprocessing"].update(height=8192, width=8192),
        lambda manifest: manifest["preprocessing"].update(mean=[0.5]),
        lambda manifest: manifest["preprocessing"].update(interpolation="nearest"),
        lambda manifest: manifest["canary"].update(outputs=[1]),
        lambda manifest: manifest.update(parts=[{"file": "../other", "sha256": "0" * 64}]),
    ],
)
def test_a_manifest_that_is_not_as_described_is_refused(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    change(folder, edit)
    assert code_of(folder) == ModelFault.MANIFEST_INVALID


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_no_json_is_refused(folder: Path, data: bytes) -> None:
    (folder / "model.json").write_bytes(data)
    assert code_of(folder) == ModelFault.MANIFEST_INVALID


def test_a_byte_order_mark_before_a_manifest_is_no_fault(folder: Path) -> None:
    """Windows' editors write one."""
    path = folder / "model.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    load(folder, "cpu")


def test_a_giant_manifest_is_not_read(folder: Path) -> None:
    with (folder / "model.json").open("ab") as stream:
        stream.truncate(1 << 33)
    assert code_of(folder) == ModelFault.FILE_UNREADABLE


def test_the_architecture_must_be_known_and_its_parameters_right(folder: Path) -> None:
    change(folder, lambda manifest: manifest["architecture"].update(parameters={"chanels": [16]}))
    assert code_of(folder) == ModelFault.ARCHITECTURE_PARAMETERS
    change(folder, lambda manifest: manifest["architecture"].update(name="resnet", parameters={}))
    assert code_of(folder) == ModelFault.ARCHITECTURE_UNKNOWN


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["labels.txt", "model.safetensors", "canary.png"])
def test_a_missing_part_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name) as caught:
        load(folder, "cpu")
    assert caught.value.code in {ModelFault.FILE_MISSING, ModelFault.FILE_UNREADABLE}


@pytest.mark.parametrize("name", ["labels.txt", "model.safetensors"])
def test_a_single_flipped_bit_is_noticed(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    assert code_of(folder) == ModelFault.SHA256_DIFFERS


@pytest.mark.parametrize(
    "text",
    ["", "零\n一\n\n三\n", "零\n一\n  \n", "零\n一\x07\n"],
    ids=["none", "empty", "blank", "control"],
)
def test_labels_that_can_not_be_meant_are_refused(folder: Path, text: str) -> None:
    replace(folder, "labels", text.encode())
    assert code_of(folder) == ModelFault.LABELS_INVALID


def test_labels_must_be_utf8_and_the_line_is_named(folder: Path) -> None:
    replace(folder, "labels", "零\n一\n".encode() + "二".encode("gbk") + b"\n")
    with pytest.raises(ModelError, match=r"labels\.txt:3") as caught:
        load(folder, "cpu")
    assert caught.value.code == ModelFault.LABELS_INVALID


@pytest.mark.parametrize("count", [9, 11])
def test_labels_of_another_number_than_the_outputs_are_refused(folder: Path, count: int) -> None:
    replace(folder, "labels", "".join(f"label {number}\n" for number in range(count)).encode())
    with pytest.raises(ModelError, match=f"10 classes, the labels file names {count}") as caught:
        load(folder, "cpu")
    assert caught.value.code == ModelFault.LABELS_COUNT


def test_labels_that_several_outputs_share_are_told(folder: Path) -> None:
    """Of tens of thousands of real classes some have one name."""
    without_canary(folder)
    replace(folder, "labels", "零\n一\n零\n三\n四\n五\n六\n七\n八\n三\n".encode())
    assert set(load(folder, "cpu").facts.duplicate_labels) == {"零", "三"}


def test_windows_line_ends_and_a_byte_order_mark_are_no_fault(folder: Path) -> None:
    """Notepad writes them; the labels are the same."""
    replace(folder, "labels", "\ufeff零\r\n一\r\n二\r\n三\r\n四\r\n五\r\n六\r\n七\r\n八\r\n九".encode())
    assert load(folder, "cpu").labels[0::9] == ("零", "九")


# ---------------------------------------------------------------- canary and device


def test_a_missing_canary_is_no_fault(folder: Path) -> None:
    without_canary(folder)
    assert load(folder, "cpu").labels[0] == "零"


@pytest.mark.parametrize("device", ["cuda:99", "toaster", ""])
def test_a_device_that_is_not_there_is_refused(digits_model: Trained, device: str) -> None:
    assert code_of(digits_model.folder, device) == ModelFault.DEVICE_UNAVAILABLE


def test_reduced_precision_is_kept_out_of_the_scores(folder: Path) -> None:
    """Half-precision weights are a choice of whoever made the folder; scores stay numbers from 0 to 1."""
    tensors = {name: one.half() if one.is_floating_point() else one for name, one in weights(folder).items()}
    replace(folder, "weights", safetensors.torch.save(tensors))
    model = load(folder, "cpu")
    assert np.isclose(float(model.scores(model.logits(torch.zeros(1, 3, 32, 32))).sum()), 1, atol=1e-5)


def test_the_reference_names_every_field_and_every_fault() -> None:
    """Documentation that misses one is wrong."""
    text = (Path(__file__).parents[2] / "docs" / "reference" / "model-format.md").read_text(encoding="utf-8")
    fields = [field for part in (Manifest, Preprocessing, Canary) for field in part.__struct_fields__]
    assert [
        name for name in [*fields, *ModelFault, *ScoreKind, *Resize, *Interpolation] if f"`{name}" not in text
    ] == []
