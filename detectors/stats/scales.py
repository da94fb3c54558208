"""What a scorer (`detectors.stats.scorer`) remembers of a series, and where: all lengths follow from the warm-up."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from detectors.stats.packing import Places
from detectors.stats.season import DAY_S, WEEK_S, Cycle, Seasons
from detectors.stats.series import Floats
from detectors.stats.shapes import Blocks
from detectors.stats.surprise import Surprises

MEASURES: Final = 8
NEWEST, LEVEL, SINGLE = 5, 6, 7
"""The places of the last measures, after three shapes and two seasons."""

ALARMING: Final = 5
"""The first measures are those of the alarm score."""

LENGTHS: Final = (12, 8, 4)
"""How many blocks a shape has, on the fine, the middle and the coarse time scale."""

CYCLES: Final = (Cycle(DAY_S, 48, 0.2), Cycle(WEEK_S, 168, 0.3))
SEEN, ORIGIN, MEDIAN, MEAN, VARIANCE, _HEAD = range(6)
"""The places of the numbers that a state begins with: values seen, the first one, which the others are told from, the
median of the past, running mean and variance."""

_FINE, _MIDDLE, _COARSE = 208, 104, 52
_LEVEL_PART = 26
_START_PART = 13


@dataclass(frozen=True, slots=True)
class Size:
    """How much is remembered: ``blocks`` per time scale, ``ranks`` twice per measure.

    warm_up  how many values are one warm-up: the time scales are parts of it
    """

    warm_up: int
    blocks: int = 500
    ranks: int = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a `Size`: lengths in values, and the parts of a state with their places.

    turns       every how many values a measure is taken, for numpy; ``every`` for plain Python
    level_room  how many values are the level
    head        the numbers that a state begins with
    distances   the newest measures; ``ranks`` and ``beyond`` their surprises
    recent      the newest values, oldest first; ``residuals`` the newest distances from day and week
    shapes      the measures that compare shapes: which measure, its time scale, how many blocks long the shape is
    start       after how many values the strangeness of values is learned
    """

    places: Places
    turns: Floats
    every: tuple[int, ...]
    level_room: int
    head: slice
    distances: slice
    ranks: slice
    beyond: slice
    recent: slice
    residuals: tuple[slice, ...]
    blocks: tuple[Blocks, ...]
    seasons: Seasons
    past: Surprises
    start: int
    shapes: tuple[tuple[int, Blocks, int], ...]


@cache
def plan(size: Size) -> Plan:
    steps = [max(1, size.warm_up // part) for part in (_FINE, _MIDDLE, _COARSE)]
    halves = [max(1, step // 2) for step in steps]
    level_room = max(1, size.warm_up // _LEVEL_PART)
    room = max(level_room, *(length * step for length, step in zip(LENGTHS, steps, strict=True)))
    every = (*halves, 1, 1, halves[1], 1, 1)
    places = Places()
    head, distances, ranks, beyond = (places.numbers(count) for count in (_HEAD, MEASURES, MEASURES, MEASURES))
    blocks = tuple(Blocks(step, size.blocks, places) for step in steps)
    lengths = [(measure, *one) for measure, one in enumerate(zip(blocks, LENGTHS, strict=True))]
    return Plan(
        places=places,
        turns=np.array(every, np.float64),
        every=every,
        level_room=level_room,
        head=head,
        distances=distances,
        ranks=ranks,
        beyond=beyond,
        recent=places.singles(room),
        residuals=tuple(places.singles(step) for step in steps[1:]),
        blocks=blocks,
        seasons=Seasons(CYCLES, places),
        past=Surprises(MEASURES, size.ranks, places),
        start=max(1, size.warm_up // _START_PART),
        shapes=(*lengths, (NEWEST, blocks[1], 1)),
    )
