"""How Chinese names are read aloud: 百灵 is ``bailing``. Needs pypinyin, which is looked for only when it is asked.

A character with several readings gives them all, up to a bound: 银行 is ``yinhang`` and ``yinxing``.
"""

import functools
import itertools
import re
import sys
from collections.abc import Sequence
from typing import Any, Final

CHINESE: Final = re.compile(r"[\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]+")
_SEPARATORS: Final = re.compile(r"[\W_]+")
MAX_CHARACTERS: Final = 24
"""A longer word is read up to here."""
MAX_READINGS: Final = 8
"""So many readings of a word are kept, the usual one first."""


def is_loaded() -> bool:
    """Whether pypinyin is in memory already: loading it costs 0.1 s and 30 MB, which no service pays unasked."""
    return "pypinyin" in sys.modules


def is_installed() -> bool:
    """Whether the sound of names can be told here; loads pypinyin where it is."""
    return _pypinyin() is not None


@functools.cache
def _pypinyin() -> Any:
    try:
        import pypinyin  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        return None
    return pypinyin


@functools.lru_cache(maxsize=4096)
def readings(word: str) -> tuple[str, ...]:
    """How a word of Chinese characters is read, without tones and blanks; () where pypinyin is not installed.

    The usual reading comes first; ü is written ``v``, as it is typed.
    """
    library = _pypinyin()
    if library is None or not word:
        return ()
    word = word[:MAX_CHARACTERS]
    style = library.Style.NORMAL
    usual = "".join(library.lazy_pinyin(word, style=style, errors="ignore"))
    # the usual reading knows words (银行), the product of the characters' own readings knows the rest
    every: list[Sequence[str]] = [
        one for character in word for one in library.pinyin(character, style=style, heteronym=True, errors="ignore")
    ]
    others = ("".join(one) for one in itertools.islice(itertools.product(*every), 4 * MAX_READINGS))
    return tuple(itertools.islice((one for one in dict.fromkeys((usual, *others)) if one), MAX_READINGS))


def spoken(text: str) -> frozenset[str]:
    """A text with its Chinese words replaced by each of their readings, in lower case, letters and digits alone."""
    words = list(dict.fromkeys(CHINESE.findall(text)))
    if not words:
        return frozenset({letters(text)})
    results = [text]
    for word in words:
        results = [one.replace(word, reading) for one in results for reading in readings(word)][:MAX_READINGS]
    return frozenset(letters(one) for one in results)


def letters(text: str) -> str:
    """Only the letters and digits, in lower case: ``Bai-Ling`` is ``bailing``."""
    return _SEPARATORS.sub("", text.casefold())
