"""The pipeline: one result a picture, in order, whatever happens; one event a stage; one bad picture fails alone."""

import gc
import itertools
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recognizer.emit import configure
from recognizer.inspect import Limits
from recognizer.manifest import Preprocessing
from recognizer.model import Model, load
from recognizer.pipeline import Recognizer
from recognizer.reasons import InputReason
from recognizer.sinks import MemorySink
from recognizer.train import LABELS, draw, load_digits
from tests.support.model import Trained
from tests.support.pictures import colours, encoded


@pytest.fixture
def sink() -> Iterator[MemorySink]:
    """Events of this test."""
    memory = MemorySink()
    configure(sink=memory, host="test")
    yield memory
    configure(sink=None)


@pytest.fixture
def recognizer(digits_model: Trained) -> Recognizer:
    return Recognizer.load(digits_model.folder, "cpu")


@pytest.fixture
def digits(tmp_path: Path) -> list[tuple[str, str]]:
    """Paths and labels of twelve digits."""
    random = np.random.default_rng(3)
    _, held_out = load_digits(0)
    pairs = []
    for index in range(12):
        path = tmp_path / f"数字 {index}.png"
        path.write_bytes(encoded(draw(held_out.strokes[index], 100, random), "PNG"))
        pairs.append((str(path), LABELS[held_out.classes[index]]))
    return pairs


def stages(sink: MemorySink, request_id: str) -> list[str]:
    return [event["event_type"] for event in sink.events if event["request_id"] == request_id]


GOOD = ["input_start", "input_success", "preprocess_complete", "inference_complete", "business_output"]


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_digits_are_recognised_in_their_order(
    recognizer: Recognizer, digits: list[tuple[str, str]], sink: MemorySink, batch_size: int
) -> None:
    results = list(recognizer.recognize([path for path, _ in digits], batch_size=batch_size))
    assert [result.file_path for result in results] == [path for path, _ in digits]
    right = [result.labels[0] == label for result, (_, label) in zip(results, digits, strict=True)]
    assert sum(right) >= 11
    assert all(result.ok and len(result.labels) == len(result.scores) == 3 for result in results)
    assert all(result.scores[0] >= result.scores[1] >= result.scores[2] for result in results)
    assert all(stages(sink, result.request_id) == GOOD for result in results)


def test_the_batch_size_does_not_change_the_answers(recognizer: Recognizer, digits: list[tuple[str, str]]) -> None:
    paths = [path for path, _ in digits]
    alone = [result.scores for result in recognizer.recognize(paths, batch_size=1)]
    together = [result.scores for result in recognizer.recognize(paths, batch_size=12)]
    assert np.allclose(alone, together, atol=1e-4)


def test_the_events_tell_what_was_done(recognizer: Recognizer, digits: list[tuple[str, str]], sink: MemorySink) -> None:
    """Every field of the contract that this pipeline knows is there, with its unit and type."""
    (result,) = recognizer.recognize([digits[0][0]])
    start, success, prepared, inferred, output = sink.events
    assert start["file_size"] == Path(digits[0][0]).stat().st_size
    assert (success["shape"], success["channels"], success["dtype"]) == ([100, 100, 3], 3, "uint8")
    assert success["image_format"] == "png"
    assert prepared["output_shape"] == [3, 32, 32]
    assert (prepared["resized"], prepared["normalized"]) == (True, True)
    assert prepared["channel_conversion"] == "bgr_to_rgb"
    assert prepared["scale_ratio"] == pytest.approx(0.32)
    assert prepared["variance"] > 0
    assert inferred["top1_label"] == result.labels[0]
    assert inferred["top3_scores"] == pytest.approx(list(result.scores))
    assert (inferred["logits_dim"], inferred["device"], inferred["batch_size"]) == (10, "cpu", 1)
    assert (output["status"], output["low_confidence_filtered"]) == ("success", False)
    assert all(event["model_name"] == "digits-small-cnn" for event in sink.events)
    assert all(event["duration_ms"] >= 0 for event in (success, prepared, inferred, output))


