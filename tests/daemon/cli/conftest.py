"""One place for all verbs that only look."""

from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support.console import Place
from tests.support.daemon import running, wumu


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Written, but not yet seen by wumu."""
    place = Place(tmp_path_factory.mktemp("place"))
    place.write()
    place.write_malformed()
    return place


@pytest.fixture(scope="session")
def first_turn(place: Place) -> CompletedProcess[str]:
    """What the first `wumu once` said. It leaves the ledger and the store that the other verbs look at."""
    return wumu("once", "--json", *place.options)


@pytest.fixture
def seen(place: Place, first_turn: CompletedProcess[str]) -> Place:
    """A place whose log was read and judged."""
    assert first_turn.returncode == 1, first_turn.stderr
    return place


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A state folder that nobody has made."""
    return tmp_path / "no-state"


@pytest.fixture(params=["files", "daemon"])
def judged(request: pytest.FixtureRequest, quiet: Place) -> Iterator[Place]:
    """The module's ``quiet`` place, once without a daemon and once with one."""
    if request.param == "files":
        yield quiet
    else:
        with running(quiet.config, quiet.state):
            yield quiet
