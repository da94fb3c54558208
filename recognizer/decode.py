"""Reading a picture from any path: `read` answers with pixels or raises `InputFault`; it never answers with None.

The file is opened here, by its bytes, and decoded from memory: `cv2.imread` returns None for every fault alike, hangs
on a FIFO and crashes the process on a name that is no UTF-8.
"""

from dataclasses import dataclass, replace
from typing import Final, Protocol

import cv2
import numpy as np

from recognizer import jpeg, strict_jpeg
from recognizer.fault import InputFault
from recognizer.inspect import FLOATING, Limits, Pixels, guard, header_issues, pixel_issues, strips
from recognizer.paths import visible
from recognizer.picture_format import Header, ImageFormat
from recognizer.reasons import InputReason
from recognizer.room import Room
from recognizer.source import ANY_FILE, Access, PathInput, read_file

__all__ = ["DEFAULT_LIMITS", "Decoder", "PathInput", "Picture", "decode", "read"]

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: ``pixels`` are upright 8-bit RGB, the rest tells what the file held.

    shape, dtype   height, width, channels and element type as decoded, before the conversion to RGB
    conversion     how the channels became RGB: bgr_to_rgb, gray_to_rgb, bgra_to_rgb
    issues         image_* reasons: odd, but no obstacle
    path_issues    path_* reasons of a path that opens all the same
    repaired       the file that was read in place of a faulty path, where the configuration allows that
    """

    pixels: Pixels
    format: ImageFormat
    shape: tuple[int, int, int]
    dtype: str
    conversion: str
    issues: tuple[InputReason, ...]
    path_issues: tuple[InputReason, ...]
    repaired: str | None = None


class Decoder(Protocol):
    """From a file's bytes to a picture: `decode` itself, or `recognizer.decode_worker.DecodeWorkers.decode`."""

    def __call__(self, data: bytes, name: str, limits: Limits, path_issues: tuple[InputReason, ...], /) -> Picture: ...


def read(
    path: PathInput,
    limits: Limits = DEFAULT_LIMITS,
    access: Access = ANY_FILE,
    decoder: Decoder | None = None,
) -> Picture:
    """The picture at ``path``; every fault comes as an `InputFault` with a closed reason."""
    source = read_file(path, limits.max_file_bytes, access)
    try:
        picture = (decoder or decode)(source.data, source.text, limits, source.path.issues)
    except InputFault as fault:
        fault.path = source.path
        raise
    return picture if source.path.suggested is None else replace(picture, repaired=source.path.suggested)


# ---------------------------------------------------------------- the pixels


def decode(
    data: bytes, name: str, limits: Limits = DEFAULT_LIMITS, path_issues: tuple[InputReason, ...] = ()
) -> Picture:
    """The picture in ``data``; ``name`` is only compared with the format. `InputFault` when it can't be shown whole."""
    header = guard(data, limits)
    with _ROOM.taken(header.decoded_bytes):
        return _shown(data, name, header, limits, path_issues)


_ROOM: Final = Room(256 * 1024 * 1024)
"""Seven photographs of 12 megapixels are decoded at a time, or one of the largest that is allowed."""
_LARGE_BYTES: Final = 32 * 1024 * 1024


def _shown(data: bytes, name: str, header: Header, limits: Limits, path_issues: tuple[InputReason, ...]) -> Picture:
    strict = strict_jpeg.decode(data, header) if header.format is ImageFormat.JPEG else strict_jpeg.Decoded(None)
    stored = _decode(data, header) if strict.pixels is None else strict.pixels
    _check_size(stored, header)
    shape, dtype = stored.shape, stored.dtype
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    if header.format is ImageFormat.JPEG and _ends_in_filler(stored) and _scan_is_short(data[: header.end], stored):
        raise InputFault(InputReason.IMAGE_TRUNCATED, "JPEG is cut off: the lower part of the picture is missing")
    if strict.damage:
        raise InputFault(InputReason.IMAGE_CORRUPT, f"JPEG is damaged: {visible(strict.damage, 200)}")
    twelve_bit = dtype == np.uint16 and 0 < int(stored.max()) < _TWELVE_BITS
    rgb, conversion = _to_rgb(_to_eight_bit(stored), has_alpha=header.alpha)
    pixels = rgb if header.format in _TURNED_BY_THE_DECODER else _upright(rgb, header.orientation)
    issues = header_issues(header, name) + pixel_issues(pixels, limits)
    if twelve_bit:
        issues.append(InputReason.IMAGE_TWELVE_BIT)
    return Picture(
        pixels=pixels,
        format=header.format,
        shape=(shape[0], shape[1], channels),
        dtype=str(dtype),
        conversion=conversion,
        issues=tuple(issues),
        path_issues=path_issues,
    )


