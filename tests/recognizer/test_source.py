"""Reading a file's bytes: what the name differs by from an existing file, allowed folders, repair where allowed."""

import os
import threading
import time
from pathlib import Path

import pytest

from recognizer.decode import read
from recognizer.diagnose import diagnose, of_content
from recognizer.emit import log_event, recognition
from recognizer.fault import InputFault
from recognizer.inspect import Limits
from recognizer.reasons import InputReason as Reason
from recognizer.sinks import MemorySink
from recognizer.source import Access, Repair, read_file
from tests.support.emission import emitting_to, types
from tests.support.pictures import colours, encoded

PNG = encoded(colours(), "PNG")
LIMIT = 1 << 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures inside, one outside, and links between them."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("in/my photo.png", "in/Photo.PNG", "in/hoopoe bird.png", "in/百灵.png", "out/secret.png"):
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "in" / "link.png").symlink_to("../out/secret.png")
    (tmp_path / "in" / "door").symlink_to("../out")
    return tmp_path / "in"


def fault_of(path: object, access: Access = Access()) -> InputFault:  # noqa: B008 - it is frozen
    with pytest.raises(InputFault) as caught:
        read_file(path, LIMIT, access)
    return caught.value


DISK_FAULTS = [
    ("my+photo.png", Reason.PATH_PLUS_FOR_SPACE, "my photo.png"),
    ("PHOTO.png", Reason.PATH_CASE_MISMATCH, "Photo.PNG"),
    ("hoopoe brid.png", Reason.PATH_NEAR_NAME, "hoopoe bird.png"),
    ("з™ѕзЃµ.png", Reason.PATH_MOJIBAKE, "百灵.png"),
    ("鐧剧伒.png", Reason.PATH_MOJIBAKE, "百灵.png"),
    ("百灵.png\u200b", Reason.PATH_INVISIBLE_CHARACTER, "百灵.png"),
    ("图.png", Reason.FILE_MISSING, None),
]


@pytest.mark.parametrize(("name", "reason", "meant"), DISK_FAULTS)
def test_a_missing_file_says_which_existing_one_it_differs_from(
    folder: Path, name: str, reason: Reason, meant: str | None
) -> None:
    fault = fault_of(f"{folder}/{name}")
    assert fault.reason == reason
    assert fault.path.suggested == (None if meant is None else f"{folder}/{meant}")
    assert meant is None or f"{folder}/{meant}" in fault.message
    assert "\u200b" not in fault.message


@pytest.mark.parametrize(("name", "reason", "meant"), DISK_FAULTS)
def test_a_service_of_its_own_is_told_the_same(folder: Path, name: str, reason: Reason, meant: str | None) -> None:
    """cv2.imread answered None: the instrumentation finds out why, and the event names the file that was meant."""
    with emitting_to(MemorySink()) as sink, recognition(f"{folder}/{name}") as told:
        told.input_success(None)
    error = sink.events[-1]
    assert error["reason"] == reason
    assert error.get("path_suggested") == (None if meant is None else f"{folder}/{meant}")


def test_the_event_names_character_and_place(folder: Path) -> None:
    with emitting_to(MemorySink()) as sink:
        log_event("input_error", file_path=f"{folder}/百灵.png\u200b", error="imread returned None")
    (error,) = sink.events
    assert types(sink) == ["input_error"]
    assert (error["path_character"], error["path_position"]) == ("U+200B", len(f"{folder}/百灵.png") + 1)


@pytest.mark.parametrize("name", ["百灵.png\u200b", "PHOTO.png", "no such picture\u200b.gz", "my\\photo.png"])
def test_a_missing_file_is_told_alike_by_the_reader_and_by_any_service(folder: Path, name: str) -> None:
    """All that an event has of a path comes out of one place."""
    path, sink = f"{folder}/{name}", MemorySink()
    with emitting_to(sink):
        for error in (fault_of(path), OSError(2, "gone")):
            with recognition(path) as block:
                block.input_error(error)
    ours, theirs = (
        {one: value for one, value in event.items() if one.startswith("path_") or one == "reason"}
        for event in sink.events
        if event["event_type"] == "input_error"
    )
    assert ours == theirs
    assert {"reason", "path_issues"} < ours.keys()