def test_bad_pictures_stand_between_good_ones_and_spoil_none(
    recognizer: Recognizer, digits: list[tuple[str, str]], tmp_path: Path, sink: MemorySink
) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.jpg").write_bytes(encoded(colours(), "JPEG")[:-100])
    bad: list[object] = [
        f"{digits[0][0]}\u200b",
        str(tmp_path / "gone.png"),
        str(tmp_path / "empty.png"),
        tmp_path / "cut.jpg",
        None,
        b"\xff\xfe/none.png",
        "a\0b",
    ]
    reasons = [
        InputReason.PATH_INVISIBLE_CHARACTER,
        InputReason.FILE_MISSING,
        InputReason.FILE_EMPTY,
        InputReason.IMAGE_TRUNCATED,
        InputReason.PATH_WRONG_TYPE,
        InputReason.PATH_UNDECODABLE,
        InputReason.PATH_NUL,
    ]
    mixed = list(itertools.chain.from_iterable(zip(bad, [path for path, _ in digits[: len(bad)]], strict=True)))
    results = list(recognizer.recognize(mixed, batch_size=4))  # type: ignore[arg-type]  # no path is part of the test
    assert [result.reason for result in results[::2]] == reasons
    assert all(result.ok for result in results[1::2])
    assert all(stages(sink, result.request_id) == ["input_start", "input_error"] for result in results[::2])
    errors = [event for event in sink.events if event["event_type"] == "input_error"]
    assert sorted(event["reason"] for event in errors) == sorted(reasons)
    invisible = next(event for event in errors if event["reason"] == InputReason.PATH_INVISIBLE_CHARACTER)
    assert (invisible["path_cleaned"], invisible["path_cleaned_exists"]) == (digits[0][0], True)
    assert results[0].path_cleaned == digits[0][0]


def test_a_generator_of_paths_is_read_no_further_than_needed(
    recognizer: Recognizer, digits: list[tuple[str, str]]
) -> None:
    """With a batch of one the first answer comes before the second path is asked for: a list may still be written."""
    asked: list[str] = []

    def source() -> Iterator[str]:
        for path, _ in digits:
            asked.append(path)
            yield path

    results = recognizer.recognize(source(), batch_size=1)
    next(results)
    assert len(asked) == 1
    results.close()
    assert len(asked) == 1


def test_no_paths_give_no_results_and_no_batch_is_an_error(recognizer: Recognizer) -> None:
    assert list(recognizer.recognize([])) == []
    with pytest.raises(ValueError, match="batch_size"):
        next(recognizer.recognize(["a"], batch_size=0))


def test_limits_are_the_callers(digits_model: Trained, digits: list[tuple[str, str]]) -> None:
    small = Recognizer.load(digits_model.folder, "cpu", limits=Limits(max_pixels=100))
    (result,) = small.recognize([digits[0][0]])
    assert result.reason == InputReason.IMAGE_TOO_MANY_PIXELS


def test_a_low_score_is_marked(digits_model: Trained, digits: list[tuple[str, str]], sink: MemorySink) -> None:
    strict = Recognizer.load(digits_model.folder, "cpu", low_confidence=1.01)
    list(strict.recognize([digits[0][0]]))
    assert sink.events[-1]["low_confidence_filtered"] is True


# ---------------------------------------------------------------- networks that fail


class Moody(nn.Module):
    """A network that fails in a chosen way for pictures darker than the middle, and answers for the others."""

    def __init__(self, mood: str, classes: int = 10, largest: int = 1_000) -> None:
        super().__init__()
        self.mood, self.classes, self.largest = mood, classes, largest
        self.asked: list[int] = []

    def forward(self, batch: Tensor) -> Tensor:
        self.asked.append(len(batch))
        if len(batch) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        dark = batch.mean((1, 2, 3)) < 0.5
        logits = torch.arange(float(self.classes)).repeat(len(batch), 1)
        if self.mood == "nan":
            logits[dark, 3] = torch.nan
        if self.mood == "infinite":
            logits[dark] = torch.inf
        if self.mood == "raises" and bool(dark.any()):
            raise RuntimeError("the kernel does not like this picture\nand says so at length")
        if self.mood == "allocates" and bool(dark.any()):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return logits


def test_calls_leave_no_threads_of_their_own(recognizer: Recognizer, digits: list[tuple[str, str]]) -> None:
    """What libraries keep for a thread is not freed with it."""
    paths = [path for path, _ in digits]
    list(recognizer.recognize(paths))
    before = {thread.ident for thread in threading.enumerate()}
    for _ in range(5):
        list(recognizer.recognize(paths))
    assert {thread.ident for thread in threading.enumerate()} <= before


