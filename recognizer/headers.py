"""What an image file says about itself, read from its own bytes before any decoder sees them.

A decoder believes the header: 24 KB that claim 60,000 × 60,000 pixels cost gigabytes, and some libraries crash
on dimensions that lie. So dimensions, depth and completeness are read here first, by bounded walks that never
allocate by what the file claims. Each parser answers with a `Header` or raises `InputFault`.

Sources: ITU T.81 (JPEG), the PNG and WebP container specifications, GIF89a, TIFF 6.0, Exif 2.32.
"""

import enum
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from recognizer.fault import InputFault
from recognizer.reasons import InputReason
from recognizer.tiff import Directory, exif_orientation, read_directory

MAX_SEGMENTS = 100_000
"""A walk stops after so many segments: real files have some hundreds, hostile ones would keep us busy."""


class ImageFormat(enum.StrEnum):
    """The formats that are decoded."""

    JPEG = "jpeg"
    PNG = "png"
    BMP = "bmp"
    GIF = "gif"
    TIFF = "tiff"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class Header:
    """Width and height in pixels as stored, ``bit_depth`` per channel, ``orientation`` as in Exif (1 is upright)."""

    format: ImageFormat
    width: int
    height: int
    bit_depth: int = 8
    channels: int = 3
    alpha: bool = False
    orientation: int = 1
    floating: bool = False


def parse(image_format: ImageFormat, data: bytes) -> Header:
    """The header of ``data``, whose magic bytes say ``image_format``; `InputFault` when it is cut or damaged."""
    try:
        header = _PARSERS[image_format](data)
    except (struct.error, IndexError) as error:
        raise _truncated(image_format, "the header ends early") from error
    if header.width <= 0 or header.height <= 0:
        size = f"{header.width} × {header.height}"
        raise InputFault(
            InputReason.IMAGE_CORRUPT, f"{image_format.upper()} header states impossible dimensions {size}"
        )
    return header


def _truncated(image_format: ImageFormat, detail: str) -> InputFault:
    return InputFault(InputReason.IMAGE_TRUNCATED, f"{image_format.upper()} is cut off: {detail}")


def _corrupt(image_format: ImageFormat, detail: str) -> InputFault:
    return InputFault(InputReason.IMAGE_CORRUPT, f"{image_format.upper()} is damaged: {detail}")


# ---------------------------------------------------------------- JPEG

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
JPEG_END = b"\xff\xd9"


def _jpeg(data: bytes) -> Header:
    frame: tuple[int, int, int, int] | None = None
    orientation = 1
    position = 2
    for _ in range(MAX_SEGMENTS):
        marker, start, end = _jpeg_segment(data, position)
        if marker == 0xD9:
            break
        if marker in _SOF:
            if frame is not None:
                raise _corrupt(ImageFormat.JPEG, "two frame headers")
            frame = struct.unpack_from(">BHHB", data, start)
        elif marker == 0xE1 and data[start : start + 6] == b"Exif\0\0":
            orientation = exif_orientation(data[start + 6 : end])
        position = end
        if marker == 0xDA:
            if frame is None:
                raise _corrupt(ImageFormat.JPEG, "picture data before the frame header")
            # Ends with the end marker: nothing is missing, and a long scan need not be walked.
            if data.endswith(JPEG_END):
                break
            position = _next_marker(data, end)
    else:
        raise _corrupt(ImageFormat.JPEG, f"more than {MAX_SEGMENTS} segments")
    if frame is None:
        raise _corrupt(ImageFormat.JPEG, "no picture inside")
    depth, height, width, channels = frame
    return Header(ImageFormat.JPEG, width, height, depth, channels, orientation=orientation)


