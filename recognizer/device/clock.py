"""Wall time of what a device's own clock measured, without ever waiting for the device. Pure."""

import math
from typing import Final

WINDOW_MS: Final = 60_000.0


class DeviceClock:
    """The distance between the two clocks, from moments that were seen on both.

    That something is done is seen after it happened, never before, and mostly by microseconds. So the smallest
    distance of the last minutes is the truest; older ones are forgotten, because clocks drift and are set: after a
    night without work two clocks are a second apart.
    """

    def __init__(self, window_ms: float = WINDOW_MS) -> None:
        self._window_ms = window_ms
        self._began_ms = -math.inf
        self._smallest = self._smallest_before = math.inf

    def observe(self, device_ms: float, wall_ms: float) -> None:
        """Something that happened at ``device_ms`` was known at ``wall_ms`` (since 1970)."""
        distance = wall_ms - device_ms
        if device_ms - self._began_ms >= self._window_ms:
            recent = device_ms - self._began_ms < 2 * self._window_ms
            self._began_ms = device_ms
            self._smallest_before, self._smallest = self._smallest if recent else math.inf, distance
        self._smallest = min(self._smallest, distance)

    def wall_ms(self, device_ms: float) -> float:
        """Milliseconds since 1970; NaN before the first `observe`."""
        distance = min(self._smallest, self._smallest_before)
        return device_ms + distance if math.isfinite(distance) else math.nan
