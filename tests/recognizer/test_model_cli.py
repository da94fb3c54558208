"""`wumu model`: what a folder holds, whether it would be served, and the native format from any other."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from daemon.cli.model import command
from daemon.plugins import registry
from recognizer.manifest import ModelFault
from recognizer.model import load
from recognizer.reasons import InputReason
from rules.load import load_file
from tests.support.model_files import LABELS, PICTURE, WRITERS, batch, edit, network, write
from tests.support.pictures import encoded

ROOT = Path(__file__).parents[2]


def asked(*arguments: object, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(command, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model", WRITERS["state_dict"](network()), canary_of=network())


def test_inspect_tells_what_the_files_are(folder: Path) -> None:
    found = asked("inspect", folder)
    assert (found["format"], found["labels"], found["canary"]) == ("state_dict", 7, found["canary"])
    assert found["preprocessing"]["short_side"] == 40
    assert len(found["weights_sha256"]) == len(found["labels_sha256"]) == 64
    told = CliRunner().invoke(command, ["inspect", str(folder)])
    assert (told.exit_code, "state_dict" in told.output) == (0, True)


def test_verify_loads_as_a_service_would(folder: Path) -> None:
    found = asked("verify", folder)
    assert found["verified"] is True
    assert found["keys_expected"] == found["keys_loaded"] > 0


def test_verify_refuses_by_name(folder: Path) -> None:
    edit(folder, lambda manifest: manifest["preprocessing"].update(channel_order="bgr"))
    found = asked("verify", folder, code=1)
    assert (found["verified"], found["model_fault"]) == (False, ModelFault.CHANNEL_ORDER_DIFFERS)
    told = CliRunner().invoke(command, ["verify", str(folder)])
    assert told.exit_code == 1
    assert "red and blue" in told.stderr
    assert "what to do" in told.stderr


@pytest.mark.parametrize("name", ["safetensors", "state_dict", "torch_export", "torchscript"])
def test_a_model_in_any_form_becomes_a_native_one(tmp_path: Path, name: str) -> None:
    """Same answers, a canary that passes; the old folder is left alone."""
    module = network()
    source, target = write(tmp_path / "source", WRITERS[name](module)), tmp_path / "native"
    (tmp_path / "known.png").write_bytes(encoded(PICTURE, "PNG"))
    found = asked("convert", source, target, "--picture", tmp_path / "known.png", "--name", "birds-v4")
    assert (found["format"], found["name"]) == ("safetensors", "birds-v4")
    assert found["largest_difference"] <= 1e-5
    model = load(target, "cpu")
    assert model.labels == LABELS
    assert model.manifest.canary is not None
    assert torch.allclose(model.logits(batch()), module(batch()), atol=1e-5)


def test_a_graph_whose_tensors_were_merged_is_not_converted(tmp_path: Path) -> None:
    """The exporter of ONNX folds batch normalisation into the weights: nothing can undo that."""
    source = write(tmp_path / "source", WRITERS["onnx"](network()))
    found = asked("convert", source, tmp_path / "native", code=1)
    assert found["model_fault"] in {ModelFault.WEIGHTS_DIFFER, ModelFault.WEIGHTS_PARTIAL, ModelFault.WEIGHTS_UNRELATED}
    assert not (tmp_path / "native").exists()


def test_a_graph_without_a_known_architecture_is_not_converted(tmp_path: Path) -> None:
    source = write(tmp_path / "source", WRITERS["torch_export"](network()), architecture=None)
    assert asked("convert", source, tmp_path / "native", code=1)["model_fault"] == ModelFault.ARCHITECTURE_MISSING


def test_a_picture_that_can_not_tell_is_refused_as_canary(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "grey.png").write_bytes(encoded(PICTURE[..., 0], "PNG"))
    found = asked("convert", folder, tmp_path / "native", "--picture", tmp_path / "grey.png", code=1)
    assert found["model_fault"] == ModelFault.CANARY_FAILED
    assert not (tmp_path / "native").exists()


@pytest.mark.parametrize("target", ["holiday", "not there yet/../holiday", "link", "model"])
def test_what_a_target_holds_beside_a_model_is_never_lost(tmp_path: Path, folder: Path, target: str) -> None:
    """Wherever dots and links lead, and where the folder of a model holds something of its owner's too."""
    (tmp_path / "holiday").mkdir()
    (tmp_path / "link").symlink_to("holiday")
    for place in ("holiday", "model"):
        (tmp_path / place / "beach.jpg").write_bytes(b"sand")
    refused = asked("convert", folder, tmp_path / target, code=1)
    assert refused["model_fault"] == ModelFault.NOT_A_FOLDER
    assert "beach.jpg" in refused["error"]
    assert {one.name for one in tmp_path.iterdir()} == {"holiday", "link", "model"}
    assert all((tmp_path / place / "beach.jpg").read_bytes() == b"sand" for place in ("holiday", "model"))


def test_a_model_takes_the_place_of_a_model(tmp_path: Path, folder: Path) -> None:
    """Its own, another one, and one that a link leads to."""
    (tmp_path / "link").symlink_to("target")
    for target in (folder, tmp_path / "target", tmp_path / "link"):
        assert asked("convert", folder, target)["format"] == "safetensors"
    assert (tmp_path / "link").is_symlink()
    assert asked("verify", tmp_path / "target")["verified"] is True
    assert {one.name for one in tmp_path.iterdir()} == {"link", "target", "model"}


@pytest.mark.parametrize("name", ["", "x" * 201, "half \udc80"])
def test_a_name_that_could_not_be_read_again_leaves_no_folder(tmp_path: Path, folder: Path, name: str) -> None:
    refused = asked("convert", folder, tmp_path / "target", "--name", name, code=1)
    assert refused["model_fault"] == ModelFault.MANIFEST_INVALID
    assert {one.name for one in tmp_path.iterdir()} == {"model"}


def test_the_rules_for_models_load_and_cover_their_reasons() -> None:
    """The page of rules names each reason of tensors and models, and the gap in the log."""
    page = ROOT / "docs" / "how-to" / "model-rules.yaml"
    loaded = load_file(page, registry())
    assert loaded.problems == ()
    text = page.read_text(encoding="utf-8")
    wanted = [reason for reason in InputReason if reason.startswith(("tensor_", "model_"))]
    assert [reason for reason in (*wanted, InputReason.EVENT_GAP) if reason not in text] == []