def _jpeg_segment(data: bytes, position: int) -> tuple[int, int, int]:
    """Marker, start and end of the segment's content at ``position``."""
    if position + 2 > len(data):
        raise _truncated(ImageFormat.JPEG, f"the end marker is missing after {len(data)} bytes")
    if data[position] != 0xFF:
        raise _corrupt(ImageFormat.JPEG, f"no marker at byte {position}")
    while data[position + 1] == 0xFF:  # fill bytes may precede a marker
        position += 1
    marker = data[position + 1]
    start = position + 2
    if marker == 0xD9 or marker in _STANDALONE:
        return marker, start, start
    (length,) = struct.unpack_from(">H", data, start)
    if length < 2:
        raise _corrupt(ImageFormat.JPEG, f"segment of length {length} at byte {position}")
    if start + length > len(data):
        raise _truncated(ImageFormat.JPEG, f"the segment at byte {position} ends after the file")
    return marker, start + 2, start + length


def _next_marker(data: bytes, position: int) -> int:
    found = _NEXT_MARKER.search(data, position)
    if found is None:
        zeros = len(data) - len(data.rstrip(b"\0"))
        tail = f", its last {zeros} bytes are zero" if zeros > 512 else ""
        raise _truncated(ImageFormat.JPEG, f"the end marker is missing after {len(data)} bytes{tail}")
    return found.start()


# ---------------------------------------------------------------- PNG

_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})


def _png(data: bytes) -> Header:
    view = memoryview(data)
    fields: tuple[int, int, int, int] | None = None
    alpha, orientation, position = False, 1, 8
    for _ in range(MAX_SEGMENTS):
        if position + 12 > len(data):
            raise _truncated(ImageFormat.PNG, f"the end chunk is missing after {len(data)} bytes")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            name = kind.decode("ascii", "backslashreplace")
            raise _truncated(ImageFormat.PNG, f"chunk {name} needs {end - len(data)} bytes more than the file has")
        if kind in _PNG_CRITICAL:
            (stated,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(view[position + 4 : end - 4]) != stated:
                raise _corrupt(ImageFormat.PNG, f"the checksum of chunk {kind.decode()} at byte {position} is wrong")
        if fields is None:
            if kind != b"IHDR":
                raise _corrupt(ImageFormat.PNG, "the first chunk is not IHDR")
            fields = struct.unpack_from(">IIBB", data, position + 8)
        elif kind == b"tRNS":
            alpha = True
        elif kind == b"eXIf":
            orientation = exif_orientation(data[position + 8 : end - 4])
        elif kind == b"IEND":
            break
        position = end
    else:
        raise _corrupt(ImageFormat.PNG, f"more than {MAX_SEGMENTS} chunks")
    width, height, depth, colour = fields
    if colour not in _PNG_CHANNELS:
        raise _corrupt(ImageFormat.PNG, f"unknown colour type {colour}")
    return Header(
        ImageFormat.PNG, width, height, depth, _PNG_CHANNELS[colour], alpha or colour in {4, 6}, orientation=orientation
    )


# ---------------------------------------------------------------- BMP, GIF


def _bmp(data: bytes) -> Header:
    offset, size = struct.unpack_from("<II", data, 10)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    elif size >= 40:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    else:
        raise _corrupt(ImageFormat.BMP, f"unknown header of {size} bytes")
    height = abs(height)  # negative: stored top row first
    needed = offset + (width * bits + 31) // 32 * 4 * height
    if compression == 0 and needed > len(data):
        raise _truncated(ImageFormat.BMP, f"{needed} bytes are needed, the file has {len(data)}")
    # The fourth byte of an uncompressed pixel is padding, usually zero: only a bit mask makes it alpha.
    alpha = bits == 32 and compression in {3, 6} and size >= 56
    return Header(ImageFormat.BMP, width, height, 8, 4 if alpha else 3, alpha)


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    if not data.rstrip(b"\0").endswith(b";"):
        raise _truncated(ImageFormat.GIF, f"the trailer is missing after {len(data)} bytes")
    position = 13 + _gif_table(flags)
    alpha = False
    for _ in range(MAX_SEGMENTS):
        kind = data[position]
        if kind == 0x2C:
            left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, position + 1)
            width, height = max(width, left + frame_width), max(height, top + frame_height)
            return Header(ImageFormat.GIF, width, height, 8, 4 if alpha else 3, alpha)
        if kind != 0x21:
            raise _corrupt(ImageFormat.GIF, f"unknown block {kind:#04x} at byte {position}")
        if data[position + 1] == 0xF9:
            alpha = alpha or bool(data[position + 3] & 1)
        position = _after_sub_blocks(data, position + 2)
    raise _corrupt(ImageFormat.GIF, f"more than {MAX_SEGMENTS} blocks before the picture")


