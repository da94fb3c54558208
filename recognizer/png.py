"""A PNG's header, walked chunk by chunk; checksums of what makes up the picture are verified. (W3C PNG, 3rd ed.)"""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from recognizer.picture_format import MAX_SEGMENTS, Header, ImageFormat, corrupt, truncated
from recognizer.reasons import InputReason
from recognizer.tiff import exif_orientation

_CHANNELS: Final = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_WITH_ALPHA: Final = frozenset({4, 6})
_CRITICAL: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_PACKED: Final = frozenset({b"zTXt", b"iCCP", b"iTXt"})
# libpng prints the profile's name when it complains of it: a control character would reach the operator's terminal
_UNPRINTABLE: Final = re.compile(rb"[^\0]{0,78}?[\x01-\x1f\x7f-\xa0]")
_MAX_UNPACKED_BYTES: Final = 1024 * 1024
"""What Pillow grants a text; beyond it gives the picture up."""


def header(data: bytes) -> Header:
    """Raises `InputFault`, struct.error or IndexError where the file is cut or damaged."""
    fields: tuple[int, int, int, int] | None = None
    alpha, orientation, end = False, 1, 0
    oddities: dict[InputReason, None] = {}
    for kind, start, end in _chunks(data):
        if fields is None:
            if kind != b"IHDR":
                raise corrupt(ImageFormat.PNG, "the first chunk is not IHDR")
            fields = struct.unpack_from(">IIBB", data, start)
        elif kind == b"tRNS":
            alpha = True
        elif kind == b"eXIf":
            orientation = exif_orientation(data[start : end - 4])
        elif kind == b"acTL":
            oddities[InputReason.IMAGE_ANIMATED] = None
        elif kind == b"iCCP" and _UNPRINTABLE.match(data, start):
            raise corrupt(ImageFormat.PNG, "the name of its colour profile is no text")
        elif kind in _PACKED and _unpacks_too_far(kind, data[start : end - 4]):
            oddities[InputReason.IMAGE_METADATA_BOMB] = None
    if fields is None:
        raise corrupt(ImageFormat.PNG, "it has no chunks")
    if end < len(data):
        oddities[InputReason.IMAGE_TRAILING_DATA] = None
    width, height, depth, colour = fields
    if colour not in _CHANNELS:
        raise corrupt(ImageFormat.PNG, f"unknown colour type {colour}")
    alpha = alpha or colour in _WITH_ALPHA
    return Header(
        ImageFormat.PNG, width, height, depth, _CHANNELS[colour], alpha, orientation, oddities=tuple(oddities)
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start of the content and end of each chunk, its checksum included; the last one is IEND."""
    view, position = memoryview(data), 8
    for _ in range(MAX_SEGMENTS):
        if position + 12 > len(data):
            raise truncated(ImageFormat.PNG, f"the end chunk is missing after {len(data)} bytes")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            name = kind.decode("ascii", "backslashreplace")
            raise truncated(ImageFormat.PNG, f"chunk {name} needs {end - len(data)} bytes more than the file has")
        if kind in _CRITICAL:
            (stated,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(view[position + 4 : end - 4]) != stated:
                raise corrupt(ImageFormat.PNG, f"the checksum of chunk {kind.decode()} at byte {position} is wrong")
        yield kind, position + 8, end
        if kind == b"IEND":
            return
        position = end
    raise corrupt(ImageFormat.PNG, f"more than {MAX_SEGMENTS} chunks")


def _unpacks_too_far(kind: bytes, content: bytes) -> bool:
    """Whether a text or profile is a bomb; unpacked as far as the limit and no further."""
    _, _, rest = content.partition(b"\0")
    if kind != b"iTXt":
        packed = rest[1:]
    elif rest[:1] == b"\1":
        packed = rest[2:].split(b"\0", 2)[-1]
    else:
        return False  # not packed
    try:
        return len(zlib.decompressobj().decompress(packed, _MAX_UNPACKED_BYTES + 1)) > _MAX_UNPACKED_BYTES
    except zlib.error:
        return False  # decoders pass over a text that can't be unpacked
