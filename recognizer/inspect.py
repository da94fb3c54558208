"""What is wrong with a file's content: a guard before any decoder runs, and a look at the pixels afterwards. Pure."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recognizer.fault import InputFault
from recognizer.headers import Header, ImageFormat, parse
from recognizer.picture_format import truncated
from recognizer.reasons import InputReason

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a picture may be, and below which side (pixels) it counts as tiny.

    64 megapixels decode to 192 MB; a larger picture is refused before a byte of it is decoded, and so is a smaller one
    whose channels and bits would take more.
    """

    max_file_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 64_000_000
    tiny_side: int = 16


_IMAGES: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\xff\xd8\xff", ImageFormat.JPEG),
    (b"\x89PNG\r\n\x1a\n", ImageFormat.PNG),
    (b"BM", ImageFormat.BMP),
    (b"GIF87a", ImageFormat.GIF),
    (b"GIF89a", ImageFormat.GIF),
    (b"II*\0", ImageFormat.TIFF),
    (b"MM\0*", ImageFormat.TIFF),
)
_SUFFIXES = {
    ".jpg": ImageFormat.JPEG,
    ".jpeg": ImageFormat.JPEG,
    ".jpe": ImageFormat.JPEG,
    ".jfif": ImageFormat.JPEG,
    ".png": ImageFormat.PNG,
    ".bmp": ImageFormat.BMP,
    ".dib": ImageFormat.BMP,
    ".gif": ImageFormat.GIF,
    ".tif": ImageFormat.TIFF,
    ".tiff": ImageFormat.TIFF,
    ".webp": ImageFormat.WEBP,
}
IMAGE_SUFFIXES = frozenset(_SUFFIXES) | {".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd", ".ico", ".svg"}
"""Names that promise a picture: what a folder is searched for. Those we can't decode are reported, not skipped."""

# Pictures of other kinds: brand or magic bytes, and their name.
_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"hevc": "HEIC",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"crx ": "Canon CR3",
}
_OTHER_IMAGES: tuple[tuple[bytes, str], ...] = (
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xffO\xffQ", "JPEG 2000"),
    (b"\xff\n", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"8BPS", "Photoshop PSD"),
    (b"\0\0\x01\0", "ICO"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"qoif", "QOI"),
)
_NETPBM = re.compile(rb"P[1-7]\s")
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"\x1f\x8b", "gzip data: was the answer stored without decompressing it?"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"\x7fELF", "a program"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x80\x02", "pickled Python data"),
    (b"version https://git-lfs", "a Git LFS pointer: run git lfs pull"),
    (b"data:image/", "a data: URL: decode its base64 part first"),
    (b"iVBORw0KGgo", "a PNG still encoded as base64"),
    (b"/9j/", "a JPEG still encoded as base64"),
    (b"\x89PNG", "a PNG whose line ends were changed: transfer it in binary mode"),
)
_TEXT_BYTES: Final = 512
"""How much of a file must be text for the whole to be called so."""
_VIDEO_BRANDS = frozenset({b"isom", b"mp41", b"mp42", b"avc1", b"qt  "})


def identify(data: bytes) -> ImageFormat:
    """The format by magic bytes; `InputFault` that names what the content is instead."""
    if not data:
        raise InputFault(InputReason.FILE_EMPTY, "the file is empty")
    for magic, image_format in _IMAGES:
        if data.startswith(magic):
            return image_format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if (begun := _begun(data)) is not None:
        raise truncated(begun, f"it ends after {len(data)} bytes")
    other = _other_image(data)
    if other is not None:
        raise InputFault(
            InputReason.IMAGE_FORMAT_UNSUPPORTED, f"{other} is not decoded here: convert it to JPEG or PNG"
        )
    raise InputFault(InputReason.IMAGE_NOT_AN_IMAGE, f"no picture but {_foreign(data)}")


def _begun(data: bytes) -> ImageFormat | None:
    """The format whose magic bytes are not even complete: of a single byte none is told."""
    if data[:4] == b"RIFF" and b"WEBP".startswith(data[8:]):
        return ImageFormat.WEBP
    return next((one for magic, one in _IMAGES if magic.startswith(data)), None) if len(data) > 1 else None


def _other_image(data: bytes) -> str | None:
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS:
        return _BRANDS[data[8:12]]
    for magic, name in _OTHER_IMAGES:
        if data.startswith(magic):
            return name
    if _NETPBM.match(data):
        return "Netpbm"
    return "SVG" if b"<svg" in data[:1024].lower() else None