def _after_sub_blocks(data: bytes, position: int) -> int:
    for _ in range(MAX_SEGMENTS):
        length = data[position]
        position += 1 + length
        if length == 0:
            return position
    raise _corrupt(ImageFormat.GIF, f"an extension of more than {MAX_SEGMENTS} parts")


def _gif_table(flags: int) -> int:
    """Bytes of the colour table that ``flags`` announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


# ---------------------------------------------------------------- WebP


def _webp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise _truncated(ImageFormat.WEBP, f"{size + 8} bytes are announced, the file has {len(data)}")
    kind = data[12:16]
    if kind == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise _corrupt(ImageFormat.WEBP, "the start code of the picture is wrong")
        width, height = struct.unpack_from("<HH", data, 26)
        return Header(ImageFormat.WEBP, width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        alpha = bool(bits >> 28 & 1)
        return Header(ImageFormat.WEBP, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 8, 4 if alpha else 3, alpha)
    if kind != b"VP8X":
        raise _corrupt(ImageFormat.WEBP, f"unknown first chunk {kind.decode('ascii', 'backslashreplace')}")
    flags = data[20]
    width = int.from_bytes(data[24:27], "little") + 1
    height = int.from_bytes(data[27:30], "little") + 1
    alpha = bool(flags & 0x10)
    orientation = exif_orientation(_riff_chunk(data, b"EXIF")) if flags & 0x08 else 1
    return Header(ImageFormat.WEBP, width, height, 8, 4 if alpha else 3, alpha, orientation)


def _riff_chunk(data: bytes, wanted: bytes) -> bytes:
    """The content of the first chunk of that name, empty when there is none."""
    position = 12
    for _ in range(MAX_SEGMENTS):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == wanted:
            return data[position + 8 : position + 8 + length].removeprefix(b"Exif\0\0")
        position += 8 + length + length % 2
    return b""


# ---------------------------------------------------------------- TIFF

_TIFF_FLOAT = 3


def _tiff(data: bytes) -> Header:
    directory = read_directory(data)
    if directory is None:
        raise _truncated(ImageFormat.TIFF, "its directory lies outside the file")
    missing = _tiff_end(directory) - len(data)
    if missing > 0:
        raise _truncated(ImageFormat.TIFF, f"{missing} bytes of the picture are missing")
    channels = directory.first("samples_per_pixel", 1)
    return Header(
        ImageFormat.TIFF,
        directory.first("width", 0),
        directory.first("height", 0),
        directory.first("bits_per_sample", 1),
        channels,
        alpha=bool(directory.values("extra_samples")) and channels in {2, 4},
        orientation=directory.orientation(),
        floating=directory.first("sample_format", 1) == _TIFF_FLOAT,
    )


def _tiff_end(directory: Directory) -> int:
    ends = [0]
    for offsets, counts in (("strip_offsets", "strip_byte_counts"), ("tile_offsets", "tile_byte_counts")):
        pairs = zip(directory.values(offsets), directory.values(counts), strict=False)
        ends.extend(offset + count for offset, count in pairs)
    return max(ends)


_PARSERS: dict[ImageFormat, Callable[[bytes], Header]] = {
    ImageFormat.JPEG: _jpeg,
    ImageFormat.PNG: _png,
    ImageFormat.BMP: _bmp,
    ImageFormat.GIF: _gif,
    ImageFormat.TIFF: _tiff,
    ImageFormat.WEBP: _webp,
}
