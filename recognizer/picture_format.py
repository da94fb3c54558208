"""What the readers of headers share: the formats, what a header says, and how a damaged one is told. Pure."""

import enum
from dataclasses import dataclass
from typing import Final

from recognizer.fault import InputFault
from recognizer.reasons import InputReason

MAX_SEGMENTS: Final = 100_000
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
    """Width and height in pixels as stored, ``bit_depth`` per channel, ``orientation`` as in Exif (1 is upright).

    ``oddities``: image_* reasons of what the file holds beside the picture, or stores it in. ``end``: of a JPEG, where
    the picture ends; what follows in the file is none of it.
    """

    format: ImageFormat
    width: int
    height: int
    bit_depth: int = 8
    channels: int = 3
    alpha: bool = False
    orientation: int = 1
    floating: bool = False
    oddities: tuple[InputReason, ...] = ()
    end: int | None = None

    @property
    def decoded_bytes(self) -> int:
        """What the pixels take in memory: at least three channels of eight bits."""
        return self.width * self.height * max(3, self.channels) * (max(8, self.bit_depth) // 8)


def truncated(image_format: ImageFormat, detail: str) -> InputFault:
    return InputFault(InputReason.IMAGE_TRUNCATED, f"{image_format.upper()} is cut off: {detail}")


def corrupt(image_format: ImageFormat, detail: str) -> InputFault:
    return InputFault(InputReason.IMAGE_CORRUPT, f"{image_format.upper()} is damaged: {detail}")
