"""Each class of answers of a real server: poison never blocks, an operator's fault never costs an event."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import StoreUnavailable
from daemon.store.base import Batch, Checkpoint
from daemon.store.conformance.support import batch, event
from tests.support.elasticsearch import proxy as faults
from tests.support.elasticsearch.client import call
from tests.support.elasticsearch.scene import DAY_INDEX, Scene, scene_at, some_events

pytestmark = pytest.mark.elasticsearch

POISON = "e41"
PLACE = Checkpoint("log", "/l", 7)


@pytest.fixture
def scene(elasticsearch: str, tmp_path: Path) -> Iterator[Scene]:
    with scene_at(elasticsearch, tmp_path) as scene:
        yield scene


def _one_poisoned(**odd: Any) -> Batch:
    """A hundred events, one of them with an odd field of its own."""
    return batch([event(i * 10, event_id=f"e{i}", extra=odd if f"e{i}" == POISON else {}) for i in range(100)], PLACE)


def _index(scene: Scene, mappings: dict[str, Any], **settings: Any) -> None:
    """The day's index, made by somebody who knows nothing of our template."""
    call(scene.server, "PUT", f"/{scene.prefix}-{DAY_INDEX}", {"mappings": mappings, "settings": settings})


FIELDS = {"timestamp": {"type": "long"}, "event_type": {"type": "keyword"}, "event_id": {"type": "keyword"}}


@pytest.mark.parametrize(
    ("odd", "mappings", "settings", "word"),
    [
        ({"camera": "left"}, {"properties": {"camera": {"type": "long"}}}, {}, "document_parsing_exception"),
        (
            {"camera": "left"},
            {"dynamic": "strict", "properties": {**FIELDS, "@timestamp": {"type": "date"}}},
            {},
            "strict_dynamic_mapping_exception",
        ),
        ({"note": "x" * 40_000}, {"properties": {"note": {"type": "keyword"}}}, {}, "failed to parse field [note]"),
        (
            {f"f{i}": i for i in range(30)},
            {"properties": FIELDS},
            {"index.mapping.total_fields.limit": 10},
            "Limit of total fields",
        ),
    ],
    ids=["wrong type", "strict mapping", "immense term", "too many fields"],
)
def test_a_line_that_no_mapping_takes_is_put_aside_at_once(
    scene: Scene, odd: dict[str, Any], mappings: dict[str, Any], settings: dict[str, Any], word: str
) -> None:
    """The others are stored in the same request, and the place moves on."""
    _index(scene, mappings, **settings)
    appended = scene.store.append(_one_poisoned(**odd))
    assert (appended.stored, len(appended.refused), scene.count()) == (99, 1, 99)
    assert word in appended.refused[0].detail
    assert (scene.letters(), scene.bulks(), scene.store.checkpoints()) == ([POISON], 1, {"log": PLACE})


def test_a_500_for_a_line_that_is_no_object_is_not_tried_for_ever(scene: Scene) -> None:
    scene.proxy.faults.append(faults.garble(_document(scene, POISON), b"[1]"))
    appended = scene.store.append(some_events(100))
    assert (appended.stored, scene.letters(), scene.bulks()) == (99, [POISON], 1)
    # what 8.x calls a fault of its own, 9.x calls one of the line
    words = ("500 not_x_content_exception", "400 document_parsing_exception")
    assert appended.refused[0].detail.startswith(words)


def _document(scene: Scene, event_id: str) -> bytes:
    """The document as the store sends it."""
    (line,) = (line for line in some_events(100).lines if b'"%s"' % event_id.encode() in line)
    return b'{"@timestamp":%d,%b' % (some_events(100).events[int(event_id[1:])].timestamp, line[1:])


@pytest.mark.parametrize(
    ("sent", "arrived"),
    [
        (b'"_id":"%b"', b'"_id":"' + b"i" * 600 + b'"'),
        (b'{"create":{"_index":"faults-%b","_id":"%b"', b'{"crea":{"x":1'),
    ],
    ids=["an id of 600 bytes", "no action"],
)
@pytest.mark.parametrize("poisoned", [("e41",), ("e41", "e42"), ("e0", "e1", "e2", "e50", "e99")], ids=len)
def test_lines_that_spoil_a_whole_request_are_found(
    scene: Scene, sent: bytes, arrived: bytes, poisoned: tuple[str, ...]
) -> None:
    """The server's own 400 for all of it; also where the bad lines are neighbours."""

    def fault(exchange: faults.Exchange) -> None:
        body = exchange.body
        for each in poisoned:
            names = (each.encode(),) if sent.count(b"%b") == 1 else (DAY_INDEX.encode(), each.encode())
            body = body.replace(sent % names, arrived)
        exchange.reply(exchange.forward(body))

    scene.proxy.always = fault
    appended = scene.store.append(some_events(100))
    assert (appended.stored + appended.duplicates, scene.count()) == (100 - len(poisoned),) * 2
    assert sorted(scene.letters()) == sorted(poisoned)
    assert scene.store.checkpoints() == {"log": PLACE}