def test_a_fault_of_the_content_tells_the_faults_of_the_path_too(folder: Path) -> None:
    """A file stands at the faulty path, and it is no picture."""
    (folder / "bro\u200bken.png").write_bytes(b"no picture")
    with pytest.raises(InputFault) as caught:
        read(folder / "bro\u200bken.png", Limits())
    assert caught.value.path.issues == (Reason.PATH_INVISIBLE_CHARACTER,)
    with emitting_to(MemorySink()) as sink, recognition(f"{folder}/bro\u200bken.png") as block:
        block.input_error(InputFault(Reason.MODEL_FAILED, "the network failed"))
    told = sink.events[-1]
    assert (told["path_issues"], told["path_character"]) == (["path_invisible_character"], "U+200B")


def test_two_empty_handed_searches_name_nothing(folder: Path) -> None:
    """A folder that is not there has no neighbours."""
    fault = fault_of("/nowhere/Photo.png")
    assert (fault.reason, fault.path.suggested) == (Reason.FILE_MISSING, None)


# ---------------------------------------------------------------- allowed folders


@pytest.mark.parametrize("name", ["../out/secret.png", "link.png", "door/secret.png", "../out/gone.png", "/etc/passwd"])
def test_what_lies_outside_of_the_roots_is_not_opened(folder: Path, name: str) -> None:
    """Links and .. count by where they lead; whether a file is there is not told."""
    fault = fault_of(os.path.join(folder, name), Access(roots=(str(folder),)))
    assert fault.reason == Reason.PATH_OUTSIDE_ROOTS
    assert Reason.PATH_OUTSIDE_ROOTS in fault.path.issues
    assert fault.path.suggested is None
    assert "secret" not in fault.message


def test_what_lies_inside_is_read(folder: Path) -> None:
    """Also by a link that points to the roots, and under a root that is itself a link."""
    other = folder.parent / "alias"
    other.symlink_to(folder)
    for root in (folder, other):
        for path in (folder / "百灵.png", other / "百灵.png"):
            assert read_file(path, LIMIT, Access(roots=(str(root),))).data == PNG


def test_no_roots_at_all_means_that_nothing_may_be_read(folder: Path) -> None:
    assert fault_of(folder / "百灵.png", Access(roots=())).reason == Reason.PATH_OUTSIDE_ROOTS


def test_a_suggestion_never_leads_out(folder: Path) -> None:
    for name in ("LINK.png", "Door/secret.png", "door/SECRET.png"):
        assert fault_of(folder / name, Access(roots=(str(folder),))).path.suggested is None


# ---------------------------------------------------------------- repair


REPAIRED = [
    ("{folder}/百灵.png\u200b", Reason.PATH_INVISIBLE_CHARACTER, "百灵.png"),
    ('"{folder}/百灵.png"', Reason.PATH_QUOTED, "百灵.png"),
    ("{folder}/my+photo.png", Reason.PATH_PLUS_FOR_SPACE, "my photo.png"),
    ("{folder}/photo.png", Reason.PATH_CASE_MISMATCH, "Photo.PNG"),
    ("file://{folder}/%E7%99%BE%E7%81%B5.png", Reason.PATH_URL, "百灵.png"),
]


@pytest.mark.parametrize(("path", "reason", "meant"), REPAIRED)
def test_where_it_is_allowed_the_file_that_was_meant_is_read_and_the_fault_is_told(
    folder: Path, path: str, reason: Reason, meant: str
) -> None:
    access = Access(roots=(str(folder),), repair=Repair.EXISTING_FILE_INSIDE_ROOTS)
    picture = read(path.format(folder=folder), Limits(), access)
    assert picture.shape == (60, 80, 3)
    assert picture.repaired == f"{folder}/{meant}"
    assert picture.path_issues[0] == reason


