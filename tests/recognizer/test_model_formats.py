"""Every format answers as the network it was made of, is found by its content, and is refused when it is not right."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from recognizer.formats.registry import FORMATS, identify
from recognizer.manifest import ModelError, ModelFault
from recognizer.model import load
from recognizer.weights import check
from tests.support.model_files import (
    LABELS,
    WRITERS,
    batch,
    code_of,
    edit,
    network,
    saved,
    write,
)

NAMES = [one.name for one in FORMATS]


# ---------------------------------------------------------------- what every format has to do


def test_each_format_has_a_writer_in_this_test() -> None:
    assert sorted(WRITERS) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_format_answers_as_its_network(tmp_path: Path, name: str) -> None:
    """Within 1e-5 of the network in Python, for batches of any size, with its canary asked."""
    module = network()
    folder = write(tmp_path / "model", WRITERS[name](module), canary_of=module)
    model = load(folder, "cpu")
    assert model.facts.format == name
    assert model.facts.keys_loaded == model.facts.keys_expected > 0
    with torch.inference_mode():
        for inputs in (batch(), batch()[:1], torch.cat([batch()] * 3)):
            assert torch.allclose(model.logits(inputs), module(inputs), atol=1e-5)
    assert not any(one.training for one in model.network.modules())


@pytest.mark.parametrize("name", NAMES)
def test_a_format_is_found_by_its_content(name: str) -> None:
    """No other format claims its bytes, and no name takes part."""
    data = WRITERS[name](network())
    assert [one.name for one in FORMATS if one.recognizes(data)] == [name]
    assert identify(data, Path("anything.jpg")).name == name


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_cut_file_is_refused(tmp_path: Path, name: str, kept: float) -> None:
    """With its SHA-256 made right: only the content tells."""
    data = WRITERS[name](network())
    folder = write(tmp_path / "model", data[: int(kept * len(data))])
    assert code_of(folder) in {ModelFault.WEIGHTS_INVALID, ModelFault.FORMAT_UNKNOWN}


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_file_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "model", WRITERS[name](network()))
    data = bytearray((folder / "weights").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "weights").write_bytes(bytes(data))
    assert code_of(folder) == ModelFault.SHA256_DIFFERS


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_another_number_are_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "model", WRITERS[name](network()), labels=LABELS[:-1])
    assert code_of(folder) == ModelFault.LABELS_COUNT


@pytest.mark.parametrize("name", ["torch_export", "onnx", "torchscript"])
def test_a_graph_needs_no_architecture(tmp_path: Path, name: str) -> None:
    assert load(write(tmp_path / "model", WRITERS[name](network()), architecture=None), "cpu").labels == LABELS


@pytest.mark.parametrize("name", ["safetensors", "state_dict"])
def test_weights_alone_need_an_architecture(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "model", WRITERS[name](network()), architecture=None)
    assert code_of(folder) == ModelFault.ARCHITECTURE_MISSING


@pytest.mark.parametrize("name", ["torch_export", "onnx", "torchscript"])
def test_a_graph_that_ends_in_softmax_must_say_so(tmp_path: Path, name: str) -> None:
    """A softmax of probabilities would make every answer unsure, without any error."""
    module = nn.Sequential(network(), nn.Softmax(1)).eval()
    folder = write(tmp_path / "model", WRITERS[name](module), architecture=None)
    assert code_of(folder) == ModelFault.SCORE_KIND_DIFFERS
    edit(folder, lambda manifest: manifest.update(score="probability"))
    model = load(folder, "cpu")
    assert torch.allclose(model.scores(model.logits(batch())).sum(1), torch.ones(2), atol=1e-5)


def test_outputs_that_are_no_probabilities_must_not_be_called_so(tmp_path: Path) -> None:
    module = network()
    with torch.no_grad():
        module.get_parameter("head.bias").add_(5)
    assert code_of(write(tmp_path / "model", WRITERS["safetensors"](module), score="probability")) == (
        ModelFault.SCORE_KIND_DIFFERS
    )


@pytest.mark.parametrize("data", [b"", b"GIF89a" + bytes(99), b"\x08" + bytes(99), b"{}", b"\0" * 99])
def test_what_is_no_model_is_refused(tmp_path: Path, data: bytes) -> None:
    assert code_of(write(tmp_path / "model", data)) in {ModelFault.FORMAT_UNKNOWN, ModelFault.WEIGHTS_EMPTY}


# ---------------------------------------------------------------- weights that are not those of the network


def without_one(tensors: dict[str, Any]) -> None:
    del tensors["features.0.weight"]


def with_one_more(tensors: dict[str, Any]) -> None:
    tensors["more"] = torch.zeros(1)


def reshaped(tensors: dict[str, Any]) -> None:
    tensors["features.0.weight"] = torch.zeros(4, 3, 5, 5)


def of_another(tensors: dict[str, Any]) -> None:
    tensors.clear()
    tensors["conv1.weight"] = torch.zeros(3, 3)


def not_finite(tensors: dict[str, Any]) -> None:
    tensors["head.bias"][1] = float("inf")


@pytest.mark.parametrize("name", ["safetensors", "state_dict"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (dict.clear, ModelFault.WEIGHTS_EMPTY),
        (without_one, ModelFault.WEIGHTS_PARTIAL),
        (with_one_more, ModelFault.WEIGHTS_DIFFER),
        (reshaped, ModelFault.WEIGHTS_DIFFER),
        (of_another, ModelFault.WEIGHTS_UNRELATED),
        (not_finite, ModelFault.WEIGHTS_NOT_FINITE),
    ],
)
def test_weights_that_do_not_fit_have_their_own_codes(
    tmp_path: Path, name: str, change: Callable[[dict[str, Any]], None], code: ModelFault
) -> None:
    tensors = {key: one.clone() for key, one in network().state_dict().items()}
    change(tensors)
    data = bytes(safetensors.torch.save(tensors)) if name == "safetensors" else saved(tensors)
    assert code_of(write(tmp_path / "model", data)) == code


# ---------------------------------------------------------------- state dicts


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: {"state_dict": tensors, "epoch": 90},
        lambda tensors: {f"module.{name}": one for name, one in tensors.items()},
        lambda tensors: {"state_dict": {f"module.{name}": one for name, one in tensors.items()}},
    ],
)
def test_checkpoints_of_training_are_unwrapped(tmp_path: Path, wrap: Callable[[Any], Any]) -> None:
    module = network()
    model = load(write(tmp_path / "model", saved(wrap(module.state_dict()))), "cpu")
    assert torch.equal(model.logits(batch()), module(batch()))


def test_the_older_form_of_torch_save_is_read(tmp_path: Path) -> None:
    module, buffer = network(), io.BytesIO()
    torch.save(module.state_dict(), buffer, _use_new_zipfile_serialization=False)
    model = load(write(tmp_path / "model", buffer.getvalue()), "cpu")
    assert torch.equal(model.logits(batch()), module(batch()))


class Payload:
    """What an attacker pickles: a program that runs when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (os.environ["WUMU_TEST_PAYLOAD"],)


