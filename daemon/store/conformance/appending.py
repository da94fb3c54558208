"""Storing: nothing lost, nothing doubled, nothing changed."""

import threading
from typing import cast

from daemon.store.base import Checkpoint, EventStore, Sample
from daemon.store.conformance.support import (
    DAY,
    DAY_MS,
    START_MS,
    ask,
    batch,
    event,
    expect,
    expect_true,
    one,
    picked,
    put,
)
from detectors.condition import Always
from detectors.frame import Frame, Interval
from detectors.query import Query
from recognizer.events import Event

HOSTILE_TEXTS = (
    'it\'s "quoted"; DROP TABLE events; --',
    "*?[a-z]\\*\\",
    "100%_done",
    "line\nbreak\ttab\r\x00\x01\x7f",
    "零宽\u200b空格\u202eright-to-left\ufeff",
    "e\u0301 is not \u00e9",
    "emoji 🧑\u200d🚀 and \U0010fffd",
    "{{ 7 * 7 }} ${HOME} $(id) `id`",
    "",
    " ",
    "null",
    "x" * 8191,
    "🚀" * 8191,
)


def an_empty_store_answers(store: EventStore) -> None:
    expect(ask(store, Query()), Frame(DAY, START_MS, 60_000), "frame of an empty store")
    expect(store.sample([Sample(Always(), DAY)]), ((),), "samples of an empty store")
    expect(dict(store.checkpoints()), {}, "checkpoints of an empty store")
    expect((store.ask([]), store.sample([])), ((), ()), "answers to no question")
    health = store.health()
    expect((health.ok, health.events, health.newest_ms), (True, 0, None), "health of an empty store")


def an_event_comes_back_as_it_was(store: EventStore) -> None:
    full = event(
        event_type="input_error", model_name="m", host="h", pid=7, request_id="r", schema_version=1, dropped_before=2,
        truncated_fields=["error"], file_path="/a/b.png", file_dir="/a", file_size=0, path_issues=["path_url", "x"],
        path_cleaned="", path_cleaned_exists=False, error="E", reason="file_missing", shape=[3, 2, 1], channels=3,
        dtype="uint8", image_format="png", image_issues=[], output_shape=[1, 3, 8, 8], duration_ms=0.1, resized=True,
        normalized=False, channel_conversion="none", scale_ratio=0.5, mean=-0.25, variance=1e-300, top1_label="零",
        top1_score=1.0, top3_labels=["b", "a", "b"], top3_scores=[0.5, 0.25, 0.125], logits_dim=10, device="cpu",
        batch_size=32, http_status=200, response_size=2**62, status="ok", low_confidence_filtered=True,
        client_ip="::1",
    )  # fmt: skip
    bare = event(1, event_type="business_output")
    put(store, full, bare)
    expect(store.sample([Sample(Always(), DAY, newest_first=False)]), ((full, bare),), "events as stored")


def unknown_fields_are_kept(store: EventStore) -> None:
    extras: list[dict[str, object]] = [
        {"gpu": "A100", "löwe 🦁": None, "extra": {"extra": 1}, "": ""},
        {"nested": {"deep": [{"er": [1, 2.5, True, "*", {}]}]}, "big": 2**70, "a.b": 1, "'; --": "\x00"},
        {"deep": _nested(40)},
    ]
    events = [event(index, extra=extra) for index, extra in enumerate(extras)]
    put(store, *events, event(9))
    (found,) = store.sample([Sample(Always(), DAY, newest_first=False)])
    expect([each.extra for each in found], [*extras, {}], "unknown fields")


def _nested(depth: int) -> object:
    value: object = "bottom"
    for _ in range(depth):
        value = {"down": [value]}
    return value


def hostile_texts_come_back_as_they_were(store: EventStore) -> None:
    events = [
        event(index, file_path=text, error=text, path_issues=[text, text], extra={"note": text})
        for index, text in enumerate(HOSTILE_TEXTS)
    ]
    put(store, *events)
    expect(
        store.sample([Sample(Always(), DAY, limit=100, newest_first=False)]), (tuple(events),), "events with odd texts"
    )


def huge_numbers_come_back_as_they_were(store: EventStore) -> None:
    largest = 2**63 - 1
    events = [
        event(0, pid=largest, file_size=-largest, shape=[largest, -largest, 0], duration_ms=1e308, mean=-1e308),
        event(1, pid=2**53 + 1, duration_ms=5e-324, top3_scores=[0.1, 1e-10, 123456789.125], scale_ratio=1e21),
    ]
    put(store, *events)
    expect(store.sample([Sample(Always(), DAY, newest_first=False)]), (tuple(events),), "events with huge numbers")


