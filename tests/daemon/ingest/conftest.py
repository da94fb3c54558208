"""A tailer over either store; what it opened is closed at the end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.store.base import EventStore
from daemon.store.duckdb.store import DuckDBStore
from daemon.store.reference import ReferenceStore
from tests.support.tailing import Tailing

MakeTailing = Callable[..., Tailing]


@pytest.fixture(params=["reference", "duckdb"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], EventStore]:
    """Opens the same store again and again, as a restarted daemon does."""
    if request.param == "duckdb":
        return lambda: DuckDBStore(tmp_path / "events.duckdb")
    store = ReferenceStore()
    return lambda: store


@pytest.fixture
def make_tailing(tmp_path: Path, make_store: Callable[[], EventStore]) -> Iterator[MakeTailing]:
    made: list[Tailing] = []

    def make(*globs: str, open_limit: int | None = None) -> Tailing:
        made.append(Tailing(tmp_path, make_store, *globs, open_limit=open_limit))
        return made[-1]

    yield make
    for tailing in made:
        tailing.close()


@pytest.fixture
def tailing(make_tailing: MakeTailing) -> Tailing:
    return make_tailing()
