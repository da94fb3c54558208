"""Reading a picture from any path: `read` answers with pixels or raises `InputFault`; it never answers with None.

The file is opened here, by its bytes, and decoded from memory: `cv2.imread` returns None for every fault alike, hangs
on a FIFO and crashes the process on a name that is no UTF-8.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from recognizer import paths
from recognizer.diagnose import BY_ERRNO, cleaned_fields
from recognizer.fault import InputFault
from recognizer.headers import JPEG_END, Header, ImageFormat
from recognizer.inspect import Limits, Pixels, guard, header_issues, pixel_issues
from recognizer.reasons import InputReason

PathInput = str | bytes | os.PathLike[str] | os.PathLike[bytes]

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: ``pixels`` are upright 8-bit RGB, the rest tells what the file held.

    shape, dtype   height, width, channels and element type as decoded, before the conversion to RGB
    conversion     how the channels became RGB: bgr_to_rgb, gray_to_rgb, bgra_to_rgb
    issues         image_* reasons: odd, but no obstacle
    path_issues    path_* reasons of a path that opens all the same
    """

    pixels: Pixels
    format: ImageFormat
    shape: tuple[int, int, int]
    dtype: str
    conversion: str
    issues: tuple[InputReason, ...]
    path_issues: tuple[InputReason, ...]


