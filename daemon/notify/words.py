"""The words of messages in both languages, and how values are written: numbers with their unit, times, spans."""

import math
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from detectors.duration import format_duration
from detectors.finding import Expected
from detectors.frame import Key
from recognizer.events import FIELD_NAMES
from recognizer.paths import visible
from rules.model import Language

VALUE_CHARACTERS = 120
"""An event's value inside a sentence is cut to this."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTED = {
    "events": "event",
    "requests": "request",
    "pictures": "picture",
    "values": "value",
    "days": "day",
    "hours": "hour",
}
_TOO_SELDOM_DAYS = 3_650
"""Beyond ten years a number of days says nothing that could be checked."""


class Words:
    """One language's phrases. ``words("label", "since")`` is a phrase; further arguments fill its braces."""

    def __init__(self, phrases: Mapping[str, Mapping[str, str]]) -> None:
        self._phrases = phrases

    def __call__(self, section: str, name: str, /, **values: str) -> str:
        return self._phrases[section][name].format(**values) if values else self._phrases[section][name]

    def has(self, section: str, name: str) -> bool:
        return name in self._phrases[section]

    def section(self, section: str) -> Mapping[str, str]:
        return self._phrases[section]

    def number(self, value: float, unit: str) -> str:
        """A measured value as people read it: ``1.83 s``, ``12.5 %``, ``3 events``, ``0.213``."""
        if not math.isfinite(value):
            return "∞" if value > 0 else "-∞" if value < 0 else "?"
        match unit:
            case "ms":
                return _span(value)
            case "ratio":
                return f"{value * 100:.3g} %"
            case "score" | "effect size":
                return f"{value:.3g}"
            case "bytes":
                return _size(value)
            case _ if unit in FIELD_NAMES:  # a number without a unit: its field is named beside it
                return plain_number(value)
            case _ if unit in _COUNTED:
                return f"{plain_number(value)} {self('unit', _COUNTED[unit] if value == 1 else unit)}"
            case _:
                return f"{plain_number(value)} {visible(unit, VALUE_CHARACTERS)}"

    def expected(self, expected: Expected, unit: str) -> str:
        """The band as a clause; empty where both ends are open."""
        low = None if expected.low is None else self.number(expected.low, unit)
        high = None if expected.high is None else self.number(expected.high, unit)
        if low is not None and high is not None:
            return self("expected", "band", low=low, high=high)
        if high is not None:
            return self("expected", "high", high=high)
        return self("expected", "low", low=low) if low is not None else ""

    def chance(self, days: float) -> str:
        """How often chance alone would give such an alarm, as a clause."""
        if not days < _TOO_SELDOM_DAYS:
            return self("chance", "seldom")
        span = self.number(round(days), "days") if days >= 2 else self.number(max(1, round(days * 24)), "hours")
        return self("chance", "once", span=span)

    def where(self, key: Key) -> str:
        """The key as a phrase that follows a clause: `` on gpu-1 in /data``; empty for the empty key."""
        parts = []
        for field, value in key:
            if value is None:
                parts.append(self("where", "missing", field=field))
            elif self.has("where", field):
                parts.append(self("where", field, value=visible(value, VALUE_CHARACTERS)))
            else:
                parts.append(self("where", "other", field=field, value=visible(value, VALUE_CHARACTERS)))
        if not parts:
            return ""
        return self("where", "open") + self("where", "between").join(parts) + self("where", "close")


@cache
def words(language: Language) -> Words:
    text = files("daemon.notify").joinpath("templates", language, "phrases.toml").read_text(encoding="utf-8")
    return Words(tomllib.loads(text))


def plain_number(value: float) -> str:
    """Without a unit and without an exponent where it is a count."""
    return f"{round(value):,}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def moment(milliseconds: int, time_zone: str) -> str:
    """Wall time with its zone: ``2026-11-22 18:37:01 UTC``; the bare number where no calendar holds it."""
    try:
        return (
            (_EPOCH + timedelta(milliseconds=milliseconds))
            .astimezone(ZoneInfo(time_zone))
            .strftime("%Y-%m-%d %H:%M:%S %Z")
        )
    except (OverflowError, ValueError):
        return f"{milliseconds} ms"


def _span(milliseconds: float) -> str:
    if abs(milliseconds) < 1_000:
        return f"{milliseconds:.3g} ms"
    return f"{milliseconds / 1_000:.3g} s" if abs(milliseconds) < 60_000 else format_duration(milliseconds)


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if abs(count) < 1_024:
            return f"{count:.4g} {unit}"
        count /= 1_024
    return f"{count:.4g} GiB"
