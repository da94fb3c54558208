"""What the tests of the service share: a picture, and a sink for its events."""

from collections.abc import Iterator

import numpy as np
import pytest

from recognizer.sinks import MemorySink
from recognizer.train import draw, load_digits
from tests.support.emission import emitting_to
from tests.support.pictures import encoded


@pytest.fixture
def sink() -> Iterator[MemorySink]:
    with emitting_to(MemorySink()) as memory:
        yield memory


@pytest.fixture(scope="session")
def digit() -> bytes:
    _, held_out = load_digits(0)
    return encoded(draw(held_out.strokes[0], 100, np.random.default_rng(3)), "PNG")
