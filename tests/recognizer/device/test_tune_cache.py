"""The kept plans: a choice holds for what it was measured for, and a damaged file costs one line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recognizer.device.plan import Layout, Measurement, Mode, Plan, Precision
from recognizer.device.tune_cache import VERSION, Key, default_path, keep, look_up

KEY = Key("ab" * 32, "NVIDIA H200", "2.15.0+cu132", (64, 3, 224, 224), compiled=False)
PLAN = Plan(Precision.BFLOAT16, Layout.CHANNELS_LAST, Mode.GRAPH)
MEASURED = (Measurement(PLAN, 12.8), Measurement(Plan(), 0.0, "it raised"))


def test_a_kept_plan_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "plans.json"
    keep(path, KEY, PLAN, MEASURED)
    assert look_up(path, KEY) == PLAN


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, weights_sha256="cd" * 32),
        replace(KEY, device_name="NVIDIA L4"),
        replace(KEY, torch_version="2.16.0"),
        replace(KEY, input_shape=(32, 3, 224, 224)),
        replace(KEY, compiled=True),
    ],
)
def test_it_holds_for_nothing_else(tmp_path: Path, other: Key) -> None:
    keep(tmp_path / "plans.json", KEY, PLAN, MEASURED)
    assert look_up(tmp_path / "plans.json", other) is None
    keep(tmp_path / "plans.json", other, Plan(), ())
    assert look_up(tmp_path / "plans.json", KEY) == PLAN


def test_no_file_is_no_fault(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert look_up(tmp_path / "plans.json", KEY) is None
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"version": 1, "entries": []}',
        json.dumps({"version": VERSION + 1, "entries": {}}).encode(),
        json.dumps({"version": VERSION, "entries": {str(KEY): {"plan": {"precision": "int4"}}}}).encode(),
        json.dumps({"version": VERSION, "entries": {str(KEY): 7}}).encode(),
        b"[" * 100_000,
    ],
)
def test_a_damaged_or_foreign_file_is_said_once_and_written_anew(
    tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plans.json"
    path.write_bytes(content)
    assert look_up(path, KEY) is None
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "measured anew" in said
    keep(path, KEY, PLAN, MEASURED)
    assert look_up(path, KEY) == PLAN
    assert capfd.readouterr().err == ""


def test_a_folder_that_can_not_be_written_costs_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    keep(tmp_path / "file" / "plans.json", KEY, PLAN, MEASURED)
    assert capfd.readouterr().err.count("\n") == 1


def test_the_file_lies_where_caches_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_path() == tmp_path / "wumu" / "device-plans.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_path() == tmp_path / "home" / ".cache" / "wumu" / "device-plans.json"
