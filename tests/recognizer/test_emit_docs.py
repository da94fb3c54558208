"""The how-to's code runs as it stands there, in both languages."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from recognizer import sinks
from recognizer.decode_lines import decode
from recognizer.encode import MAX_ELEMENTS
from recognizer.events import MAX_LINE_BYTES, MAX_STRING_CHARACTERS, Event
from recognizer.sinks import MemorySink
from tests.support.emission import emitting_to, types

PAGES = [Path(__file__).parents[2] / "docs/how-to" / name for name in ("instrument.md", "instrument.zh.md")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_five_lines_tell_every_stage(page, tmp_path, monkeypatch):
    memory = MemorySink()
    monkeypatch.setattr(sinks, "FileSink", lambda _path: memory)
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", np.zeros((4, 5, 3), np.uint8))[1].tobytes())
    names = {
        "path": str(path),
        "preprocess": lambda image: image.astype(np.float32) / 255,
        "model": lambda _tensor: (["百灵"], [0.9]),
    }
    with emitting_to(memory):
        for code in blocks(page, "python"):
            exec(code, names)  # noqa: S102 - the page's own code is what is tested
    assert types(memory) == [
        "input_start",
        "input_success",
        "preprocess_complete",
        "inference_complete",
        "business_output",
        "thumbnail_made",
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_bare_event_and_the_limits_are_true(page):
    (line,) = blocks(page, "json")
    assert isinstance(decode(line.encode()), Event)
    text = page.read_text(encoding="utf-8")
    assert f"{MAX_STRING_CHARACTERS:,}" in text
    assert f"{MAX_ELEMENTS:,}" in text
    assert f"{MAX_LINE_BYTES >> 20} MiB" in text


def test_both_languages_show_the_same_code():
    assert blocks(PAGES[0], "python") == blocks(PAGES[1], "python")
