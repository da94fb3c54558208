"""Draw docs/explanation/detectors/outlier.svg: load and duration that stop going together, and what `outlier` says.

python -m benchmarks.detection.picture_outlier OUTPUT
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt
import numpy as np

from detectors.stats.outliers import PERSIST, Learned, Plan, Verdict, Watch

BUCKET_MS = 300_000
DAY = 288
DAYS = 9
FAULT = slice(8 * DAY + 200, 8 * DAY + 218)
PLAN = Plan(bucket_ms=BUCKET_MS, width=3, least=DAY, most=7 * DAY, retrain=DAY, interval=30 * DAY, adapt=DAY)


def made_up(seed: int) -> np.ndarray:
    """Count, mean duration and mean score of every five minutes. In the fault the requests are those of the evening,
    the durations those of the night: half of the work is no longer done."""
    random = np.random.default_rng(seed)
    minutes = np.arange(DAYS * DAY)
    load = np.exp(0.7 * np.sin(minutes / DAY * 2 * np.pi) + random.normal(0, 0.08, len(minutes)))
    rows = np.stack(
        [
            random.poisson(300 * load).astype(float),
            40 * load**0.4 * np.exp(random.normal(0, 0.03, len(minutes))),
            random.normal(0.9, 0.004, len(minutes)),
        ],
        axis=1,
    )
    rows[FAULT, 0] = random.poisson(430, FAULT.stop - FAULT.start)
    rows[FAULT, 1] = random.normal(32, 1, FAULT.stop - FAULT.start)
    return rows


def watched(rows: np.ndarray) -> tuple[np.ndarray, dict[int, Verdict]]:
    """The judged oddity of every bucket, and the alarms."""
    watch, alone, alarms = Watch(PLAN, Learned()), np.zeros(len(rows)), {}
    for place, row in enumerate(rows):
        verdict = watch.judge(place * BUCKET_MS, row)
        recent = watch.learned.recent
        alone[place] = recent[-1].oddity if recent else 0.0
        if verdict is not None:
            alarms[place] = verdict
    return np.convolve(alone, np.ones(PERSIST) / PERSIST)[: len(rows)], alarms


def main() -> None:
    rows = made_up(3)
    oddity, alarms = watched(rows)
    shown = np.arange(7 * DAY, DAYS * DAY)
    hours = (shown - shown[0]) / 12
    figure = plt.figure(figsize=(10, 5))
    grid = figure.add_gridspec(3, 2, width_ratios=(2, 1))
    lines = [figure.add_subplot(grid[line, 0]) for line in range(3)]
    for axes, values, name in zip(lines, (rows[:, 0], rows[:, 1], oddity), ("requests", "ms", "oddity"), strict=True):
        axes.plot(hours, values[shown], color="0.4", linewidth=0.7)
        axes.set_ylabel(name)
        axes.axvspan((FAULT.start - shown[0]) / 12, (FAULT.stop - shown[0]) / 12, color="orange", alpha=0.3)
        at = np.array(sorted(alarms), dtype=int)
        axes.plot((at - shown[0]) / 12, values[at], "r.", markersize=4)
    lines[2].set_xlabel("hours")
    if alarms:
        height = next(iter(alarms.values())).height
        lines[2].axhline(height, color="b", linewidth=0.7, label="reached once in 30 days by chance")
        lines[2].legend(fontsize=7)
    together = figure.add_subplot(grid[:, 1])
    together.plot(rows[: FAULT.start : 4, 0], rows[: FAULT.start : 4, 1], ".", color="0.7", markersize=2)
    together.plot(rows[FAULT, 0], rows[FAULT, 1], "r.", markersize=4)
    together.set_xlabel("requests")
    together.set_ylabel("ms")
    figure.tight_layout()
    figure.savefig(Path(sys.argv[1]), metadata={"Date": None})


if __name__ == "__main__":
    main()
