"""A process for each device: one list of results, one log, and a process that dies costs its own pictures alone."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from daemon.cli.recognize import command
from recognizer.device.fleet import Fleet, devices
from recognizer.emit import configure
from recognizer.job import Job
from recognizer.manifest import ModelError, ModelFault
from recognizer.reasons import InputReason
from recognizer.sinks import MemorySink
from recognizer.train import draw, load_digits
from tests.support.model import Trained
from tests.support.pictures import encoded

TWO = ("cpu", "cpu")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Twenty digits and a file that is none."""
    random = np.random.default_rng(5)
    _, held_out = load_digits(0)
    folder = tmp_path / "upload"
    folder.mkdir()
    for index in range(20):
        (folder / f"{index:02}.png").write_bytes(encoded(draw(held_out.strokes[index], 60, random), "PNG"))
    (folder / "07.png").write_bytes(b"")
    return sorted(str(one) for one in folder.iterdir())


def test_two_processes_answer_one_list_in_its_order_into_one_log(
    digits_model: Trained, paths: list[str], tmp_path: Path
) -> None:
    """As one process does; every line of the log is whole, and both processes wrote."""
    log = tmp_path / "events.jsonl"
    call = ["--model", str(digits_model.folder), "--json", "--batch-size", "3", *paths]
    alone = CliRunner().invoke(command, [*call, "--device", "cpu"])
    both = CliRunner().invoke(command, [*call, "--device", "cpu,cpu", "--log", str(log)])
    assert both.exit_code == alone.exit_code == 1, both.stderr
    left, right = ([json.loads(line) for line in run.stdout.splitlines()] for run in (alone, both))
    assert [one["file_path"] for one in right] == paths
    same = ("file_path", "status", "top1_label", "reason")
    assert [[one.get(name) for name in same] for one in left] == [[one.get(name) for name in same] for one in right]
    events = [json.loads(line) for line in log.read_bytes().splitlines()]
    told = {one["request_id"] for one in events if "request_id" in one}
    assert told == {one["request_id"] for one in right}
    assert len({one["pid"] for one in events if one["event_type"] == "inference_complete"}) == 2


def test_a_process_that_dies_costs_its_pictures_alone(digits_model: Trained, paths: list[str]) -> None:
    """Killed between two answers; each lost picture has its reason, also in the log, and the other process goes on."""
    sink = MemorySink()
    configure(sink)
    try:
        with Fleet(TWO, Job(model=digits_model.folder, batch_size=2)) as fleet:

            def asked() -> Iterator[str]:
                for index, path in enumerate(paths * 4):
                    if index == 40:
                        os.kill(fleet.processes[1], signal.SIGKILL)
                    yield path

            results = list(fleet.recognize(asked()))
    finally:
        configure(None)
    assert [one.file_path for one in results] == paths * 4
    lost = [one for one in results if one.reason is InputReason.MODEL_DEVICE_LOST]
    assert 0 < len(lost) <= 2 * 7
    assert all("cpu ended before it answered" in one.message for one in lost)
    told = {event["request_id"] for event in sink.events if event["event_type"] == "input_error"}
    assert told == {one.request_id for one in lost}
    assert sum(one.ok for one in results) >= len(paths) * 4 - len(lost) - 4


def test_when_every_process_has_died_the_list_ends_with_an_error(digits_model: Trained, paths: list[str]) -> None:
    with Fleet(TWO, Job(model=digits_model.folder, batch_size=1)) as fleet:
        results = fleet.recognize(iter(paths * 50))
        assert next(results).file_path == paths[0]
        for process in fleet.processes:
            os.kill(process, signal.SIGKILL)
        with pytest.raises(ModelError, match="every process") as caught:
            list(results)
    assert caught.value.code is ModelFault.DEVICE_UNAVAILABLE


def test_who_stops_asking_leaves_no_process_behind(digits_model: Trained, paths: list[str]) -> None:
    with Fleet(TWO, Job(model=digits_model.folder, batch_size=1)) as fleet:
        next(fleet.recognize(iter(paths * 100)))
        processes = fleet.processes
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_model_that_one_process_refuses_is_an_error_with_its_code(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model") as caught:
        Fleet(TWO, Job(model=tmp_path / "none"))
    assert caught.value.code is ModelFault.NOT_FOUND
    assert caught.value.hint


def test_devices_are_named_by_one_word_or_by_commas() -> None:
    assert devices("cuda:0, cuda:1") == ("cuda:0", "cuda:1")
    if torch.cuda.is_available():
        assert devices("all") == tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
        return
    with pytest.raises(ModelError, match="no CUDA device") as caught:
        devices("all")
    assert caught.value.code is ModelFault.DEVICE_UNAVAILABLE
