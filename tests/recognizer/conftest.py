from collections.abc import Iterator

import pytest

from recognizer.sinks import MemorySink
from tests.support.emission import emitting_to
from tests.support.model import digits_model

__all__ = ["digits_model", "sink"]


@pytest.fixture
def sink() -> Iterator[MemorySink]:
    """The events of this test."""
    with emitting_to(MemorySink()) as memory:
        yield memory
