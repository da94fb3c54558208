"""The small digit model, really trained, once for a whole test run."""

import atexit
import functools
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from recognizer.train import train


@dataclass(frozen=True, slots=True)
class Trained:
    """The model folder (read it, never change it) and its accuracy on the held-out part, 0 to 1."""

    folder: Path
    accuracy: float


@functools.cache
def trained() -> Trained:
    """Trained on the first call, with seed 0."""
    scratch = tempfile.mkdtemp(prefix="wumu-test-model-")
    atexit.register(shutil.rmtree, scratch)
    folder = Path(scratch) / "digits"
    return Trained(folder, train(folder, seed=0))


@pytest.fixture(scope="session")
def digits_model() -> Trained:
    """The trained digit model; tests that change it work on a copy."""
    return trained()
