"""Every reason is whole: a real input that has it, a remedy, a place that finds it, fields, a rule that asks for it."""

from pathlib import Path

import pytest

from recognizer.reasons import InputReason
from tests.support.reasons import images, paths

CASES = {**paths.CASES, **images.CASES}


@pytest.mark.parametrize("reason", InputReason)
def test_a_real_input_shows_it(reason: InputReason, tmp_path: Path) -> None:
    """A reason without a case has no key here."""
    assert reason in list(CASES[reason](tmp_path))
