"""Questions that the first answer leaves open: what is asked on gives the oracle's answer."""

import random

import pytest

from daemon.store.base import Ask
from daemon.store.checks import check_agreement
from daemon.store.conformance.support import DAY, DAY_MS, MINUTE_MS, START_MS, batch, event
from daemon.store.elastic import conversation, searches
from daemon.store.reference import ReferenceStore
from detectors.condition import equals
from detectors.frame import Interval
from detectors.query import Histogram, Measure, Query, Runs, Statistic, Tally, Unmatched
from recognizer.events import Event
from tests.support.elasticsearch.client import call
from tests.support.elasticsearch.fixtures import StoreMaker
from tests.support.elasticsearch.proxy import proxy_to

pytestmark = pytest.mark.elasticsearch

LOST = Unmatched("lost", "request_id", equals("event_type", "input_start"), equals("event_type", "business_output"))


def _agree(make: StoreMaker, events: list[Event], *asks: Ask) -> None:
    store, oracle = make(), ReferenceStore()
    store.append(batch(events))
    oracle.append(batch(events))
    for ask, frame in zip(asks, store.ask(asks), strict=True):
        assert frame.complete
        check_agreement(oracle, ask, frame)
    store.close()


def test_more_requests_without_an_end_than_are_listed(make_elastic: StoreMaker) -> None:
    events = [
        event(i * 10, "input_start", request_id=f"r{i}", host=f"h{i % 3}") for i in range(4 * searches.LOST_LISTED)
    ]
    events += [event(500, "business_output", request_id=f"r{i}") for i in range(5)]
    query = Query(group_by=("host",), measures=(LOST,), settle_ms=MINUTE_MS)
    minutes = Interval(START_MS, START_MS + 2 * MINUTE_MS)
    _agree(make_elastic, events, Ask(query, minutes, START_MS), Ask(query, DAY, START_MS))


def test_a_request_that_ends_after_midnight(make_elastic: StoreMaker) -> None:
    """Start and end lie in different indices."""
    events = [event(DAY_MS - 500 + i, "input_start", request_id=f"r{i}") for i in range(30)]
    events += [event(DAY_MS + i, "business_output", request_id=f"r{i}") for i in range(28)]
    around = Interval(START_MS + DAY_MS - MINUTE_MS, START_MS + DAY_MS + MINUTE_MS)
    _agree(make_elastic, events, Ask(Query(measures=(LOST,), settle_ms=MINUTE_MS), around, around.start_ms))


def test_one_request_that_starts_more_often_than_is_told(make_elastic: StoreMaker) -> None:
    events = [event(i, "input_start", request_id="same", host=f"h{i}") for i in range(searches.STARTS_LISTED + 5)]
    minute = Interval(START_MS, START_MS + MINUTE_MS)
    _agree(make_elastic, events, Ask(Query(group_by=("host",), measures=(LOST,)), minute, START_MS))


def test_more_different_outcomes_than_are_listed(make_elastic: StoreMaker) -> None:
    events = [event(i, reason=f"r{i // 3 % 40}" if i % 7 else None, host="h") for i in range(300)]
    _agree(make_elastic, events, Ask(Query(group_by=("host",), measures=(Runs("runs", "reason", 2),)), DAY, START_MS))