class Shell:
    """The classic."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ('mkdir "$WUMU_TEST_PAYLOAD"',)


def in_export(change: Callable[[str, bytes], bytes]) -> bytes:
    """A torch.export archive with its members changed by name."""
    source, target = io.BytesIO(WRITERS["torch_export"](network())), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target.getvalue()


def weights_as_pickle(name: str, content: bytes) -> bytes:
    if name.endswith("data/weights/weight_0"):
        return pickle.dumps(Payload())
    return content.replace(b'"use_pickle": false', b'"use_pickle": true') if "weights_config" in name else content


def size_as_program(name: str, content: bytes) -> bytes:
    call = b"__import__('os').mkdir(__import__('os').environ['WUMU_TEST_PAYLOAD'])"
    return (
        content.replace(b'"expr_str": "', b'"expr_str": "' + call + b" + ") if name.endswith("model.json") else content
    )


def operator_as_program(name: str, content: bytes) -> bytes:
    return (
        content.replace(b"torch.ops.aten.relu.default", b"torch.os.mkdir") if name.endswith("model.json") else content
    )


def samples_as_pickle(name: str, content: bytes) -> bytes:
    return saved(Payload()) if name.endswith("sample_inputs/model.pt") else content


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (weights_as_pickle, ModelFault.PICKLE_REFUSED),
        (size_as_program, ModelFault.NATIVE_CODE_REFUSED),
        (operator_as_program, ModelFault.NATIVE_CODE_REFUSED),
    ],
)
def test_an_export_that_would_run_a_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[str, bytes], bytes], code: ModelFault
) -> None:
    """torch's own reader unpickles, evaluates and calls what the archive says."""
    monkeypatch.setenv("WUMU_TEST_PAYLOAD", str(tmp_path / "ran"))
    data = in_export(change)
    assert data != in_export(lambda _, content: content)
    assert code_of(write(tmp_path / "model", data)) == code
    assert not (tmp_path / "ran").exists()


