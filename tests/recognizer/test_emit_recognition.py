"""The block of one picture: its stages, its errors with their reasons, its place among tasks."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recognizer.emit import current, log_event, recognition
from recognizer.fault import InputFault
from recognizer.reasons import InputReason
from tests.support.emission import types


def test_a_recognition_tells_its_stages_with_one_request_and_timings(sink, tmp_path):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"12345")
    with recognition(str(picture), model_name="m2", request_id="r1") as r:
        assert current() is r
        r.input_success(np.zeros((4, 5), np.uint16))
        r.preprocess_complete(np.full((3, 2, 2), 2.0), resized=False)
        r.inference_complete("cat", 0.5)
        r.business_output(404)
    assert current() is None
    start, success, preprocess, inference, output = sink.events
    assert start["file_size"] == 5
    assert {event["request_id"] for event in sink.events} == {"r1"}
    assert {event["model_name"] for event in sink.events} == {"m2"}
    assert {event["file_path"] for event in sink.events} == {str(picture)}
    assert (success["shape"], success["channels"], success["dtype"]) == ([4, 5], 1, "uint16")
    assert (preprocess["output_shape"], preprocess["mean"], preprocess["variance"]) == ([3, 2, 2], 2.0, 0.0)
    assert (inference["top1_label"], inference["top1_score"], inference["top3_labels"]) == ("cat", 0.5, ["cat"])
    assert (output["http_status"], output["status"]) == (404, "error")
    assert all(event["duration_ms"] >= 0 for event in sink.events[1:])
    assert all((event["shape"], event["dtype"]) == ([4, 5], "uint16") for event in sink.events[1:])


def test_events_of_called_functions_belong_to_the_block(sink):
    with recognition("a.png") as outer:
        log_event("mine")
        with recognition("b.png") as inner:
            log_event("mine")
        log_event("mine")
    told = [(e["request_id"], e["file_path"]) for e in sink.events if e["event_type"] == "mine"]
    assert told == [(outer.request_id, "a.png"), (inner.request_id, "b.png"), (outer.request_id, "a.png")]


def test_none_from_a_decoder_becomes_an_error_with_the_invisible_character(sink, tmp_path):
    good = tmp_path / "百灵.png"
    good.write_bytes(b"x")
    with recognition(f"{good}\u200b") as r:
        r.input_success(None)
    start, error = sink.events
    assert start["path_issues"] == error["path_issues"] == ["path_invisible_character"]
    assert error["event_type"] == "input_error"
    assert error["reason"] == "path_invisible_character"
    assert (error["path_cleaned"], error["path_cleaned_exists"]) == (str(good), True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "file_empty"), (b"<html>", "image_not_an_image"), (b"\xff\xd8\xff\xe0broken", "image_corrupt")],
)
def test_none_from_a_decoder_is_explained_by_the_file(sink, tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with recognition(path) as r:
        r.input_success(None)
    assert sink.events[-1]["reason"] == reason


def test_none_from_a_decoder_is_explained_by_what_stands_at_the_path(sink, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_bytes(b"x")
    expected = {
        "gone.png": "file_missing",
        "fifo": "file_not_regular",
        "link": "file_symlink_broken",
        "loop": "file_symlink_loop",
        "file/a.png": "file_parent_not_directory",
        "": "file_is_directory",
    }
    for name in expected:
        with recognition(tmp_path / name) as r:
            r.input_success(None)
    told = [event["reason"] for event in sink.events if event["event_type"] == "input_error"]
    assert told == list(expected.values())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(errno.ENOENT, "gone"), "file_missing"),
        (PermissionError(errno.EACCES, "no"), "file_permission_denied"),
        (OSError(errno.EIO, "bad disk"), "file_io_error"),
        (MemoryError(), "model_out_of_memory"),
        (InputFault(InputReason.IMAGE_ALPHA, "odd"), "image_alpha"),
        (OSError("image file is truncated (3 bytes not processed)"), "image_truncated"),
        ("cannot identify image file", "image_not_an_image"),
        (ValueError("whatever"), "unspecified"),
        (None, "unspecified"),
    ],
)
def test_an_error_always_carries_a_reason_of_the_vocabulary(sink, tmp_path, error, reason):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    with recognition(path) as r:
        r.input_error(error)
    log_event("input_error", error=error, file_path=path)
    assert [event["reason"] for event in sink.events[1:]] == [reason, reason]


def test_the_callers_own_reason_wins_and_an_unknown_one_is_kept_beside(sink):
    with recognition("gone.png") as r:
        r.input_error("x", reason=InputReason.IMAGE_TINY)
    log_event("input_error", error="x", file_path="gone.png", reason="strange")
    own, strange = (event for event in sink.events if event["event_type"] == "input_error")
    assert own["reason"] == "image_tiny"
    assert (strange["reason"], strange["reason_given"]) == ("file_missing", "strange")


def test_an_exception_before_decoding_is_an_input_error_and_goes_on_unchanged(sink):
    fault = FileNotFoundError(errno.ENOENT, "gone", "a.png")
    with pytest.raises(FileNotFoundError) as raised, recognition("a.png"):
        raise fault
    assert raised.value is fault
    assert types(sink) == ["input_start", "input_error"]
    assert sink.events[-1]["reason"] == "file_missing"
    assert current() is None


def test_an_exception_after_decoding_is_a_business_output_with_status_error(sink):
    def serve() -> None:
        with recognition("a.png") as r:
            r.input_success(np.zeros((1, 1, 3)))
            raise ZeroDivisionError("division by zero")

    with pytest.raises(ZeroDivisionError):
        serve()
    last = sink.events[-1]
    assert (last["event_type"], last["status"], last["reason"]) == ("business_output", "error", "model_failed")
    assert last["error"] == "ZeroDivisionError: division by zero"


def test_what_the_block_has_told_is_not_told_twice(sink):
    def unreadable() -> None:
        with recognition("a.png") as r:
            r.input_error("unreadable", reason="image_corrupt")
            raise ValueError("x")

    def answered() -> None:
        with recognition("a.png") as r:
            r.input_success()
            r.business_output(500)
            raise ValueError("x")

    for serve in (unreadable, answered):
        with pytest.raises(ValueError, match="x"):
            serve()
    assert types(sink) == ["input_start", "input_error", "input_start", "input_success", "business_output"]


def test_a_cancelled_block_ends_its_request(sink):
    with pytest.raises(asyncio.CancelledError), recognition("a.png"):
        raise asyncio.CancelledError
    assert sink.events[-1]["status"] == "cancelled"


@pytest.mark.parametrize("path", [None, 3, b"/a/\xff.png", "a\0b", "a\udcff", Path("/a/b.png"), "x" * 20_000, object()])
def test_any_path_is_told(sink, path):
    with recognition(path) as r:
        r.input_success(None)
    assert types(sink) == ["input_start", "input_error"]
    assert InputReason(sink.events[-1]["reason"]) is not InputReason.UNSPECIFIED


def test_odd_pictures_and_answers_cost_their_event_only(sink, capfd):
    with recognition("a.png") as r:
        r.input_success(object())
        r.preprocess_complete(np.array([np.nan]))
        r.inference_complete([], [])
        r.business_output(200)
    assert types(sink) == ["input_start", "preprocess_complete", "inference_complete", "business_output"]
    assert sink.events[1]["dropped_before"] == 1
    assert sink.events[1]["tensor_issues"] == ["tensor_not_finite"]
    assert "an event was lost" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("shape", "channels"), [((4, 5), 1), ((4, 5, 3), 3), ((4, 5, 4), 4), ((3, 4, 5), 3), ((9, 4, 5), 5)]
)
def test_channels_are_found_in_either_layout(sink, shape, channels):
    with recognition("a.png") as r:
        r.input_success(np.zeros(shape))
    assert sink.events[-1]["channels"] == channels


def test_asyncio_tasks_keep_their_own_block(sink):
    async def picture(name: str) -> None:
        with recognition(name) as r:
            await asyncio.sleep(0)
            log_event("mine")
            await asyncio.sleep(0)
            r.business_output(200)

    async def all_of_them() -> None:
        await asyncio.gather(*(picture(f"{number}.png") for number in range(20)))

    asyncio.run(all_of_them())
    by_request: dict[str, set[str]] = {}
    for event in sink.events:
        by_request.setdefault(event["request_id"], set()).add(event["file_path"])
    assert len(by_request) == 20
    assert all(len(paths) == 1 for paths in by_request.values())


def test_a_generator_closed_elsewhere_does_not_raise(sink):
    async def stream() -> Any:
        with recognition("a.png"):
            yield 1
            yield 2

    async def leave_half_read() -> None:
        generator = stream()
        await anext(generator)
        await asyncio.create_task(generator.aclose())

    asyncio.run(leave_half_read())
    assert types(sink) == ["input_start", "business_output"]
