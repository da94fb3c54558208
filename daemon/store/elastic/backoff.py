"""Pauses between attempts."""

import random
import threading

_LONGEST_S = 5.0


class Backoff:
    """Pauses that double and are spread at random, so that several clients don't come back at the same moment."""

    def __init__(self, first_s: float) -> None:
        self._first_s = first_s
        self._stop = threading.Event()
        self._random = random.Random()  # noqa: S311  # spreads load, hides nothing

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def pause(self, attempt: int) -> None:
        """Waits after the attempt with this number, counted from 0, but no longer than until `stop`."""
        pause_s = min(_LONGEST_S, self._first_s * 2**attempt) * self._random.uniform(0.5, 1.0)
        self._stop.wait(pause_s)

    def stop(self) -> None:
        """Ends all pauses, now and later."""
        self._stop.set()
