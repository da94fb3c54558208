"""Every kind keeps the protocol, and the suite notices kinds that don't."""

from dataclasses import replace

import pytest

from detectors.checks import CHECKS
from tests.detectors.subjects import SUBJECTS


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", SUBJECTS)
def test_every_kind_keeps_the_protocol(kind: str, check: str) -> None:
    """Each check on each kind."""
    CHECKS[check](replace(SUBJECTS[kind], seed=3))
