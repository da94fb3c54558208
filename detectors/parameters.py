"""Parameters that several detector kinds share, with messages for the people who write alerts.yaml."""

import enum
import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, PlainValidator, WithJsonSchema, model_validator

from detectors.base import DurationMs
from detectors.duration import DAY_MS, duration_ms, format_duration
from detectors.finding import Expected

SHORTEST_SPAN_MS = 1_000
LONGEST_SPAN_MS = 31 * DAY_MS
MAX_SCORE = 1e6


def _span(milliseconds: int) -> int:
    if not SHORTEST_SPAN_MS <= milliseconds <= LONGEST_SPAN_MS:
        shortest, longest = format_duration(SHORTEST_SPAN_MS), format_duration(LONGEST_SPAN_MS)
        raise ValueError(f"a span of {format_duration(milliseconds)} is impossible: write {shortest} to {longest}")
    return milliseconds


Span = Annotated[DurationMs, AfterValidator(_span)]
"""A stretch of event time that is looked at, milliseconds: one second to 31 days."""


class Direction(enum.StrEnum):
    """Which way a change is reported."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


_PROMISE = re.compile(r"(\d{1,6}) per (\S+)", re.ASCII)
_LONGEST_PROMISE_MS = 3_650 * DAY_MS


@dataclass(frozen=True, slots=True)
class Promise:
    """How many false alarms one series may give: ``alarms`` in ``per_ms`` of event time, on average."""

    alarms: int
    per_ms: int

    @property
    def every_ms(self) -> float:
        """The mean time between false alarms that must be reached."""
        return self.per_ms / self.alarms

    @property
    def every_days(self) -> float:
        return self.every_ms / DAY_MS

    def __str__(self) -> str:
        return f"{self.alarms} per {format_duration(self.per_ms)}"


def _promise(value: object) -> Promise:
    if isinstance(value, Promise):
        return value
    found = _PROMISE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write how many false alarms are tolerated, for example '1 per 30d'")
    promise = Promise(int(found[1]), duration_ms(found[2]))
    if promise.alarms < 1 or promise.per_ms > _LONGEST_PROMISE_MS or promise.every_ms < SHORTEST_PROMISE_MS:
        raise ValueError("tolerate from '1 per 1h' to '1 per 3650d': more often is noise, more rarely can't be kept")
    return promise


SHORTEST_PROMISE_MS = 3_600_000
FalseAlarms = Annotated[
    Promise, PlainValidator(_promise), WithJsonSchema({"type": "string", "examples": ["1 per 30d", "2 per 7d"]})
]
"""The false alarms per series that are tolerated, as people say it: ``1 per 30d``."""


class Bounds(BaseModel):
    """``above`` and ``below``: where a value leaves its allowed band. At least one must be given."""

    above: float | None = Field(default=None, allow_inf_nan=False, description="a value greater than this is reported")
    below: float | None = Field(default=None, allow_inf_nan=False, description="a value smaller than this is reported")

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("write 'above' or 'below' (or both): without a bound nothing could ever be reported")
        if self.above is not None and self.below is not None and self.below > self.above:
            raise ValueError(
                f"'below' ({self.below:g}) is greater than 'above' ({self.above:g}): every value would be reported"
            )
        return self

    @property
    def band(self) -> Expected:
        return Expected(low=self.below, high=self.above)

    def excess(self, value: float) -> float | None:
        """How far ``value`` is outside of the band, as a score of at least 1; None inside of it.

        1 at the bound, 2 at a distance of the bound's own size from it, at most `MAX_SCORE`.
        """
        if self.above is not None and value > self.above:
            return _score(value - self.above, self.above)
        if self.below is not None and value < self.below:
            return _score(self.below - value, self.below)
        return None


def _score(distance: float, bound: float) -> float:
    return 1.0 + min(distance / max(abs(bound), 1e-9), MAX_SCORE - 1.0)
