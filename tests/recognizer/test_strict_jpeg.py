"""JPEG whose data is damaged inside of the scan: noticed where simplejpeg is, and nothing else changes."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from recognizer import headers, strict_jpeg
from recognizer.decode import decode
from recognizer.fault import InputFault
from recognizer.picture_format import ImageFormat
from recognizer.reasons import InputReason
from tests.support.pictures import colours, encoded

pytest.importorskip("simplejpeg")
PHOTOGRAPH = np.array(load_sample_images().images[0])
FRAME = encoded(PHOTOGRAPH, "JPEG", quality=90)
SCAN = FRAME.index(b"\xff\xda") + 14


def flipped(position: int, bit: int) -> bytes:
    data = bytearray(FRAME)
    data[position] ^= 1 << bit
    return bytes(data)


def reason(data: bytes) -> InputReason | None:
    try:
        decode(data, "a.jpg")
    except InputFault as fault:
        return fault.reason
    return None


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        encoded(PHOTOGRAPH, "JPEG", quality=50, subsampling=0),
        encoded(PHOTOGRAPH, "JPEG", quality=95, progressive=True, optimize=True),
        encoded(PHOTOGRAPH, "JPEG", restart_marker_blocks=5),
        encoded(PHOTOGRAPH[..., 1], "JPEG"),
        encoded(PHOTOGRAPH[:37, :53], "JPEG", subsampling=1),
        encoded(colours(8, 8), "JPEG"),
    ],
    ids=["plain", "444", "progressive", "restarts", "grey", "odd size", "tiny"],
)
def test_the_pixels_are_opencv_s_to_the_last_bit(data: bytes) -> None:
    """Whatever a sound file is written with, nothing is said of it."""
    found = strict_jpeg.decode(data, headers.parse(ImageFormat.JPEG, data))
    assert found.damage == ""
    assert np.array_equal(found.pixels, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    assert decode(data, "a.jpg").issues in {(), (InputReason.IMAGE_GRAYSCALE,), (InputReason.IMAGE_TINY,)}


def test_flipped_bits_in_the_scan_are_noticed_where_the_code_breaks() -> None:
    """One in five of single bits, of this file; OpenCV alone answers every one of them with another picture."""
    random = np.random.default_rng(0)
    found = [reason(flipped(int(random.integers(SCAN, len(FRAME) - 2)), int(random.integers(8)))) for _ in range(60)]
    corrupt = found.count(InputReason.IMAGE_CORRUPT)
    assert set(found) <= {None, InputReason.IMAGE_CORRUPT, InputReason.IMAGE_TRUNCATED}
    assert corrupt >= 8


def test_a_scan_of_noise_is_refused() -> None:
    """Sixty bytes in the middle were written over: the message is libjpeg's own."""
    middle, noise = (SCAN + len(FRAME)) // 2, np.random.default_rng(1).integers(1, 255, 60, np.uint8).tobytes()
    with pytest.raises(InputFault, match=r"^JPEG is damaged: ") as caught:
        decode(FRAME[:middle] + noise + FRAME[middle + 60 :], "a.jpg")
    assert caught.value.reason is InputReason.IMAGE_CORRUPT


@pytest.mark.parametrize("padding", [b"\x00" * 7, b"\x55" * 200])
def test_padding_before_the_end_is_no_damage(padding: bytes) -> None:
    """Some cameras fill up their frames so."""
    picture = decode(FRAME[:-2] + padding + FRAME[-2:], "a.jpg")
    assert np.array_equal(picture.pixels, decode(FRAME, "a.jpg").pixels)


def test_data_that_ends_early_is_cut_off_still() -> None:
    half = FRAME[: (SCAN + len(FRAME)) // 2] + FRAME[-2:]
    assert reason(half) is InputReason.IMAGE_TRUNCATED


def test_inks_are_left_to_the_other_decoder() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PHOTOGRAPH).convert("CMYK").save(buffer, "JPEG")
    data = buffer.getvalue()
    assert strict_jpeg.decode(data, headers.parse(ImageFormat.JPEG, data)).pixels is None
    assert InputReason.IMAGE_COLOR_SPACE in decode(data, "a.jpg").issues
