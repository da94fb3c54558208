"""What is wrong with the content of a file: each fault has its reason, each oddity is converted and told."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from recognizer.decode import decode
from recognizer.fault import InputFault
from recognizer.reasons import InputReason
from tests.support.pictures import colours, encoded, with_orientation

JPEG = encoded(colours(), "JPEG", quality=90)
PNG = encoded(colours(), "PNG")


def reason_of_bytes(data: bytes, name: str = "picture") -> InputReason:
    with pytest.raises(InputFault) as caught:
        decode(data, name)
    return caught.value.reason


# ---------------------------------------------------------------- content


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        (b"<!DOCTYPE html><html>", InputReason.IMAGE_NOT_AN_IMAGE, "HTML"),
        (b'<?xml version="1.0"?><Error/>', InputReason.IMAGE_NOT_AN_IMAGE, "XML"),
        (b'{"error": "not found"}', InputReason.IMAGE_NOT_AN_IMAGE, "JSON"),
        (b"%PDF-1.7", InputReason.IMAGE_NOT_AN_IMAGE, "PDF"),
        (b"\x1f\x8b\x08\0\0", InputReason.IMAGE_NOT_AN_IMAGE, "gzip"),
        (b"PK\x03\x04", InputReason.IMAGE_NOT_AN_IMAGE, "zip"),
        (b"\0" * 4096, InputReason.IMAGE_NOT_AN_IMAGE, "zero bytes"),
        ("只是文字".encode(), InputReason.IMAGE_NOT_AN_IMAGE, "text"),
        (b"\x00\x00\x00\x20ftypisom", InputReason.IMAGE_NOT_AN_IMAGE, "video"),
        (b"/9j/4AAQSkZJRgABAQ", InputReason.IMAGE_NOT_AN_IMAGE, "base64"),
        (b"version https://git-lfs.github.com/spec/v1\n", InputReason.IMAGE_NOT_AN_IMAGE, "git lfs"),
        (PNG.replace(b"\r\n", b"\n"), InputReason.IMAGE_NOT_AN_IMAGE, "binary mode"),
        (b"\x8f\x01\x02", InputReason.IMAGE_NOT_AN_IMAGE, "unknown"),
        (b"\x00\x00\x00\x18ftypheic", InputReason.IMAGE_FORMAT_UNSUPPORTED, "HEIC"),
        (b"\x00\x00\x00\x18ftypavif", InputReason.IMAGE_FORMAT_UNSUPPORTED, "AVIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", InputReason.IMAGE_FORMAT_UNSUPPORTED, "SVG"),
        (b"8BPS\0\x01", InputReason.IMAGE_FORMAT_UNSUPPORTED, "Photoshop"),
        (b"P6\n2 2\n255\n", InputReason.IMAGE_FORMAT_UNSUPPORTED, "Netpbm"),
    ],
)
def test_content_of_another_kind_is_called_by_its_name(data: bytes, reason: InputReason, word: str) -> None:
    with pytest.raises(InputFault, match=word) as caught:
        decode(data, "a.png")
    assert caught.value.reason == reason


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"])
def test_a_file_cut_within_its_first_bytes_is_truncated_too(file_format: str) -> None:
    """Even where the magic bytes themselves are not complete."""
    data = encoded(colours(20, 30), file_format)
    shortest = 4 if file_format == "WEBP" else 2
    for length in range(shortest, 16):
        assert reason_of_bytes(data[:length]) == InputReason.IMAGE_TRUNCATED, length


def test_nothing_is_an_empty_file_and_a_single_byte_no_picture() -> None:
    assert reason_of_bytes(b"") == InputReason.FILE_EMPTY
    with pytest.raises(InputFault, match="unknown data"):
        decode(b"\xff", "a.jpg")


@pytest.mark.parametrize("name", [b"\x1b[31mred", b"a" * 70 + b"\x9b2J"])
def test_a_profile_whose_name_would_command_a_terminal_is_damage(
    name: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """The decoder's library would print it as it is."""
    profile = name + b"\0\0" + zlib.compress(b"a" * 1_000_000)
    chunk = struct.pack(">I", len(profile)) + b"iCCP" + profile + struct.pack(">I", zlib.crc32(b"iCCP" + profile))
    with pytest.raises(InputFault, match="colour profile") as caught:
        decode(PNG[:33] + chunk + PNG[33:], "a.png")
    assert caught.value.reason == InputReason.IMAGE_CORRUPT
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_file_is_truncated(file_format: str, share: float) -> None:
    """A cut JPEG is no error to OpenCV: it fills the rest with grey."""
    data = encoded(colours(200, 300), file_format)
    assert reason_of_bytes(data[: int(len(data) * share)]) == InputReason.IMAGE_TRUNCATED


def test_a_jpeg_without_its_end_is_truncated_even_by_two_bytes() -> None:
    assert reason_of_bytes(JPEG[:-2]) == InputReason.IMAGE_TRUNCATED