def test_the_sample_inputs_of_an_export_are_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WUMU_TEST_PAYLOAD", str(tmp_path / "ran"))
    assert load(write(tmp_path / "model", in_export(samples_as_pickle)), "cpu").labels == LABELS
    assert not (tmp_path / "ran").exists()


def test_an_archive_with_a_name_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One reader takes the first, another the last."""
    monkeypatch.setenv("WUMU_TEST_PAYLOAD", str(tmp_path / "ran"))
    buffer = io.BytesIO(saved(network().state_dict()))
    with zipfile.ZipFile(buffer, "a") as content:
        top = content.namelist()[0].partition("/")[0]
        content.writestr(f"{top}/DATA.pkl", pickle.dumps(Payload()))
    assert code_of(write(tmp_path / "model", buffer.getvalue())) == ModelFault.WEIGHTS_INVALID


@pytest.mark.parametrize(
    "make",
    [
        lambda: pickle.dumps(Payload(), protocol=2),
        lambda: pickle.dumps(Payload(), protocol=5),
        lambda: saved({"features.0.weight": torch.zeros(1), "x": Payload()}),
        lambda: saved({"state_dict": {"x": Shell()}}),
    ],
)
def test_a_pickle_that_calls_a_program_is_refused_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes]
) -> None:
    monkeypatch.setenv("WUMU_TEST_PAYLOAD", str(tmp_path / "ran"))
    assert code_of(write(tmp_path / "model", make())) == ModelFault.PICKLE_REFUSED
    assert not (tmp_path / "ran").exists()


def test_a_pickled_module_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", saved(network()))
    with pytest.raises(ModelError, match="SmallCnn") as caught:
        load(folder, "cpu")
    assert caught.value.code == ModelFault.PICKLED_MODULE
    assert "state_dict" in caught.value.hint


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {"epoch": 3}, {1: torch.zeros(1)}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    assert code_of(write(tmp_path / "model", saved(content))) == ModelFault.WEIGHTS_INVALID


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("a/data.pkl", bytes(50_000_000))
    assert code_of(write(tmp_path / "model", buffer.getvalue())) == ModelFault.WEIGHTS_INVALID


def test_compiled_code_in_an_export_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO(WRITERS["torch_export"](network()))
    with zipfile.ZipFile(buffer, "a") as content:
        content.writestr("archive/data/aotinductor/model/model.so", b"\x7fELF")
    assert code_of(write(tmp_path / "model", buffer.getvalue())) == ModelFault.NATIVE_CODE_REFUSED


# ---------------------------------------------------------------- TorchScript


def test_torchscript_that_touches_files_is_refused(tmp_path: Path) -> None:
    source, target = io.BytesIO(WRITERS["torchscript"](network())), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            call = b'\ntorch.save(pixels, "/tmp/never-written")\n'
            new.writestr(name, old.read(name) + (call if name.endswith("container.py") or "network" in name else b""))
    assert code_of(write(tmp_path / "model", target.getvalue())) == ModelFault.NATIVE_CODE_REFUSED


def test_a_tensor_of_another_type_is_named_with_both_types() -> None:
    """Of the same shape: without the type the message would say that [3] is not [3]."""
    expected, found = {"steps": torch.zeros(3, dtype=torch.int64)}, {"steps": torch.zeros(3)}
    with pytest.raises(ModelError, match=r"steps is float32 \[3\], not int64 \[3\]") as caught:
        check(expected, found, Path("w.safetensors"))
    assert caught.value.code == ModelFault.WEIGHTS_DIFFER