def test_neighbours_that_are_too_large_alone_block_nothing(scene: Scene) -> None:
    scene.proxy.always = faults.refuse_longer_than(4_000)
    events = [event(i, event_id=f"e{i}", error="x" * 5_000 if i in {6, 7, 8} else None) for i in range(20)]
    assert scene.store.append(batch(events)).stored == 17
    assert scene.letters() == ["e6", "e7", "e8"]


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("status", [400, 413])
def test_a_gateway_that_refuses_everything_costs_not_even_a_lone_event(scene: Scene, number: int, status: int) -> None:
    """A quiet log gives one event at a time: no other one shows whether the way is open."""
    scene.remake(attempts=2)
    scene.store.append(some_events(5))
    refusal = faults.answer_with(status, b'{"error":{"type":"parse_exception","reason":"who knows"}}')
    scene.proxy.always = refusal
    with pytest.raises(StoreUnavailable, match="every event"):
        scene.store.append(some_events(number, 5))
    scene.remake(attempts=2)
    with pytest.raises(StoreUnavailable, match="every event"):
        scene.store.append(some_events(number, 5))
    assert scene.letters() == []
    scene.proxy.always = None
    assert (scene.store.append(some_events(number, 5)).stored, scene.count()) == (number, 5 + number)


def test_a_lone_poisoned_event_is_put_aside_when_another_still_gets_through(scene: Scene) -> None:
    scene.store.append(some_events(5))
    scene.proxy.always = faults.garble(b'"_id":"e5"', b'"_id":"' + b"i" * 600 + b'"')
    appended = scene.store.append(some_events(1, 5))
    assert (appended.stored, len(appended.refused), scene.letters()) == (0, 1, ["e5"])
    assert scene.count() == 5


@contextlib.contextmanager
def _no_new_indices(scene: Scene) -> Iterator[None]:
    def allow(value: str | None) -> None:
        call(scene.server, "PUT", "/_cluster/settings", {"persistent": {"action.auto_create_index": value}})

    allow("false")
    try:
        yield
    finally:
        allow(None)


@contextlib.contextmanager
def _alias_of_two(scene: Scene) -> Iterator[None]:
    """The day's name stands for two indices, neither of which is the one to write to."""
    names = [f"alias-of-{scene.prefix}-{number}" for number in (1, 2)]
    for name in names:
        call(scene.server, "PUT", f"/{name}", {"aliases": {f"{scene.prefix}-{DAY_INDEX}": {}}})
    try:
        yield
    finally:
        call(scene.server, "DELETE", f"/{','.join(names)}")


@contextlib.contextmanager
def _read_only_cluster(scene: Scene) -> Iterator[None]:
    def block(value: bool | None) -> None:
        call(scene.server, "PUT", "/_cluster/settings", {"persistent": {"cluster.blocks.read_only": value}})

    block(True)
    try:
        yield
    finally:
        block(None)


@pytest.mark.parametrize(
    ("fault", "kind", "way_out"),
    [
        (_no_new_indices, "404 index_not_found_exception", "auto_create_index"),
        (_alias_of_two, "400 illegal_argument_exception", "alias"),
        (_read_only_cluster, "403: blocked by.*cluster read-only", "block"),
    ],
)
def test_an_operators_fault_keeps_every_event_and_the_place(scene: Scene, fault: Any, kind: str, way_out: str) -> None:
    scene.store.append(batch([event(86_400_000)]))
    with fault(scene):
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=kind) as caught:
                scene.store.append(some_events(30))
            assert way_out in caught.value.hint
        assert (scene.letters(), scene.store.checkpoints()) == ([], {})
    assert (scene.store.append(some_events(30)).stored, scene.count()) == (30, 31)


def test_a_full_disk_of_the_cluster_is_waited_for(scene: Scene) -> None:
    """Flood stage: the same exception as a write block, but a 429."""
    scene.store.append(some_events(1))
    scene.remake(attempts=3)
    block = "index.blocks.read_only_allow_delete"
    call(scene.server, "PUT", f"/{scene.prefix}-{DAY_INDEX}/_settings", {block: True})
    with pytest.raises(StoreUnavailable, match=r"429 cluster_block_exception.*flood-stage"):
        scene.store.append(some_events(30))
    assert (scene.bulks(), scene.letters()) == (1 + 3, [])
    call(scene.server, "PUT", f"/{scene.prefix}-{DAY_INDEX}/_settings", {block: None})
    assert (scene.store.append(some_events(30)).stored, scene.count()) == (29, 30)