@pytest.fixture
def shades(tmp_path: Path) -> list[str]:
    """Eight pictures; the fourth and the seventh are dark."""
    paths = []
    for index in range(8):
        pixels = colours(40, 40, seed=index) // 4 + np.uint8(0 if index in {3, 6} else 180)
        path = tmp_path / f"{index}.png"
        path.write_bytes(encoded(pixels, "PNG"))
        paths.append(str(path))
    return paths


def moody(digits_model: Trained, network: Moody) -> Recognizer:
    model: Model = load(digits_model.folder, "cpu")
    manifest = model.manifest
    plain = Preprocessing(height=32, width=32)
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__} | {"preprocessing": plain}
    return Recognizer(replace(model, manifest=type(manifest)(**fields), network=network))


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("nan", InputReason.TENSOR_NOT_FINITE),
        ("infinite", InputReason.TENSOR_NOT_FINITE),
        ("raises", InputReason.MODEL_FAILED),
        ("allocates", InputReason.MODEL_OUT_OF_MEMORY),
    ],
)
def test_a_picture_that_makes_the_network_fail_fails_alone(
    digits_model: Trained, shades: list[str], sink: MemorySink, mood: str, reason: InputReason
) -> None:
    results = list(moody(digits_model, Moody(mood)).recognize(shades))
    assert [result.reason for result in results] == [reason if index in {3, 6} else None for index in range(8)]
    assert stages(sink, results[3].request_id) == [*GOOD[:3], "input_error"]
    assert "\n" not in results[3].message
    assert stages(sink, results[0].request_id) == GOOD


def test_out_of_memory_makes_the_batches_smaller_for_good(digits_model: Trained, shades: list[str]) -> None:
    network = Moody("calm", largest=3)
    recognizer = moody(digits_model, network)
    assert all(result.ok for result in recognizer.recognize(shades))
    network.asked.clear()
    assert all(result.ok for result in recognizer.recognize(shades))
    assert max(network.asked) <= 3


def test_an_output_of_another_size_than_the_labels_is_invalid(digits_model: Trained, shades: list[str]) -> None:
    results = list(moody(digits_model, Moody("calm", classes=7)).recognize(shades))
    assert {result.reason for result in results} == {InputReason.MODEL_OUTPUT_INVALID}
    assert "[8, 7]" in results[0].message


# ---------------------------------------------------------------- results


def test_a_result_is_one_line_of_valid_json(recognizer: Recognizer, digits: list[tuple[str, str]]) -> None:
    """Also for names that are no UTF-8 or hold line breaks."""
    odd = [digits[0][0], os.fsdecode(b"/none/\xb0\xd9\xc1\xe9.png"), "/none/a\nb.png", "/none/\u202egnp.png"]
    lines = [result.to_json() for result in recognizer.recognize(odd)]
    assert all("\n" not in line for line in lines)
    good, *bad = [json.loads(line.encode("utf-8")) for line in lines]
    assert (good["status"], good["file_path"], good["shape"]) == ("success", digits[0][0], [100, 100, 3])
    assert len(good["top3_labels"]) == 3
    assert "reason" not in good
    assert [one["reason"] for one in bad] == ["path_undecodable", "path_control_character", "path_bidi_control"]
    assert all(one["status"] == "error" and one["error"] for one in bad)


def test_a_refused_picture_leaves_nothing_for_the_collector_of_cycles(
    recognizer: Recognizer, sink: MemorySink, tmp_path: Path
) -> None:
    """A fault that kept the frames it came through would keep their pictures with it until that comes by."""
    cut_off = tmp_path / "cut_off.jpg"
    data = encoded(colours(), "JPEG")
    cut_off.write_bytes(data[: len(data) // 2])
    refused = [str(cut_off), str(tmp_path / "missing.jpg")] * 50
    assert not any(result.ok for result in recognizer.recognize(refused))
    gc.collect()
    gc.disable()
    try:
        assert not any(result.ok for result in recognizer.recognize(refused))
        assert gc.collect() < len(refused)
    finally:
        gc.enable()
