"""Reading a picture from a path: each fault of path, file and content ends in its own reason."""

import io
import os
import resource
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from recognizer.decode import decode, read
from recognizer.fault import InputFault
from recognizer.inspect import Limits
from recognizer.reasons import InputReason
from tests.support.pictures import colours, encoded, with_orientation

JPEG = encoded(colours(), "JPEG", quality=90)
PNG = encoded(colours(), "PNG")


def reason_of(path: object, limits: Limits | None = None) -> InputReason:
    with pytest.raises(InputFault) as caught:
        read(path, limits or Limits())  # type: ignore[arg-type]  # wrong types are part of the test
    assert str(caught.value)
    return caught.value.reason


def reason_of_bytes(data: bytes, name: str = "picture") -> InputReason:
    with pytest.raises(InputFault) as caught:
        decode(data, name)
    return caught.value.reason


# ---------------------------------------------------------------- good pictures


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_a_lossless_picture_comes_back_exactly(tmp_path: Path, file_format: str) -> None:
    """RGB in, RGB out, under a Chinese name."""
    path = tmp_path / f"百灵.{file_format.lower()}"
    path.write_bytes(encoded(colours(), file_format))
    picture = read(path)
    assert np.array_equal(picture.pixels, colours())
    assert (picture.shape, picture.dtype, picture.conversion) == ((60, 80, 3), "uint8", "bgr_to_rgb")
    assert picture.issues == ()


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "GIF"])
def test_a_lossy_picture_comes_back_nearly(file_format: str) -> None:
    data = encoded(colours(), file_format)
    reference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int16)
    difference = np.abs(decode(data, "picture").pixels.astype(np.int16) - reference)
    assert difference.mean() < 2


@pytest.mark.parametrize("spelling", [str, os.fsencode, Path])
def test_every_kind_of_path_opens_the_same_file(tmp_path: Path, spelling: type) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    assert read(spelling(str(path))).shape == (60, 80, 3)


def test_a_name_that_is_no_utf8_opens(tmp_path: Path) -> None:
    """os.listdir gives such names with lone surrogates; cv2.imread would crash the process on them."""
    name = os.fsencode(tmp_path) + "/百灵.png".encode("gbk")
    Path(os.fsdecode(name)).write_bytes(PNG)
    picture = read(os.fsdecode(name))
    assert picture.pixels.shape == (60, 80, 3)
    assert InputReason.PATH_UNDECODABLE in picture.path_issues


# ---------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (None, InputReason.PATH_WRONG_TYPE),
        (3, InputReason.PATH_WRONG_TYPE),
        (["a.png"], InputReason.PATH_WRONG_TYPE),
        ("", InputReason.PATH_EMPTY),
        (b"", InputReason.PATH_EMPTY),
        ("a\0.png", InputReason.PATH_NUL),
        ("half \ud83d.png", InputReason.PATH_UNDECODABLE),
        ("/nowhere/a.png", InputReason.FILE_MISSING),
        ("/nowhere/a\u200b.png", InputReason.PATH_INVISIBLE_CHARACTER),
        ("/nowhere/a\u202egnp.png", InputReason.PATH_BIDI_CONTROL),
        ("/nowhere/a.png\n", InputReason.PATH_EDGE_SPACE),
        ("/nowhere/ａ．png", InputReason.PATH_FULLWIDTH),
        ('"/nowhere/a.png"', InputReason.PATH_QUOTED),
        ("C:\\pictures\\a.png", InputReason.PATH_WINDOWS),
        ("file:///nowhere/a.png", InputReason.PATH_URL),
        ("~/nowhere/a.png", InputReason.PATH_NOT_EXPANDED),
        ("/nowhere/" + "a" * 300, InputReason.PATH_COMPONENT_TOO_LONG),
        ("/tmp/" + "a" * 300 + ".png", InputReason.PATH_COMPONENT_TOO_LONG),
        ("/tmp" + "/abcdefg" * 600, InputReason.PATH_TOO_LONG),
    ],
)
def test_a_path_that_can_not_be_opened_says_why(path: object, reason: InputReason) -> None:
    assert reason_of(path) == reason


def test_the_cleaned_path_is_named_and_looked_for(tmp_path: Path) -> None:
    """The zero-width space at the end is the fault; the file without it stands there."""
    good = tmp_path / "百灵.png"
    good.write_bytes(PNG)
    with pytest.raises(InputFault) as caught:
        read(f"{good}\u200b")
    fault = caught.value
    assert fault.reason == InputReason.PATH_INVISIBLE_CHARACTER
    assert (fault.path_cleaned, fault.path_cleaned_exists) == (str(good), True)
    assert "U+200B" in fault.message
    assert "\u200b" not in fault.message


