"""Pictures that came before under another name: a frozen camera gives the same confident answer for ever."""

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from recognizer.decode import Picture
from recognizer.reasons import InputReason

REMEMBERED: Final = 4096
"""Pictures that are known at a time, in half a megabyte whatever their names."""
_EVERY: Final = 4
"""Of every fourth row each pixel counts: noise of a living sensor differs anywhere, and it costs a quarter."""


class Repeats:
    """Knows the pictures that came lately. Safe to share between threads.

    By 64 bits of Python's own keyed hash (SipHash): a chance likeness among 4,096 pictures comes once in 10^15, nobody
    outside can make one, and it takes a fifth of the time of a cryptographic sum.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._lock = threading.Lock()
        self._names: OrderedDict[int, int] = OrderedDict()

    def __len__(self) -> int:
        """How many pictures are known."""
        return len(self._names)

    def marked(self, picture: Picture, name: str) -> Picture:
        """The picture, with IMAGE_DUPLICATE where exactly these pixels came lately under another name.

        The same name again is a repetition of the request, and one colour all over is told by its own reason.
        """
        if InputReason.IMAGE_CONSTANT in picture.issues or not self._came_before(picture, name):
            return picture
        return replace(picture, issues=(*picture.issues, InputReason.IMAGE_DUPLICATE))

    def _came_before(self, picture: Picture, name: str) -> bool:
        pixels, known_as = hash((picture.pixels.shape, picture.pixels[::_EVERY].tobytes())), hash(name)
        with self._lock:
            first = self._names.setdefault(pixels, known_as)
            self._names.move_to_end(pixels)
            if len(self._names) > self._remembered:
                self._names.popitem(last=False)
        return first != known_as
