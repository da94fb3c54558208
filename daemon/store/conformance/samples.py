"""Whole events: the right ones, in the right order, no more than asked for."""

from daemon.store.base import EventStore, Sample
from daemon.store.conformance.support import DAY, START_MS, event, expect, expect_store_error, picked, put
from detectors.condition import Always, equals
from detectors.frame import Interval


def samples_come_by_time_then_event_id(store: EventStore) -> None:
    put(
        store,
        event(10, event_id="b"),
        event(5, event_id="z"),
        event(10, event_id="a"),
        event(10, event_id="B"),
        event(20, event_id="0"),
    )
    expect(picked(store), ["z", "B", "a", "b", "0"], "oldest first")
    expect(picked(store, newest_first=True), ["0", "b", "a", "B", "z"], "newest first")
    expect(picked(store, newest_first=True, limit=2), ["0", "b"], "the two newest")
    expect(picked(store, limit=3), ["z", "B", "a"], "the three oldest")


def samples_obey_interval_and_condition(store: EventStore) -> None:
    put(store, *(event(index, event_id=f"e{index}", host=f"h{index % 2}") for index in range(8)))
    interval = Interval(START_MS + 2, START_MS + 6)
    expect(picked(store, equals("host", "h0"), interval=interval), ["e2", "e4"], "selected and within")
    expect(picked(store, interval=Interval(0, 1)), [], "an interval before all events")


def many_samples_in_their_order(store: EventStore) -> None:
    put(store, *(event(index, event_id=f"e{index}", host=f"h{index % 3}") for index in range(9)))
    samples = [Sample(equals("host", f"h{index % 4}"), DAY, limit=index + 1) for index in range(8)]
    together = store.sample(samples)
    expect([len(events) for events in together], [1, 2, 3, 0, 3, 3, 3, 0], "sizes")
    expect(together, tuple(store.sample([sample])[0] for sample in samples), "asked together and one by one")


def ten_thousand_samples_and_no_more(store: EventStore) -> None:
    put(store, *(event(index, event_id=f"e{index:05}") for index in range(10_050)))
    names = picked(store, limit=10_000)
    expect((len(names), names[0], names[-1]), (10_000, "e00000", "e09999"), "the largest sample")
    for limit in (0, 10_001):
        expect_store_error(lambda limit=limit: store.sample([Sample(Always(), DAY, limit=limit)]), naming="samples")  # type: ignore[misc]


CHECKS = (
    samples_come_by_time_then_event_id,
    samples_obey_interval_and_condition,
    many_samples_in_their_order,
    ten_thousand_samples_and_no_more,
)
