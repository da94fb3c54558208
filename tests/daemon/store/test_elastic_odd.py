"""One bulk with every odd value in every field: Elasticsearch takes all that the instrumentation writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store.base import Batch
from recognizer.decode_lines import decode_batch
from recognizer.sinks import MemorySink
from tests.support.elasticsearch.client import call, count
from tests.support.elasticsearch.scene import Scene, scene_at
from tests.support.emission import emitting_to
from tests.support.odd_values import log_every_odd_value_in_every_field

pytestmark = pytest.mark.elasticsearch

YEAR_MS = 366 * 86_400_000


@pytest.fixture
def scene(elasticsearch: str, tmp_path: Path) -> Iterator[Scene]:
    with scene_at(elasticsearch, tmp_path) as scene:
        yield scene


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    with emitting_to(MemorySink()) as sink:
        log_every_odd_value_in_every_field()
    return sink.lines


def test_the_lines_as_they_are_written_are_json_that_elasticsearch_takes(scene: Scene, lines: list[bytes]) -> None:
    """As Filebeat would send them, into an index that keeps what it gets."""
    call(scene.server, "PUT", f"/{scene.prefix}-raw", {"mappings": {"dynamic": False}})
    answer = call(
        scene.server, "POST", f"/{scene.prefix}-raw/_bulk", b"".join(b'{"create":{}}\n' + line for line in lines)
    )
    refused = [item["create"]["error"] for item in answer["items"] if item["create"]["status"] != 201]
    assert (refused, len(answer["items"])) == ([], len(lines))


def test_what_the_daemon_takes_for_an_event_elasticsearch_takes_too(scene: Scene, lines: list[bytes]) -> None:
    """Lines whose known fields hold another type are put aside before; none of the others is refused."""
    now_ms = 1_900_000_000_000
    decoded = decode_batch([line[:-1] for line in lines], now_ms=now_ms, max_age_ms=10 * YEAR_MS, max_future_ms=0)
    names = {event.event_id for event in decoded.events}  # True and numpy's True are the same name
    appended = scene.store.append(Batch(decoded.events, decoded.lines))
    assert (appended.stored, appended.refused) == (len(names), ())
    assert count(scene.server, scene.prefix) == len(names) > len(lines) / 2
