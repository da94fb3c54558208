"""The oracle itself, against numpy and by hand; and the registry that names the stores."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daemon.errors import StoreError
from daemon.store.base import Ask
from daemon.store.conformance.support import DAY, START_MS, event, put
from daemon.store.contract import check_ask, key_order, key_text
from daemon.store.reference import ReferenceStore, percentile
from daemon.store.registry import DEFAULT_KIND, STORES, MemoryParameters
from detectors.query import Query


@pytest.mark.parametrize("percent", [0.0, 0.1, 33.3, 50.0, 95.0, 99.9, 100.0])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 101])
def test_percentiles_are_those_of_numpy(percent: float, count: int) -> None:
    values = np.random.default_rng(count).lognormal(size=count)
    assert percentile(values.tolist(), percent) == pytest.approx(float(np.percentile(values, percent)), rel=1e-12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", ""), ("Ä", "Ä"), (True, "true"), (False, "false"), (0, "0"), (-5, "-5"), (2**63 - 1, str(2**63 - 1)),
        (200.0, "200"), (-0.0, "0"), (0.1, "0.1"), (1e-7, "0.0000001"), (1e21, "1" + "0" * 21), (-2.5, "-2.5"),
    ],
)  # fmt: skip
def test_keys_are_plain_texts(value: object, text: str) -> None:
    assert key_text(value) == text


def test_keys_sort_missing_first_then_by_code_point() -> None:
    keys = [(("host", value),) for value in ("b", "", None, "🚀", "\uffff", "B")]
    assert [key[0][1] for key in sorted(keys, key=key_order)] == [None, "", "B", "b", "\uffff", "🚀"]


def test_the_nearest_field_is_named() -> None:
    with pytest.raises(StoreError, match="the nearest one is 'http_status'"):
        check_ask(Ask(Query(group_by=("http_code_status",)), DAY, START_MS))


def test_every_kind_makes_a_store_that_needs_no_setting_up(tmp_path: Path) -> None:
    """Making connects to nothing; the kinds that need no server work at once."""
    for name in ("memory", DEFAULT_KIND):
        kind = STORES[name]
        store = kind.make(kind.parameters(), tmp_path)
        put(store, event(0))
        assert store.health().events == 1
        store.close()
    assert MemoryParameters() == STORES["memory"].parameters()


def test_the_registry_loads_no_client_library() -> None:
    """What is not used costs neither time nor an extra dependency."""
    code = "import sys, daemon.store.registry; print([m for m in ('elasticsearch', 'duckdb') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_oracle_forgets_what_expired() -> None:
    store = ReferenceStore()
    put(store, event(0), event(1), event(2))
    assert store.expire(START_MS + 2) == 2
    assert store.health().newest_ms == START_MS + 2
