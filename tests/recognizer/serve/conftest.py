"""What the tests of the service share: a picture, and a sink for its events."""

import numpy as np
import pytest

from recognizer.train import draw, load_digits
from tests.support.pictures import encoded


@pytest.fixture(scope="session")
def digit() -> bytes:
    _, held_out = load_digits(0)
    return encoded(draw(held_out.strokes[0], 100, np.random.default_rng(3)), "PNG")
