"""What happens when the way to Elasticsearch, or Elasticsearch itself, fails: nothing lost, nothing doubled."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from daemon.errors import StoreUnavailable
from daemon.store.base import Ask, Checkpoint, Sample
from daemon.store.conformance.support import DAY, START_MS, batch, event
from daemon.store.elastic.files import DEAD_LETTERS_FILE
from detectors.condition import Always
from detectors.frame import Interval
from detectors.query import Query
from recognizer.events import MalformedReason
from tests.support.elasticsearch import proxy as faults
from tests.support.elasticsearch.client import call, documents
from tests.support.elasticsearch.proxy import Reply
from tests.support.elasticsearch.scene import DAY_INDEX, Scene, scene_at, some_events

pytestmark = pytest.mark.elasticsearch

ELASTIC = (("Content-Type", "application/json"), ("X-Elastic-Product", "Elasticsearch"))


@pytest.fixture
def scene(elasticsearch: str, tmp_path: Path) -> Iterator[Scene]:
    with scene_at(elasticsearch, tmp_path) as scene:
        yield scene


@pytest.mark.parametrize(
    "fault",
    [
        faults.lose_answer,
        faults.reset,
        faults.cut_answer,
        faults.shorten_answer,
        faults.answer_with(503, b"<html>503</html>"),
        faults.answer_with(429),
        faults.answer_with(502),
        faults.answer_with(504),
        faults.refuse_items(3),
        faults.refuse_items(1),
        faults.refuse_items(2, 503, "unavailable_shards_exception"),
    ],
)
def test_a_passing_fault_of_a_bulk_loses_and_doubles_nothing(scene: Scene, fault: faults.Fault) -> None:
    scene.proxy.faults.extend([fault, fault])
    appended = scene.store.append(some_events(500))
    assert (appended.stored + appended.duplicates, appended.refused) == (500, ())
    assert scene.count() == 500
    assert scene.store.checkpoints() == {"log": Checkpoint("log", "/l", 7)}


def test_a_lost_answer_is_told_as_duplicates(scene: Scene) -> None:
    """The events of the lost answer are there, and the second try learns it from the server."""
    scene.proxy.faults.append(faults.lose_answer)
    appended = scene.store.append(some_events(100))
    assert (appended.stored, appended.duplicates) == (0, 100)


def test_a_lasting_fault_keeps_the_checkpoint_and_the_batch_may_come_again(scene: Scene) -> None:
    scene.remake(attempts=3)
    scene.proxy.always = faults.answer_with(503)
    with pytest.raises(StoreUnavailable, match="503") as caught:
        scene.store.append(some_events(250))
    assert caught.value.hint
    assert scene.store.checkpoints() == {}
    scene.proxy.always = None
    assert scene.store.append(some_events(250)).stored == 250
    assert scene.count() == 250


def test_a_server_that_hangs_ends_in_a_timeout(scene: Scene) -> None:
    scene.store.append(some_events(1))
    scene.remake(timeout_s=0.3, attempts=1)
    scene.proxy.faults.append(faults.hang)
    with pytest.raises(StoreUnavailable, match=r"no answer within 0\.3 s"):
        scene.store.append(some_events(50))
    scene.remake()
    appended = scene.store.append(some_events(60))
    assert (appended.stored + appended.duplicates, scene.count()) == (60, 60)


def test_a_redirect_is_not_followed(scene: Scene) -> None:
    """Credentials would go along to wherever it points."""
    scene.remake(attempts=1)
    target = (("Location", scene.server + "/_bulk"),)
    scene.proxy.always = faults.answer_with(307, b"", *target)
    with pytest.raises(StoreUnavailable, match=r"307.*elsewhere"):
        scene.store.append(some_events(5))
    with pytest.raises(StoreUnavailable, match=r"307.*elsewhere"):
        scene.store.ask([Ask(Query(), DAY, START_MS)])


def test_what_is_no_elasticsearch_is_recognised(scene: Scene) -> None:
    scene.remake(attempts=1)
    scene.proxy.always = faults.answer_with(200, b"<html>hello</html>")
    with pytest.raises(StoreUnavailable, match="no Elasticsearch"):
        scene.store.append(some_events(5))
    with pytest.raises(StoreUnavailable, match="no Elasticsearch"):
        scene.store.sample([Sample(Always(), DAY)])


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_are_said_and_keep_the_place(scene: Scene, status: int) -> None:
    scene.proxy.always = faults.answer_with(status, b'{"error":{"type":"security_exception","reason":"no such user"}}')
    with pytest.raises(StoreUnavailable, match="no such user") as caught:
        scene.store.append(some_events(5))
    assert "credentials" in caught.value.hint
    assert scene.store.checkpoints() == {}


def test_too_large_a_request_is_halved(scene: Scene) -> None:
    scene.proxy.always = faults.refuse_longer_than(4_000)
    appended = scene.store.append(some_events(200))
    assert (appended.stored, appended.refused, scene.count()) == (200, (), 200)


def test_one_line_that_is_too_large_alone_goes_to_the_dead_letters(scene: Scene) -> None:
    scene.proxy.always = faults.refuse_longer_than(4_000)
    events = [event(i, event_id=f"e{i}", error="x" * 5_000 if i == 7 else None) for i in range(20)]
    appended = scene.store.append(batch(events))
    assert appended.stored == 19
    assert [each.reason for each in appended.refused] == [MalformedReason.REFUSED_BY_STORE]
    assert "413" in appended.refused[0].detail


def test_one_line_that_spoils_a_request_is_found_by_halving(scene: Scene) -> None:
    refusal = Reply(400, b'{"error":{"type":"illegal_argument_exception","reason":"Malformed action"}}', ELASTIC)
    scene.proxy.always = faults.refuse_containing(b"spoiled", refusal)
    events = [event(i, event_id="spoiled" if i == 41 else f"e{i}") for i in range(100)]
    appended = scene.store.append(batch(events))
    assert (appended.stored, len(appended.refused), scene.count()) == (99, 1, 99)
    letters = (scene.folder / DEAD_LETTERS_FILE).read_bytes().splitlines()
    assert orjson.loads(orjson.loads(letters[0])["line"])["event_id"] == "spoiled"


def test_a_gateway_that_refuses_everything_gives_nothing_up(scene: Scene) -> None:
    """A 400 for every line is no fault of the lines."""
    scene.remake(attempts=2)
    scene.proxy.always = faults.answer_with(400, b'{"error":{"type":"parse_exception","reason":"who knows"}}')
    with pytest.raises(StoreUnavailable, match="every event"):
        scene.store.append(some_events(20))
    assert not (scene.folder / DEAD_LETTERS_FILE).exists()


def test_events_that_fit_no_mapping_go_to_the_dead_letters(scene: Scene) -> None:
    mapping = {"mappings": {"dynamic": False, "properties": {"host": {"type": "long"}}}}
    call(scene.server, "PUT", f"/{scene.prefix}-{DAY_INDEX}", mapping)
    events = [event(i, event_id=f"e{i}", host="7" if i % 2 else "not a number") for i in range(10)]
    appended = scene.store.append(batch(events, Checkpoint("log", "/l", 99)))
    assert (appended.stored, len(appended.refused), scene.count()) == (5, 5, 5)
    assert "host" in appended.refused[0].detail
    assert scene.store.checkpoints()["log"].offset == 99
    letters = [orjson.loads(line) for line in (scene.folder / DEAD_LETTERS_FILE).read_bytes().splitlines()]
    assert [letter["reason"] for letter in letters] == ["refused_by_store"] * 5


def _refuse_writes(scene: Scene, how: str) -> None:
    index = f"/{scene.prefix}-{DAY_INDEX}"
    if how == "closed":
        call(scene.server, "POST", f"{index}/_close")
    elif how == "blocked":
        call(scene.server, "PUT", f"{index}/_settings", {"index.blocks.write": True})
    else:
        call(scene.server, "PUT", f"{index}/_settings", {"index.default_pipeline": "nowhere"})


def _allow_writes(scene: Scene, how: str) -> None:
    index = f"/{scene.prefix}-{DAY_INDEX}"
    if how == "closed":
        call(scene.server, "POST", f"{index}/_open?wait_for_active_shards=1")
    elif how == "blocked":
        call(scene.server, "PUT", f"{index}/_settings", {"index.blocks.write": False})
    else:
        call(scene.server, "PUT", f"{index}/_settings", {"index.default_pipeline": None})


@pytest.mark.parametrize(("how", "word"), [("closed", "_open"), ("blocked", "block"), ("pipeline", "pipeline")])
def test_an_operators_fault_stops_and_goes_on_when_it_is_repaired(scene: Scene, how: str, word: str) -> None:
    scene.store.append(some_events(10))
    _refuse_writes(scene, how)
    with pytest.raises(StoreUnavailable, match="refuses to write") as caught:
        scene.store.append(some_events(30))
    assert word in caught.value.hint
    assert not (scene.folder / DEAD_LETTERS_FILE).exists()
    _allow_writes(scene, how)
    assert (scene.store.append(some_events(30)).stored, scene.count()) == (20, 30)


def test_a_cluster_without_room_for_another_index_stops(scene: Scene) -> None:
    def most(number: int | None) -> None:
        call(scene.server, "PUT", "/_cluster/settings", {"persistent": {"cluster.max_shards_per_node": number}})

    most(1)
    try:
        with pytest.raises(StoreUnavailable, match="refuses to write") as caught:
            scene.store.append(batch([event(day * 86_400_000) for day in range(3)]))
        assert "max_shards_per_node" in caught.value.hint
    finally:
        most(None)
    assert scene.store.append(some_events(30)).stored == 30


def test_a_shard_that_can_not_be_read_makes_the_frame_incomplete(scene: Scene) -> None:
    scene.store.append(batch([event(0), event(86_400_000)]))
    index = f"{scene.prefix}-2026.03.30"
    call(scene.server, "DELETE", f"/{index}")
    nowhere = {"settings": {"index.routing.allocation.require._name": "no such node", "number_of_replicas": 0}}
    call(scene.server, "PUT", f"/{index}?wait_for_active_shards=0", nowhere)
    call(scene.server, "POST", f"/{scene.prefix}-{DAY_INDEX}/_refresh")
    wide = Interval(START_MS, START_MS + 2 * 86_400_000)
    (frame,) = scene.store.ask([Ask(Query(bucket_ms=0), wide, START_MS)])
    assert (frame.complete, frame.series[0].values["count"]) == (False, (1.0,))
    scene.remake(attempts=2)
    alone = Interval(wide.start_ms + 86_400_000, wide.end_ms)
    with pytest.raises(StoreUnavailable, match="no_shard_available"):
        scene.store.ask([Ask(Query(), alone, alone.start_ms)])
    assert not scene.store.health().ok


def test_questions_survive_a_broken_connection(scene: Scene) -> None:
    scene.store.append(some_events(10))
    call(scene.server, "POST", f"/{scene.prefix}-*/_refresh")
    scene.proxy.faults.append(faults.reset)
    (frame,) = scene.store.ask([Ask(Query(bucket_ms=0), DAY, START_MS)])
    assert frame.series[0].values["count"] == (10.0,)


@pytest.mark.parametrize("fault", [faults.answer_with(503), faults.answer_with(429), faults.shorten_answer])
def test_a_question_that_gets_no_answer_says_try_later(scene: Scene, fault: faults.Fault) -> None:
    scene.proxy.always = fault
    with pytest.raises(StoreUnavailable) as caught:
        scene.store.ask([Ask(Query(), DAY, START_MS)])
    assert caught.value.hint
    health = scene.store.health()
    assert not health.ok
    assert "\n" not in health.detail


def test_a_document_of_a_foreign_shipper_with_half_a_character_can_be_read(scene: Scene) -> None:
    """Elasticsearch stores lone surrogates; strict JSON readers refuse the whole answer for them."""
    scene.store.append(some_events(1))
    body = b'{"create":{"_id":"foreign"}}\n{"@timestamp":%d,"timestamp":%d,"event_type":"input_error","file_path":' % (
        START_MS + 20,
        START_MS + 20,
    )
    call(scene.server, "POST", f"/{scene.prefix}-{DAY_INDEX}/_bulk?refresh=true", body + b'"a\\ud83d\\\\ud83d"}\n')
    (found,) = scene.store.sample([Sample(Always(), DAY)])
    assert [each.file_path for each in found] == ["a\ufffd\\ud83d", None]
    (frame,) = scene.store.ask([Ask(Query(group_by=("file_path",), bucket_ms=0), DAY, START_MS)])
    assert len(frame.series) == 2


def test_a_foreign_document_that_is_no_event_is_left_out(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.store.append(some_events(1))
    body = b'{"create":{"_id":"foreign"}}\n{"@timestamp":%d,"message":"hello"}\n' % START_MS
    call(scene.server, "POST", f"/{scene.prefix}-{DAY_INDEX}/_bulk?refresh=true", body)
    (found,) = scene.store.sample([Sample(Always(), DAY)])
    assert [each.event_id for each in found] == ["e0"]
    assert "no event" in caplog.text


def test_the_document_is_the_line_with_its_time_in_front(scene: Scene) -> None:
    scene.store.append(batch([event(5, event_id="one", file_path="/图/猫.png", extra={"gpu": "A100"})]))
    (found,) = documents(scene.server, scene.prefix)
    assert found == {
        "_id": "one",
        "@timestamp": START_MS + 5,
        "timestamp": START_MS + 5,
        "event_type": "inference_complete",
        "event_id": "one",
        "file_path": "/图/猫.png",
        "gpu": "A100",
    }


def test_one_tick_is_one_request(scene: Scene) -> None:
    scene.store.append(some_events(10))
    scene.proxy.requests.clear()
    asks = [Ask(Query(group_by=(field,)), DAY, START_MS) for field in ("host", "file_dir", "reason")]
    scene.store.ask(asks)
    assert len(scene.proxy.requests) == 1
