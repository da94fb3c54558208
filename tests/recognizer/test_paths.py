"""Path hygiene: every fault is named, no name that people really give is blamed."""

import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.paths import (
    MAX_ISSUES,
    UNSAFE_RANGES,
    PathIssue,
    clean,
    code_point,
    inspect,
    issue_names,
    parent,
    visible,
)
from recognizer.reasons import DISK_REASONS, PATH_REASONS, InputReason

STEADY = settings(derandomize=True, deadline=None)

FAULTS = [
    ("/上传/百灵.png\u200b", InputReason.PATH_INVISIBLE_CHARACTER, 10, "/上传/百灵.png"),
    ("百\ufeff灵.png", InputReason.PATH_INVISIBLE_CHARACTER, 1, "百灵.png"),
    ("a\u200db.png", InputReason.PATH_INVISIBLE_CHARACTER, 1, "ab.png"),
    ("photo\ufe0f.png", InputReason.PATH_INVISIBLE_CHARACTER, 5, "photo.png"),
    ("a\u3164b.png", InputReason.PATH_INVISIBLE_CHARACTER, 1, "ab.png"),
    ("百灵\u202egnp.png", InputReason.PATH_BIDI_CONTROL, 2, "百灵gnp.png"),
    ("a\x1bb.png", InputReason.PATH_CONTROL_CHARACTER, 1, "ab.png"),
    ("a\nb.png", InputReason.PATH_CONTROL_CHARACTER, 1, "ab.png"),
    ("图片\test.png", InputReason.PATH_UNESCAPED_ESCAPE, 2, "图片/test.png"),
    ("C:\test\bailing.png", InputReason.PATH_UNESCAPED_ESCAPE, 2, "C:/test/bailing.png"),
    ("D:\2026\new.png", InputReason.PATH_UNESCAPED_ESCAPE, 2, "D:/2026/new.png"),
    ("a\x85b.png", InputReason.PATH_CONTROL_CHARACTER, 1, "ab.png"),
    ("a\u00a0b.png", InputReason.PATH_UNUSUAL_SPACE, 1, "a b.png"),
    ("a\u3000b.png", InputReason.PATH_UNUSUAL_SPACE, 1, "a b.png"),
    ("a\u2028b.png", InputReason.PATH_UNUSUAL_SPACE, 1, "a b.png"),
    (" a.png", InputReason.PATH_EDGE_SPACE, 0, "a.png"),
    ("a.png\r\n", InputReason.PATH_EDGE_SPACE, 5, "a.png"),
    ("ｂａｉ.png", InputReason.PATH_FULLWIDTH, 0, "bai.png"),
    ("百灵．png", InputReason.PATH_FULLWIDTH, 2, "百灵.png"),
    ("写真です．png", InputReason.PATH_FULLWIDTH, 4, "写真です.png"),
    ("\uf900.png", InputReason.PATH_COMPATIBILITY_CHARACTER, 0, "\u8c48.png"),
    ("\u2f69鸟.png", InputReason.PATH_COMPATIBILITY_CHARACTER, 0, "白鸟.png"),
    ("cafe\u0301.png", InputReason.PATH_NOT_NFC, 3, "café.png"),
    ("phot\u043e.png", InputReason.PATH_HOMOGLYPH, 4, "photo.png"),
    ('"a.png"', InputReason.PATH_QUOTED, 0, "a.png"),
    ("“百灵.png”", InputReason.PATH_QUOTED, 0, "百灵.png"),
    ('a.png"', InputReason.PATH_QUOTED, 5, "a.png"),
    ("a.png，", InputReason.PATH_TRAILING_PUNCTUATION, 5, "a.png"),
    ("a.png.", InputReason.PATH_TRAILING_PUNCTUATION, 5, "a.png"),
    ("图片\\百灵.png", InputReason.PATH_BACKSLASH, 2, "图片/百灵.png"),
    ("my\\ photo.png", InputReason.PATH_BACKSLASH, 2, "my photo.png"),
    ("C:\\图片\\a.png", InputReason.PATH_WINDOWS, 0, "C:/图片/a.png"),
    ("\\\\nas\\图\\a.png", InputReason.PATH_WINDOWS, 0, "//nas/图/a.png"),
    ("file:///图/%E7%99%BE.png", InputReason.PATH_URL, 0, "/图/百.png"),
    ("https://host/a.png", InputReason.PATH_REMOTE_URL, 0, "https://host/a.png"),
    ("s3://bucket/百%20灵.png?x=??", InputReason.PATH_REMOTE_URL, 0, "s3://bucket/百%20灵.png?x=??"),
    ("data:image/png;base64,iVBO", InputReason.PATH_REMOTE_URL, 0, "data:image/png;base64,iVBO"),
    ("&#30334;&#x7075;.png", InputReason.PATH_HTML_OR_U_ESCAPE, 0, "百灵.png"),
    ("a&amp;b.png", InputReason.PATH_HTML_OR_U_ESCAPE, 1, "a&b.png"),
    ("图/\\u767e\\u7075.png", InputReason.PATH_HTML_OR_U_ESCAPE, 2, "图/百灵.png"),
    ("\\ud83d\\udc26.png", InputReason.PATH_HTML_OR_U_ESCAPE, 0, "🐦.png"),
    ("#U767e#U7075.png", InputReason.PATH_HTML_OR_U_ESCAPE, 0, "百灵.png"),
    ("\\347\\231\\276.png", InputReason.PATH_HTML_OR_U_ESCAPE, 0, "百.png"),
    ("/上传/鐧剧伒.png", InputReason.PATH_MOJIBAKE, 4, "/上传/百灵.png"),
    ("/上传/ç\x99¾ç\x81µ.png", InputReason.PATH_MOJIBAKE, 4, "/上传/百灵.png"),
    ("°ÙÁé.png", InputReason.PATH_MOJIBAKE, 0, "百灵.png"),
    ("░┘┴Θ.png", InputReason.PATH_MOJIBAKE, 0, "百灵.png"),
    ("cafÃ©.png", InputReason.PATH_MOJIBAKE, 3, "café.png"),
    ("%E7%99%BE.png", InputReason.PATH_PERCENT_ENCODED, 0, "百.png"),
    ("my%20photo.png", InputReason.PATH_PERCENT_ENCODED, 2, "my photo.png"),
    ("/a%2Fb/百.png", InputReason.PATH_PERCENT_ENCODED, 2, "/a/b/百.png"),
    ("%25E7%2599%25BE.png", InputReason.PATH_PERCENT_ENCODED, 0, "百.png"),
    ("~/a.png", InputReason.PATH_NOT_EXPANDED, 0, "~/a.png"),
    ("$HOME/a.png", InputReason.PATH_NOT_EXPANDED, 0, "$HOME/a.png"),
    ("/a/${DIR}/b.png", InputReason.PATH_NOT_EXPANDED, 3, "/a/${DIR}/b.png"),
    ("a\0b.png", InputReason.PATH_NUL, 1, "ab.png"),
    ("a\udcffb.png", InputReason.PATH_UNDECODABLE, 1, "a\udcffb.png"),
    ("a\ufffd.png", InputReason.PATH_LOSSY, 1, "a\ufffd.png"),
    ("/图/????.png", InputReason.PATH_LOSSY, 3, "/图/????.png"),
    ("/a/" + "百" * 84 + ".png", InputReason.PATH_COMPONENT_TOO_LONG, 3, "/a/" + "百" * 84 + ".png"),
    ("a/" * 2048 + "b.png", InputReason.PATH_TOO_LONG, 0, "a/" * 2048 + "b.png"),
    ("", InputReason.PATH_EMPTY, 0, ""),
    (" \t", InputReason.PATH_EMPTY, 0, ""),
]

