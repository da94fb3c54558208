"""Pictures that came before under another name: a frozen camera gives the same confident answer for ever."""

import threading
from collections import OrderedDict
from typing import Final

from recognizer.decode import Picture
from recognizer.reasons import InputReason

REMEMBERED: Final = 4096
"""Pictures that are known at a time, in half a megabyte whatever their names."""
_EVERY: Final = 4
"""Of every fourth row each pixel counts: noise of a living sensor differs anywhere, and it costs a quarter."""


def likeness(picture: Picture) -> int | None:
    """A number that equal pixels share; None for one colour all over, which is told by its own reason.

    64 bits of Python's own keyed hash (SipHash): a chance likeness among 4,096 pictures comes once in 10^15, nobody
    outside can make one, and it takes a fifth of the time of a cryptographic sum.
    """
    if InputReason.IMAGE_CONSTANT in picture.issues:
        return None
    return hash((picture.pixels.shape, picture.pixels[::_EVERY].tobytes()))


class Repeats:
    """Knows the pictures that came lately. Safe to share between threads."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._lock = threading.Lock()
        self._names: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        """How many pictures are known."""
        return len(self._names)

    def came_before(self, likeness: int | None, name: str) -> bool:
        """Whether a picture of this `likeness` came lately under another name; of those told it, the first is original.

        The same name again is a repetition of the request.
        """
        if likeness is None:
            return False
        known_as = hash(name)
        with self._lock:
            first = self._names.setdefault(likeness, known_as)
            self._names.move_to_end(likeness)
            if len(self._names) > self._remembered:
                self._names.popitem(last=False)
        return first != known_as
