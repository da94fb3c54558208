"""Configurations for tests: loaded with the kinds that ship."""

from pathlib import Path

from hypothesis import settings

from daemon.plugins import registry
from rules.load import Loaded, load
from rules.model import Config

FIXED = settings(derandomize=True, deadline=None)
"""The same examples at every run, and no example is too slow for a busy machine."""

CORPUS = Path(__file__).parent.parent / "corpus"


def loaded(text: str) -> Loaded:
    """What the loader makes of a text."""
    return load(text, "alerts.yaml", registry())


def config_of(text: str) -> Config:
    """The configuration in a text that must be free of errors."""
    result = loaded(text)
    assert result.config is not None, result.problems
    return result.config
