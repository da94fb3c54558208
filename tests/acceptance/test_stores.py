"""The same scenario on every store gives the same alerts, down to their ids."""

from pathlib import Path

import pytest

from daemon.clock import ManualClock
from daemon.engine import Engine
from daemon.ledger.ledger import Ledger
from daemon.store.base import EventStore
from daemon.store.duckdb.parameters import DuckDBParameters
from daemon.store.duckdb.store import DuckDBStore
from daemon.store.reference import ReferenceStore
from tests.acceptance.scenario import MINUTE_MS, history, incident, settings, write_log
from tests.support.elasticsearch.fixtures import StoreMaker
from tests.support.rules import config_of

NOW_MS = 1_790_000_000_000 // MINUTE_MS * MINUTE_MS + 20_000


def lived_through(store: EventStore, folder: Path) -> list[tuple[object, ...]]:
    """Every alert after the hour before NOW_MS was read, judged at once, and two more minutes were judged live."""
    folder.mkdir()
    log = folder / "service.log"
    config = config_of(settings(folder / "alerts.yaml", log).read_text(encoding="utf-8"))
    clock = ManualClock(NOW_MS)
    ledger = Ledger.open(folder / "ledger.sqlite")
    engine = Engine(config, store, ledger, folder, clock)
    write_log(log, [*history(NOW_MS - MINUTE_MS), *incident(NOW_MS - MINUTE_MS)])
    for _ in range(24):
        while (report := engine.read()) is not None and report.behind:
            pass
        turn = engine.turn()
        assert all(not evaluation.error for evaluation in turn.evaluations)
        clock.advance_ms(5_000)
    alerts = sorted(
        (alert.rule_id, alert.key, alert.id, alert.state, alert.finding.reason, round(alert.peak.observed, 3))
        for alert in ledger.alerts()
    )
    engine.close(1.0)
    ledger.close()
    return alerts


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """What the plainest store makes of it."""
    return lived_through(ReferenceStore(), tmp_path_factory.mktemp("reference") / "run")


def test_the_scenario_has_what_it_should(expected: list[tuple[object, ...]]) -> None:
    fired = {rule for rule, *_ in expected}
    assert {"path-errors-in-a-row", "unsafe-paths", "errors-by-directory", "unreadable-images", "http-errors"} <= fired


def test_duckdb_gives_the_same_alerts(expected: list[tuple[object, ...]], tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "events.duckdb", DuckDBParameters())
    assert lived_through(store, tmp_path / "run") == expected
    store.close()


@pytest.mark.elasticsearch
def test_elasticsearch_gives_the_same_alerts(
    expected: list[tuple[object, ...]], make_elastic: StoreMaker, tmp_path: Path
) -> None:
    store = make_elastic()
    assert lived_through(store, tmp_path / "run") == expected
    store.close()
