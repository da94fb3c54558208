"""Pauses between attempts."""

import random
import threading

_LONGEST_MS = 5_000


class Backoff:
    """Pauses that double and are spread at random, so that several clients don't come back at the same moment."""

    def __init__(self, first_ms: float) -> None:
        self._first_ms = first_ms
        self._stop = threading.Event()
        self._random = random.Random()  # noqa: S311  # spreads load, hides nothing

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def pause(self, attempt: int) -> None:
        """Waits after the attempt with this number, counted from 0, but no longer than until `stop`."""
        pause_ms = min(_LONGEST_MS, self._first_ms * 2**attempt) * self._random.uniform(0.5, 1.0)
        self._stop.wait(pause_ms / 1000)

    def stop(self) -> None:
        """Ends all pauses, now and later."""
        self._stop.set()