def test_a_cut_jpeg_with_an_end_marker_put_on_is_still_truncated() -> None:
    """The structure is whole then; the picture is not."""
    data = encoded(colours(200, 300), "JPEG")
    assert reason_of_bytes(data[: len(data) // 2] + b"\xff\xd9") == InputReason.IMAGE_TRUNCATED


@pytest.mark.parametrize("level", [127, 128, 129])
def test_a_whole_jpeg_of_middle_grey_is_not_taken_for_a_cut_one(level: int) -> None:
    """The decoder's filler is the same grey."""
    picture = decode(encoded(np.full((64, 64, 3), level, np.uint8), "JPEG"), "a.jpg")
    assert InputReason.IMAGE_CONSTANT in picture.issues


def test_data_after_the_end_of_a_jpeg_is_no_fault() -> None:
    """Phones append videos and depth maps."""
    assert decode(JPEG + b"\0" * 100, "a.jpg").pixels.shape == (60, 80, 3)


def test_a_progressive_jpeg_is_walked_through_all_its_scans() -> None:
    data = encoded(colours(200, 300), "JPEG", progressive=True)
    assert decode(data + b"tail", "a.jpg").pixels.shape == (200, 300, 3)
    assert reason_of_bytes(data[: len(data) * 3 // 4]) == InputReason.IMAGE_TRUNCATED


def test_a_wrong_checksum_is_corrupt() -> None:
    middle = len(PNG) // 2
    assert reason_of_bytes(PNG[:middle] + bytes([PNG[middle] ^ 1]) + PNG[middle + 1 :]) == InputReason.IMAGE_CORRUPT


def test_a_jpeg_sent_as_text_is_corrupt() -> None:
    """Line feeds became CR LF on the way."""
    data = encoded(np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8), "JPEG", quality=95)
    assert data.count(b"\n") > 16
    with pytest.raises(InputFault, match="binary mode") as caught:
        decode(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "a.jpg")
    assert caught.value.reason == InputReason.IMAGE_CORRUPT


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_claiming(width: int, height: int, pixels: bytes = b"\0" * 100) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return PNG[:8] + header + png_chunk(b"IDAT", zlib.compress(pixels)) + png_chunk(b"IEND", b"")


def jpeg_claiming(width: int, height: int) -> bytes:
    start = JPEG.index(b"\xff\xc0")
    return JPEG[: start + 5] + struct.pack(">HH", height, width) + JPEG[start + 9 :]


@pytest.mark.parametrize("data", [png_claiming(60_000, 60_000), jpeg_claiming(60_000, 60_000)])
def test_a_bomb_is_refused_by_its_header(data: bytes) -> None:
    assert reason_of_bytes(data) == InputReason.IMAGE_TOO_MANY_PIXELS


def test_a_header_that_lies_is_corrupt() -> None:
    assert reason_of_bytes(png_claiming(300, 300)) == InputReason.IMAGE_CORRUPT
    assert reason_of_bytes(png_claiming(0, 300)) == InputReason.IMAGE_CORRUPT


# ---------------------------------------------------------------- odd, but no obstacle


def test_grey_becomes_three_equal_channels() -> None:
    grey = colours()[..., 0]
    picture = decode(encoded(grey, "PNG"), "a.png")
    assert (picture.shape, picture.conversion) == ((60, 80, 1), "gray_to_rgb")
    assert InputReason.IMAGE_GRAYSCALE in picture.issues
    assert np.array_equal(picture.pixels, np.dstack([grey] * 3))


def test_grey_stored_as_colour_is_seen() -> None:
    picture = decode(encoded(np.dstack([colours()[..., 0]] * 3), "PNG"), "a.png")
    assert (picture.shape[2], picture.issues) == (3, (InputReason.IMAGE_GRAYSCALE,))


def test_sixteen_bits_are_scaled_not_cut() -> None:
    """Full scale stays full scale: 65535 becomes 255, and the middle stays the middle."""
    deep = np.linspace(0, 65535, 60 * 80).reshape(60, 80).astype(np.uint16)
    picture = decode(encoded(deep, "PNG"), "a.png")
    assert picture.dtype == "uint16"
    assert InputReason.IMAGE_SIXTEEN_BIT in picture.issues
    assert np.array_equal(picture.pixels[..., 0], np.rint(deep / 257).astype(np.uint8))


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_transparent_parts_become_white(file_format: str) -> None:
    """Dropping alpha would show the red that hides under the transparent half."""
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:, 20:, 3] = 255
    options = {"lossless": True} if file_format == "WEBP" else {}
    picture = decode(encoded(rgba, file_format, **options), "picture")
    assert picture.conversion == "bgra_to_rgb"
    assert InputReason.IMAGE_ALPHA in picture.issues
    assert (picture.pixels[:, :20] == 255).all()
    assert (picture.pixels[:, 20:] == (200, 0, 0)).all()


def test_half_transparent_pixels_are_mixed() -> None:
    rgba = np.full((20, 20, 4), (100, 0, 50, 128), np.uint8)
    assert decode(encoded(rgba, "PNG"), "a.png").pixels[0, 0].tolist() == [177, 127, 152]


def test_a_transparent_palette_is_known() -> None:
    palette = Image.fromarray(colours()).quantize(8)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", transparency=0)
    assert InputReason.IMAGE_ALPHA in decode(buffer.getvalue(), "a.png").issues


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied(file_format: str, orientation: int) -> None:
    data = with_orientation(colours(40, 64), file_format, orientation)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"), np.int16)
    picture = decode(data, "picture")
    assert picture.pixels.shape == upright.shape
    assert np.abs(picture.pixels.astype(np.int16) - upright).mean() < 2
    assert (InputReason.IMAGE_EXIF_ROTATED in picture.issues) == (orientation != 1)


def test_names_and_sizes_that_surprise() -> None:
    assert InputReason.IMAGE_WRONG_EXTENSION in decode(PNG, "a.JPG").issues
    assert InputReason.IMAGE_WRONG_EXTENSION not in decode(JPEG, "a.JFIF").issues
    assert InputReason.IMAGE_TINY in decode(encoded(colours(8, 80), "PNG"), "a.png").issues
    assert InputReason.IMAGE_CONSTANT in decode(encoded(np.zeros((40, 40, 3), np.uint8), "PNG"), "a.png").issues


def test_floating_point_pixels_have_no_range() -> None:
    data = encoded(np.ones((20, 20), np.float32), "TIFF")
    assert reason_of_bytes(data) == InputReason.IMAGE_FLOATING_POINT
