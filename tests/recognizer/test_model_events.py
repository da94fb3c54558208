"""That a model was loaded, refused, checked and found wrong is told in events with reasons that have remedies."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from recognizer.device.driver import CpuDriver
from recognizer.device.lane import Lane
from recognizer.device.opening import LaneSettings
from recognizer.device.plan import Layout, Mode, Plan, Precision
from recognizer.emit import configure
from recognizer.formats.base import Graph
from recognizer.manifest import ModelError, ModelFault
from recognizer.model_events import reason_of, tell_loaded
from recognizer.pipeline import Recognizer
from recognizer.reasons import InputReason
from recognizer.sinks import MemorySink
from tests.support.devices import Capturing
from tests.support.model_files import PICTURE, WRITERS, edit, network, write
from tests.support.networks import Brightness, model_of
from tests.support.pictures import encoded


@pytest.fixture
def sink() -> Iterator[MemorySink]:
    memory = MemorySink()
    configure(sink=memory, host="test")
    yield memory
    configure(sink=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(encoded(PICTURE, "PNG"))
    return write(tmp_path / "model", WRITERS["safetensors"](network()), canary_of=network())


def test_a_loaded_model_is_told_with_its_sums(folder: Path, sink: MemorySink) -> None:
    recognizer = Recognizer.load(folder, "cpu")
    (event,) = sink.events
    assert (event["event_type"], event["status"], event["model_name"]) == ("model_loaded", "success", "tiny")
    assert (event["model_format"], event["logits_dim"], event["duplicate_labels"]) == ("safetensors", 7, 0)
    assert event["keys_expected"] == event["keys_loaded"] > 0
    assert len(event["weights_sha256"]) == len(event["labels_sha256"]) == 64
    assert recognizer.model_name == "tiny"


def test_a_loaded_model_is_told_with_how_it_is_run(folder: Path, sink: MemorySink) -> None:
    """As the lane runs it in the end, not as it was asked for."""
    half = Plan(Precision.BFLOAT16, Layout.CHANNELS_LAST, Mode.EAGER)
    for plan in (None, half):
        Recognizer.load(folder, "cpu", lane=LaneSettings(largest=9, plan=plan))
    first, second = sink.events
    assert (first["precision"], first["memory_format"], first["execution_mode"]) == ("float32", "contiguous", "eager")
    assert (second["precision"], second["memory_format"]) == ("bfloat16", "channels_last")
    assert (second["device"], second["device_name"], second["batch_buckets"]) == ("cpu", "cpu", [9])


def test_the_sizes_that_a_gpu_pads_to_are_told(sink: MemorySink) -> None:
    tell_loaded(Lane(model_of(Brightness()), Capturing(), Plan(mode=Mode.GRAPH), largest=64), 1.0, auto=False)
    (event,) = sink.events
    assert (event["device_name"], event["batch_buckets"]) == ("simulated", [1, 8, 32, 64])
    assert event["execution_mode"] == "graph"


def test_the_numbers_of_a_finished_graph_are_its_own(sink: MemorySink) -> None:
    """Nothing is claimed of them."""
    tell_loaded(Lane(model_of(Graph(Brightness())), CpuDriver(), largest=4), 1.0, auto=False)
    (event,) = sink.events
    assert "precision" not in event
    assert "memory_format" not in event
    assert event["execution_mode"] == "eager"


@pytest.mark.parametrize(
    ("change", "fault", "reason"),
    [
        ({"channel_order": "bgr"}, "channel_order_differs", "tensor_channel_order"),
        ({"mean": [0, 0, 0], "deviation": [1, 1, 1]}, "normalization_differs", "tensor_normalization"),
        ({"short_side": 44}, "resize_differs", "tensor_resize"),
    ],
)
def test_a_refused_model_is_told_with_its_fault(
    folder: Path, sink: MemorySink, change: dict[str, object], fault: str, reason: str
) -> None:
    edit(folder, lambda manifest: manifest["preprocessing"].update(change))
    with pytest.raises(ModelError):
        Recognizer.load(folder, "cpu")
    (event,) = sink.events
    assert (event["event_type"], event["status"]) == ("model_loaded", "error")
    assert (event["model_fault"], event["reason"]) == (fault, reason)


def test_the_canary_is_asked_again_and_a_changed_network_stops_the_answers(
    folder: Path, tmp_path: Path, sink: MemorySink
) -> None:
    """With no minute between; the network is put into training mode in between."""
    recognizer = Recognizer.load(folder, "cpu", canary_minutes=0)
    assert [result.ok for result in recognizer.recognize([tmp_path / "a.png"])] == [True]
    checks = [event for event in sink.events if event["event_type"] == "model_checked"]
    assert {event["status"] for event in checks} == {"success"}
    recognizer._model.network.train()
    with pytest.raises(ModelError) as caught:
        list(recognizer.recognize([tmp_path / "a.png"]))
    assert caught.value.code == ModelFault.TRAIN_MODE
    last = [event for event in sink.events if event["event_type"] == "model_checked"][-1]
    assert (last["status"], last["reason"]) == ("error", "model_train_mode")


def test_an_answer_carries_how_sure_it_is(folder: Path, tmp_path: Path, sink: MemorySink) -> None:
    list(Recognizer.load(folder, "cpu").recognize([tmp_path / "a.png"]))
    (answer,) = [event for event in sink.events if event["event_type"] == "inference_complete"]
    scores = answer["top3_scores"]
    assert answer["margin"] == pytest.approx(scores[0] - scores[1])
    assert 0 < answer["entropy"] <= float(torch.tensor(7.0).log()) + 1e-5
    assert 0 <= answer["top1_score"] <= 1
    (prepared,) = [event for event in sink.events if event["event_type"] == "preprocess_complete"]
    assert len(prepared["channel_means"]) == len(prepared["channel_deviations"]) == 3
    assert prepared["tensor_min"] < prepared["tensor_max"]
    assert (prepared["nan_count"], "tensor_issues" in prepared) == (0, False)


def test_outputs_that_are_no_probabilities_are_told_as_such(tmp_path: Path, sink: MemorySink) -> None:
    """No score is told where none means anything, and nothing is withheld as unsure."""
    folder = write(tmp_path / "model", WRITERS["safetensors"](network()), score="logit")
    (tmp_path / "a.png").write_bytes(encoded(PICTURE, "PNG"))
    list(Recognizer.load(folder, "cpu", low_confidence=1e9).recognize([tmp_path / "a.png"]))
    answer, output = sink.events[-2:]
    assert "top1_score" not in answer
    assert answer["top1_logit"] == pytest.approx(answer["top1_logit"])
    assert output["low_confidence_filtered"] is False


@pytest.mark.parametrize("fault", ModelFault)
def test_every_fault_has_a_reason(fault: ModelFault) -> None:
    assert reason_of(fault) in InputReason
