"""The recognizer with allowed folders, repair and decode workers: results and events, and the same from the command."""

import json
from pathlib import Path

import pytest

from recognizer.decode_worker import DecodeWorkers
from recognizer.pipeline import Recognizer
from recognizer.reasons import InputReason as Reason
from recognizer.sinks import MemorySink
from recognizer.source import Access, Repair
from tests.support.console import verb
from tests.support.emission import emitting_to
from tests.support.model import Trained
from tests.support.pictures import colours, encoded

PNG = encoded(colours(), "PNG")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "百灵.png").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(PNG)
    return tmp_path / "in"


def test_a_repaired_path_is_recognised_and_told(digits_model: Trained, folder: Path) -> None:
    """The result and the event name the file that was read; the path stays what it was."""
    access = Access(roots=(str(folder),), repair=Repair.EXISTING_FILE_INSIDE_ROOTS)
    recognizer = Recognizer.load(digits_model.folder, "cpu", access=access, searchable=True)
    path = f"{folder}/百灵.png\u200b"
    with emitting_to(MemorySink()) as sink:
        good, outside = recognizer.recognize([path, f"{folder}/../secret.png"])
    assert good.ok
    assert (good.file_path, good.path_suggested) == (path, f"{folder}/百灵.png")
    assert good.path_issues == (Reason.PATH_INVISIBLE_CHARACTER,)
    assert outside.reason == Reason.PATH_OUTSIDE_ROOTS
    start, success = (
        next(one for one in sink.events if one["event_type"] == kind and one["file_path"] == path)
        for kind in ("input_start", "input_success")
    )
    assert "百灵" in start["path_tokens"]
    assert success["path_suggested"] == f"{folder}/百灵.png"
    (error,) = [one for one in sink.events if one["event_type"] == "input_error"]
    assert error["reason"] == "path_outside_roots"
    assert "secret" not in error["error"]


def test_without_repair_the_event_only_says_what_was_meant(digits_model: Trained, folder: Path) -> None:
    recognizer = Recognizer.load(digits_model.folder, "cpu", searchable=False)
    with emitting_to(MemorySink()) as sink:
        (bad,) = recognizer.recognize([f"{folder}/百灵.PNG"])
    assert (bad.reason, bad.path_suggested) == (Reason.PATH_CASE_MISMATCH, f"{folder}/百灵.png")
    assert json.loads(bad.to_json())["path_suggested"] == f"{folder}/百灵.png"
    (error,) = [one for one in sink.events if one["event_type"] == "input_error"]
    assert (error["reason"], error["path_suggested"]) == ("path_case_mismatch", f"{folder}/百灵.png")
    assert error["path_issues"] == ["path_case_mismatch"]


def test_a_batch_with_a_killer_in_it_is_answered_by_decode_workers(digits_model: Trained, folder: Path) -> None:
    (folder / "killer.png").write_bytes(b"SEGFAULT")
    recognizer = Recognizer.load(digits_model.folder, "cpu")
    paths = [folder / "百灵.png", folder / "killer.png", folder / "百灵.png"]
    with emitting_to(MemorySink()), DecodeWorkers(2, decoder="tests.support.killers:decode") as workers:
        found = [one.reason for one in recognizer.recognize(paths, decoder=workers.decode)]
    assert found == [None, Reason.IMAGE_DECODER_DIED, None]


def test_the_command_reads_below_the_root_repairs_and_decodes_elsewhere(digits_model: Trained, folder: Path) -> None:
    options = "--model", digits_model.folder, "--root", folder, "--repair", "--decode-workers", "1", "--json"
    result = verb("recognize", *options, f"{folder}/百灵.png\u200b", folder.parent / "secret.png")
    good, bad = map(json.loads, result.stdout.splitlines())
    assert (good["status"], good["path_suggested"]) == ("success", f"{folder}/百灵.png")
    assert bad["reason"] == "path_outside_roots"


def test_repair_without_a_root_is_exit_code_2(digits_model: Trained) -> None:
    result = verb("recognize", "--model", digits_model.folder, "--repair", "a.png")
    assert result.exit_code == 2
    assert "--repair needs --root" in result.stderr
