"""What is decoded waits here for the network: as many pictures at a time as are worth waiting for."""

import threading
import time
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Gathering(Generic[_Item]):
    """Pictures between the threads that decode them and the one that asks the network. Safe to share between them.

    A batch is taken when it is full, when nothing else is being decoded, or when its first picture has waited long
    enough: alone it never waits, among many it is asked together with those that are on their way.
    """

    def __init__(self, most: int, wait_seconds: float) -> None:
        self._most, self._wait_seconds = most, wait_seconds
        self._changed = threading.Condition()
        self._ready: list[tuple[float, _Item]] = []
        self._coming = 0
        self._ended = False

    def expect(self, pictures: int) -> None:
        """So many are on their way: for each of them `put` or `miss` is to be called."""
        with self._changed:
            self._coming += pictures

    def put(self, one: _Item) -> None:
        """One has come."""
        with self._changed:
            self._coming -= 1
            self._ready.append((time.monotonic(), one))
            if len(self._ready) == 1 or self._is_worth_it():
                self._changed.notify()

    def miss(self) -> None:
        """One that was on its way does not come."""
        with self._changed:
            self._coming -= 1
            self._changed.notify()

    def end(self) -> None:
        """None will come any more."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def take(self) -> list[_Item]:
        """The next batch; waits for it. Empty at the end."""
        with self._changed:
            while not self._ready and not self._ended:
                self._changed.wait()
            while self._ready and not self._is_worth_it():
                since, _ = self._ready[0]
                left = since + self._wait_seconds - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            batch = self._ready[: self._most]
            del self._ready[: self._most]
            return [one for _, one in batch]

    def _is_worth_it(self) -> bool:
        return len(self._ready) >= self._most or not self._coming or self._ended
