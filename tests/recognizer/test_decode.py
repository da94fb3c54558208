"""Reading a picture from a path: each fault of path, file and content ends in its own reason."""

import io
import os
import resource
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recognizer.decode import decode, read
from recognizer.fault import InputFault
from recognizer.inspect import Limits
from recognizer.reasons import InputReason
from recognizer.room import Room
from tests.support.pictures import colours, encoded

JPEG = encoded(colours(), "JPEG", quality=90)
PNG = encoded(colours(), "PNG")


def reason_of(path: object, limits: Limits | None = None) -> InputReason:
    with pytest.raises(InputFault) as caught:
        read(path, limits or Limits())  # type: ignore[arg-type]  # wrong types are part of the test
    assert str(caught.value)
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
    assert (fault.path.cleaned, fault.path.cleaned_exists) == (str(good), True)
    assert "U+200B" in fault.message
    assert "\u200b" not in fault.message


def test_a_cleaned_path_without_a_file_is_named_as_missing(tmp_path: Path) -> None:
    with pytest.raises(InputFault) as caught:
        read(f"{tmp_path}/gone.png\u200b")
    assert (caught.value.path.cleaned, caught.value.path.cleaned_exists) == (f"{tmp_path}/gone.png", False)


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


def test_the_pixel_limit_is_the_callers(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    assert reason_of(path, Limits(max_pixels=80 * 60 - 1)) == InputReason.IMAGE_TOO_MANY_PIXELS
    assert read(path, Limits(max_pixels=80 * 60)).shape == (60, 80, 3)


# ---------------------------------------------------------------- damage of every kind

EMPTY = InputReason.FILE_EMPTY  # where everything was cut
OUTCOMES = {"picture", EMPTY, *(reason for reason in InputReason if reason.startswith("image_"))}


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


def test_threads_wait_for_room_and_get_it() -> None:
    """Eight threads, room for two at a time; one that needs more than all of it waits until it is alone."""
    room, lock, inside, most, sizes = Room(10), threading.Lock(), [0], [], [4, 5, 30, 4, 5, 4, 5, 4]

    def work(size: int) -> None:
        with room.taken(size):
            with lock:
                inside[0] += size
                most.append(inside[0])
            with lock:
                inside[0] -= size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sizes))
    assert len(most) == len(sizes)
    assert max(one for one in most if one != 30) <= 10


def test_a_large_picture_is_turned_in_place_to_the_same_pixels() -> None:
    """12 megapixels of noise, against Pillow."""
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
    picture = decode(encoded(pixels, "BMP"), "a.bmp")
    assert np.array_equal(picture.pixels, pixels)
    clear = np.dstack([pixels, np.full((3000, 4000), 255, np.uint8)])
    clear[::2, :, 3] = 0
    whitened = decode(encoded(clear, "PNG", compress_level=0), "a.png").pixels
    assert (whitened[::2] == 255).all()
    assert np.array_equal(whitened[1::2], pixels[1::2])
