"""The small digit model, really trained, once for all processes and runs with the same source."""

import fcntl
import functools
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import recognizer.train

_KEPT = Path(__file__).parents[2] / ".pytest_cache" / "digit-models"
_MOST_KEPT = 8


@dataclass(frozen=True, slots=True)
class Trained:
    """The model folder (read it, never change it) and its accuracy on the held-out part, 0 to 1."""

    folder: Path
    accuracy: float


@functools.cache
def trained() -> Trained:
    """Trained on the first call, with seed 0; another process waits for it instead of training its own."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    place = _KEPT / _fingerprint()
    with (_KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        accuracy = place / "accuracy"
        if not accuracy.exists():
            _forget_old()
            place.mkdir(exist_ok=True)
            accuracy.write_text(str(recognizer.train.train(place / "digits", seed=0)))
        return Trained(place / "digits", float(accuracy.read_text()))


def _forget_old() -> None:
    """All but the newest: another run may still use one that was made from a source that changed since."""
    made = sorted((one for one in _KEPT.iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime_ns)
    for old in made[:-_MOST_KEPT]:
        shutil.rmtree(old)


def _fingerprint() -> str:
    """Of all that may change what training gives."""
    package = Path(recognizer.train.__file__).parent
    sources = [one.read_bytes() for one in sorted(package.glob("*.py"))]
    return hashlib.sha256(b"\0".join([torch.__version__.encode(), *sources])).hexdigest()[:16]


@pytest.fixture(scope="session")
def digits_model() -> Trained:
    """The trained digit model; tests that change it work on a copy."""
    return trained()
