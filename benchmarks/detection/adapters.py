"""The product's own statistical code in the shapes that the given detection benchmarks call.

All constants are the defaults; nothing is computed here.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.query import MINUTE_MS
from detectors.statistical.latency import Latency
from detectors.stats.gate import Gate
from detectors.stats.labels import LabelStream
from detectors.stats.scales import Size, plan
from detectors.stats.scores import ScoreStream
from detectors.stats.single import Score, Single
from detectors.stats.slowdown_watch import Watch

Floats = NDArray[np.float64]


def nab(timestamps: Floats, values: Floats, probation: int) -> Floats:
    """The alarm score of every value; ``timestamps`` in seconds, ``probation`` values are the warm-up."""
    gate = Gate(probation)
    return np.array([gate.alarm(one.surprise) for one in _scores(timestamps, values, probation)])


def raw(timestamps: Floats, values: Floats, probation: int) -> Floats:
    """The raw score of every value, comparable across series."""
    return np.array([one.raw for one in _scores(timestamps, values, probation)])


def _scores(timestamps: Floats, values: Floats, probation: int) -> Iterator[Score]:
    single = Single.new(plan(Size(probation)))
    for time_s, value in zip(np.asarray(timestamps, float).tolist(), np.asarray(values, float).tolist(), strict=True):
        yield single.observe(time_s, value)
        single.learn(strange=True)


class Minutes(Protocol):
    """Per-minute aggregates of one series: ``n`` values a minute, ``H`` their histogram between ``edges``."""

    n: Floats
    minute: Floats
    H: Floats
    edges: Floats


def latency(M: Minutes) -> Floats:  # noqa: N803  # the benchmarks' name
    """The raw score of every minute: the surprise of the product's kind `latency`; 0 where nothing was sent."""
    watch = Watch(replace(Latency().plan, edges=np.asarray(M.edges, float)))
    batch = watch.fresh(1)
    row = np.array([0])
    scores = np.zeros(len(M.n))
    for place in np.flatnonzero(M.n > 0):
        histogram = np.concatenate([[0.0], M.H[place], [0.0]])[None, :]
        number = int(M.minute[place])
        scores[place] = watch.step(batch, row, histogram, number, number * MINUTE_MS).score[0]
    return scores


class Confidence(ScoreStream):
    """``update(score) -> bool``: the product's drift detector over a stream of scores."""


class Labels(LabelStream):
    """``update(label) -> bool``: the product's drift detector over a stream of labels."""