_TWELVE_BITS = 1 << 12
"""Cameras of 12 bits often store them in the lower ones of 16, which makes the picture 16 times too dark."""


def _decode(data: bytes, header: Header) -> np.ndarray:
    """The pixels as stored: every conversion is ours, so every one is known."""
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        detail = (error.err or str(error)).strip()
        raise InputFault(InputReason.IMAGE_CORRUPT, f"{header.format.upper()} can't be decoded: {detail}") from error
    if stored is None or stored.size == 0:
        raise InputFault(InputReason.IMAGE_CORRUPT, f"{header.format.upper()} can't be decoded: its data is damaged")
    return stored


def _check_size(stored: np.ndarray, header: Header) -> None:
    sideways = header.format in _TURNED_BY_THE_DECODER and header.orientation > 4
    if stored.shape[:2] != ((header.width, header.height) if sideways else (header.height, header.width)):
        found = f"{stored.shape[1]} × {stored.shape[0]}"
        message = f"the header states {header.width} × {header.height} pixels, the data holds {found}"
        raise InputFault(InputReason.IMAGE_CORRUPT, message)


def _to_eight_bit(stored: np.ndarray) -> Pixels:
    if stored.dtype == np.uint8:
        return stored
    if stored.dtype == np.uint16:
        # 65535 / 257 = 255: full white stays full white, and rounding replaces truncation.
        return np.asarray(cv2.convertScaleAbs(stored, alpha=1 / 257), np.uint8)
    raise InputFault(InputReason.IMAGE_FLOATING_POINT, FLOATING)


def _to_rgb(stored: Pixels, *, has_alpha: bool) -> tuple[Pixels, str]:
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    if channels == 1:
        return np.asarray(cv2.cvtColor(stored, cv2.COLOR_GRAY2RGB), np.uint8), "gray_to_rgb"
    if channels == 3:
        return _swapped(stored), "bgr_to_rgb"
    if channels != 4:
        raise InputFault(InputReason.IMAGE_FORMAT_UNSUPPORTED, f"{channels} channels are neither grey nor colour")
    rgb = np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGRA2RGB), np.uint8)
    return (_on_white(rgb, stored[..., 3]) if has_alpha else rgb), "bgra_to_rgb"


def _swapped(stored: Pixels) -> Pixels:
    """Red and blue change places; in a large picture where they are."""
    if stored.nbytes <= _LARGE_BYTES:
        return np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), np.uint8)
    for strip in strips(stored):
        strip[:] = cv2.cvtColor(strip, cv2.COLOR_BGR2RGB)
    return stored


def _on_white(rgb: Pixels, alpha: Pixels) -> Pixels:
    """Composites on white, in place: dropping alpha would show the colour hidden under transparent pixels."""
    if int(alpha.min()) == 255:
        return rgb
    top = 0
    for strip in strips(rgb):
        share = alpha[top : top + len(strip), :, np.newaxis].astype(np.uint16)
        strip[:] = (strip * share + 255 * (255 - share) + 127) // 255
        top += len(strip)
    return rgb


# OpenCV turns a TIFF upright even when it is asked for the pixels as stored; of the other formats it does not.
_TURNED_BY_THE_DECODER = frozenset({ImageFormat.TIFF})
_ROTATIONS = {
    3: cv2.ROTATE_180,
    4: cv2.ROTATE_180,
    5: cv2.ROTATE_90_CLOCKWISE,
    6: cv2.ROTATE_90_CLOCKWISE,
    7: cv2.ROTATE_90_COUNTERCLOCKWISE,
    8: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_MIRRORED = frozenset({2, 4, 5, 7})


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undoes what Exif says the camera did: rotate, then mirror left to right."""
    if orientation in _ROTATIONS:
        pixels = np.asarray(cv2.rotate(pixels, _ROTATIONS[orientation]), np.uint8)
    if orientation in _MIRRORED:
        pixels = np.asarray(cv2.flip(pixels, 1), np.uint8)
    return pixels


_FILLER = 128
_NOISE = bytes((37 * index + 11) % 251 for index in range(256))


def _ends_in_filler(stored: np.ndarray) -> bool:
    """Whether the last block is exactly mid-grey: what libjpeg writes, without an error, where data is missing."""
    return bool((stored[-8:, -8:] == _FILLER).all())


def _scan_is_short(data: bytes, stored: np.ndarray) -> bool:
    """Whether the decoder ran out of data before the end marker.

    It ignores bytes after a complete scan; so if further bytes change the picture, the scan was not complete.
    """
    position = data.rfind(jpeg.END)
    longer = np.frombuffer(data[:position] + _NOISE + data[position:], np.uint8)
    again = cv2.imdecode(longer, cv2.IMREAD_UNCHANGED)
    return again is not None and not np.array_equal(again, stored)
