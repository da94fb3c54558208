"""The path doctor on a real tree: the existing file that was meant is found, and nothing outside is looked at."""

import os
import shutil
from pathlib import Path

import pytest

from recognizer.doctor import Effort, Meant, Written, examine, is_inside, own_folder, what_was_meant
from recognizer.reasons import InputReason as Reason

FILES = [
    "上传/百灵.png",
    "上传/批次 1/照片（1）.png",
    "上传/豈.png",
    "上传/Photo.PNG",
    "upload/bailing.png",
    "upload/my photo.png",
    "upload/camera_front_0041.png",
    "upload/camera_front_0042.png",
    "upload/café.png",
    "upload/写真です.jpg",
    "upload/a&b.png",
    "upload/hoopoe bird.jpeg",
    "upload/银行.png",
    "upload/паром.png",
    "test/bailing.png",
    "test/北京.png",
    "test/v1 01.png",
]

REPAIRABLE = [
    ("{root}/上传/百灵.png\u200b", Reason.PATH_INVISIBLE_CHARACTER, "上传/百灵.png"),
    ("{root}/上传/\u202e百灵.png", Reason.PATH_BIDI_CONTROL, "上传/百灵.png"),
    ("{root}/上传/百\x1b灵.png", Reason.PATH_CONTROL_CHARACTER, "上传/百灵.png"),
    ("{root}/upload/my\u00a0photo.png", Reason.PATH_UNUSUAL_SPACE, "upload/my photo.png"),
    ("{root}/upload/my\u3000photo.png", Reason.PATH_UNUSUAL_SPACE, "upload/my photo.png"),
    (" {root}/upload/bailing.png\r\n", Reason.PATH_EDGE_SPACE, "upload/bailing.png"),
    ("{root}/upload/ｂａｉｌｉｎｇ．png", Reason.PATH_FULLWIDTH, "upload/bailing.png"),
    ("{root}/upload／bailing.png", Reason.PATH_FULLWIDTH, "upload/bailing.png"),
    ("{root}/上传/照片(1).png", Reason.FILE_MISSING, None),
    ("{root}/上传/批次 1/照片(1).png", Reason.PATH_FULLWIDTH, "上传/批次 1/照片（1）.png"),
    ("{root}/上传/\uf900.png", Reason.PATH_COMPATIBILITY_CHARACTER, "上传/豈.png"),
    ("{root}/test/北\u2f08.png", Reason.PATH_COMPATIBILITY_CHARACTER, None),
    ("{root}/upload/cafe\u0301.png", Reason.PATH_NOT_NFC, "upload/café.png"),
    ("{root}/upload/b\u0430iling.png", Reason.PATH_HOMOGLYPH, "upload/bailing.png"),
    ("{root}/upload/\u0430\u0440\u0435.png", Reason.FILE_MISSING, None),
    ('"{root}/upload/bailing.png"', Reason.PATH_QUOTED, "upload/bailing.png"),
    ("“{root}/upload/bailing.png”", Reason.PATH_QUOTED, "upload/bailing.png"),
    ("{root}/upload/bailing.png，", Reason.PATH_TRAILING_PUNCTUATION, "upload/bailing.png"),
    ("{root}\\上传\\百灵.png", Reason.PATH_BACKSLASH, "上传/百灵.png"),
    ("上传\\百灵.png", Reason.PATH_BACKSLASH, "上传/百灵.png"),
    ("D:\\share\\上传\\百灵.png", Reason.PATH_WINDOWS, "上传/百灵.png"),
    ("\\\\nas\\pictures\\upload\\bailing.png", Reason.PATH_WINDOWS, "upload/bailing.png"),
    ("C:\test\bailing.png", Reason.PATH_UNESCAPED_ESCAPE, "test/bailing.png"),
    ("file://{root}/%E4%B8%8A%E4%BC%A0/%E7%99%BE%E7%81%B5.png", Reason.PATH_URL, "上传/百灵.png"),
    ("{root}/%E4%B8%8A%E4%BC%A0/%E7%99%BE%E7%81%B5.png", Reason.PATH_PERCENT_ENCODED, "上传/百灵.png"),
    ("{root}/%25E4%25B8%258A%25E4%25BC%25A0/百灵.png", Reason.PATH_PERCENT_ENCODED, "上传/百灵.png"),
    ("{root}/test/v1%2001.png", Reason.PATH_PERCENT_ENCODED, "test/v1 01.png"),
    ("{root}/upload/my+photo.png", Reason.PATH_PLUS_FOR_SPACE, "upload/my photo.png"),
    ("{root}/上传/批次+1/照片（1）.png", Reason.PATH_PLUS_FOR_SPACE, "上传/批次 1/照片（1）.png"),
    ("{root}/上传/&#30334;&#28789;.png", Reason.PATH_HTML_OR_U_ESCAPE, "上传/百灵.png"),
    ("{root}/上传/\\u767e\\u7075.png", Reason.PATH_HTML_OR_U_ESCAPE, "上传/百灵.png"),
    ("{root}/upload/a&amp;b.png", Reason.PATH_HTML_OR_U_ESCAPE, "upload/a&b.png"),
    ("{root}/上传/鐧剧伒.png", Reason.PATH_MOJIBAKE, "上传/百灵.png"),
    ("{root}/涓婁紶/鐧剧伒.png", Reason.PATH_MOJIBAKE, "上传/百灵.png"),
    ("{root}/上传/°ÙÁé.png", Reason.PATH_MOJIBAKE, "上传/百灵.png"),
    ("{root}/上传/з™ѕзЃµ.png", Reason.PATH_MOJIBAKE, "上传/百灵.png"),
    ("{root}/upload/鍐欑湡銇с仚.jpg", Reason.PATH_MOJIBAKE, "upload/写真です.jpg"),
    ("{root}/upload/CAFÃ‰.png", Reason.PATH_MOJIBAKE, "upload/café.png"),
    ("{root}/上传/photo.png", Reason.PATH_CASE_MISMATCH, "上传/Photo.PNG"),
    ("{root}/Upload/BAILING.png", Reason.PATH_CASE_MISMATCH, "upload/bailing.png"),
    ("{root}/upload/hoopoe brid.jpeg", Reason.PATH_NEAR_NAME, "upload/hoopoe bird.jpeg"),
    ("{root}/upload/hoopoe bird.jpg", Reason.PATH_NEAR_NAME, "upload/hoopoe bird.jpeg"),
    ("{root}/upload/hoopoe-bird.jpeg", Reason.PATH_NEAR_NAME, "upload/hoopoe bird.jpeg"),
    ("{root}/uplaod/bailing.png", Reason.PATH_NEAR_NAME, "upload/bailing.png"),
    ("{root}/上传/bailing.png", Reason.PATH_NEAR_NAME, "上传/百灵.png"),
    ("{root}/upload/yinhang.png", Reason.PATH_NEAR_NAME, "upload/银行.png"),
    ("{root}/upload/yin_xing.png", Reason.PATH_NEAR_NAME, "upload/银行.png"),
    ("{root}/test/背景.png", Reason.PATH_NEAR_NAME, "test/北京.png"),
    ("{root}/upload/camera_front_0043.png", Reason.FILE_MISSING, None),
    ("{root}/upload/x.png", Reason.FILE_MISSING, None),
    ("{root}/上传/??.png", Reason.PATH_LOSSY, None),
    ("https://host/upload/bailing.png", Reason.PATH_REMOTE_URL, None),
]
BY_SOUND = {"bailing", "yinhang", "yin_xing", "背景"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with pictures of every kind of name, and a neighbour that nothing may lead to."""
    place = tmp_path_factory.mktemp("doctor")
    for name in FILES:
        (place / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "root" / name).write_bytes(b"x")
    (place / "outside").mkdir()
    (place / "outside" / "secret.png").write_bytes(b"x")
    (place / "root" / "link.png").symlink_to(place / "outside" / "secret.png")
    (place / "root" / "door").symlink_to(place / "outside")
    return os.path.realpath(place / "root")


@pytest.mark.parametrize(("path", "reason", "meant"), REPAIRABLE)
def test_the_fault_is_named_and_the_file_that_was_meant_is_found(
    tree: str, path: str, reason: Reason, meant: str | None
) -> None:
    if any(word in path for word in BY_SOUND) and reason is Reason.PATH_NEAR_NAME:
        pytest.importorskip("pypinyin")
    found = examine(path.format(root=tree), [tree])
    assert found.reason == reason
    assert (found.meant.path if found.meant else None) == (None if meant is None else f"{tree}/{meant}")
    assert not found.exists
    assert found.complete


def test_a_near_name_is_a_guess_and_a_way_of_writing_is_certain(tree: str) -> None:
    near = examine(f"{tree}/upload/hoopoe brid.jpeg", [tree]).meant
    same = examine(f"{tree}/upload/my+photo.png", [tree]).meant
    assert near is not None
    assert same is not None
    assert (near.certain, same.certain) == (False, True)


def test_a_good_path_is_well(tree: str) -> None:
    found = examine(f"{tree}/上传/百灵.png", [tree])
    assert (found.reason, found.issues, found.exists, found.meant) == (None, (), True, None)


def test_two_files_that_differ_in_case_alone_are_both_named(tmp_path: Path) -> None:
    """Neither is certain: a picture must not be recognised in place of another."""
    for name in ("Photo.png", "PHOTO.png"):
        (tmp_path / name).write_bytes(b"x")
    meant = examine(f"{tmp_path}/photo.png", [str(tmp_path)]).meant
    assert meant is not None
    assert not meant.certain
    assert {meant.path, *meant.alternatives} == {f"{tmp_path}/Photo.png", f"{tmp_path}/PHOTO.png"}


@pytest.mark.parametrize(
    ("name", "asked", "reason"),
    [
        ("百灵\u200b.png", "百灵.png", Reason.PATH_INVISIBLE_CHARACTER),
        ("cafe\u0301.png", "café.png", Reason.PATH_NOT_NFC),
        ("鐧剧伒.png", "百灵.png", Reason.PATH_MOJIBAKE),
        (" a.png", "a.png", Reason.PATH_EDGE_SPACE),
        ("phot\u043e.png", "photo.png", Reason.PATH_HOMOGLYPH),
        ("%E7%99%BE.png", "百.png", Reason.PATH_PERCENT_ENCODED),
        (os.fsdecode("百灵.png".encode("gbk")), "百灵.png", Reason.PATH_UNDECODABLE),
        (os.fsdecode("百靈.png".encode("big5")), "百靈.png", Reason.PATH_UNDECODABLE),
    ],
)
def test_the_fault_may_be_the_files_own_name(tmp_path: Path, name: str, asked: str, reason: Reason) -> None:
    """A good path, and a file whose name has the fault."""
    (tmp_path / name).write_bytes(b"x")
    found = examine(f"{tmp_path}/{asked}", [str(tmp_path)])
    assert found.reason == reason
    assert found.meant is not None
    assert found.meant.path == f"{tmp_path}/{name}"


@pytest.mark.parametrize(
    "path",
    [
        "{root}/../outside/secret.png",
        "{root}/door/secret.png",
        "{root}/link.png",
        "/etc/passwd",
        "{root}/upload/../../outside/secret.png",
    ],
)
def test_nothing_outside_of_the_roots_is_named(tree: str, path: str) -> None:
    """Links and .. count by where they lead."""
    found = examine(path.format(root=tree), [tree])
    assert (found.reason, found.meant, found.exists) == (Reason.PATH_OUTSIDE_ROOTS, None, False)


@pytest.mark.parametrize(
    "path",
    ["{root}/%2e%2e/outside/secret.png", "{root}/..\\outside\\secret.png", "{root}/door/SECRET.png", "{root}/LINK.png"],
)
def test_no_repair_leads_out_either(tree: str, path: str) -> None:
    """What a repair or a link inside of the roots would lead to is not suggested, nor is its folder listed."""
    assert examine(path.format(root=tree), [tree]).meant is None


def test_the_search_is_bounded(tmp_path: Path) -> None:
    """Beyond the limits nothing is found, and that is said."""
    for number in range(50):
        (tmp_path / f"{number}x.png").write_bytes(b"x")
    (tmp_path / "Photo.png").write_bytes(b"x")
    few = examine(f"{tmp_path}/photo.png", [str(tmp_path)], Effort(entries=0))
    late = examine(f"{tmp_path}/photo.png", [str(tmp_path)], Effort(duration_ms=0))
    assert (few.complete, few.meant) == (late.complete, late.meant) == (False, None)
    assert examine(f"{tmp_path}/photo.png", [str(tmp_path)]).complete


@pytest.mark.parametrize(
    "path",
    [
        "",
        "\0",
        "a\0.png",
        "half \ud83d.png",
        "{root}/half \ud83d and bytes \udcb0.png",
        "/" * 5000,
        "a/" * 3000,
        "x" * 300,
        "~/a",
        ".",
    ],
)
def test_nothing_makes_the_doctor_raise(tree: str, path: str) -> None:
    found = examine(path.format(root=tree), [tree])
    assert found.reason is not None
    assert found.meant is None


def test_without_roots_nothing_is_looked_at(tree: str) -> None:
    assert what_was_meant(Written.of(f"{tree}/upload/BAILING.png"), []) is None


def test_the_own_folder_of_a_path_is_as_far_as_it_exists(tree: str) -> None:
    assert own_folder(f"{tree}/upload/none/a.png") == (f"{tree}/upload",)
    assert own_folder("/nowhere/a.png") == ()
    assert own_folder("\0") == ()


def test_what_stands_at_the_path_and_is_no_file_is_named(tmp_path: Path) -> None:
    """Nothing is missing there, so nothing else is suggested, not even a file of nearly that name."""
    (tmp_path / "photo1.png").write_bytes(b"x")
    (tmp_path / "photo2.png").mkdir()
    os.mkfifo(tmp_path / "photo3.png")
    (tmp_path / "photo4.png").symlink_to(tmp_path / "photo4.png")
    reasons = {
        "photo2.png": Reason.FILE_IS_DIRECTORY,
        "photo3.png": Reason.FILE_NOT_REGULAR,
        "photo4.png": Reason.FILE_SYMLINK_LOOP,
    }
    for name, reason in reasons.items():
        found = examine(f"{tmp_path}/{name}", [str(tmp_path)])
        assert (found.reason, found.meant, found.exists) == (reason, None, False)


def test_a_dead_link_and_a_file_taken_for_a_folder_are_told_from_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"x")
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    assert examine(f"{tmp_path}/link.png", [str(tmp_path)]).reason is Reason.FILE_SYMLINK_BROKEN
    assert examine(f"{tmp_path}/photo.png/x", [str(tmp_path)]).reason is Reason.FILE_PARENT_NOT_DIRECTORY


@pytest.mark.parametrize("behind", ["/", "/.", "//"])
def test_a_file_with_a_slash_behind_it_is_meant_and_not_said_to_be_gone(tmp_path: Path, behind: str) -> None:
    (tmp_path / "photo.png").write_bytes(b"x")
    found = examine(f"{tmp_path}/photo.png{behind}", [str(tmp_path)])
    assert (found.reason, found.exists) == (Reason.FILE_PARENT_NOT_DIRECTORY, False)
    assert found.meant is not None
    assert found.meant.path == f"{tmp_path}/photo.png"


def test_a_process_whose_folder_is_gone_still_gets_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "photo.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert examine("photo.png", None).reason is Reason.FILE_MISSING
    assert examine("./pho\u200bto.png", [str(tmp_path)]).reason is Reason.PATH_INVISIBLE_CHARACTER
    assert examine(f"{tmp_path}/photo.png", None).reason is None


def test_without_roots_named_no_path_lies_outside(tree: str) -> None:
    assert examine("/nowhere/at/all.png", None).reason is Reason.FILE_MISSING
    assert examine("/", None).reason is Reason.FILE_IS_DIRECTORY
    assert examine(f"{tree}/door/secret.png", None).reason is None
    meant = examine(f"{tree}/upload/BAILING.png", None).meant
    assert meant is not None
    assert meant.path == f"{tree}/upload/bailing.png"


def test_inside_follows_links(tree: str) -> None:
    assert is_inside(f"{tree}/upload/none.png", [tree])
    assert not is_inside(f"{tree}/door/none.png", [tree])
    assert not is_inside(tree + "2", [tree])
    assert not is_inside("a\0", [tree])


def test_a_file_that_goes_while_it_is_looked_for_is_not_suggested(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Photo.png").write_bytes(b"x")
    assert isinstance(what_was_meant(Written.of(f"{tmp_path}/a/photo.png"), [str(tmp_path)]), Meant)
    shutil.rmtree(tmp_path / "a")
    assert what_was_meant(Written.of(f"{tmp_path}/a/photo.png"), [str(tmp_path)]) is None
