"""Draw docs/explanation/detectors/latency.svg: a made-up service with planted slowdowns and what `latency` says.

python -m benchmarks.detection.picture_latency OUTPUT
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.detection.latency_worlds import DAY, Fault, Law, World, make_world
from detectors.query import MINUTE_MS
from detectors.statistical.latency import Latency
from detectors.stats.slowdown_watch import Slow, Watch

_FIRST, _LAST = 5 * DAY, 5 * DAY + 1_500


def watched(world: World) -> tuple[np.ndarray, dict[int, Slow]]:
    """The raw score of every minute and the alarms."""
    watch = Watch(Latency().plan)
    batch, scores, alarms = watch.fresh(1), np.zeros(len(world.n)), {}
    for minute in np.flatnonzero(world.n):
        histogram = np.concatenate([[0.0], world.H[minute], [0.0]])[None, :]
        verdict = watch.step(batch, np.array([0]), histogram, int(minute), int(minute) * MINUTE_MS)
        scores[minute] = verdict.score[0]
        alarms.update({int(minute): slow for slow in verdict.slow})
    return scores, alarms


def main() -> None:
    world = make_world(Law.LOGNORMAL, 60, 7, 4, faults=True)
    scores, alarms = watched(world)
    hours = (np.arange(_FIRST, _LAST) - _FIRST) / 60
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(9, 5), height_ratios=(2, 1))
    above.plot(hours, world.mean[_FIRST:_LAST], color="0.6", linewidth=0.7, label="mean of the minute, ms")
    shown = {minute: slow for minute, slow in alarms.items() if _FIRST <= minute < _LAST}
    at = [(minute - _FIRST) / 60 for minute in shown]
    above.plot(at, [slow.observed for slow in shown.values()], "r.", markersize=4, label="alarm: observed quantile")
    above.plot(at, [slow.high for slow in shown.values()], "b.", markersize=2, label="alarm: bound of the usual")
    below.plot(hours, scores[_FIRST:_LAST], color="0.3", linewidth=0.7)
    below.set_ylabel("surprise, −ln p")
    below.set_xlabel("hours")
    above.set_ylabel("ms")
    for fault, start, end in world.faults:
        if _FIRST <= start < _LAST:
            for axes in (above, below):
                axes.axvspan((start - _FIRST) / 60, (end - _FIRST) / 60, color="orange", alpha=0.3)
            name = {Fault.TAIL: "10 % 5x"}.get(fault, fault.value.split(" for")[0])
            above.text((start - _FIRST) / 60, above.get_ylim()[1] * 0.9, name, fontsize=7)
    above.legend(fontsize=7, loc="upper right")
    figure.tight_layout()
    figure.savefig(Path(sys.argv[1]), metadata={"Date": None})


if __name__ == "__main__":
    main()
