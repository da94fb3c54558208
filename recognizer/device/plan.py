"""How a network may be run on a device, and which of the ways that were measured is taken. Pure."""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

BUCKETS: Final = (1, 8, 32, 64, 128, 256)
"""Sizes that batches are padded to: a device runs a size it knows faster than one it never saw."""
EQUAL_SHARE: Final = 0.03
"""Plans whose times differ by less are equally fast: the simpler one is taken."""


class Precision(enum.StrEnum):
    """The numbers the network calculates with; scores and figures are float32 always."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Layout(enum.StrEnum):
    """How the values of a batch lie in memory: channel after channel, or all channels of a pixel together."""

    CONTIGUOUS = "contiguous"
    CHANNELS_LAST = "channels_last"


class Mode(enum.StrEnum):
    """How it is started.

    eager      operation by operation
    graph      all operations of a batch at once, as a CUDA graph
    compiled   full batches by torch.compile, as a CUDA graph where there is CUDA; smaller ones as ``graph``
    """

    EAGER = "eager"
    GRAPH = "graph"
    COMPILED = "compiled"


@dataclass(frozen=True, slots=True)
class Plan:
    """One way of running a network."""

    precision: Precision = Precision.FLOAT32
    layout: Layout = Layout.CONTIGUOUS
    mode: Mode = Mode.EAGER

    def __str__(self) -> str:
        return f"{self.precision} {self.layout} {self.mode}"


SAFE: Final = Plan()
"""What every network can be run with."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A plan that was tried: milliseconds a full batch takes, or the ``fault`` why it may not be used."""

    plan: Plan
    batch_ms: float
    fault: str = ""


def choose(measurements: Iterable[Measurement]) -> Plan:
    """The fastest plan without a fault; of those that are equally fast the simplest. `SAFE` when there is none.

    Nothing but the measurements decides, in whatever order they come.
    """
    usable = [one for one in measurements if not one.fault]
    if not usable:
        return SAFE
    limit = min(one.batch_ms for one in usable) * (1 + EQUAL_SHARE)
    return min((one.plan for one in usable if one.batch_ms <= limit), key=_simplicity)


def _simplicity(plan: Plan) -> tuple[int, int, int]:
    return (
        list(Precision).index(plan.precision),
        list(Mode).index(plan.mode),
        list(Layout).index(plan.layout),
    )


def buckets(largest: int) -> tuple[int, ...]:
    """The sizes of batches up to ``largest``, which is one of them."""
    if largest < 1:
        raise ValueError(f"the largest batch must be at least 1, not {largest}")
    return (*(size for size in BUCKETS if size < largest), largest)


def bucket_of(count: int, sizes: Sequence[int]) -> int:
    """The smallest of the ascending ``sizes`` that holds ``count`` pictures."""
    for size in sizes:
        if size >= count:
            return size
    raise ValueError(f"{count} pictures are more than the largest batch of {sizes[-1]}")
