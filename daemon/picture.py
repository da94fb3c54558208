"""Pictures of history: what a rule measured, where its alerts were, and the band that was expected then."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.alerts.model import Alert
from daemon.errors import WumuError
from daemon.evaluate import Source
from daemon.measured import ask_for, measured, points
from daemon.replay import Replayed
from detectors.duration import DAY_MS
from detectors.frame import Key
from recognizer.paths import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SERIES = 4
"""Series shown of a rule: those with the most alerts."""
MOST_CANDIDATES = 12
TITLE_CHARACTERS = 100
LINE, BAD, BAND = "#1565c0", "#c62828", "#2e7d32"
FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Micro Hei", "Microsoft YaHei", "PingFang SC")


def figure(width: float, height: float) -> "Figure":
    """An empty picture, in inches. Raises WumuError where the extra that draws is missing."""
    try:
        import matplotlib as mpl  # noqa: PLC0415  # an extra, and slow to load: only who wants pictures pays
        from matplotlib import font_manager  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise WumuError(
            f"pictures need the module {missing.name}, which is not installed", hint="pip install 'wumu[pictures]'"
        ) from missing
    known = {font.name for font in font_manager.fontManager.ttflist}
    mpl.rcParams["font.family"] = [name for name in FONTS if name in known]
    return Figure(figsize=(width, height), layout="constrained")


def save(drawn: "Figure", path: Path) -> None:
    """Write a PNG. A character that no font has is drawn as a box."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        drawn.savefig(path, dpi=110)


def draw_replayed(replayed: Replayed, source: Source, path: Path) -> None:
    """The picture of one rule: a panel for each of the series with the most alerts. Raises StoreError."""
    keys = _keys(replayed.alerts)
    drawn = figure(12, 1.2 + 2.6 * max(1, len(keys)))
    query = replayed.rule.detector.query()
    label = measured(query).label
    panels = drawn.subplots(max(1, len(keys)), 1, squeeze=False, sharex=True)[:, 0]
    alerts = len(replayed.alerts)
    title = f"{replayed.rule.id}: {alerts} alert{'s' * (alerts != 1)}, {replayed.notices_a_day:.2g} notices a day"
    drawn.suptitle(visible(title, TITLE_CHARACTERS), parse_math=False)
    for key, axes in zip(keys or [()], panels, strict=True):
        (frame,) = source.ask([ask_for(query, key, replayed.interval)])
        times, numbers = points(frame, query)
        axes.plot([_days(time) for time in times], numbers, color=LINE, linewidth=0.9)
        for alert in replayed.alerts:
            if alert.key == key:
                _draw_alert(axes, alert, replayed.interval.end_ms)
        axes.set_title(_key_title(key), fontsize=9, loc="left", parse_math=False)
        axes.set_ylabel(visible(label, TITLE_CHARACTERS), fontsize=8, parse_math=False)
        axes.set_xlim(_days(replayed.interval.start_ms), _days(replayed.interval.end_ms))
        axes.xaxis_date("UTC")
        axes.grid(alpha=0.25)
    panels[-1].set_xlabel("UTC", fontsize=8)
    save(drawn, path)


def draw_costs(costs: Mapping[str, Sequence[tuple[str, float, bool]]], path: Path) -> None:
    """The picture of settings: for every rule bars of the notices a day that each setting would have cost.

    ``costs`` holds setting, notices a day, and whether it is the proposed one.
    """
    shown = {rule: bars[:MOST_CANDIDATES] for rule, bars in costs.items()}
    drawn = figure(10, 1 + sum(0.7 + 0.28 * len(bars) for bars in shown.values()))
    panels = drawn.subplots(
        len(shown), 1, squeeze=False, gridspec_kw={"height_ratios": [2 + len(bars) for bars in shown.values()]}
    )[:, 0]
    for (rule, bars), axes in zip(shown.items(), panels, strict=True):
        places = range(len(bars))
        axes.barh(places, [cost for _, cost, _ in bars], color=[BAND if chosen else LINE for *_, chosen in bars])
        axes.set_yticks(places, [visible(name, TITLE_CHARACTERS) for name, *_ in bars], fontsize=8, parse_math=False)
        axes.invert_yaxis()
        axes.set_title(visible(rule, TITLE_CHARACTERS), fontsize=9, loc="left", parse_math=False)
        axes.grid(alpha=0.25, axis="x")
    panels[-1].set_xlabel("notices a day")
    save(drawn, path)


def _keys(alerts: Sequence[Alert]) -> list[Key]:
    return [key for key, _ in Counter(alert.key for alert in alerts).most_common(MOST_SERIES)]


def _draw_alert(axes: "Axes", alert: Alert, end_ms: int) -> None:
    """The span from the first finding to the end, what was observed at its worst, and the band that was expected."""
    ended_ms = end_ms if alert.resolved_at_ms is None else alert.resolved_at_ms
    begun, ended = _days(min(alert.finding.since_ms, alert.active_at_ms)), _days(ended_ms)
    axes.axvspan(begun, _days(alert.active_at_ms), color=BAD, alpha=0.08, linewidth=0)
    axes.axvspan(_days(alert.active_at_ms), ended, color=BAD, alpha=0.2, linewidth=0)
    axes.plot([_days(alert.peak.at_ms)], [alert.peak.observed], marker="o", markersize=4, color=BAD)
    expected = alert.peak.expected
    for bound in (expected.low, expected.high):
        if bound is not None:
            axes.plot([begun, ended], [bound, bound], color=BAND, linewidth=1.2)
    if expected.low is not None and expected.high is not None:
        axes.fill_between([begun, ended], expected.low, expected.high, color=BAND, alpha=0.15)


def _key_title(key: Key) -> str:
    text = " ".join(f"{name}={value if value is not None else '(none)'}" for name, value in key)
    return visible(text or "(all)", TITLE_CHARACTERS)


def _days(milliseconds: int) -> float:
    """A time as matplotlib counts it."""
    return milliseconds / DAY_MS
