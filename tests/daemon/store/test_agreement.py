"""Random events, random questions: every store gives the oracle's answer.

Examples share one store and keep out of each other's way in time: each has four hours of its own.
"""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from daemon.store.base import Ask, EventStore, Sample
from daemon.store.checks import MakeStore, check_agreement
from daemon.store.conformance.support import START_MS, batch
from daemon.store.reference import ReferenceStore
from detectors.condition import Condition
from detectors.frame import Interval
from tests.daemon.store import strategies
from tests.daemon.store.stores import COMPARED_STORES

APART_MS = 4 * 3_600_000
_places = itertools.count()

quietly = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

compared = pytest.mark.parametrize("make_store", COMPARED_STORES, indirect=True)


@pytest.fixture
def store(make_store: MakeStore) -> Iterator[EventStore]:
    store = make_store()
    yield store
    store.close()


def _settled(store: EventStore, world: list[dict[str, object]]) -> tuple[int, ReferenceStore]:
    """Stores the world at a place of its own, in the store and in an oracle."""
    place = next(_places)
    start_ms = START_MS + place * APART_MS
    events = strategies.events(world, start_ms, f"p{place}")
    oracle = ReferenceStore()
    oracle.append(batch(events))
    appended = store.append(batch(events))
    assert (appended.stored, appended.refused) == (len(events), ())
    return start_ms, oracle


def _at(ask: Ask, start_ms: int) -> Ask:
    interval = Interval(ask.interval.start_ms + start_ms, ask.interval.end_ms + start_ms)
    return Ask(ask.query, interval, interval.start_ms)


@compared
@quietly
@given(world=strategies.worlds(), asked=strategies.lists_of_asks())
def test_queries_agree_with_the_oracle(store: EventStore, world: list[dict[str, object]], asked: list[Ask]) -> None:
    start_ms, oracle = _settled(store, world)
    asks = [_at(ask, start_ms) for ask in asked]
    for ask, frame in zip(asks, store.ask(asks), strict=True):
        check_agreement(oracle, ask, frame)


@compared
@quietly
@given(world=strategies.worlds(), where=strategies.conditions)
def test_samples_agree_with_the_oracle(store: EventStore, world: list[dict[str, object]], where: Condition) -> None:
    start_ms, oracle = _settled(store, world)
    interval = Interval(start_ms, start_ms + strategies.SPAN_MS)
    samples = [
        Sample(where, interval, limit=100, newest_first=False),
        Sample(where, interval, limit=3, newest_first=True),
    ]
    assert store.sample(samples) == oracle.sample(samples)
