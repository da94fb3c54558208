"""Elasticsearch for pytest: each version is started once, when the first test needs it."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.store import ElasticStore
from tests.support.elasticsearch.client import delete_all
from tests.support.elasticsearch.jars import VERSIONS, Unavailable
from tests.support.elasticsearch.nodes import Node, start_node

GIVEN = "WUMU_TEST_ELASTICSEARCH"


def missing(what: str) -> None:
    """Skips a test for want of something; where CI=true that is a failure, because nobody reads skips there."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@contextlib.contextmanager
def started(version: str) -> Iterator[Node]:
    """A node of this version for this block alone."""
    try:
        one = start_node(version)
    except Unavailable as error:
        missing(str(error))
        raise
    try:
        yield one
    finally:
        one.stop()


@contextlib.contextmanager
def server(version: str) -> Iterator[str]:
    """The address of a server of this version; the given one stands for the first version alone."""
    given = os.environ.get(GIVEN)
    if given:
        if version != VERSIONS[0]:
            pytest.skip(f"{GIVEN} names one server: it stands for {VERSIONS[0]}")
        yield given
        return
    with started(version) as one:
        yield one.url


class StoreMaker:
    """Makes fresh stores on one server, each with a prefix of its own, and removes what they left behind."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self._folder = folder
        self.prefixes: list[str] = []

    def __call__(self, **more: object) -> ElasticStore:
        prefix = f"test-{uuid.uuid4().hex[:12]}"
        self.prefixes.append(prefix)
        settings = {"urls": (self.url,), "prefix": prefix, "refresh_on_append": True} | more
        folder = self._folder / prefix
        folder.mkdir()
        return ElasticStore(ElasticSettings.model_validate(settings), folder)

    def clean(self) -> None:
        for prefix in self.prefixes:
            delete_all(self.url, prefix)


@pytest.fixture(scope="session")
def elasticsearch_8() -> Iterator[str]:
    with server(VERSIONS[0]) as url:
        yield url


@pytest.fixture(scope="session")
def elasticsearch_9() -> Iterator[str]:
    with server(VERSIONS[1]) as url:
        yield url


@pytest.fixture(params=VERSIONS)
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    """A node of each version in turn that the test may kill."""
    with started(request.param) as one:
        yield one


@pytest.fixture(params=["elasticsearch_8", "elasticsearch_9"])
def elasticsearch(request: pytest.FixtureRequest) -> str:
    """The address of each version in turn."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def make_store_elasticsearch_8(elasticsearch_8: str, tmp_path: Path) -> Iterator[StoreMaker]:
    maker = StoreMaker(elasticsearch_8, tmp_path)
    yield maker
    maker.clean()


@pytest.fixture
def make_store_elasticsearch_9(elasticsearch_9: str, tmp_path: Path) -> Iterator[StoreMaker]:
    maker = StoreMaker(elasticsearch_9, tmp_path)
    yield maker
    maker.clean()


@pytest.fixture
def make_elastic(elasticsearch: str, tmp_path: Path) -> Iterator[StoreMaker]:
    """Makes stores on each version in turn."""
    maker = StoreMaker(elasticsearch, tmp_path)
    yield maker
    maker.clean()
