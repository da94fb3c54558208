"""Pictures that came before under another name: a frozen camera gives the same confident answer for ever.

seen = Repeats(decode)
recognizer.recognize(paths, decoder=seen.decode)
"""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Final

import numpy as np

from recognizer.decode import Decoder, Picture
from recognizer.inspect import Limits
from recognizer.reasons import InputReason

REMEMBERED: Final = 4096
"""Pictures that are known at a time: 0.4 MB."""
_EVERY: Final = 4
"""Of every fourth row each pixel counts: noise of a living sensor differs anywhere, and it costs a quarter."""
_DIGEST_BYTES: Final = 16


class Repeats:
    """A decoder that marks what it has decoded before. Safe to share between threads."""

    def __init__(self, decoder: Decoder, remembered: int = REMEMBERED) -> None:
        self._decoder = decoder
        self._remembered = remembered
        self._lock = threading.Lock()
        self._names: OrderedDict[bytes, str] = OrderedDict()

    def decode(self, data: bytes, name: str, limits: Limits, path_issues: tuple[InputReason, ...]) -> Picture:
        """As the decoder; with IMAGE_DUPLICATE where exactly these pixels came lately, under another name.

        The same name again is a repetition of the request, and one colour all over is told by its own reason.
        """
        picture = self._decoder(data, name, limits, path_issues)
        if InputReason.IMAGE_CONSTANT in picture.issues or not self._came_before(picture, name):
            return picture
        return replace(picture, issues=(*picture.issues, InputReason.IMAGE_DUPLICATE))

    def _came_before(self, picture: Picture, name: str) -> bool:
        digest = hashlib.blake2b(repr(picture.pixels.shape).encode(), digest_size=_DIGEST_BYTES)
        digest.update(np.ascontiguousarray(picture.pixels[::_EVERY]).data)
        with self._lock:
            first = self._names.setdefault(digest.digest(), name)
            self._names.move_to_end(digest.digest())
            if len(self._names) > self._remembered:
                self._names.popitem(last=False)
        return first != name
