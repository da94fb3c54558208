"""Documents that others wrote into the indices: Elasticsearch takes them, so the daemon must be able to read them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.console import Console
from daemon.ledger.ledger import Ledger
from daemon.store.base import Ask, Sample
from daemon.store.conformance.support import DAY, START_MS
from daemon.store.elastic.store import ElasticStore
from detectors.condition import Always, equals
from detectors.query import Query
from recognizer.events import Event
from rules.model import Config
from tests.support.elasticsearch.client import call
from tests.support.elasticsearch.scene import DAY_INDEX, Scene, scene_at, some_events

pytestmark = pytest.mark.elasticsearch

BEGIN = b'{"@timestamp":%d,"timestamp":%d,"event_type":"input_error","request_id":"r"' % (START_MS + 20, START_MS + 20)
NESTED = b'"deep":' + b"[" * 990 + b"]" * 990


@pytest.fixture
def scene(elasticsearch: str, tmp_path: Path) -> Iterator[Scene]:
    with scene_at(elasticsearch, tmp_path) as scene:
        scene.store.append(some_events(3))
        yield scene


def _write(scene: Scene, *documents: bytes) -> None:
    """As another shipper would; a document that Elasticsearch refuses fails the test."""
    body = b"".join(b'{"create":{}}\n' + document + b"\n" for document in documents)
    answer = call(scene.server, "POST", f"/{scene.prefix}-{DAY_INDEX}/_bulk?refresh=true", body)
    assert [item["create"]["status"] for item in answer["items"]] == [201] * len(documents)


def _foreign(store: ElasticStore) -> list[Event]:
    (found,) = store.sample([Sample(equals("request_id", "r"), DAY, limit=100)])
    return list(found)


@pytest.mark.parametrize(
    ("document", "field", "value"),
    [
        (b"\xef\xbb\xbf" + BEGIN + b"}", "reason", None),
        (b"   " + BEGIN + b"}", "reason", None),
        (BEGIN + b',"host":"a\\ud83d"}', "host", "a\ufffd"),
        (BEGIN + b',"k\\udc00":1}', "extra", {"k\ufffd": 1}),
        (BEGIN + b',"host":"a\\u0000b"}', "host", "a\0b"),
        (BEGIN + b',"host":["a","b"]}', "host", '["a", "b"]'),
        (BEGIN + b',"duration_ms":"12.5"}', "duration_ms", 12.5),
        (BEGIN + b',"shape":"3"}', "shape", [3]),
        (BEGIN + b',"pid":1.5}', "extra", {"pid_given": 1.5}),
        (BEGIN + b',"big":123456789012345678901234567890}', "extra", {"big": 123456789012345678901234567890}),
        (BEGIN + b',"extra":{"a":1}}', "extra", {"extra": {"a": 1}}),
        (BEGIN.replace(b'"timestamp":%d,' % (START_MS + 20), b"") + b"}", "timestamp", START_MS + 20),
        (BEGIN + b"," + NESTED + b"}", "request_id", "r"),
    ],
    ids=[
        *("byte order mark", "blanks", "half character", "half character in a name", "NUL", "list for text"),
        *(
            "number as text",
            "one for a list",
            "fraction for integer",
            "huge integer",
            "field extra",
            "@timestamp alone",
        ),
        "nested deep",
    ],
)
def test_an_odd_document_is_read_and_hides_no_other(scene: Scene, document: bytes, field: str, value: object) -> None:
    """It comes as an event, beside the others, in samples, counts, `wumu trace` and `wumu query`."""
    _write(scene, document)
    (event,) = _foreign(scene.store)
    assert getattr(event, field) == value
    (everything,) = scene.store.sample([Sample(Always(), DAY, limit=100)])
    assert sorted(each.event_id or "" for each in everything) == ["", "e0", "e1", "e2"]
    (frame,) = scene.store.ask([Ask(Query(bucket_ms=0), DAY, START_MS)])
    assert [series.values["count"] for series in frame.series] == [(4.0,)]
    assert scene.store.health().ok
    console = Console(
        Config(rules=()), scene.store, lambda: Ledger.open(scene.folder / "ledger"), lambda: START_MS + 60_000
    )
    assert [each["event_type"] for each in console.trace("r", START_MS)] == ["input_error"]
    assert [each["event_type"] for each in console.query("request_id: r", START_MS, 10)] == ["input_error"]


def test_what_names_no_time_or_stage_is_no_event(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    _write(scene, b'{"@timestamp":%d,"request_id":"r"}' % START_MS, BEGIN + b"}")
    assert [event.event_type for event in _foreign(scene.store)] == ["input_error"]
    assert "no event" in caplog.text
