"""Questions that the first answer leaves open: what is asked on gives the oracle's answer."""

import pytest

from daemon.store.base import Ask
from daemon.store.checks import check_agreement
from daemon.store.conformance.support import DAY, DAY_MS, MINUTE_MS, START_MS, batch, event
from daemon.store.elastic import conversation, searches
from daemon.store.reference import ReferenceStore
from detectors.condition import equals
from detectors.frame import Interval
from detectors.query import Measure, Query, Runs, Statistic, Unmatched
from recognizer.events import Event
from tests.support.elasticsearch.fixtures import StoreMaker

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
