"""The words of a path as they are searched for: ``path_tokens`` as they are written, ``path_pinyin`` as they sound.

Made when a picture comes in, so that a store needs no analyser and no plug-in: `wumu search bailing` finds
``bailing.png``, ``bai-ling.jpg`` and ``百灵.png`` by plain comparisons of text.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from typing import Final

from recognizer.sound import CHINESE, letters, readings

MAX_TOKENS: Final = 24
MAX_SOUNDS: Final = 16
MAX_TOKEN_CHARACTERS: Final = 64
MAX_PATH_CHARACTERS: Final = 1024
"""Of a longer path the end counts, where the file's name is."""
_WORD: Final = re.compile(r"[^\W_]+")
_CHINESE_OR_NOT: Final = re.compile(rf"{CHINESE.pattern}|(?:(?!{CHINESE.pattern})[^\W_])+")


def normal(text: str) -> str:
    """Text as tokens have it: in lower case, full-width and compatibility forms made plain."""
    return unicodedata.normalize("NFKC", text).casefold()


def tokens(path: str) -> list[str]:
    """The words of a path, those of the file's name first, each once: at most MAX_TOKENS.

    A name of several words also gives them joined: ``bai-ling.jpg`` has ``bailing``.
    """
    components = reversed(re.split(r"[/\\]", path[-MAX_PATH_CHARACTERS:]))
    return _first((word for component in components for word in _tokens_of(component)), MAX_TOKENS)


def sounds(words: Iterable[str]) -> list[str]:
    """How the Chinese among the words are read, all readings, at most MAX_SOUNDS; none without pypinyin."""
    return _first((one for word in words for chinese in CHINESE.findall(word) for one in readings(chinese)), MAX_SOUNDS)


def fields(path: object) -> dict[str, list[str]]:
    """The event fields of a path; what would be empty is left out."""
    if not isinstance(path, str):
        return {}
    words = tokens(path)
    both = {"path_tokens": words, "path_pinyin": sounds(words)}
    return {name: values for name, values in both.items() if values}


def _first(words: Iterable[str], limit: int) -> list[str]:
    return list(islice(dict.fromkeys(words), limit))


@lru_cache(maxsize=4096)
def _tokens_of(component: str) -> tuple[str, ...]:
    """Cached, for the folders of one picture are those of the next."""
    words = _WORD.findall(normal(component))
    stem = words[:-1] if "." in component else words
    found = [letters("".join(stem))] if len(stem) > 1 else []
    for word in words:
        pieces = _CHINESE_OR_NOT.findall(word)
        found += [word, *pieces] if len(pieces) > 1 else [word]
    return tuple(one[:MAX_TOKEN_CHARACTERS] for one in found)
