"""History is replayed alike on every store."""

import pytest

from daemon.replay import replay
from daemon.store.checks import MakeStore
from daemon.store.conformance.support import batch
from daemon.store.reference import ReferenceStore
from rules.model import Rule
from tests.support.replay import RULES, SPAN, history


@pytest.fixture(scope="module")
def oracle() -> ReferenceStore:
    store = ReferenceStore()
    store.append(batch(history()))
    return store


def test_the_alerts_are_those_of_the_oracle(make_store: MakeStore, oracle: ReferenceStore) -> None:
    """Of each alert: which series, from when to when, and why; sums may differ in their last digits."""
    store = make_store()
    store.append(batch(history()))

    def told(rule: Rule, source: object) -> list[tuple[object, ...]]:
        (replayed,) = replay([rule], source, SPAN)  # type: ignore[arg-type]
        assert replayed.error == ""
        return [
            (alert.id, alert.fired_at_ms, alert.resolved_at_ms, alert.peak.reason, alert.peak.since_ms)
            for alert in replayed.alerts
        ]

    try:
        for rule in RULES:
            assert told(rule, store) == told(rule, oracle), rule.id
    finally:
        store.close()