GOOD = [
    "/data/上传/百灵.png",
    "照片（1）.png",
    "你好，世界！.jpg",
    "第一章：开始.png",
    "“精选”/百灵.png",
    "等等...",
    "图①.png",
    "写真１です.jpg",
    "ﾃｽﾄ.png",
    "葛\U000e0100城.png",
    "がぎぐ.png",
    "👨‍👩‍👧 旅行.png",
    "❤️.png",
    "1️⃣.png",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f.png",
    "می‌خواهم.png",
    "क्‍ष.png",
    "Привет мир.png",
    "αβγ/μm.png",
    "Ünïcode café.png",
    "한국어 사진.png",
    "../up/./a.png",
    "my photo (2) [final], v1.2+b=c@d#e&f!.png",
    "50%off.png",
    "price$5.png",
    "it's.png",
    "百" * 83 + ".png",
    ".hidden/.profile",
    "/a/b/",
    "R&D; 100%.png",
    "50%42 off.png",
    "5%2024 灵.png",
    "v1.5%15%.gif",
    "1+1=2 & more.png",
    "#Update.png",
    "茅台.png",
    "鐧.png",
    "Éÿ Ângström São Þór.png",
    "❤️‍🔥 👩🏽‍💻 🏳️‍🌈 👁️‍🗨️ 🐦‍⬛.png",
]


@pytest.mark.parametrize(("path", "reason", "position", "cleaned"), FAULTS)
def test_names_the_fault_its_place_and_the_path_that_was_meant(path, reason, position, cleaned):
    found = {issue.reason: issue for issue in reversed(inspect(path))}
    assert reason in found
    assert found[reason].position == position
    assert clean(path) == cleaned


@pytest.mark.parametrize("path", GOOD)
def test_leaves_names_alone_that_people_really_give(path):
    assert inspect(path) == ()
    assert clean(path) == path


