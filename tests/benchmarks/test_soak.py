"""Under load memory and file descriptors stay flat; `python -m benchmarks.soak` is the same for an hour."""

from pathlib import Path

import pytest

from benchmarks.soak import soak

SECONDS = 20.0


@pytest.mark.slow
def test_memory_and_descriptors_stay_flat(tmp_path: Path) -> None:
    found = soak(tmp_path, SECONDS)
    assert found["flat"], found
    assert found["pictures"] > 0
