"""The words of a path and how they sound, as events carry them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognizer.emit import recognition
from recognizer.search import MAX_SOUNDS, MAX_TOKEN_CHARACTERS, MAX_TOKENS, fields, tokens
from recognizer.sinks import MemorySink
from recognizer.sound import MAX_READINGS, readings, spoken
from tests.support.emission import emitting_to


@pytest.mark.parametrize(
    ("path", "has"),
    [
        ("/data/upload/bailing.png", {"bailing", "png", "upload", "data"}),
        ("bai-ling.jpg", {"bailing", "bai", "ling", "jpg"}),
        ("Bai_Ling 02.JPG", {"bailing02", "bai", "ling", "02", "jpg"}),
        ("/上传/百灵.png", {"百灵", "上传", "png"}),
        ("小Bird 鸟２.png", {"小bird鸟2", "小", "bird", "鸟", "2"}),
        ("ｂａｉｌｉｎｇ.png", {"bailing"}),
        ("C:\\图片\\百灵.png", {"c", "图片", "百灵"}),
        ("😀.png", {"png"}),
    ],
)
def test_words_are_found_however_they_are_written(path: str, has: set[str]) -> None:
    assert has <= set(tokens(path))


def test_the_names_words_come_before_the_folders() -> None:
    assert tokens("/a/b/c.png") == ["c", "png", "b", "a"]


def test_every_reading_of_a_character_is_kept_the_usual_one_first() -> None:
    pytest.importorskip("pypinyin")
    assert fields("/x/银行.png")["path_pinyin"][:2] == ["yinhang", "yinxing"]
    assert set(fields("重庆.png")["path_pinyin"]) >= {"chongqing", "zhongqing"}
    assert "bailing" in fields("百-灵.png")["path_pinyin"]
    assert spoken("小Bird") == {"xiaobird"}


def test_a_path_without_chinese_has_no_sound_and_what_is_no_text_no_words() -> None:
    assert "path_pinyin" not in fields("bailing.png")
    assert fields(None) == fields(3) == fields("") == {}


def test_many_readings_are_cut_to_a_bound() -> None:
    pytest.importorskip("pypinyin")
    assert len(readings("行长重还得着都" * 20)) == MAX_READINGS


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.text(st.characters(exclude_categories=()), max_size=3000))
def test_the_fields_of_any_path_are_bounded(path: str) -> None:
    made = fields(path)
    assert len(made.get("path_tokens", [])) <= MAX_TOKENS
    assert len(made.get("path_pinyin", [])) <= MAX_SOUNDS
    assert all(0 < len(word) <= MAX_TOKEN_CHARACTERS for word in made.get("path_tokens", []))


def test_events_carry_them_where_that_is_asked_for(tmp_path: Path) -> None:
    """Once a picture, in input_start."""
    with emitting_to(MemorySink()) as sink:
        with recognition(f"{tmp_path}/bai-ling.png", searchable=True) as told:
            told.business_output()
        with recognition(f"{tmp_path}/bai-ling.png"):
            pass
    searchable, answer, plain = sink.events
    assert "bailing" in searchable["path_tokens"]
    assert "path_tokens" not in answer
    assert "path_tokens" not in plain
