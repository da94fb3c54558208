"""What an image file says about itself, read from its own bytes before any decoder sees them.

A decoder believes the header: 24 KB that claim 60,000 × 60,000 pixels cost gigabytes, and some libraries crash
on dimensions that lie. So dimensions, depth and completeness are read here first, by bounded walks that never
allocate by what the file claims. Each parser answers with a `Header` or raises `InputFault`.

Sources: ITU T.81 (JPEG), the PNG and WebP container specifications, GIF89a, TIFF 6.0, Exif 2.32.
"""

import struct
from collections.abc import Callable

from recognizer import jpeg, png
from recognizer.fault import InputFault
from recognizer.picture_format import MAX_SEGMENTS, Header, ImageFormat, corrupt, truncated
from recognizer.reasons import InputReason
from recognizer.tiff import Directory, exif_orientation, read_directory

__all__ = ["Header", "ImageFormat", "parse"]


def parse(image_format: ImageFormat, data: bytes) -> Header:
    """The header of ``data``, whose magic bytes say ``image_format``; `InputFault` when it is cut or damaged."""
    try:
        header = _PARSERS[image_format](data)
    except (struct.error, IndexError) as error:
        raise truncated(image_format, "the header ends early") from error
    if header.width <= 0 or header.height <= 0:
        raise corrupt(image_format, f"its header states impossible dimensions {header.width} × {header.height}")
    return header


# ---------------------------------------------------------------- BMP, GIF


def _bmp(data: bytes) -> Header:
    offset, size = struct.unpack_from("<II", data, 10)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    elif size >= 40:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    else:
        raise corrupt(ImageFormat.BMP, f"unknown header of {size} bytes")
    height = abs(height)  # negative: stored top row first
    needed = offset + (width * bits + 31) // 32 * 4 * height
    if compression == 0 and needed > len(data):
        raise truncated(ImageFormat.BMP, f"{needed} bytes are needed, the file has {len(data)}")
    # The fourth byte of an uncompressed pixel is padding, usually zero: only a bit mask makes it alpha.
    alpha = bits == 32 and compression in {3, 6} and size >= 56
    return Header(ImageFormat.BMP, width, height, 8, 4 if alpha else 3, alpha)


def _gif(data: bytes) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    if not data.rstrip(b"\0").endswith(b";"):
        raise truncated(ImageFormat.GIF, f"the trailer is missing after {len(data)} bytes")
    position = 13 + _gif_table(flags)
    alpha = False
    for _ in range(MAX_SEGMENTS):
        kind = data[position]
        if kind == 0x2C:
            left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, position + 1)
            width, height = max(width, left + frame_width), max(height, top + frame_height)
            oddities = _after_the_first_frame(data, position)
            return Header(ImageFormat.GIF, width, height, 8, 4 if alpha else 3, alpha, oddities=oddities)
        if kind != 0x21:
            raise corrupt(ImageFormat.GIF, f"unknown block {kind:#04x} at byte {position}")
        if data[position + 1] == 0xF9:
            alpha = alpha or bool(data[position + 3] & 1)
        position = _after_sub_blocks(data, position + 2)
    raise corrupt(ImageFormat.GIF, f"more than {MAX_SEGMENTS} blocks before the picture")


def _after_the_first_frame(data: bytes, position: int) -> tuple[InputReason, ...]:
    """What follows the frame that begins at ``position``: it is all that is decoded."""
    try:
        position = _after_sub_blocks(data, position + 11 + _gif_table(data[position + 9]))
        while data[position] == 0x21:
            position = _after_sub_blocks(data, position + 2)
    except (IndexError, InputFault):
        return ()  # damaged after the frame that counts
    if data[position] == 0x2C:
        return (InputReason.IMAGE_ANIMATED,)
    return (InputReason.IMAGE_TRAILING_DATA,) if data[position + 1 :].strip(b"\0") else ()


def _after_sub_blocks(data: bytes, position: int) -> int:
    for _ in range(MAX_SEGMENTS):
        length = data[position]
        position += 1 + length
        if length == 0:
            return position
    raise corrupt(ImageFormat.GIF, f"an extension of more than {MAX_SEGMENTS} parts")


def _gif_table(flags: int) -> int:
    """Bytes of the colour table that ``flags`` announce."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


# ---------------------------------------------------------------- WebP


def _webp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise truncated(ImageFormat.WEBP, f"{size + 8} bytes are announced, the file has {len(data)}")
    oddities = (InputReason.IMAGE_TRAILING_DATA,) if size + 8 + size % 2 < len(data) else ()
    kind = data[12:16]
    if kind == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise corrupt(ImageFormat.WEBP, "the start code of the picture is wrong")
        width, height = struct.unpack_from("<HH", data, 26)
        return Header(ImageFormat.WEBP, width & 0x3FFF, height & 0x3FFF, oddities=oddities)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        alpha = bool(bits >> 28 & 1)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return Header(ImageFormat.WEBP, width, height, 8, 4 if alpha else 3, alpha, oddities=oddities)
    if kind != b"VP8X":
        raise corrupt(ImageFormat.WEBP, f"unknown first chunk {kind.decode('ascii', 'backslashreplace')}")
    flags = data[20]
    width = int.from_bytes(data[24:27], "little") + 1
    height = int.from_bytes(data[27:30], "little") + 1
    alpha = bool(flags & 0x10)
    orientation = exif_orientation(_riff_chunk(data, b"EXIF")) if flags & 0x08 else 1
    if flags & 0x02:
        oddities = (InputReason.IMAGE_ANIMATED, *oddities)
    return Header(ImageFormat.WEBP, width, height, 8, 4 if alpha else 3, alpha, orientation, oddities=oddities)


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
_TIFF_INKS_OR_LAB = frozenset({5, 8, 9})


def _tiff(data: bytes) -> Header:
    directory = read_directory(data)
    if directory is None:
        raise truncated(ImageFormat.TIFF, "its directory lies outside the file")
    missing = _tiff_end(directory) - len(data)
    if missing > 0:
        raise truncated(ImageFormat.TIFF, f"{missing} bytes of the picture are missing")
    channels = directory.first("samples_per_pixel", 1)
    oddities = [InputReason.IMAGE_COLOR_SPACE] if directory.first("photometric", 0) in _TIFF_INKS_OR_LAB else []
    if directory.has_another:
        oddities.append(InputReason.IMAGE_ANIMATED)
    return Header(
        ImageFormat.TIFF,
        directory.first("width", 0),
        directory.first("height", 0),
        directory.first("bits_per_sample", 1),
        channels,
        alpha=bool(directory.values("extra_samples")) and channels in {2, 4},
        orientation=directory.orientation(),
        floating=directory.first("sample_format", 1) == _TIFF_FLOAT,
        oddities=tuple(oddities),
    )


def _tiff_end(directory: Directory) -> int:
    ends = [0]
    for offsets, counts in (("strip_offsets", "strip_byte_counts"), ("tile_offsets", "tile_byte_counts")):
        pairs = zip(directory.values(offsets), directory.values(counts), strict=False)
        ends.extend(offset + count for offset, count in pairs)
    return max(ends)


_PARSERS: dict[ImageFormat, Callable[[bytes], Header]] = {
    ImageFormat.JPEG: jpeg.header,
    ImageFormat.PNG: png.header,
    ImageFormat.BMP: _bmp,
    ImageFormat.GIF: _gif,
    ImageFormat.TIFF: _tiff,
    ImageFormat.WEBP: _webp,
}
