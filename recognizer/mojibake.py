"""Names whose bytes were read in another encoding than they were written in. Pure, standard library only.

``百灵`` written as UTF-8 and read as GBK is ``鐧剧伒``; written as GBK and read as Latin-1 it is ``°ÙÁé``. A repair
is believed only where chance can't give it: the wrong reading holds characters that names don't, the right one
nothing but common ones.
"""

import re
from collections.abc import Iterator
from typing import Final

from recognizer.characters import spliced

READ_AS: Final[tuple[tuple[str, str], ...]] = (
    ("gb18030", "utf-8"),
    ("cp1252", "utf-8"),
    ("latin-1", "utf-8"),
    ("cp437", "utf-8"),
    ("cp1251", "utf-8"),
    ("big5", "utf-8"),
    ("cp932", "utf-8"),
    ("latin-1", "gb18030"),
    ("cp1252", "gb18030"),
    ("cp437", "gb18030"),
    ("utf-8", "gb18030"),
    ("latin-1", "big5"),
    ("cp437", "big5"),
    ("latin-1", "cp932"),
    ("cp437", "cp932"),
    ("gb18030", "big5"),
    ("gb18030", "cp932"),
    ("big5", "gb18030"),
    ("cp932", "gb18030"),
)
"""The encoding a name was read in, and the one it was written in: the likeliest first."""


def _gbk_starts() -> str:
    """What the first two bytes of a Chinese character, kana or emoji in UTF-8 are when they are read as GBK."""
    pairs = (bytes((lead, trail)) for lead in range(0xE2, 0xEA) for trail in range(0x80, 0xC0))
    return "".join(sorted({pair.decode("gb18030") for pair in (*pairs, b"\xf0\x9f")}))


GBK_STARTS: Final = _gbk_starts()
"""A name of ideographs, kana or emoji that was written as UTF-8 and read as GBK begins with one of these rare ones."""

_CERTAIN: Final = READ_AS[:4]
# A wrong reading holds signs that names don't: of letters alone, chance makes one out of an accent too many.
_WRONG: Final = re.compile(f"[\x7f-\xbf\xd7\xf7\u02c6\u02dc\u2010-\u2320\u2500-\u25a0{GBK_STARTS}]")
_SUSPECT: Final = re.compile(r"[^\x00-\x7f]{2,}")
_EMOJI: Final = re.compile(r"[\u2600-\u27bf\ufe0f\U0001f300-\U0001faff]")
# Latin, Greek, Cyrillic, Hebrew, Arabic, dashes and quotes, kana, ideographs, Hangul, full-width forms, emoji
_LIKELY: Final = re.compile(
    r"[\x20-\x7e\u00a0-\u017f\u0391-\u03c9\u0410-\u0451\u05d0-\u05ea\u0621-\u064a\u2010-\u2026\u2600-\u27bf\ufe0f"
    r"\u3000-\u301f\u3041-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef\U0001f300-\U0001faff]+"
)
_HIGH_LATIN: Final = re.compile(r"[\u00a0-\u00ff]{4,}")
_PRIVATE_USE: Final = re.compile("[\ue000-\uf8ff]")
_BOXES: Final = re.compile(r"[\u2310\u2320\u2321\u2500-\u25a0\u2219\u221a\u207f]")


def mangled(path: str) -> Iterator[tuple[int, int, str]]:
    """The stretches of the path that were certainly read in a wrong encoding: start, end and what they mean."""
    for stretch in _SUSPECT.finditer(path):
        if (meant := _meant(stretch[0])) is not None:
            yield stretch.start(), stretch.end(), meant


def repaired(path: str) -> str:
    """The path with what its wrongly read stretches mean."""
    return spliced(path, mangled(path))


def readings(text: str) -> Iterator[str]:
    """Everything that the text may have been before a wrong reading, likely or not: to be looked for on the disk."""
    for read_as, written_as in READ_AS:
        meant = _reread(text, read_as, written_as)
        if meant is not None and meant != text:
            yield meant


def misreadings(name: str) -> Iterator[str]:
    """How a name looks once it was read in a wrong encoding, also where characters were lost in that."""
    for read_as, written_as in READ_AS:
        try:
            looks = name.encode(written_as).decode(read_as, "replace")
        except UnicodeEncodeError:
            continue
        if looks != name:
            yield looks


def _meant(stretch: str) -> str | None:
    if not _WRONG.search(stretch):
        return None
    for read_as, written_as in _CERTAIN:
        meant = _reread(stretch, read_as, written_as)
        if meant is not None and _is_better(meant, stretch, read_as):
            return meant
    if _HIGH_LATIN.fullmatch(stretch) or _BOXES.search(stretch):
        for read_as in ("latin-1", "cp437"):
            meant = _reread(stretch, read_as, "gb2312")
            if meant is not None and len(meant) >= 2 and is_common(meant):
                return meant
    return None


def _reread(text: str, read_as: str, written_as: str) -> str | None:
    try:
        return text.encode(read_as).decode(written_as)
    except (UnicodeEncodeError, UnicodeDecodeError):
        return None


def _is_better(meant: str, stretch: str, read_as: str) -> bool:
    """Whether the stretch is the wrong reading of ``meant``, beyond chance."""
    if read_as == "gb18030":
        rest = _EMOJI.sub("", meant)
        return not any(map(str.isascii, rest)) and is_common(rest) and not is_common(stretch)
    return _LIKELY.fullmatch(meant) is not None


_COMMON_ROWS: Final = frozenset({0xA1, 0xA3, 0xA4, 0xA5, *range(0xB0, 0xD8)})


def is_common(text: str) -> bool:
    """Whether all of it are kana, punctuation or of the first level of GB2312: the 3,755 characters of most names."""
    try:
        data = text.encode("gb2312")
    except UnicodeEncodeError:
        return False
    pairs = [byte for byte in data if byte >= 0x80][::2]
    return all(lead in _COMMON_ROWS for lead in pairs)


def spelled(data: bytes) -> str | None:
    """The name that bytes which are no UTF-8 spell: the encoding in which they are common characters; None for none.

    GB2312 before Big5 before Shift-JIS; of two encodings in which they are rare none is believed, and none that makes
    characters of private use out of them: bytes that an encoding leaves free.
    """
    for encoding, common in (("gb2312", is_common), ("big5", _is_common_in_big5), ("cp932", _has_kana)):
        text = _decoded(data, encoding)
        if text is not None and common(text):
            return text
    decoded = (_decoded(data, encoding) for encoding in ("gb18030", "big5", "cp932"))
    rare = {text for text in decoded if text is not None and not _PRIVATE_USE.search(text)}
    return rare.pop() if len(rare) == 1 else None


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_common_in_big5(text: str) -> bool:
    """Whether Big5's first level holds it all: the 5,401 characters that Taiwan uses most."""
    leads = (one.encode("big5")[0] for one in text if not one.isascii())
    return all(0xA1 <= lead <= 0xC6 for lead in leads)


def _has_kana(text: str) -> bool:
    return any("\u3041" <= one <= "\u30ff" for one in text)
