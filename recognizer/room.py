"""Memory that several threads share: who needs more than is left waits until others are done."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """So many bytes. Who needs more than all of them has the room to himself."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size_bytes: int) -> Iterator[None]:
        """Waits until there is room, and gives it back in the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + size_bytes <= self._limit)
            self._taken += size_bytes
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size_bytes
                self._changed.notify_all()
