"""Whether a noisy level has risen, with evidence pooled over several neighbours.

A single observation of a busy minute says more than one of a quiet minute, and a moderate rise shows only in several
minutes together. So the observations are pooled over windows of several widths, weighted by how many events they rest
on, and every width is compared with what windows of that same width did in the past: the wander that neighbours share
is then in the scale already. The units are free; the caller works in logarithms.
"""

import math
import operator
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from detectors.stats.robust import pooled, upper_scale
from detectors.stats.series import Floats

WIDTHS = (2, 3, 5, 10, 30)
_LEAST_WINDOWS = 5
_FINITE_HISTORY = 4.0


_Positive = Annotated[float, msgspec.Meta(gt=0, le=1e12)]


class Usual(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How windows of ``width`` observations used to be.

    centre, scale  median, and robust standard deviation upwards, of their pooled level
    events         median number of events they rest on
    cap            an observation weighs no more than this many events
    """

    width: Annotated[int, msgspec.Meta(ge=1, le=WIDTHS[-1])]
    centre: Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
    scale: _Positive
    events: _Positive
    cap: _Positive

    def level(self, values: Sequence[float], events: Sequence[int]) -> float:
        """The pooled level of some observations."""
        weights = [min(count, self.cap) for count in events]
        total: float = sum(map(operator.mul, values, weights))
        return total / sum(weights)

    def noise(self, events: float) -> float:
        """The standard deviation of a window that rests on ``events``: fewer than usual make it noisier."""
        return self.scale * math.sqrt(max(1.0, self.events / events))


def usual_levels(values: Floats, events: Floats, least_scale: float) -> tuple[Usual, ...]:
    """What is usual, for every width the history is long enough for.

    The newest ``width`` observations are left out, so that a change that is beginning is not compared with itself.
    No scale is below ``least_scale``, so that a history without any noise does not make every change a wonder, and it
    is widened by the share that one window takes of the history: few independent windows tell it badly.
    """
    found: list[Usual] = []
    for width in WIDTHS:
        history, counts = values[:-width], events[:-width]
        if len(history) < _LEAST_WINDOWS * width:
            break
        cap = float(np.sort(counts)[len(counts) // 2])
        centre, scale = upper_scale(pooled(history, np.minimum(counts, cap), width))
        widened = max(scale, least_scale) * (1.0 + _FINITE_HISTORY * width / len(history))
        found.append(Usual(width, centre, widened, cap * width, cap))
    return tuple(found)
