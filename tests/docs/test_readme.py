"""What both READMEs show works, and what they promise is counted."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from daemon.plugins import registry
from recognizer.sinks import MemorySink
from rules.load import load_bytes, load_file
from tests.support.emission import emitting_to
from tests.support.pages import ROOT, blocks

READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
NUMBERS = {"nineteen": 19, "十九": 19}
CHANNEL = "version: 1\nchannels:\n  mail-ops: {kind: mail, host: h, from: a@example.com, to: [b@example.com]}\n"


def only(page: Path, language: str) -> str:
    (code,) = [code for found, code in blocks(page) if found == language]
    return code


@pytest.fixture(params=READMES, ids=lambda page: page.name)
def readme(request: pytest.FixtureRequest) -> Path:
    page: Path = request.param
    return page


def test_the_instrumentation_tells_what_it_shows(readme: Path, tmp_path: Path) -> None:
    log, picture = tmp_path / "events.log", "/data/upload/百灵.png"
    code = only(readme, "python").replace("/var/log/recognizer/events.log", str(log))
    names = {"read": lambda _: np.zeros((4, 5, 3), np.uint8), "predict": lambda _: (["百灵"], [0.9])}
    with emitting_to(MemorySink()):  # takes the page's emitter away at the end
        exec(code, names)  # noqa: S102  # the page's own code is what is tested
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [event["event_type"] for event in events] == ["input_start", "input_success", "inference_complete"]
    assert {(event["file_path"], event["model_name"]) for event in events} == {(picture, "birds-v3")}
    assert len({event["request_id"] for event in events}) == 1
    assert (events[2]["top1_label"], events[2]["top1_score"]) == ("百灵", 0.9)


def test_the_rule_can_be_loaded(readme: Path) -> None:
    loaded = load_bytes((CHANNEL + only(readme, "yaml")).encode(), "README", registry())
    assert loaded.problems == ()
    assert loaded.config is not None
    assert [rule.id for rule in loaded.config.rules] == ["path-errors-in-a-row"]


def test_the_number_of_shipped_rules_is_true(readme: Path) -> None:
    shipped = load_file(ROOT / "alerts.yaml", registry()).config
    assert shipped is not None
    (word,) = re.findall("|".join(NUMBERS), readme.read_text(encoding="utf-8"))
    assert NUMBERS[word] == len(shipped.rules)


def test_both_languages_show_the_same_code() -> None:
    english, chinese = (
        [re.sub(r"\s+#.*", "", code) for language, code in blocks(page) if language] for page in READMES
    )
    assert english == chinese
