"""ONNX graphs and their external data, the folder of a model hub, and where a model may be named."""

import hashlib
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from recognizer.formats.modelscope import LABEL_COLUMN
from recognizer.labels import parse
from recognizer.manifest import CheckedFile, ModelFault, sha256_of
from recognizer.model import load
from tests.support.model_files import (
    CLASSES,
    LABELS,
    NARROW,
    RESNEST,
    WRITERS,
    batch,
    code_of,
    edit,
    modelscope,
    network,
    onnx_bytes,
    saved,
    write,
)

# ---------------------------------------------------------------- ONNX


def with_external_data(folder: Path, location: str) -> tuple[bytes, bytes]:
    """An ONNX file whose tensors lie in another file: its bytes, and those of the other."""
    folder.mkdir()
    model = onnx.load_model_from_string(onnx_bytes(network()))
    path = folder / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="external.bin", size_threshold=16)
    again = onnx.load(path, load_external_data=False)
    for tensor in again.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    return again.SerializeToString(), (folder / "external.bin").read_bytes()


def test_external_data_in_the_folder_is_read_when_it_is_named(tmp_path: Path) -> None:
    data, external = with_external_data(tmp_path / "export", "external.bin")
    part = CheckedFile(file="external.bin", sha256=sha256_of(external))
    folder = write(tmp_path / "model", data, architecture=None, parts=(part,))
    (folder / "external.bin").write_bytes(external)
    model = load(folder, "cpu")
    assert torch.allclose(model.logits(batch()), network()(batch()), atol=1e-5)
    (folder / "external.bin").write_bytes(external[:-1] + b"\0\0")
    assert code_of(folder) == ModelFault.SHA256_DIFFERS


@pytest.mark.parametrize("location", ["external.bin", "../external.bin", "/etc/passwd", "a/../external.bin"])
def test_external_data_that_is_not_named_or_lies_outside_is_refused(tmp_path: Path, location: str) -> None:
    data, external = with_external_data(tmp_path / "export", location)
    folder = write(tmp_path / "model", data, architecture=None)
    (folder / "external.bin").write_bytes(external)
    assert code_of(folder) == ModelFault.EXTERNAL_DATA_REFUSED


def test_a_graph_for_another_size_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", onnx_bytes(network()), architecture=None)
    edit(folder, lambda manifest: manifest["preprocessing"].update(height=48, width=48, short_side=64))
    assert code_of(folder) == ModelFault.SIGNATURE_DIFFERS


# ---------------------------------------------------------------- ModelScope's folder


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """The real network, ResNeSt-101, with random weights and few classes, under the names of data-parallel training."""
    module = network(NARROW.__class__(name="timm", parameters={"model": "resnest101e"}))
    tensors = {f"module.{name}": one for name, one in module.state_dict().items()}
    folder = tmp_path_factory.mktemp("hub") / "cv_resnest101_general_recognition"
    return modelscope(folder, CLASSES, saved({"state_dict": tensors})), module


@pytest.mark.slow
def test_the_hub_s_folder_loads_bit_for_bit(hub: tuple[Path, nn.Module]) -> None:
    """935 of 935 keys; the same outputs to the last bit; preprocessing, labels and sums are told."""
    folder, module = hub
    model = load(folder, "cpu")
    assert (model.name, model.labels[2]) == ("cv_resnest101_general_recognition", "标签 2")
    assert (model.facts.keys_expected, model.facts.keys_loaded) == (935, 935)
    inputs = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(model.logits(inputs), module(inputs))
    assert model.manifest.preprocessing.short_side == 256
    assert model.manifest.weights.sha256 == hashlib.sha256((folder / "pytorch_model.pt").read_bytes()).hexdigest()


@pytest.mark.slow
def test_the_hub_s_folder_without_one_tensor_is_refused(hub: tuple[Path, nn.Module], tmp_path: Path) -> None:
    """The hub's own loader would copy what fits and say nothing."""
    tensors = dict(hub[1].state_dict())
    del tensors["layer3.22.conv3.weight"]
    assert code_of(modelscope(tmp_path / "partial", CLASSES, saved(tensors))) == ModelFault.WEIGHTS_PARTIAL
    shallow = network(RESNEST).state_dict()
    assert code_of(modelscope(tmp_path / "shallow", CLASSES, saved(shallow))) == ModelFault.WEIGHTS_PARTIAL


def test_the_hub_s_folder_of_another_task_is_refused(tmp_path: Path) -> None:
    folder = modelscope(tmp_path / "other", CLASSES, saved(network().state_dict()))
    (folder / "configuration.json").write_text('{"task": "text-generation"}')
    assert code_of(folder) == ModelFault.MANIFEST_INVALID
    (folder / "configuration.json").write_text("{")
    assert code_of(folder) == ModelFault.MANIFEST_INVALID


def test_the_hub_s_folder_is_refused_for_each_of_its_parts(tmp_path: Path) -> None:
    folder = modelscope(tmp_path / "hub", CLASSES, saved(network().state_dict()))
    assert code_of(folder) == ModelFault.WEIGHTS_UNRELATED
    (folder / "meta_info.txt").write_bytes("0\t猫\n1 狗\n".encode())
    assert code_of(folder) == ModelFault.LABELS_INVALID
    (folder / "meta_info.txt").unlink()
    assert code_of(folder) == ModelFault.FILE_MISSING


def test_labels_of_the_hub_may_have_crlf_and_a_byte_order_mark() -> None:
    labels = parse("\ufeff0\t猫\r\n1\t狗\t9\r\n2\t猫\r\n".encode(), Path("meta_info.txt"), "", LABEL_COLUMN)
    assert (labels.names, labels.duplicates) == (("猫", "狗", "猫"), ("猫",))


# ---------------------------------------------------------------- where a model is named


def test_a_weights_file_beside_its_model_json_is_a_model(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", WRITERS["state_dict"](network()))
    assert load(folder / "weights", "cpu").labels == LABELS
    assert load(folder / "model.json", "cpu").labels == LABELS
    (folder / "other").write_bytes((folder / "weights").read_bytes())
    assert code_of(folder / "other") == ModelFault.MANIFEST_INVALID


def test_timm_s_networks_load_by_name(tmp_path: Path) -> None:
    module = network(RESNEST)
    model = load(write(tmp_path / "model", WRITERS["safetensors"](module), architecture=RESNEST), "cpu")
    assert torch.equal(model.logits(batch()), module(batch()))


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"model": "resnest9000"}, ModelFault.ARCHITECTURE_UNKNOWN),
        ({"model": "hf-hub:someone/something"}, ModelFault.ARCHITECTURE_PARAMETERS),
        ({"model": "local-dir:/tmp/x"}, ModelFault.ARCHITECTURE_PARAMETERS),
        ({"model": "vit_tiny_patch16_224", "layers": [1, 2]}, ModelFault.ARCHITECTURE_PARAMETERS),
        ({}, ModelFault.ARCHITECTURE_PARAMETERS),
    ],
)
def test_names_that_would_fetch_something_are_no_names(
    tmp_path: Path, parameters: dict[str, Any], code: ModelFault
) -> None:
    folder = write(tmp_path / "model", WRITERS["safetensors"](network()))
    edit(folder, lambda manifest: manifest.update(architecture={"name": "timm", "parameters": parameters}))
    assert code_of(folder) == code
