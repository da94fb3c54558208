"""What a message names as suspects is the same on every store, and is what was planted."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from daemon.notify.announce import Announcer
from daemon.notify.channel import Occasion
from daemon.notify.decide import Telling
from daemon.notify.webhook import WebhookParameters
from daemon.store.base import EventStore
from daemon.store.checks import MakeStore
from daemon.store.conformance.support import HOUR_MS, MINUTE_MS, START_MS, batch, event
from daemon.store.reference import ReferenceStore
from detectors.condition import equals
from detectors.finding import Evidence, Finding
from detectors.frame import Interval, Key
from recognizer.events import Event
from recognizer.paths import visible
from rules.model import Config, Plugin
from tests.daemon.store.stores import COMPARED_STORES
from tests.support.findings import finding, firing, low_scores, rule

CHANGED_MS, TOLD_MS = START_MS + 2 * HOUR_MS, START_MS + 2 * HOUR_MS + 30 * MINUTE_MS
ODD_FOLDER = '/upload/图 "片"\u200b\\*'


def _traffic() -> list[Event]:
    """A picture every ten seconds. Grey pictures on one host score low from the change on; on the other hosts a release
    stops turning the channels round then; all of one folder fails all the time."""
    rng, events = random.Random(20261123), []
    for at_ms in range(START_MS, TOLD_MS, 10_000):
        late = at_ms >= CHANGED_MS
        common = {"host": f"h{rng.randrange(3)}", "file_dir": rng.choice(["/a", "/b", ODD_FOLDER])}
        grey = rng.random() < 0.4
        released = late and common["host"] != "h1"
        conversion = "none" if released else "bgr_to_rgb"
        bad = late and common["host"] == "h1" and grey
        score = rng.uniform(0.1, 0.3) if bad else rng.uniform(0.6, 0.99)
        events.append(event(at_ms - START_MS, "preprocess_complete", channel_conversion=conversion, **common))
        seen = {"top1_score": score, "top1_label": f"类 {rng.randrange(40)}", "channels": 1 if grey else 3}
        events.append(event(at_ms - START_MS + 500, "inference_complete", **seen, **common))
        if common["file_dir"] == ODD_FOLDER and rng.random() < 0.5:
            events.append(event(at_ms - START_MS + 700, "input_error", reason="file_missing", **common))
    return events


def _low(key: Key) -> Finding:
    return low_scores(key, CHANGED_MS, TOLD_MS)


def _failures() -> Finding:
    bad = equals("event_type", "input_error")
    return finding(
        TOLD_MS,
        key=(),
        since_ms=CHANGED_MS,
        evidence=Evidence(Interval(START_MS, TOLD_MS), bad, equals("event_type", "inference_complete")),
    )


def _told(store: EventStore, found: Finding) -> list[dict[str, Any]]:
    """The suspects of the message about ``found``, as a webhook has them."""
    plugin = Plugin(kind="webhook", parameters=WebhookParameters(url="https://hooks.example.com/"))
    heard = rule(None)
    announcer = Announcer(Config(rules=(heard,), channels={"ops": plugin}), store)
    ((_, message),) = announcer.messages([(heard, Telling(Occasion.FIRING, firing(found), 0))], TOLD_MS)
    suspects: list[dict[str, Any]] = message.data["suspects"]
    return suspects


@pytest.fixture(scope="module")
def oracle() -> ReferenceStore:
    store = ReferenceStore()
    store.append(batch(_traffic()))
    return store


@pytest.fixture
def store(make_store: MakeStore) -> Iterator[EventStore]:
    store = make_store()
    store.append(batch(_traffic()))
    yield store
    store.close()


@pytest.mark.parametrize("make_store", COMPARED_STORES, indirect=True)
def test_every_store_names_the_same_suspects(store: EventStore, oracle: ReferenceStore) -> None:
    """Two values together, a value of another event type that came with the change, and a folder with an odd name."""
    findings = (_low(()), _low((("host", "h2"),)), _failures())
    pair, release, folder = told = [_told(store, found) for found in findings]
    assert told == [_told(oracle, found) for found in findings]
    assert {(pair[0]["field"], pair[0]["value"]), (pair[0]["also"]["field"], pair[0]["also"]["value"])} == {
        ("host", "h1"),
        ("channels", "1"),
    }
    assert (release[0]["field"], release[0]["value"], release[0]["arrived"]) == ("channel_conversion", "none", True)
    assert (folder[0]["field"], folder[0]["value"]) == ("file_dir", visible(ODD_FOLDER))
