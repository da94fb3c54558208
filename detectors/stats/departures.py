"""How far a series has gone from what is usual, summed since it went: what ranks in the past can't tell apart.

However far out a value lies, in ranks it is no more than a new record. The sums here know no such ceiling. How large
they grow by chance is learned (`detectors.stats.tail`), so neither the law of the values nor how much neighbours have
in common has to be known.

`Excursion` sums distances, S ← max(0, S + |x - usual| / error - 2), on one side (Page's CUSUM, 1954, in mean absolute
errors). It is over with a value less than one error away, or on the other side.

`Lull` sums the events that should have come and did not, S ← max(0, S + e - n / q), with e expected, n come, and q the
share of what is usual that a source which is gone may still send. What is expected is the smaller of what the time of
the day says and of what came lately: a quiet day is no lull. It is over with half of what is expected. With q = 0 and
independent events S would be the exponent of the chance that nothing comes.
"""

import math
from typing import Annotated, Final

import msgspec

from detectors.stats.tail import LARGEST, Tail

_ANSCOMBE: Final = 0.375
_ALLOWED: Final = 2.0
_NEAR: Final = 1.0
_FURTHEST: Final = 50.0
"""What is further out says no more in one bucket: one wild value must not teach that any distance is usual."""

_LEAST_ERROR: Final = 1e-12
_LEFT: Final = 0.25
_HALF: Final = 0.5
_LATELY: Final = 0.05
"""What came lately is a mean over the last twenty buckets or so."""

_Sum = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]
_Buckets = Annotated[int, msgspec.Meta(ge=0)]


def scaled(count: float) -> float:
    """2 √(n + 3/8): the noise of counts in this scale is independent of their size (Anscombe 1948)."""
    return 2.0 * math.sqrt(count + _ANSCOMBE)


def unscaled(value: float) -> float:
    """The count; the inverse of `scaled`."""
    return max((max(value, 0.0) / 2.0) ** 2 - _ANSCOMBE, 0.0)


class Excursion(msgspec.Struct, array_like=True, tag="excursion", gc=False):
    """Of any number. Mutable, JSON by msgspec: the ``sum``, which side it is on, how large sums are by chance."""

    sum: _Sum = 0.0
    up: bool = False
    tail: Tail = msgspec.field(default_factory=Tail)

    @property
    def buckets(self) -> int:
        """How many buckets speak together, of those that its sum is about; 0: no more than the newest few."""
        return 0

    @property
    def furthest(self) -> float:
        """The largest sum that one bucket alone can give."""
        return _FURTHEST - _ALLOWED

    def step(self, value: float, usual: float, error: float) -> None:
        """Take in a value, of which ``usual`` is expected, with this mean absolute error."""
        up = value > usual
        distance = min(abs(value - usual) / max(error, _LEAST_ERROR), _FURTHEST)
        if distance < _NEAR or up != self.up:
            self.sum = 0.0
        self.sum, self.up = min(max(self.sum + distance - _ALLOWED, 0.0), LARGEST), up

    def restart(self) -> None:
        """What is usual is learned anew; how large sums are by chance need not be."""
        self.sum = 0.0


class Lull(msgspec.Struct, array_like=True, tag="lull", gc=False):
    """Of counts, as `scaled`. Mutable, JSON by msgspec.

    sum      how many events should have come in the lull that is going on
    buckets  its length; 0 if there is none
    lately   how many events a bucket had lately, while there was no lull; None before the first
    tail     how large sums are by chance
    """

    sum: _Sum = 0.0
    buckets: _Buckets = 0
    lately: _Sum | None = None
    tail: Tail = msgspec.field(default_factory=Tail)

    @property
    def furthest(self) -> float:
        """The largest sum that one bucket alone can give."""
        return self.lately or 0.0

    def step(self, value: float, usual: float, error: float) -> None:  # noqa: ARG002
        """Take in a bucket; ``usual`` is the value that is expected at this time."""
        count = unscaled(value)
        lately = count if self.lately is None else self.lately
        expected = min(unscaled(usual), lately)
        missing = self.sum + expected - count / _LEFT
        if missing > 0.0 and count < _HALF * expected:
            self.sum, self.buckets = min(missing, LARGEST), self.buckets + 1
        else:
            self.sum, self.buckets = 0.0, 0
            self.lately = min(lately + _LATELY * (count - lately), LARGEST)

    def restart(self) -> None:
        """What is usual is learned anew; how large sums are by chance need not be."""
        self.sum, self.buckets, self.lately = 0.0, 0, None
