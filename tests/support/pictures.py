"""Image bytes for tests: real encoders (Pillow), so that what we read is not what we wrote ourselves."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def colours(height: int = 60, width: int = 80, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth colour picture: every pixel differs a little from its neighbours, every channel from the others."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    return np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels: NDArray[Any], file_format: str, **options: Any) -> bytes:
    """The picture as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return buffer.getvalue()


def with_orientation(pixels: NDArray[np.uint8], file_format: str, orientation: int) -> bytes:
    """A picture whose Exif says how it has to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if file_format == "WEBP" else {}
    return encoded(pixels, file_format, exif=exif, **options)
