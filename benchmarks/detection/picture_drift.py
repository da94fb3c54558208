"""Pictures of `confidence_drift` and `label_drift` for their pages: python -m benchmarks.detection.picture_drift"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.detection.drift_streams import labels, scores
from detectors.finding import Finding
from detectors.frame import Bins, Counts, Frame, Interval, Series
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.statistical.label_drift import LabelDrift
from detectors.stats.scores import EDGES

PAGES = Path(__file__).parents[2] / "docs/explanation/detectors"
MINUTE_MS = 60_000
MINUTES, CHANGE, PER_MINUTE = 300, 200, 60
_KEY = (("model_name", "digits"),)
_ORANGE, _RED, _BLUE = "#e8a33d", "#c0392b", "#4a78b5"


def _frame(series: Series) -> Frame:
    return Frame(Interval(0, MINUTES * MINUTE_MS), 0, MINUTE_MS, (series,))


def _drawn(values: list[float], found: tuple[Finding, ...], title: str, path: Path) -> None:
    mpl.rcParams["svg.hashsalt"] = "wumu"
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(CHANGE, MINUTES, color=_ORANGE, alpha=0.2, label="changed")
    axes.plot(values, color=_BLUE, linewidth=0.8)
    times = [one.at_ms / MINUTE_MS for one in found]
    axes.plot(times, [one.observed for one in found], color=_RED, linewidth=1.6, label="alarm: observed")
    axes.axvline(found[0].since_ms / MINUTE_MS, color=_RED, linestyle=":", label="since")
    axes.set_xlabel("minutes")
    axes.set_ylabel(title)
    axes.legend(loc="lower left", fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def confidence() -> None:
    values = scores("softmax", MINUTES * PER_MINUTE, 5, correlation=0.5)
    random = np.random.default_rng(6)
    dirty = random.random(len(values)) < 0.15
    dirty[: CHANGE * PER_MINUTE] = False
    values[dirty] = random.beta(4, 4, int(dirty.sum()))
    parts = values.reshape(MINUTES, PER_MINUTE)
    places = np.searchsorted(EDGES, parts, side="right")
    bins = tuple(
        Bins(tuple((int(place), int(count)) for place, count in zip(*np.unique(row, return_counts=True), strict=True)))
        for row in places
    )
    columns = {
        "count": tuple(float(len(part)) for part in parts),
        "sum": tuple(float(part.sum()) for part in parts),
        "squares": tuple(float(np.square(part).sum()) for part in parts),
        "scores": bins,
    }
    series = Series(_KEY, tuple(number * MINUTE_MS for number in range(MINUTES)), columns)
    found = ConfidenceDrift().detect(_frame(series), {}).findings
    _drawn(parts.mean(axis=1).tolist(), found, "mean score", PAGES / "confidence_drift.svg")


def label() -> None:
    drawn = labels(1_000, MINUTES * PER_MINUTE, 7, repeats=0.3)
    hit = np.random.default_rng(8).random(len(drawn)) < 0.12
    hit[: CHANGE * PER_MINUTE] = False
    drawn[hit] = 321
    parts = drawn.reshape(MINUTES, PER_MINUTE)
    tallies = []
    for part in parts:
        names, counts = np.unique(part, return_counts=True)
        order = np.lexsort((names, -counts))
        ranked = [(f"class {names[number]}", int(counts[number])) for number in order]
        tallies.append(Counts(tuple(ranked[:200]), sum(count for _, count in ranked[200:])))
    columns = {"count": tuple(float(PER_MINUTE) for _ in parts), "labels": tuple(tallies)}
    series = Series(_KEY, tuple(number * MINUTE_MS for number in range(MINUTES)), columns)
    found = LabelDrift().detect(_frame(series), {}).findings
    _drawn((parts == 321).mean(axis=1).tolist(), found, "share of the label", PAGES / "label_drift.svg")


if __name__ == "__main__":
    confidence()
    label()