def test_a_cleaned_path_without_a_file_is_named_as_missing(tmp_path: Path) -> None:
    with pytest.raises(InputFault) as caught:
        read(f"{tmp_path}/gone.png\u200b")
    assert (caught.value.path_cleaned, caught.value.path_cleaned_exists) == (f"{tmp_path}/gone.png", False)


def test_the_first_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFault, match=f"no such folder: {tmp_path}/2026$"):
        read(tmp_path / "2026" / "11" / "a.png")


# ---------------------------------------------------------------- files


def test_what_is_no_regular_file_is_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert reason_of(tmp_path / "socket") == InputReason.FILE_NOT_REGULAR
    assert reason_of(tmp_path / "fifo") == InputReason.FILE_NOT_REGULAR
    assert reason_of("/dev/null") == InputReason.FILE_NOT_REGULAR
    assert reason_of(tmp_path) == InputReason.FILE_IS_DIRECTORY


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to("gone.png")
    (tmp_path / "loop").symlink_to("loop")
    assert reason_of(tmp_path / "broken") == InputReason.FILE_SYMLINK_BROKEN
    assert reason_of(tmp_path / "loop") == InputReason.FILE_SYMLINK_LOOP


def test_a_file_as_parent_and_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    assert reason_of(tmp_path / "a.png" / "b.png") == InputReason.FILE_PARENT_NOT_DIRECTORY
    assert reason_of(tmp_path / "a.png") == InputReason.FILE_EMPTY


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse.png").open("wb") as stream:
        stream.truncate(1 << 40)
    assert reason_of(tmp_path / "sparse.png") == InputReason.FILE_TOO_LARGE


def test_a_file_without_a_size_of_its_own_counts_as_empty() -> None:
    """The kernel makes the content of /proc up while it is read: no picture lies there."""
    assert reason_of("/proc/self/maps") == InputReason.FILE_EMPTY


def test_a_system_that_can_open_no_more_files_says_so(tmp_path: Path) -> None:
    """The fault is neither the path's nor the file's."""
    (tmp_path / "a.png").write_bytes(PNG)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(InputFault, match="Too many open files") as caught:
            read(tmp_path / "a.png")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert caught.value.reason == InputReason.FILE_IO_ERROR


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_a_file_of_another_user_is_refused_as_such(tmp_path: Path) -> None:
    """Root may read everything, so a child that is nobody asks."""
    path = tmp_path / "secret.png"
    path.write_bytes(PNG)
    path.chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    script = (
        "import os, sys\n"
        "from recognizer.decode import read\n"
        "from recognizer.fault import InputFault\n"
        "os.setuid(65534)\n"
        "try:\n"
        "    read(sys.argv[1])\n"
        "except InputFault as fault:\n"
        "    print(fault.reason)\n"
    )
    child = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == InputReason.FILE_PERMISSION_DENIED


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


def test_the_pixel_limit_is_the_callers(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    assert reason_of(path, Limits(max_pixels=80 * 60 - 1)) == InputReason.IMAGE_TOO_MANY_PIXELS
    assert read(path, Limits(max_pixels=80 * 60)).shape == (60, 80, 3)


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
    assert reason_of_bytes(data) == InputReason.IMAGE_FORMAT_UNSUPPORTED


# ---------------------------------------------------------------- damage of every kind

OUTCOMES = {"picture", *(reason for reason in InputReason if reason.startswith("image_"))}


def outcome(data: bytes) -> str:
    """What decoding came to; any exception but InputFault is a failure of the test."""
    try:
        picture = decode(data, "a.jpg", Limits(max_pixels=1_000_000))
    except InputFault as fault:
        return fault.reason
    return "picture" if picture.pixels.dtype == np.uint8 and picture.pixels.shape[2:] == (3,) else "no picture"


SAMPLES = [JPEG, PNG, *(encoded(colours(), one) for one in ("BMP", "GIF", "TIFF", "WEBP"))]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_damaged_bytes_end_in_a_picture_or_a_fault(data: st.DataObject) -> None:
    """Flipped, cut, doubled or overwritten bytes never raise anything but InputFault, and never hang."""
    damaged = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, max(0, min(len(damaged) - 1, 700))))
        kind = data.draw(st.sampled_from(("flip", "set", "cut", "insert", "double")))
        if kind == "flip" and damaged:
            damaged[position] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "set":
            damaged[position : position + 4] = data.draw(st.binary(min_size=4, max_size=4))
        elif kind == "cut":
            del damaged[position:]
        elif kind == "insert":
            damaged[position:position] = data.draw(st.binary(max_size=20))
        else:
            damaged[position:position] = damaged[position : position + 50]
    assert outcome(bytes(damaged)) in OUTCOMES


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([one[:16] for one in SAMPLES]), st.binary(max_size=200))
def test_noise_behind_true_magic_bytes_is_survived(magic: bytes, noise: bytes) -> None:
    for start in range(2, len(magic), 3):
        assert outcome(magic[:start] + noise) in OUTCOMES
