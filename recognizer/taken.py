"""A picture on its way through the pipeline: what each stage came to, and when."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from recognizer.decode import Picture
from recognizer.device.driver import Moments
from recognizer.device.staging import Staged
from recognizer.emit import Recognition
from recognizer.fault import InputFault
from recognizer.preprocess import Form


@dataclass(frozen=True, slots=True)
class Moment:
    """When a stage ended, wall time in milliseconds since 1970, and how long it took, milliseconds."""

    timestamp: int
    duration_ms: float

    @classmethod
    def since(cls, started: float) -> Self:
        """Now, as the end of what began at ``started`` (perf_counter, seconds)."""
        return cls(time.time_ns() // 1_000_000, round((time.perf_counter() - started) * 1_000, 3))

    @classmethod
    def of_answer(cls, moments: Moments) -> Self:
        """When the network had answered a batch, and how long that took."""
        return cls(round(moments.answered_at), round(moments.infer_ms, 3))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture that could be read. Its pixels are gone: the device has them, or has no use for them.

    likeness    what equal pixels have in common: `recognizer.repeats.likeness`
    """

    picture: Picture
    likeness: int | None
    at: Moment


@dataclass(frozen=True, slots=True)
class Ready:
    """What the network can be asked about. ``at``: when its input was ready."""

    decoded: Decoded
    form: Form
    staged: Staged
    at: Moment


@dataclass(frozen=True, slots=True)
class Refused:
    """What came to nothing before the network was asked, and how far it came."""

    decoded: Decoded | None
    fault: InputFault
    at: Moment


@dataclass(frozen=True, slots=True)
class Taken:
    """A picture on its way, with what the worker thread came to.

    ``served``: whoever gives the answer out tells business_output, for he knows what became of it.
    """

    path: str
    events: Recognition
    outcome: Ready | Refused
    served: bool


@dataclass(frozen=True, slots=True)
class Received:
    """What came with a picture from elsewhere: its bytes, unless it is a path, and fields for its events."""

    data: bytes | None
    carried: Mapping[str, Any]
