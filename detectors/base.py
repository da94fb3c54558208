"""The protocol every detector kind keeps, rule-based and statistical alike, and the base of its parameters."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Protocol, get_args, runtime_checkable

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema

from detectors.condition import Always, Condition
from detectors.duration import duration_ms
from detectors.finding import Detection, Memory, Reason
from detectors.frame import Frame, Key
from detectors.query import Query

DURATION = "duration"
"""Marks parameters that are milliseconds and are written as people write durations."""

DurationMs = Annotated[
    int,
    BeforeValidator(duration_ms),
    DURATION,
    WithJsonSchema({"type": "string", "examples": ["30s", "5m", "1h30m", "7d"]}),
]
"""A duration as people write it, kept in milliseconds."""


def _condition(value: object) -> object:
    if isinstance(value, get_args(Condition)):
        return value
    raise ValueError("not a condition: write KQL, for example 'event_type: input_error'")


ConditionParameter = Annotated[
    Condition,
    PlainValidator(_condition),
    WithJsonSchema({"type": "string", "description": "a filter in KQL, as in Kibana's search bar"}),
]
"""A parameter that is written in KQL. The loader (rules.load) parses it before the model sees it."""


class DetectorModel(BaseModel):
    """Base of the detector kinds: a frozen, strict parameter object that can judge.

    A kind is one file with one subclass that satisfies `Detector`; `detectors.registry` lists it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    where: ConditionParameter = Field(default=Always(), description="only these events are looked at")
    group_by: tuple[str, ...] = Field(default=(), description="one series per combination of these fields' values")


class Detector(Protocol):
    """Pure judgement: no clock, no I/O, no logging.

    ``detect`` judges the fresh buckets of a frame in time order, given what it remembered, and returns its
    findings with the new memory. It never changes its arguments. Splitting an interval in two calls gives
    the same findings as one call; the order of series is irrelevant.
    """

    kind: ClassVar[str]
    reasons: ClassVar[frozenset[Reason]]

    @property
    def group_by(self) -> tuple[str, ...]: ...

    def query(self) -> Query: ...

    def detect(self, frame: Frame, memory: Mapping[Key, Memory]) -> Detection: ...


class Stage(enum.StrEnum):
    """How far a series of a learning kind is."""

    WARMING_UP = "warming_up"
    JUDGING = "judging"
    ALARMED = "alarmed"


@dataclass(frozen=True, slots=True)
class Progress:
    """What a learning kind can promise about one series.

    seen, needed   what it has learned from and what it needs to keep its promise, in ``unit`` (buckets, events…)
    promised_days  the mean time between false alarms that it keeps once it judges
    """

    stage: Stage
    seen: int
    needed: int
    unit: str
    promised_days: float


@runtime_checkable
class Learner(Protocol):
    """What a kind that learns can be told and asked, one series at a time; every function is pure.

    A memory that it can't read is treated as none: `progress` is at the beginning, the others return it unchanged.
    """

    def progress(self, memory: Memory) -> Progress: ...

    def rebase(self, memory: Memory, at_ms: int) -> Memory:
        """A planned change happened at ``at_ms``: a new baseline starts there; what need not be relearned is kept."""
        ...

    def accept(self, memory: Memory) -> Memory:
        """The alarm that is going on was normal: it ends, and what it showed is usual from now on."""
        ...
