"""What really happened: the truth that alerts are judged against."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from detectors.condition import Condition
from detectors.frame import Key

Cause = tuple[str, str]
"""A field and its value."""
Named = tuple[Cause, ...]
"""What is suspected together: one cause, or two that have to meet."""


class Wanted(enum.StrEnum):
    """Whether somebody should be told."""

    YES = "yes"
    NO = "no"


class Onset(enum.StrEnum):
    """How it begins: within seconds, or over an hour or more."""

    ABRUPT = "abrupt"
    GRADUAL = "gradual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """How the bad events are told from the others, by somebody who knows what happened.

    ``bad`` picks them among those of ``where``. None: all of them, compared with those before the incident. With
    ``field`` they are those whose value lies beyond what nineteen in twenty had before, above it (``high``) or below.
    ``key`` is what they are looked at for: scores are compared within a model.
    """

    where: Condition
    bad: Condition | None = None
    field: str = ""
    high: bool = True
    key: Key = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """One incident.

    causes   the field values that name its cause, any of which is right as the first suspect
    touched  by field, the values of which something is really wrong: an alert about another value is a false one
    changed  the fields that hold something else than usual (event_type: other events come than usual): an alert of a
             rule that looks at none of them is a false one
    """

    kind: str
    start_ms: int
    end_ms: int
    wanted: Wanted
    onset: Onset
    causes: tuple[Cause, ...] = ()
    touched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    symptom: Symptom | None = None
