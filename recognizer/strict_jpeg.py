"""JPEG decoded by libjpeg-turbo with its warnings heard: a damaged scan decodes silently everywhere else.

Needs simplejpeg (the extra ``jpeg``); where it is not installed OpenCV decodes, and such damage passes. The pixels are
the same to the last bit, and it takes no longer. What leaves a valid code of another picture nobody can notice: of
single flipped bits that are two in three.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from recognizer.inspect import Pixels
from recognizer.picture_format import Header

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

_SPACES: Final = {1: "GRAY", 3: "BGR"}
_DAMAGED: Final = ("Corrupt JPEG data", "Premature end of JPEG", "Unsupported marker type")
_BEFORE_THE_END: Final = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels as OpenCV gives them (grey, or blue, green, red), or None where another decoder has to try.

    ``damage``: what libjpeg found wrong in the data, in its words; else empty.
    """

    pixels: Pixels | None
    damage: str = ""


def decode(data: bytes, header: Header) -> Decoded:
    """The picture of a JPEG whose header was read; never raises for what the file holds."""
    space = _SPACES.get(header.channels)
    if simplejpeg is None or space is None or header.bit_depth != 8:
        return Decoded(None)
    try:
        pixels = np.asarray(simplejpeg.decode_jpeg(data, space, strict=True), np.uint8)
    except ValueError as error:
        message = str(error)
        return Decoded(None, message if message.startswith(_DAMAGED) and not _is_padding(message, data, header) else "")
    return Decoded(pixels[..., 0] if space == "GRAY" else pixels)


def _is_padding(message: str, data: bytes, header: Header) -> bool:
    """Some cameras fill up before the end marker: one byte repeated is no picture data that was left over."""
    found = _BEFORE_THE_END.search(message)
    if found is None:
        return False
    end = (header.end or len(data)) - 2
    return len(set(data[max(0, end - int(found[1])) : end])) <= 1
