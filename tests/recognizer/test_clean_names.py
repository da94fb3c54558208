"""Ten thousand names that people really give, made by a seeded generator: none of them has a fault."""

import os
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from recognizer.doctor import examine
from recognizer.paths import clean, inspect, visible
from recognizer.source import read_file

SEED = 20261122
COUNT = 10_000

CHINESE = "".join(
    bytes((row, cell)).decode("gb2312") for row in range(0xB0, 0xD7) for cell in range(0xA1, 0xFF)
)  # the 3,755 of the first level but the last row
ANY_IDEOGRAPH = [chr(point) for point in range(0x4E00, 0x9FA6)]
TRADITIONAL = "臺灣攝影紀錄龍鳳鶴雲飛車聲聽讀寫圖書館體驗營區觀測點廣東國際機場"
HIRAGANA = [chr(point) for point in range(0x3041, 0x3097)]
KATAKANA = [chr(point) for point in range(0x30A1, 0x30FB)] + ["ー"]
HANGUL = [chr(point) for point in range(0xAC00, 0xD7A4)]
LATIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
ACCENTED = "éèêëàâäçñöôüùûîïßåøæœÉÀÖÜŠžčşğıłń"
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
EMOJI = [
    "😀", "📷", "🐦", "❤️", "✈️", "☀️", "1️⃣", "👍🏽", "👨‍👩‍👧‍👦", "👩🏽‍💻", "🏳️‍🌈", "👁️‍🗨️", "🐦‍⬛", "❤️‍🔥", "🧑‍🦱", "🏴‍☠️",
    "🇨🇳", "🇯🇵", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "⚠️", "©️", "🀄", "🧑🏿‍🤝‍🧑🏻", "🤷‍♀️",
]  # fmt: skip
SIGNS = [
    " ",
    "-",
    "_",
    "+",
    "&",
    "%",
    " & ",
    " + ",
    "'",
    ",",
    "@",
    "=",
    "~",
    "#",
    "!",
    "·",
    "、",
    "，",
    "：",
    "——",
    "№",
    "°",
]
BRACKETS = [("(", ")"), ("[", "]"), ("（", "）"), ("【", "】"), ("《", "》"), ("「", "」"), ("“", "”"), ("{", "}")]
SUFFIXES = [".png", ".jpg", ".JPG", ".jpeg", ".webp", ".bmp", ".tiff", ".gif", ".PNG"]

Random = random.Random
Maker = Callable[[Random], str]


def of(letters: str | list[str], low: int, high: int) -> Maker:
    return lambda one: "".join(one.choice(letters) for _ in range(one.randint(low, high)))


WORDS: dict[str, list[Maker]] = {
    "chinese": [of(CHINESE, 1, 8), of(CHINESE, 2, 5), of(ANY_IDEOGRAPH, 1, 5), of(TRADITIONAL, 1, 6)],
    "japanese": [of(HIRAGANA, 1, 8), of(KATAKANA, 2, 8), lambda one: one.choice(CHINESE) + of(HIRAGANA, 1, 4)(one)],
    "korean": [of(HANGUL, 1, 6)],
    "european": [of(LATIN, 1, 10), of(LATIN + ACCENTED, 2, 9), of(CYRILLIC, 2, 9)],
    "emoji": [lambda one: one.choice(EMOJI), lambda one: one.choice(EMOJI) + one.choice(EMOJI)],
    "number": [
        lambda one: str(one.randint(0, 99999)),
        lambda one: f"{one.randint(1, 100)}%",
        lambda one: f"v1.{one.randint(0, 9)}",
    ],
}


def name(one: Random) -> str:
    """One to four words of mixed kinds, signs between them, sometimes in brackets, and a suffix."""
    kinds = [one.choice(list(WORDS)) for _ in range(one.randint(1, 4))]
    words = [one.choice(WORDS[kind])(one) for kind in kinds]
    if one.random() < 0.2:
        opening, closing = one.choice(BRACKETS)
        words.append(f"{opening}{one.randint(1, 9)}{closing}")
    text = words[0]
    for word in words[1:]:
        text += one.choice(SIGNS) + word
    return text + one.choice(SUFFIXES)


def names() -> list[str]:
    one = random.Random(SEED)
    made: dict[str, None] = {}
    while len(made) < COUNT:
        made[name(one)] = None
    return list(made)


@pytest.fixture(scope="module")
def clean_names() -> list[str]:
    return names()


def test_no_clean_name_has_a_fault(clean_names: list[str]) -> None:
    """Neither alone nor in a folder; cleaning leaves all of them as they are, and so does showing them."""
    blamed = {text: inspect(text) for text in clean_names if inspect(text)}
    assert blamed == {}
    assert all(inspect(f"/data/{folder}/{text}") == () for folder, text in pairwise(clean_names))
    assert [text for text in clean_names if clean(text) != text or visible(text) != text] == []


def test_the_names_are_as_mixed_as_they_claim(clean_names: list[str]) -> None:
    """The test above would pass on ten thousand plain ones."""
    for sign in ("\u200d", "\ufe0f", " ", "+", "&", "%", "（", "の", "é", "ж"):
        assert sum(sign in text for text in clean_names) >= 10, sign
    assert sum("\uac00" <= max(text) <= "\ud7a3" for text in clean_names) >= 100
    assert sum(not text.isascii() for text in clean_names) > 0.8 * COUNT


def test_files_with_such_names_are_read_and_the_doctor_finds_them_well(tmp_path: Path, clean_names: list[str]) -> None:
    """Every tenth as a real file."""
    for text in (text for text in clean_names[::10] if len(os.fsencode(text)) <= 255):
        path = tmp_path / text
        path.write_bytes(b"x")
        assert read_file(path, 10).path.issues == ()
        assert examine(str(path), [str(tmp_path)]).reason is None
        path.unlink()
