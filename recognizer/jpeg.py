"""A JPEG's header, walked marker by marker; its scan is searched, never decoded. (ITU T.81.)"""

import re
import struct
from collections.abc import Iterator
from typing import Final

from recognizer.picture_format import MAX_SEGMENTS, Header, ImageFormat, corrupt, truncated
from recognizer.reasons import InputReason
from recognizer.tiff import exif_orientation

END: Final = b"\xff\xd9"
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BASELINE: Final = frozenset({0xC0, 0xC1})
_HUFFMAN, _END, _SCAN, _APP1 = 0xC4, 0xD9, 0xDA, 0xE1
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_INKS: Final = 4
_ZEROS: Final = bytes(512)
"""A sector: what a file holds where a part of it was never written."""


def header(data: bytes) -> Header:
    """Raises `InputFault`, struct.error or IndexError where the file is cut or damaged."""
    frame: tuple[int, int, int, int] | None = None
    orientation, scan, end = 1, 0, 2
    baseline = textured = False
    for marker, start, end in _segments(data):
        if marker in _FRAMES:
            if frame is not None:
                raise corrupt(ImageFormat.JPEG, "two frame headers")
            frame = struct.unpack_from(">BHHB", data, start)
            baseline = marker in _BASELINE
        elif marker == _HUFFMAN:
            textured = textured or any(_zeros_are_texture(data[start:end]))
        elif marker == _APP1 and data[start : start + 6] == b"Exif\0\0":
            orientation = exif_orientation(data[start + 6 : end])
        elif marker == _SCAN:
            scan = scan or end
            if frame is None:
                raise corrupt(ImageFormat.JPEG, "picture data before the frame header")
    if frame is None:
        raise corrupt(ImageFormat.JPEG, "no picture inside")
    if baseline and textured:
        _check_zeros(data, scan, end)
    depth, height, width, channels = frame
    oddities = [InputReason.IMAGE_COLOR_SPACE] if channels == _INKS else []
    if end < len(data):
        oddities.append(InputReason.IMAGE_TRAILING_DATA)
    return Header(
        ImageFormat.JPEG, width, height, depth, channels, orientation=orientation, oddities=tuple(oddities), end=end
    )


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of each segment; the last one is the end marker."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        marker, start, end = _segment(data, position)
        yield marker, start, end
        if marker == _END:
            return
        position = end
        if marker == _SCAN:
            # Where the first end marker ends the file, nothing is missing, and a long scan need not be walked.
            first = data.find(END, end)
            position = first if first == len(data) - len(END) else _next_marker(data, end)
    raise corrupt(ImageFormat.JPEG, f"more than {MAX_SEGMENTS} segments")


def _segment(data: bytes, position: int) -> tuple[int, int, int]:
    if position + 2 > len(data):
        raise truncated(ImageFormat.JPEG, f"the end marker is missing after {len(data)} bytes")
    if data[position] != 0xFF:
        raise corrupt(ImageFormat.JPEG, f"no marker at byte {position}")
    while data[position + 1] == 0xFF:  # fill bytes may precede a marker
        position += 1
    marker = data[position + 1]
    start = position + 2
    if marker == _END or marker in _STANDALONE:
        return marker, start, start
    (length,) = struct.unpack_from(">H", data, start)
    if length < 2:
        raise corrupt(ImageFormat.JPEG, f"segment of length {length} at byte {position}")
    if start + length > len(data):
        raise truncated(ImageFormat.JPEG, f"the segment at byte {position} ends after the file")
    return marker, start + 2, start + length


def _next_marker(data: bytes, position: int) -> int:
    found = _NEXT_MARKER.search(data, position)
    if found is None:
        zeros = len(data) - len(data.rstrip(b"\0"))
        tail = f", its last {zeros} bytes are zero" if zeros > len(_ZEROS) else ""
        raise truncated(ImageFormat.JPEG, f"the end marker is missing after {len(data)} bytes{tail}")
    return found.start()


def _zeros_are_texture(tables: bytes) -> Iterator[bool]:
    """Of each table for coefficients: whether zero bits mean a coefficient, and not that a block is even."""
    position = 0
    while position + 17 < len(tables):
        if tables[position] & 0x10:
            yield tables[position + 17] != 0
        position += 17 + sum(tables[position + 1 : position + 17])


def _check_zeros(data: bytes, start: int, end: int) -> None:
    """Zero bits would be the same texture in hundreds of blocks: no encoder writes that."""
    position = data.find(_ZEROS, start, end)
    if position >= 0:
        count = end - position - len(data[position:end].lstrip(b"\0"))
        detail = f"{count} zero bytes in the middle of the picture, from byte {position}: a part was never written"
        raise corrupt(ImageFormat.JPEG, detail)
