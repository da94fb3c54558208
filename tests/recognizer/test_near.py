"""The search in all names of a folder at once finds what asking one name after the other finds."""

import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer import near, sound
from recognizer.doctor import Effort, examine
from tests.support import plain_near

STEADY = settings(derandomize=True, deadline=None, max_examples=200)
GOOD = [
    "bailing.png", "百灵.png", "my photo.png", "Photo.PNG", "café.png", "照片（1）.png", "паром.png", "银行.png",
    "北京.png", "a&b.png", "img_0041.jpg", "写真です.jpg", "hoopoe bird.jpeg", "straße.png", "İx.png", "x", "--.png",
]  # fmt: skip
WRITTEN_AND_READ = [
    ("utf-8", "gb18030"), ("utf-8", "latin-1"), ("gb18030", "latin-1"), ("utf-8", "cp1251"), ("big5", "cp437"),
]  # fmt: skip
ODD_CHARACTERS = "\u200b\ufeff\u202e \u00a0\u3000\"'+%？?\ufffd-_.()（，\n\t\x1bſK\u0301ab1百"


def misread(name: str, written: str, read: str) -> str:
    return name.encode(written, "replace").decode(read, "replace")


def as_bytes(name: str, encoding: str) -> str:
    return name.encode(encoding, "replace").decode("utf-8", "surrogateescape")


@st.composite
def changed(draw: st.DrawFn, names: st.SearchStrategy[str]) -> str:
    """A name as it may come out of a keyboard, an archive or a wrong program."""
    name = draw(names)
    at = draw(st.integers(0, len(name)))
    found: str = draw(
        st.sampled_from(
            [
                name,
                name.swapcase(),
                name.upper(),
                name.replace(" ", "+"),
                name.replace("_", "-"),
                "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in name),
                name.replace("a", "\u0430").replace("o", "\u043e"),
                *(unicodedata.normalize(form, name) for form in ("NFC", "NFD", "NFKC", "NFKD")),
                *(misread(name, *pair) for pair in WRITTEN_AND_READ),
                *(as_bytes(name, encoding) for encoding in ("gb18030", "big5", "cp932")),
                name[:at] + name[at + 1 :],
                name[:at] + draw(st.sampled_from(ODD_CHARACTERS)) + name[at:],
                name.replace(".png", ".jpeg"),
                name.replace("百灵", "??").replace("é", "\ufffd"),
                "bai-ling.png",
                "yinxing.png",
            ]
        )
    )
    return found.replace("/", "").replace("\0", "") or "x"


ONE = st.sampled_from(GOOD)
LIKE_IT = changed(changed(ONE))


@STEADY
@given(st.data(), st.sampled_from([2, 3, near.TOGETHER]))
def test_the_best_name_is_that_of_the_long_way(data: st.DataObject, together: int) -> None:
    """Also where the folder is searched in many parts, and where the best names are no files."""
    wanted = data.draw(changed(ONE), "wanted")
    likely = changed(st.just(wanted)) | changed(st.sampled_from([wanted, *GOOD]))
    names = [one for one in dict.fromkeys(data.draw(st.lists(likely | LIKE_IT, max_size=9), "names")) if one != wanted]
    folders = data.draw(st.sets(st.sampled_from(names), max_size=2) if names else st.just(set()), "folders")

    def fits(name: str) -> bool:
        return name not in folders

    sound.is_installed()
    found = near.best(wanted, names, fits, time.monotonic() + 60, sound=True, together=together)
    assert found == plain_near.best(wanted, names, fits)


@STEADY
@given(ONE | LIKE_IT, ONE | LIKE_IT)
def test_the_same_numbers_are_found(wanted: str, name: str) -> None:
    assert near._same_numbers(wanted)(name) == (near._numbers(wanted) == near._numbers(name))


@pytest.mark.parametrize("limit", [0, 1, 511, 512, 513])
def test_a_folder_that_ends_with_the_limit_was_looked_at_whole(tmp_path: Path, limit: int) -> None:
    for number in range(512):
        (tmp_path / f"{number:03}").touch()
    assert examine(f"{tmp_path}/x", [str(tmp_path)], Effort(entries=limit)).complete == (limit >= 512)
