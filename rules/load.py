"""alerts.yaml → Config, or every problem at once."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from detectors.base import DetectorModel
from rules.model import Config
from rules.problems import Problem


@dataclass(frozen=True, slots=True)
class Registry:
    """The plug-in kinds a configuration may name, each with the model of its parameters."""

    detectors: Mapping[str, type[DetectorModel]]
    channels: Mapping[str, type[BaseModel]]
    stores: Mapping[str, type[BaseModel]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """``config`` is None when a problem is an error."""

    config: Config | None
    problems: tuple[Problem, ...] = ()
