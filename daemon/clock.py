"""Time as a dependency: wall time stamps, monotonic time schedules."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Wall time, milliseconds since 1970 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump."""
        ...

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Sleep, but no longer than until ``stop`` is set; whether it was."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        return stop.wait(seconds)


class ManualClock:
    """A clock that moves only when told: for tests, backtests and rule tests."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._now_ms / 1_000

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        self.advance_ms(round(seconds * 1_000))
        return stop.is_set()

    def advance_ms(self, milliseconds: int) -> None:
        self._now_ms += milliseconds