def read(path: PathInput, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """The picture at ``path``; every fault comes as an `InputFault` with a closed reason."""
    name = as_bytes(path)
    text = os.fsdecode(name)
    data = _read_file(name, text, limits)
    path_issues = issue_reasons(text)
    try:
        return decode(data, text, limits, path_issues)
    except InputFault as fault:
        fault.path_issues = path_issues
        raise


def as_bytes(path: object) -> bytes:
    """The path as the operating system takes it; `InputFault` for what can be no path."""
    if isinstance(path, os.PathLike):
        path = path.__fspath__()
    if isinstance(path, str):
        try:
            path = os.fsencode(path)
        except UnicodeEncodeError as error:
            message = f"the path holds half a character: character {error.start + 1} of {len(path)}"
            raise InputFault(InputReason.PATH_UNDECODABLE, message) from error
    if not isinstance(path, bytes):
        raise InputFault(InputReason.PATH_WRONG_TYPE, f"a path is text, not {type(path).__name__}")
    if not path:
        raise InputFault(InputReason.PATH_EMPTY, "the path is empty")
    if b"\0" in path:
        place = len(os.fsdecode(path[: path.index(0)])) + 1
        raise InputFault(InputReason.PATH_NUL, f"the path holds NUL: character {place} of {len(os.fsdecode(path))}")
    return path


def issue_reasons(text: str) -> tuple[InputReason, ...]:
    """The reasons of the path's issues, worst first, each once."""
    return tuple(dict.fromkeys(issue.reason for issue in paths.inspect(text)))


# ---------------------------------------------------------------- the file


def _read_file(name: bytes, text: str, limits: Limits) -> bytes:
    try:
        # O_NONBLOCK: opening a FIFO nobody writes to would wait for ever.
        handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            size = _regular_size(handle, limits)
            return _read_all(handle, size, limits)
        finally:
            os.close(handle)
    except OSError as error:
        raise _file_fault(error, name, text) from error


def _regular_size(handle: int, limits: Limits) -> int:
    status = os.fstat(handle)
    if stat.S_ISDIR(status.st_mode):
        raise InputFault(InputReason.FILE_IS_DIRECTORY, "the path is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise InputFault(InputReason.FILE_NOT_REGULAR, "the path is a pipe, socket or device, not a file")
    if status.st_size == 0:
        raise InputFault(InputReason.FILE_EMPTY, "the file is empty")
    if status.st_size > limits.max_file_bytes:
        raise _too_large(status.st_size, limits)
    return status.st_size


def _read_all(handle: int, size: int, limits: Limits) -> bytes:
    data = os.read(handle, size + 1)
    if len(data) == size:
        return data
    parts = [data]
    total = len(data)
    while part := os.read(handle, size + 1):  # the file changes while it is read, or the system reads in pieces
        parts.append(part)
        total += len(part)
        if total > limits.max_file_bytes:
            raise _too_large(total, limits)
    return b"".join(parts)


def _too_large(size: int, limits: Limits) -> InputFault:
    message = f"{size} bytes are more than the limit of {limits.max_file_bytes}"
    return InputFault(InputReason.FILE_TOO_LARGE, message)


def _file_fault(error: OSError, name: bytes, text: str) -> InputFault:
    issues = paths.inspect(text)
    reasons = issue_reasons(text)
    reason = BY_ERRNO.get(error.errno or 0, InputReason.FILE_IO_ERROR)
    message = error.strerror or str(error)
    if reason is InputReason.FILE_MISSING and _is_link(name):
        reason, message = InputReason.FILE_SYMLINK_BROKEN, f"the link points to {_link_target(name)}, which is gone"
    elif reason in {InputReason.FILE_MISSING, InputReason.FILE_PARENT_NOT_DIRECTORY} and issues:
        return _path_fault(text, issues)
    elif reason is InputReason.FILE_MISSING:
        message = _what_is_missing(text)
    elif reason is InputReason.FILE_PERMISSION_DENIED:
        message = f"user {os.geteuid()} may not read it"
    elif reason is InputReason.PATH_TOO_LONG and InputReason.PATH_COMPONENT_TOO_LONG in reasons:
        reason = InputReason.PATH_COMPONENT_TOO_LONG
    return InputFault(reason, message, path_issues=reasons)


def _path_fault(text: str, issues: tuple[paths.PathIssue, ...]) -> InputFault:
    """Nothing stands at a path that has faults: the fault is the likely cause, so it is the reason."""
    worst = issues[0]
    message = "no such file"
    if worst.code_point:
        message += f"; the path holds {worst.code_point}: character {worst.position + 1} of {len(text)}"
    candidate = cleaned_fields(text)
    cleaned, exists = candidate.get("path_cleaned"), candidate.get("path_cleaned_exists")
    if cleaned is not None:
        message += f"; {'a' if exists else 'no'} file stands at the cleaned path {paths.visible(cleaned)}"
    return InputFault(
        worst.reason,
        message,
        path_issues=issue_reasons(text),
        path_cleaned=cleaned,
        path_cleaned_exists=exists,
    )


def _is_link(name: bytes) -> bool:
    return os.path.islink(name)  # noqa: PTH114  # bytes


def _link_target(name: bytes) -> str:
    try:
        return paths.visible(os.fsdecode(os.readlink(name)))  # noqa: PTH115  # bytes
    except OSError as error:
        return f"something unreadable ({error.strerror})"


def _what_is_missing(text: str) -> str:
    """Names the first folder that is missing: that is the one to look at."""
    missing = Path(text)
    for parent in missing.parents:
        if os.path.lexists(parent):
            break
        missing = parent
    what = "no such file" if missing == Path(text) else "no such folder"
    return f"{what}: {paths.visible(str(missing))}"


# ---------------------------------------------------------------- the pixels


def decode(
    data: bytes, name: str, limits: Limits = DEFAULT_LIMITS, path_issues: tuple[InputReason, ...] = ()
) -> Picture:
    """The picture in ``data``; ``name`` is only compared with the format. `InputFault` when it can't be shown whole."""
    header = guard(data, limits)
    stored = _decode(data, header)
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    eight_bit = _to_eight_bit(stored)
    rgb, conversion = _to_rgb(eight_bit, has_alpha=header.alpha)
    if header.format is ImageFormat.JPEG and _ends_in_filler(rgb) and _scan_is_short(data, stored):
        raise InputFault(InputReason.IMAGE_TRUNCATED, "JPEG is cut off: the lower part of the picture is missing")
    pixels = rgb if header.format in _TURNED_BY_THE_DECODER else _upright(rgb, header.orientation)
    return Picture(
        pixels=pixels,
        format=header.format,
        shape=(stored.shape[0], stored.shape[1], channels),
        dtype=str(stored.dtype),
        conversion=conversion,
        issues=tuple(header_issues(header, name) + pixel_issues(pixels, limits)),
        path_issues=path_issues,
    )


def _decode(data: bytes, header: Header) -> np.ndarray:
    """The pixels as stored: every conversion is ours, so every one is known."""
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        detail = (error.err or str(error)).strip()
        raise InputFault(InputReason.IMAGE_CORRUPT, f"{header.format.upper()} can't be decoded: {detail}") from error
    if stored is None or stored.size == 0:
        raise InputFault(InputReason.IMAGE_CORRUPT, f"{header.format.upper()} can't be decoded: its data is damaged")
    sideways = header.format in _TURNED_BY_THE_DECODER and header.orientation > 4
    if stored.shape[:2] != ((header.width, header.height) if sideways else (header.height, header.width)):
        found = f"{stored.shape[1]} × {stored.shape[0]}"
        message = f"the header states {header.width} × {header.height} pixels, the data holds {found}"
        raise InputFault(InputReason.IMAGE_CORRUPT, message)
    return stored


def _to_eight_bit(stored: np.ndarray) -> Pixels:
    if stored.dtype == np.uint8:
        return stored
    if stored.dtype == np.uint16:
        # 65535 / 257 = 255: full white stays full white, and rounding replaces truncation.
        return np.asarray(cv2.convertScaleAbs(stored, alpha=1 / 257), np.uint8)
    message = f"pixels of type {stored.dtype} have no agreed range: convert the picture to 8 or 16 bit"
    raise InputFault(InputReason.IMAGE_FORMAT_UNSUPPORTED, message)


def _to_rgb(stored: Pixels, *, has_alpha: bool) -> tuple[Pixels, str]:
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    if channels == 1:
        return np.asarray(cv2.cvtColor(stored, cv2.COLOR_GRAY2RGB), np.uint8), "gray_to_rgb"
    if channels == 3:
        return np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), np.uint8), "bgr_to_rgb"
    if channels != 4:
        raise InputFault(InputReason.IMAGE_FORMAT_UNSUPPORTED, f"{channels} channels are neither grey nor colour")
    rgb = np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGRA2RGB), np.uint8)
    return (_on_white(rgb, stored[..., 3]) if has_alpha else rgb), "bgra_to_rgb"


def _on_white(rgb: Pixels, alpha: Pixels) -> Pixels:
    """Composites on white: dropping alpha would show the colour hidden under transparent pixels."""
    if int(alpha.min()) == 255:
        return rgb
    share = alpha[..., np.newaxis].astype(np.uint16)
    mixed = (rgb * share + 255 * (255 - share) + 127) // 255
    return mixed.astype(np.uint8)


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


def _ends_in_filler(rgb: Pixels) -> bool:
    """Whether the last block is exactly mid-grey: what libjpeg writes, without an error, where data is missing."""
    return bool((rgb[-8:, -8:] == _FILLER).all())


def _scan_is_short(data: bytes, stored: np.ndarray) -> bool:
    """Whether the decoder ran out of data before the end marker.

    It ignores bytes after a complete scan; so if further bytes change the picture, the scan was not complete.
    """
    position = data.rfind(JPEG_END)
    longer = np.frombuffer(data[:position] + _NOISE + data[position:], np.uint8)
    again = cv2.imdecode(longer, cv2.IMREAD_UNCHANGED)
    return again is not None and not np.array_equal(again, stored)
