"""`wumu search` on every store: pictures by a word of their path, as it is written or as it sounds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from daemon.console import Console
from daemon.errors import BadRequest
from daemon.ledger.ledger import Ledger
from daemon.search import synonym_groups, with_synonyms
from daemon.store.base import Batch
from daemon.store.checks import MakeStore
from recognizer.events import Event
from recognizer.search import fields
from rules.model import Config

START_MS = 1_700_000_000_000
OURS = [
    "/data/bailing.png",
    "/data/bai-ling.jpg",
    "/data/百灵.png",
    "/data/小百灵鸟_02.png",
    "/data/银行.png",
    "/data/lark.png",
]
FOREIGN = ["/srv/bailing.png", "/srv/Bailing.png", "/srv/百灵.png", "/srv/50%_off.png"]


def _events() -> Iterator[Event]:
    """A whole request of the recognizer for each of OURS, and one event of another service for each of FOREIGN."""
    for number, path in enumerate(OURS):
        common: dict[str, Any] = {"request_id": f"r{number}", "file_path": path, "host": "gpu-1"}
        at_ms = START_MS + 1_000 * number
        yield Event(timestamp=at_ms, event_type="input_start", event_id=f"a{number}", **common, **fields(path))
        yield Event(
            timestamp=at_ms + 20, event_type="inference_complete", event_id=f"b{number}", top1_label="鸟", **common
        )
    for number, path in enumerate(FOREIGN):
        at_ms = START_MS + 60_000 + 1_000 * number
        yield Event(
            timestamp=at_ms, event_type="input_error", event_id=f"f{number}", file_path=path, reason="file_missing"
        )


@pytest.fixture
def console(make_store: MakeStore, tmp_path: Path) -> Iterator[Console]:
    pytest.importorskip("pypinyin")
    events = list(_events())
    store = make_store()
    assert store.append(Batch(events, [msgspec.json.encode(event) for event in events])).stored == len(events)
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    yield Console(Config(rules=()), store, lambda: ledger, lambda: START_MS + 120_000)
    ledger.close()
    store.close()


def paths(console: Console, *terms: str, limit: int = 50) -> list[str]:
    return [one["file_path"] for one in console.search(terms, START_MS - 1, limit)]


def test_pictures_are_found_as_they_are_written_and_as_they_sound(console: Console) -> None:
    """One store a test: booting some of them takes long."""
    ours = ["/data/小百灵鸟_02.png", "/data/百灵.png", "/data/bai-ling.jpg", "/data/bailing.png"]
    bailing = ["/srv/Bailing.png", "/srv/bailing.png", *ours]
    assert paths(console, "bailing") == bailing
    assert set(paths(console, "BAI-LING")) == set(ours)
    assert set(paths(console, "百灵")) == {*ours, "/srv/百灵.png"}
    assert paths(console, "yinhang") == paths(console, "yinxing") == ["/data/银行.png"]
    assert paths(console, "lark", "百灵")[-1] == "/data/bailing.png"
    assert "/data/lark.png" in paths(console, "lark", "百灵")
    assert paths(console, "50%_") == ["/srv/50%_off.png"]
    assert paths(console, "nightingale") == []
    assert paths(console, "bailing", limit=2) == bailing[:2]
    found = {one["file_path"]: one for one in console.search(["bailing"], START_MS - 1, 50)}
    assert found["/data/百灵.png"]["top1_label"] == "鸟"
    assert found["/data/百灵.png"]["requests"] == 1
    assert found["/srv/bailing.png"]["reason"] == "file_missing"
    with pytest.raises(BadRequest, match="no word"):
        console.search([" "], 0, 5)


def test_synonyms_join_the_words_of_their_group() -> None:
    groups = synonym_groups("\ufeff# birds\nlark, 百灵，Bai-Ling  # three words\n\nsparrow,麻雀\n")
    assert groups == [("lark", "百灵", "Bai-Ling"), ("sparrow", "麻雀")]
    assert with_synonyms("bailing", groups) == ["bailing", "lark", "百灵", "Bai-Ling"]
    assert with_synonyms("owl", groups) == ["owl"]


def test_a_group_of_one_word_is_refused_with_its_line() -> None:
    with pytest.raises(ValueError, match="line 2: lonely has no synonym"):
        synonym_groups("a,b\nlonely\n")