def test_interleaved_outcomes_of_many_keys(make_elastic: StoreMaker) -> None:
    """More keys than a follow-up names: all events are read, page by page."""
    hosts, events = 130, []
    for i in range(hosts * 12):
        reason = ("a", "a", None, "b")[i // hosts % 4]
        events.append(event(i * 7, host=f"h{i % hosts}", reason=reason))
    query = Query(group_by=("host",), measures=(Runs("runs", "reason", 2),))
    _agree(make_elastic, events, Ask(query, DAY, START_MS))


def test_more_keys_than_one_page_holds(make_elastic: StoreMaker) -> None:
    """With distinct counts a page holds a thousand keys."""
    events = [event(i, request_id=f"r{i:05}", host=f"h{i % 2}") for i in range(2_300)]
    query = Query(group_by=("request_id",), measures=(Measure("n", Statistic.CARDINALITY, "host"),))
    _agree(make_elastic, events, Ask(query, DAY, START_MS))


def test_the_top_keys_by_bucket(make_elastic: StoreMaker) -> None:
    events = [event(i * 20_000, host=f"h{i % 7 % 5}", duration_ms=float(i)) for i in range(60)]
    largest = Measure("max", Statistic.MAX, "duration_ms")
    _agree(
        make_elastic,
        events,
        Ask(Query(group_by=("host",), top=2), DAY, START_MS),
        Ask(Query(group_by=("host", "pid"), measures=(largest,), top=2), DAY, START_MS),
        Ask(Query(group_by=("host",), measures=(largest, Measure("n")), top=1, bucket_ms=0), DAY, START_MS),
    )


def test_too_many_interleaved_events_say_that_the_answer_is_not_complete(
    make_elastic: StoreMaker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The bounds are lowered, so that some hundred events exceed them."""
    monkeypatch.setattr(conversation, "MAX_OUTCOME_PAGES", 2)
    monkeypatch.setattr(searches, "RAW_PAGE", 50)
    store = make_elastic()
    store.append(batch([event(i, reason="a" if i % 3 else None) for i in range(300)]))
    (frame,) = store.ask([Ask(Query(measures=(Runs("runs", "reason", 2), Measure("n")), bucket_ms=0), DAY, START_MS)])
    assert not frame.complete
    assert frame.series[0].values["n"] == (300.0,)
    assert "interleave" in caplog.text
    store.close()


def test_a_tally_over_several_shards_is_exact(make_elastic: StoreMaker) -> None:
    """Each shard lists its own most frequent values; a value that is on none of the lists may be the first."""
    store, oracle = make_elastic(), ReferenceStore()
    store.append(batch([event(0, host="first")]))  # makes the template
    prefix = make_elastic.prefixes[-1]
    call(make_elastic.url, "DELETE", f"/{prefix}-2026.03.29")
    call(make_elastic.url, "PUT", f"/{prefix}-2026.03.29", {"settings": {"number_of_shards": 5}})
    rng = random.Random(3)
    labels = [f"rare-{i:03}" for i in range(400) for _ in range(3)] + ["common"] * 4 + ["零"] * 4
    rng.shuffle(labels)
    events = [
        event(i * 80, top1_label=label, top3_labels=[label, "also"], host=f"h{i % 2}" if i % 5 else None)
        for i, label in enumerate(labels)
    ]
    for one in (store, oracle):
        one.append(batch(events))
    asks = [
        Ask(
            Query(group_by=group_by, measures=(Tally("t", field, top), Measure("n")), bucket_ms=bucket_ms),
            DAY,
            START_MS,
        )
        for group_by, field, top, bucket_ms in (
            ((), "top1_label", 2, 0),
            (("host",), "top1_label", 1, MINUTE_MS),
            (("host",), "top3_labels", 3, 0),
            ((), "top1_label", 1_000, 0),
        )
    ]
    for ask, frame in zip(asks, store.ask(asks), strict=True):
        check_agreement(oracle, ask, frame)
    top = Ask(Query(group_by=("host",), measures=(Measure("n"), Tally("t", "top1_label", 1)), top=1), DAY, START_MS)
    check_agreement(oracle, top, store.ask([top])[0])
    store.close()


def test_more_histograms_than_one_answer_holds(make_elastic: StoreMaker) -> None:
    """Elasticsearch counts the empty bins too: 257 in each of 300 rows."""
    events = [event(i * 3, host=f"h{i % 300}", duration_ms=float(i % 311)) for i in range(900)]
    histogram = Histogram("h", "duration_ms", tuple(map(float, range(0, 512, 2))))
    _agree(
        make_elastic,
        events,
        Ask(Query(group_by=("host",), measures=(histogram,)), DAY, START_MS),
        Ask(Query(group_by=("host",), measures=(Measure("n"), histogram), top=290, bucket_ms=0), DAY, START_MS),
    )


def test_the_latency_of_every_host_is_one_small_answer(make_elastic: StoreMaker) -> None:
    """A minute of eight hosts in a histogram of 97 edges stays far below the hundred kilobytes of a whole tick."""
    rng = random.Random(7)
    store = make_elastic()
    store.append(batch([event(i * 10, host=f"h{i % 8}", duration_ms=rng.lognormvariate(3, 1)) for i in range(4_000)]))
    store.close()
    edges = tuple(1.12**step for step in range(97))
    query = Query(group_by=("host",), measures=(Measure("n"), Histogram("h", "duration_ms", edges)))
    with proxy_to(make_elastic.url) as proxy:
        watched = make_elastic(urls=(proxy.url,), prefix=make_elastic.prefixes[-1])
        (frame,) = watched.ask([Ask(query, Interval(START_MS, START_MS + MINUTE_MS), START_MS)])
        watched.close()
        assert len(frame.series) == 8
        assert len(proxy.requests) == 1
        assert sum(proxy.answered_bytes) < 25_000
