"""The stores that every store test runs on.

A test that takes ``make_store`` runs once per name in `tests.daemon.store.stores.STORES`. The name's factory is the
fixture ``make_store_<name with underscores>``; it gives a callable that makes a fresh, empty store whose appended
events can be asked for at once.
"""

from itertools import count
from pathlib import Path

import pytest

from daemon.store.checks import MakeStore
from daemon.store.duckdb.store import DuckDBStore
from daemon.store.reference import ReferenceStore
from tests.daemon.store.stores import STORES


@pytest.fixture(params=STORES)
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    """Makes fresh, empty stores of the kind at hand."""
    name = f"make_store_{request.param}".replace("-", "_")
    factory: MakeStore = request.getfixturevalue(name)
    return factory


@pytest.fixture
def make_store_memory() -> MakeStore:
    return ReferenceStore


@pytest.fixture
def make_store_duckdb(tmp_path: Path) -> MakeStore:
    numbers = count()
    return lambda: DuckDBStore(tmp_path / f"events-{next(numbers)}.duckdb")


@pytest.fixture
def make_store_duckdb_in_memory() -> MakeStore:
    return lambda: DuckDBStore(None)