@pytest.mark.parametrize(("path", "reason", "meant"), REPAIRED)
def test_by_default_nothing_is_read_in_place_of_a_faulty_path(
    folder: Path, path: str, reason: Reason, meant: str
) -> None:
    with pytest.raises(InputFault) as caught:
        read(path.format(folder=folder))
    assert caught.value.reason == reason


@pytest.mark.parametrize("name", ["hoopoe brid.png", "hoopoe-bird.png", "gone.png", "LINK.png", "../out/SECRET.png"])
def test_a_guess_is_never_read_and_nothing_outside_either(folder: Path, name: str) -> None:
    access = Access(roots=(str(folder),), repair=Repair.EXISTING_FILE_INSIDE_ROOTS)
    assert fault_of(folder / name, access).reason != Reason.UNSPECIFIED


def test_repair_without_roots_is_refused() -> None:
    with pytest.raises(ValueError, match="needs roots"):
        Access(repair=Repair.EXISTING_FILE_INSIDE_ROOTS)


# ---------------------------------------------------------------- files in motion, Windows


def test_a_file_that_grows_while_it_is_read_is_still_being_written(tmp_path: Path) -> None:
    """Another thread appends without a pause: the sizes before and after a read differ soon."""
    path, done = tmp_path / "growing.png", threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as stream:
            while not done.is_set() and stream.tell() < 1 << 28:
                stream.write(PNG)

    path.write_bytes(PNG * 1000)
    writer = threading.Thread(target=grow)
    writer.start()
    reasons = set()
    try:
        deadline = time.monotonic() + 60
        while Reason.FILE_STILL_WRITING not in reasons and time.monotonic() < deadline:
            try:
                read_file(path, LIMIT)
            except InputFault as fault:
                reasons.add(fault.reason)
    finally:
        done.set()
        writer.join()
    assert reasons == {Reason.FILE_STILL_WRITING}
    assert read_file(path, LIMIT).data.startswith(PNG)


def test_a_file_that_the_kernel_makes_up_is_read_though_it_tells_no_size(tmp_path: Path) -> None:
    """In /proc every file has 0 bytes: what it holds is no picture, and that is what is wrong with it."""
    for path in ("/proc/version", "/proc/sys/kernel/ostype", "/proc/self/maps"):
        assert Path(path).stat().st_size == 0
        assert read_file(path, LIMIT).data == Path(path).read_bytes()
    with pytest.raises(InputFault) as caught:
        read("/proc/version", Limits())
    assert caught.value.reason is Reason.IMAGE_NOT_AN_IMAGE
    assert of_content("/proc/version") is Reason.IMAGE_NOT_AN_IMAGE
    with pytest.raises(InputFault) as caught:
        read_file("/proc/self/maps", 10)
    assert caught.value.reason is Reason.FILE_TOO_LARGE
    (tmp_path / "empty.png").touch()
    assert fault_of(tmp_path / "empty.png").reason is Reason.FILE_EMPTY
    assert diagnose("None", f"{tmp_path}/empty.png")["reason"] == Reason.FILE_EMPTY


def test_on_windows_the_name_explains_what_the_file_does_not(tmp_path: Path) -> None:
    """A good picture under a Chinese name, and a decoder that found nothing there."""
    (tmp_path / "百灵.png").write_bytes(PNG)
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "百.png").write_bytes(b"text")
    assert of_content(f"{tmp_path}/百灵.png", platform="nt") == Reason.PATH_NON_ASCII_ON_WINDOWS
    assert of_content(f"{tmp_path}/a.png", platform="nt") == Reason.IMAGE_CORRUPT
    assert of_content(f"{tmp_path}/百.png", platform="nt") == Reason.IMAGE_NOT_AN_IMAGE
    assert of_content(f"{tmp_path}/百灵.png", platform="posix") == Reason.IMAGE_CORRUPT


def test_a_stated_reason_wins_over_what_the_disk_says(folder: Path) -> None:
    found = diagnose("gone", f"{folder}/photo.png", "file_too_large")
    assert found["reason"] == "file_too_large"
