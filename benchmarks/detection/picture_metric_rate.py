"""Draw docs/explanation/detectors/{metric,rate}.svg: two real series of the Numenta Anomaly Benchmark, and the alarms.

python -m benchmarks.detection.picture_metric_rate NAB_FOLDER OUTPUT_FOLDER
"""

import csv
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt

from detectors.finding import Finding
from detectors.frame import Frame, Interval, Series
from detectors.statistical.metric import Metric
from detectors.statistical.rate import Rate
from detectors.statistical.unusual import Unusual

mpl.rcParams["svg.hashsalt"] = "wumu"
DAY_MS = 86_400_000
PICTURES: tuple[tuple[str, str, Metric | Rate], ...] = (
    (
        "latency, ms",
        "realKnownCause/ec2_request_latency_system_failure.csv",
        Metric(group_by=(), field="latency_ms", bucket="5m", min_history="1d", adapt_after="1d"),
    ),
    (
        "rides per half hour",
        "realKnownCause/nyc_taxi.csv",
        Rate(group_by=(), bucket="30m", min_history="7d", adapt_after="7d"),
    ),
)


def _time_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


def read(path: Path, bucket_ms: int) -> tuple[list[int], list[float]]:
    """The starts of the buckets and their values."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    known = {_time_ms(row["timestamp"]) // bucket_ms * bucket_ms: float(row["value"]) for row in rows}
    return list(known), list(known.values())


def judged(kind: Unusual, starts: list[int], values: list[float]) -> tuple[Finding, ...]:
    series = Series((), tuple(starts), {kind.query().measures[0].name: tuple(values)})
    frame = Frame(Interval(starts[0], starts[-1] + kind.bucket), starts[0], kind.bucket, (series,))
    return kind.detect(frame, {}).findings


def draw(kind: Metric | Rate, title: str, data: Path, name: str, folder: Path) -> None:
    starts, values = read(data / "data" / name, kind.bucket)
    windows = json.loads((data / "labels" / "combined_windows.json").read_text("utf-8"))[name]
    output = folder / f"{kind.kind}.svg"
    findings = judged(kind, starts, values)
    first = starts[0]
    figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
    axes.plot([(at - first) / DAY_MS for at in starts], values, linewidth=0.6, color="tab:blue", label=title)
    for number, (begin, end) in enumerate(windows):
        span = ((_time_ms(time) - first) / DAY_MS for time in (begin, end))
        axes.axvspan(*span, color="tab:orange", alpha=0.2, label="labelled by people" if not number else None)
    axes.plot(
        [(finding.at_ms - kind.bucket - first) / DAY_MS for finding in findings],
        [finding.observed for finding in findings],
        "o",
        markersize=3,
        color="tab:red",
        label="alarm",
    )
    axes.set_xlabel("days")
    axes.set_ylabel(title)
    axes.legend(loc="upper left", fontsize=8)
    figure.savefig(output, metadata={"Date": None})
    begun = [finding for finding, before in zip(findings, (None, *findings), strict=False) if _begins(finding, before)]
    days = [(finding.at_ms - first) // DAY_MS for finding in begun]
    sys.stdout.write(f"{output}: {len(begun)} alarms, on days {days}\n")


def _begins(finding: Finding, before: Finding | None) -> bool:
    return before is None or finding.since_ms != before.since_ms


def main() -> None:
    data, output = Path(sys.argv[1]), Path(sys.argv[2])
    for label, name, kind in PICTURES:
        draw(kind, label, data, name, output)


if __name__ == "__main__":
    main()