def _foreign(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in _VIDEO_BRANDS:
        return "a video"
    for magic, name in _FOREIGN:
        if data.startswith(magic):
            return name
    start = data[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page: was an error page stored as the picture?"
    if start.startswith(b"<?xml"):
        return "XML: was the storage's error answer stored as the picture?"
    if start.startswith((b"{", b"[")):
        return "JSON: was an error answer stored as the picture?"
    if not data.strip(b"\0"):
        return f"{len(data)} zero bytes: the file was reserved and never written"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in data[:_TEXT_BYTES]) and _is_text(data[:_TEXT_BYTES]):
        return "text"
    return "unknown data"


def _is_text(start: bytes) -> bool:
    try:
        start.decode()
    except UnicodeDecodeError as error:
        return len(start) == _TEXT_BYTES and error.start > _TEXT_BYTES - 4  # our own cut may split a character
    return True


def guard(data: bytes, limits: Limits) -> Header:
    """The header of a whole picture of a format and size that may be decoded; else `InputFault`. Allocates nothing."""
    image_format = identify(data)
    # Before the walk: in a mangled file that ends at some senseless marker, which says less.
    if image_format is ImageFormat.JPEG and _mangled_as_text(data):
        raise InputFault(
            InputReason.IMAGE_CORRUPT, "every line feed has a carriage return before it: transfer it in binary mode"
        )
    header = parse(image_format, data)
    size = f"{header.width} × {header.height} pixels"
    if header.width * header.height > limits.max_pixels:
        message = f"{size} are more than the limit of {limits.max_pixels}"
        raise InputFault(InputReason.IMAGE_TOO_MANY_PIXELS, message)
    if header.decoded_bytes > _RGB * limits.max_pixels:
        message = f"{size} of {header.channels} channels of {header.bit_depth} bits are more than the limit's memory"
        raise InputFault(InputReason.IMAGE_TOO_MANY_PIXELS, message)
    if header.floating:
        raise InputFault(InputReason.IMAGE_FLOATING_POINT, FLOATING)
    return header


_RGB: Final = 3
FLOATING: Final = "floating-point pixels have no agreed range: convert the picture to 8 or 16 bit"
_LINE_FEEDS_TO_JUDGE: Final = 16


def _mangled_as_text(data: bytes) -> bool:
    """Whether line feeds were turned into CR LF: the first sixteen are so by chance once in 256 to the power of 16."""
    position = 0
    for _ in range(_LINE_FEEDS_TO_JUDGE):
        position = data.find(b"\n", position + 1)
        if position < 0 or data[position - 1] != ord("\r"):
            return False
    return True


def promised_format(name: str) -> ImageFormat | None:
    """The format that the file's name promises; None when it promises none that we decode."""
    return _SUFFIXES.get(os.path.splitext(name)[1].lower())  # noqa: PTH122  # bytes of any kind, no Path semantics


def header_issues(header: Header, name: str) -> list[InputReason]:
    """What is odd but no obstacle, as the header and the name tell."""
    issues = []
    promised = promised_format(name)
    if promised is not None and promised is not header.format:
        issues.append(InputReason.IMAGE_WRONG_EXTENSION)
    if header.bit_depth == 16:
        issues.append(InputReason.IMAGE_SIXTEEN_BIT)
    if header.alpha:
        issues.append(InputReason.IMAGE_ALPHA)
    if header.orientation != 1:
        issues.append(InputReason.IMAGE_EXIF_ROTATED)
    return [*issues, *header.oddities]


_FLAT_DEVIATION = 1.0
"""Grey levels: a lens cap or a blank page with JPEG noise stays below, the dullest real scene lies above."""


def pixel_issues(pixels: Pixels, limits: Limits) -> list[InputReason]:
    """What is odd about the decoded RGB pixels: no colour, no content, next to no pixels."""
    issues = []
    if _is_grey(pixels):
        issues.append(InputReason.IMAGE_GRAYSCALE)
    if _is_flat(pixels):
        issues.append(InputReason.IMAGE_CONSTANT)
    elif _is_blurred(pixels):
        issues.append(InputReason.IMAGE_BLURRED)
    if min(pixels.shape[:2]) < limits.tiny_side:
        issues.append(InputReason.IMAGE_TINY)
    return issues


# A coarse look answers for nearly every picture; the whole is only looked at when that finds nothing.


def _is_grey(pixels: Pixels) -> bool:
    """Whether the three channels are equal everywhere."""
    return _equal_channels(pixels[::16, ::16]) and _equal_channels(pixels)


def _is_flat(pixels: Pixels) -> bool:
    """Whether no channel varies."""
    coarse = np.ascontiguousarray(pixels[::16, ::16])
    return _deviation(coarse) < _FLAT_DEVIATION and _deviation(pixels) < _FLAT_DEVIATION


_MIDDLE: Final = 128
"""Pixels on a side of the part that is looked at: where the subject is, at a bounded cost."""
_LEAST_SHARPNESS: Final = 0.0012
"""Variance of the Laplacian by the variance of the picture, both at half its size, where the noise of JPEG is small.
Photographs have 1.4 to 2.9; blurred by a Gaussian of two pixels .04 to .17, of eight .001 to .007; smooth drawings of
200 pixels .0018 and more. So only what is blurred beyond doubt is told: a soft picture is no fault."""


def _is_blurred(pixels: Pixels) -> bool:
    """Whether the middle has contrast and no edges. (Pech-Pacheco et al. 2000: variance of the Laplacian.)"""
    height, width = pixels.shape[:2]
    top, left = max(0, (height - _MIDDLE) // 2), max(0, (width - _MIDDLE) // 2)
    middle = np.ascontiguousarray(pixels[top : top + _MIDDLE, left : left + _MIDDLE, 1])
    green = cv2.resize(middle, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) if min(middle.shape) > 1 else middle
    edges = _deviation(cv2.Laplacian(green, cv2.CV_16S))
    return edges**2 < _LEAST_SHARPNESS * _deviation(green) ** 2


def _deviation(pixels: NDArray[Any]) -> float:
    return float(cv2.meanStdDev(pixels)[1].max())


def _equal_channels(pixels: Pixels) -> bool:
    for strip in strips(pixels):
        green = strip[..., 1]
        if not (np.array_equal(strip[..., 0], green) and np.array_equal(green, strip[..., 2])):
            return False
    return True


_STRIP_BYTES: Final = 4 * 1024 * 1024


def strips(pixels: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Views of some rows each: what is done to a large picture needs no second one."""
    rows = max(1, _STRIP_BYTES * len(pixels) // max(1, pixels.nbytes))
    return (pixels[top : top + rows] for top in range(0, len(pixels), rows))