def test_knows_every_path_reason_of_the_vocabulary():
    """Those that only the disk can tell are the path doctor's."""
    seen = {reason for _, reason, _, _ in FAULTS} | {issue.reason for issue in inspect(None)}
    assert seen | {InputReason.PATH_NON_ASCII_ON_WINDOWS} == PATH_REASONS - DISK_REASONS


@pytest.mark.parametrize(("path", "reason", "position"), [(path, reason, at) for path, reason, at, _ in FAULTS])
def test_the_first_issue_is_the_fault_itself(path, reason, position):
    """The primary reason, before what follows from it: a wrong reading also looks like control characters."""
    first = inspect(path)[0]
    assert (first.reason, first.position) == (reason, position)


def test_on_windows_a_name_beyond_ascii_is_at_fault_and_its_separators_are_not():
    """OpenCV hands its UTF-8 to a call that takes it for the system's code page."""
    issue = PathIssue(InputReason.PATH_NON_ASCII_ON_WINDOWS, 3, "图", "U+56FE")
    assert inspect("C:\\图片\\百灵.png", platform="nt")[0] == issue
    assert inspect("C:\\pictures\\a.png", platform="nt") == ()
    assert inspect("/上传/百灵.png", platform="posix") == ()


@pytest.mark.parametrize("path", [None, 3, b"a.png", ["a.png"]])
def test_anything_but_text_is_of_the_wrong_type(path):
    assert inspect(path) == (PathIssue(InputReason.PATH_WRONG_TYPE, 0, "", ""),)


def test_an_issue_carries_the_character_and_its_code_point():
    assert inspect("a.png\u200b") == (PathIssue(InputReason.PATH_INVISIBLE_CHARACTER, 5, "\u200b", "U+200B"),)


def test_several_faults_are_mended_together():
    assert clean(' "图片\\ｂａｉ．png\u200b"。') == "图片/bai.png"


def test_nfkc_alone_would_not_have_removed_the_zero_width_space():
    """The reason why format characters are stripped first: a hint that says NFKC is wrong."""
    assert unicodedata.normalize("NFKC", "a\u200b") == "a\u200b"
    assert clean("a\u200b") == "a"


def test_a_hostile_path_gives_a_bounded_number_of_issues():
    hostile = "".join(chr(point) for low, high in UNSAFE_RANGES for point in range(low, min(high, low + 40) + 1))
    assert len(inspect(hostile * 50)) == MAX_ISSUES


def test_issue_names_are_listed_once_worst_first():
    assert issue_names("a\u200bb\ufeff\u202e ") == ["path_bidi_control", "path_invisible_character", "path_edge_space"]


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/a/b.png", "/a"),
        ("/b.png", "/"),
        ("b.png", "."),
        ("a/b/", "a/b"),
        ("C:\\a\\b.png", "C:\\a"),
        ("a\\b/c", "a\\b"),
    ],
)
def test_parent_folder(path, folder):
    assert parent(path) == folder


def test_every_format_and_control_character_is_unsafe_and_shown():
    """The tables are written out by hand; Unicode's own database must agree with them."""
    joiners_and_tags = {*range(0xE0020, 0xE0080)}
    for point in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(point))
        if category in {"Cf", "Cc"}:
            if point not in joiners_and_tags:
                assert any(low <= point <= high for low, high in UNSAFE_RANGES), code_point(chr(point))
            assert visible(chr(point)) == f"‹U+{point:04X}›"
        elif category in {"Zl", "Zp", "Cs", "Co"} or (category == "Zs" and point != 0x20):
            assert visible(chr(point)) == f"‹U+{point:04X}›"


@pytest.mark.parametrize("text", ["/data/百灵 （1）.png", "写真です", "👨‍👩‍👧", "❤️", "é ñ Я α 한", "می‌خواهم"])
def test_ordinary_text_is_shown_as_it_is(text):
    assert visible(text) == text


def test_long_text_is_cut_with_an_ellipsis():
    assert visible("百" * 600) == "百" * 512 + "…"
    assert visible("abc", 3) == "abc"
    assert visible("abcd", 3) == "abc…"


@STEADY
@given(st.text(st.characters(exclude_categories=())))
def test_what_is_shown_is_one_line_of_valid_text(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown


@STEADY
@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_cleaning_twice_changes_nothing_more_and_never_raises(text):
    inspect(text)
    once = clean(text)
    assert clean(once) == once


@STEADY
@given(st.text(st.sampled_from("ab百灵\u200b\u202e\u00a0ｂ．о\\/%E7%9BE\"“”'., \t\0~$é\u0301\u200d👩"), max_size=24))
def test_cleaning_a_dense_mix_of_faults_ends(text):
    once = clean(text)
    assert clean(once) == once
    assert not {"\u200b", "\u202e", "\0"} & set(once)


@STEADY
@given(st.text(st.characters(categories=["Lo"], min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1, max_size=60))
def test_no_chinese_name_is_blamed(name):
    assert inspect(f"/上传/{name}.png") == ()