def appending_twice_stores_once(store: EventStore) -> None:
    events = [event(index * 1_000, event_id=f"id-{index}") for index in range(10)]
    put(store, *events)
    again = store.append(batch(events))
    expect((again.stored, again.duplicates, again.refused), (0, 10, ()), "the same batch again")
    mixed = store.append(batch([*events[5:], event(20_000, event_id="new")]))
    expect((mixed.stored, mixed.duplicates), (1, 5), "a batch that overlaps")
    expect(one(store, Query(bucket_ms=0)), (11.0,), "events counted")


def a_duplicate_within_a_batch_is_stored_once(store: EventStore) -> None:
    twice = event(5, event_id="twice")
    appended = store.append(batch([twice, event(6), twice]))
    expect((appended.stored, appended.duplicates), (2, 1), "stored and duplicates")
    expect(one(store, Query(bucket_ms=0)), (2.0,), "events counted")


def late_and_far_events_are_stored(store: EventStore) -> None:
    put(store, event(DAY_MS - 1), event(0), event(40 * DAY_MS), event(-400 * DAY_MS))
    expect(one(store, Query(bucket_ms=0)), (2.0,), "events of the day")
    wide = Interval(START_MS - 1_000 * DAY_MS, START_MS + 1_000 * DAY_MS)
    expect(one(store, Query(bucket_ms=0), wide), (4.0,), "events of all years")


def checkpoints_are_kept_with_the_events(store: EventStore) -> None:
    first = Checkpoint("inode-1", "/var/log/'a'.log", 100)
    store.append(batch([event()], first))
    store.append(batch([event()], Checkpoint("inode-2", "/b.log", 5)))
    moved = Checkpoint("inode-1", "/var/log/a.log.1", 2**40)
    store.append(batch([], moved))
    expect(
        dict(store.checkpoints()),
        {"inode-1": moved, "inode-2": Checkpoint("inode-2", "/b.log", 5)},
        "checkpoints by identity",
    )
    expect(one(store, Query(bucket_ms=0)), (2.0,), "events counted")


def expiring_forgets_whole_days_before(store: EventStore) -> None:
    old = event(-3 * DAY_MS, event_id="old")
    put(store, old, event(0, event_id="kept"))
    expect_true(store.expire(START_MS - DAY_MS) >= 1, "a count of the events or indices that went")
    wide = Interval(START_MS - 9 * DAY_MS, START_MS + DAY_MS)
    expect(picked(store, interval=wide), ["kept"], "events that stay")
    expect(store.expire(START_MS - DAY_MS), 0, "a second time nothing goes")


def health_counts_and_names_the_newest(store: EventStore) -> None:
    put(store, event(0), event(7_000), event(500))
    health = store.health()
    expect((health.ok, health.events, health.newest_ms), (True, 3, START_MS + 7_000), "health")
    expect_true(bool(health.detail) and "\n" not in health.detail, f"a detail of one line, not {health.detail!r}")


def threads_may_append_and_ask_at_once(store: EventStore) -> None:
    failures: list[BaseException] = []

    def append(thread: int) -> None:
        for round_ in range(5):
            _guarded(failures, store, [event(thread * 100 + i, event_id=f"{thread}-{round_}-{i}") for i in range(20)])

    threads = [threading.Thread(target=append, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    seen = [one_or_zero(store)]
    while any(thread.is_alive() for thread in threads):
        seen.append(one_or_zero(store))
    for thread in threads:
        thread.join()
    expect(failures, [], "failures in the threads")
    expect(seen, sorted(seen), "counts only grow")
    expect(one_or_zero(store), 300.0, "events counted at the end")


def _guarded(failures: list[BaseException], store: EventStore, events: list[Event]) -> None:
    try:
        put(store, *events)
    except BaseException as error:  # noqa: BLE001  # carried to the thread that judges
        failures.append(error)


def one_or_zero(store: EventStore) -> float:
    """How many events the day holds."""
    frame = ask(store, Query(bucket_ms=0))
    value = frame.series[0].values["count"][0] if frame.series else 0.0
    expect_true(isinstance(value, float), f"a count, not {value!r}")
    return cast("float", value)


CHECKS = (
    an_empty_store_answers,
    an_event_comes_back_as_it_was,
    unknown_fields_are_kept,
    hostile_texts_come_back_as_they_were,
    huge_numbers_come_back_as_they_were,
    appending_twice_stores_once,
    a_duplicate_within_a_batch_is_stored_once,
    late_and_far_events_are_stored,
    checkpoints_are_kept_with_the_events,
    expiring_forgets_whole_days_before,
    health_counts_and_names_the_newest,
    threads_may_append_and_ask_at_once,
)
