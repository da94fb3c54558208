"""Durations as people write them."""

import re

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_PART = re.compile(r"(\d+)(ms|s|m|h|d|w)")
MAX_MS = 3650 * DAY_MS


def duration_ms(value: object) -> int:
    """Milliseconds of ``90s``, ``5m``, ``1h30m``, ``7d``; 0 of ``0``. Raises ValueError on anything else.

    >>> duration_ms("1h30m")
    5400000
    """
    if value == 0 and not isinstance(value, bool):
        return 0
    if isinstance(value, str):
        text = value.strip()
        parts = _PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text:
            total = sum(int(number) * _UNITS_MS[unit] for number, unit in parts)
            if total <= MAX_MS:
                return total
            raise ValueError("a duration may be ten years at most")
        if text == "0":
            return 0
    raise ValueError(f"not a duration: {value!r}; write a number and a unit, for example 30s, 5m, 1h30m, 7d")


def format_duration(milliseconds: float) -> str:
    """The shortest exact text of a duration: the two largest units that matter.

    >>> format_duration(5_400_000), format_duration(90_061_000), format_duration(250)
    ('1h30m', '1d1h', '250ms')
    """
    rest = round(milliseconds)
    if rest < 1_000:
        return f"{rest}ms"
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _UNITS_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])
