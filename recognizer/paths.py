"""Path hygiene: what is wrong with a path, seen without touching the disk. Pure, standard library only.

A path with a zero-width space looks right and opens nothing. ``inspect`` names the faults, ``clean`` gives the path
that was probably meant, ``visible`` shows any text so that nothing in it stays hidden.

Names that people really give (Chinese, Japanese, Persian, Hindi, emoji, ``照片（1）.png``) have no faults: a joiner
inside an emoji or a Persian word, a variation selector after an ideograph, full-width brackets are left alone.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from recognizer.reasons import InputReason

COMPONENT_LIMIT_BYTES: Final = 255
"""NAME_MAX of ext4, xfs, btrfs and tmpfs: 85 Chinese characters."""
PATH_LIMIT_BYTES: Final = 4095
"""PATH_MAX of Linux without the closing NUL."""
MAX_ISSUES: Final = 32

_BIDI: Final = ((0x061C, 0x061C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069))
_CONTROL: Final = ((0x0001, 0x001F), (0x007F, 0x009F))
_SPACES: Final = (
    (0x00A0, 0x00A0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
)
# Category Cf, and what else draws nothing: fillers, the blank braille cell, tags. Joiners and variation selectors
# are not here: they depend on their neighbours.
_INVISIBLE: Final = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x0600, 0x0605),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180E, 0x180E),
    (0x200B, 0x200B),
    (0x2060, 0x2065),
    (0x206A, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE001F),
    (0xE0080, 0xE00FF),
)
UNSAFE_RANGES: Final[tuple[tuple[int, int], ...]] = tuple(
    sorted((*_BIDI, *_CONTROL, *_INVISIBLE, (0x0000, 0x0000), (0x200C, 0x200D), (0x2028, 0x2029)))
)
"""Inclusive code point ranges of invisible, bidi and control characters, for ``detectors.condition.AnyCharacter``.

A range knows no neighbours, so the joiner of a family emoji counts here; ``inspect`` lets it pass.
"""


def _set(*ranges: tuple[int, int]) -> str:
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)


_EMOJI: Final = (
    r"\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff"
    r"\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_IDEOGRAPH: Final = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Scripts whose spelling needs U+200C and U+200D: Arabic, the Indic ones, Myanmar, Khmer.
_JOINING: Final = r"\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff"
_STRAY: Final = "|".join(
    (
        rf"(?<![{_EMOJI}\ufe0f{_JOINING}])\u200d",
        rf"\u200d(?![{_EMOJI}{_JOINING}])",
        rf"(?<![{_JOINING}])\u200c",
        rf"\u200c(?![{_JOINING}])",
        rf"(?<![{_EMOJI}{_IDEOGRAPH}0-9#*])[\ufe00-\ufe0f]",
        r"(?<![\u1820-\u18aa])[\u180b-\u180d\u180f]",
        rf"(?<![{_IDEOGRAPH}])[\U000e0100-\U000e01ef]",
        # the tag characters of the flags of England, Scotland and Wales follow a black flag
        r"(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]+",
    )
)
_HIDDEN: Final = re.compile(f"[{_set(*_INVISIBLE)}]|{_STRAY}")
_NOT_SHOWN: Final = re.compile(
    f"[{_set((0, 0), *_BIDI, *_CONTROL, *_SPACES, *_INVISIBLE)}"
    rf"\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffc\ufffe\uffff\U000f0000-\U0010ffff]|{_STRAY}"
)


def code_point(character: str) -> str:
    """``U+200B``; several characters are separated by a blank."""
    return " ".join(f"U+{ord(one):04X}" for one in character)


def visible(text: str, limit: int = 512) -> str:
    """The text with everything invisible, reordering, private or undecodable shown as ``‹U+200B›``.

    What comes back has at most ``limit`` characters of ``text``, is valid UTF-8 and a single line; a cut text
    ends in ``…``. Ordinary text of any script and emoji come back as they are.
    """
    cut = text[:limit]
    shown = _NOT_SHOWN.sub(lambda found: "".join(f"‹{code_point(one)}›" for one in found[0]), cut)
    return shown if len(text) <= limit else shown + "…"


def parent(path: str) -> str:
    """The folder of a path: what ``file_dir`` holds. ``.`` where the path names none; knows backslashes too."""
    separator = "/" if "/" in path or "\\" not in path else "\\"
    folder, found, _ = path.rpartition(separator)
    return folder or found or "."


@dataclass(frozen=True, slots=True)
class PathIssue:
    """One fault. ``position`` counts characters from 0; ``character`` is empty where the fault is no single one."""

    reason: InputReason
    position: int
    character: str
    code_point: str


# Names made of these characters alone have no faults: the answer for nearly every path of a healthy service.
_PLAIN: Final = re.compile(
    r"[A-Za-z0-9_./\u4e00-\u9fff][A-Za-z0-9_./ +=@(){}#&\-\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
    r"\u3001\u3002\u3005\u3008-\u3011\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fff\uac00-\ud7a3\uff08\uff09]*[A-Za-z0-9_/)\u4e00-\u9fff]"
)
_PLAIN_CHARACTERS: Final = COMPONENT_LIMIT_BYTES // 3

_EDGE_SPACE: Final = re.compile(r"\A[ \t\r\n\v\f]+|[ \t\r\n\v\f]+\Z")
_FULLWIDTH_MARK: Final = re.compile(r"[\uff0e\uff0f\uff3c\uff3f]")
_FULLWIDTH: Final = re.compile(r"[\uff0e\uff0f\uff3c\uff3f\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
_KANA: Final = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\uff66-\uff9d]")
_COMPATIBILITY: Final = re.compile(
    r"[\u2e9f\u2ef3\u2f00-\u2fd5\uf900-\ufa0d\ufa10\ufa12\ufa15-\ufa1e\ufa20\ufa22\ufa25\ufa26\ufa2a-\ufad9"
    r"\ufb00-\ufb06\ufb13-\ufb17\U0001d400-\U0001d7ff\U0002f800-\U0002fa1d]"
)
# Cyrillic, Greek and Armenian letters that are drawn like a Latin one, and the Latin one.
_LOOK_ALIKES: Final = dict(
    zip(
        "аеорсухіјѕԁһӏԛԝғАВЕКМНОРСТУХІЈЅԌΑΒΕΖΗΙΚΜΝΟΡΤΥΧονսօհ",
        "aeopcyxijsdhlqwfABEKMHOPCTYXIJSGABEZHIKMNOPTYXovuoh",
        strict=True,
    )
)
_WORD: Final = re.compile(r"[^\W\d_]+")
_LATIN: Final = re.compile(r"[A-Za-z]")
_LOOK_ALIKE: Final = re.compile(f"[{''.join(_LOOK_ALIKES)}]")

_QUOTES: Final = "\"'`“”‘’„«»"
_EXTENSION_THEN: Final = r"(?<=\.)([A-Za-z0-9]{2,5})"
_TRAILING: Final = re.compile(rf"{_EXTENSION_THEN}[.,;:!?)\]>，。；：！？、）】》…]+\Z|[,;，；。、]+\Z|(?<=[^./])\.\Z")
_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\[^\\/]+[\\/]")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://|data:[a-z]+/", re.IGNORECASE)
_FILE_URL: Final = re.compile(r"file:(?://(?:localhost)?(?=/)|(?=/))", re.IGNORECASE)
_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_NOT_EXPANDED: Final = re.compile(r"\A~[A-Za-z0-9_.\-]*/|\$\{\w+\}|(?:(?<=/)|\A)\$[A-Za-z_]\w*(?=/|\Z)|%[A-Z]{4,}%")
_LOSSY: Final = re.compile(r"\ufffd|\?{2,}")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_BY_CHARACTER: Final = (
    (InputReason.PATH_NUL, re.compile(r"\0")),
    (InputReason.PATH_UNDECODABLE, _SURROGATE),
    (InputReason.PATH_BIDI_CONTROL, re.compile(f"[{_set(*_BIDI)}]")),
    (InputReason.PATH_INVISIBLE_CHARACTER, _HIDDEN),
    (InputReason.PATH_UNUSUAL_SPACE, re.compile(f"[{_set(*_SPACES)}]")),
    (InputReason.PATH_COMPATIBILITY_CHARACTER, _COMPATIBILITY),
    (InputReason.PATH_LOSSY, _LOSSY),
)
_CONTROL_CHARACTER: Final = re.compile(f"[{_set(*_CONTROL)}]")


def inspect(path: object) -> tuple[PathIssue, ...]:
    """The faults of a path, each reason and character once, worst first; () for a good path.

    Nothing is read from the disk. Anything but text counts as PATH_WRONG_TYPE; at most MAX_ISSUES come back.
    """
    if not isinstance(path, str):
        return (PathIssue(InputReason.PATH_WRONG_TYPE, 0, "", ""),)
    size = len(path)
    if (size <= _PLAIN_CHARACTERS or (size <= COMPONENT_LIMIT_BYTES and path.isascii())) and _PLAIN.fullmatch(path):
        return ()
    if not path.strip():
        return (PathIssue(InputReason.PATH_EMPTY, 0, "", ""),)
    found: dict[tuple[InputReason, str], PathIssue] = {}
    for reason, position, character in _faults(path):
        found.setdefault((reason, character), PathIssue(reason, position, character, code_point(character)))
        if len(found) == MAX_ISSUES:
            break
    return tuple(found.values())


def issue_names(path: object) -> list[str]:
    """The reasons of the path's issues as ``path_issues`` holds them: worst first, each once."""
    return list(dict.fromkeys(issue.reason.value for issue in inspect(path)))


def _faults(path: str) -> Iterator[tuple[InputReason, int, str]]:
    for reason, expression in _BY_CHARACTER:
        for match in expression.finditer(path):
            yield reason, match.start(), match[0][0]
    yield from _edge_faults(path)
    yield from _letter_faults(path)
    yield from _form_faults(path)
    yield from _length_faults(path)


def _edge_faults(path: str) -> Iterator[tuple[InputReason, int, str]]:
    start, end = 0, len(path)
    for match in _EDGE_SPACE.finditer(path):
        start, end = (match.end(), end) if match.start() == 0 else (start, match.start())
        yield InputReason.PATH_EDGE_SPACE, match.start(), match[0][0]
    for match in _CONTROL_CHARACTER.finditer(path, start, end):
        yield InputReason.PATH_CONTROL_CHARACTER, match.start(), match[0]
    core = path[start:end]
    if (quote := _quote_position(core)) is not None:
        yield InputReason.PATH_QUOTED, start + quote, core[quote]
    elif match_trailing := _TRAILING.search(core):
        position = match_trailing.end(1) if match_trailing[1] else match_trailing.start()
        yield InputReason.PATH_TRAILING_PUNCTUATION, start + position, core[position]


def _quote_position(core: str) -> int | None:
    """Where the quote stands that surrounds the path or was left over; quotes inside a name are none."""
    first, last = core[0] in _QUOTES, core[-1] in _QUOTES
    if first and (last or (core.count(core[0]) % 2 == 1 and core[0] in "\"'`")):
        return 0
    return len(core) - 1 if last and core[-1] in "\"'`" and core.count(core[-1]) % 2 == 1 else None


def _letter_faults(path: str) -> Iterator[tuple[InputReason, int, str]]:
    if path.isascii():
        return
    for match in _fullwidth(path).finditer(path):
        yield InputReason.PATH_FULLWIDTH, match.start(), match[0]
    for word in _WORD.finditer(path):
        if _LATIN.search(word[0]):
            for match in _LOOK_ALIKE.finditer(word[0]):
                yield InputReason.PATH_HOMOGLYPH, word.start() + match.start(), match[0]
    rest = _COMPATIBILITY.sub("_", path)
    if not unicodedata.is_normalized("NFC", rest):
        position = _first_difference(rest, unicodedata.normalize("NFC", rest))
        yield InputReason.PATH_NOT_NFC, position, path[position]


def _fullwidth(path: str) -> re.Pattern[str]:
    """Full-width letters and digits are ordinary beside kana; a full-width dot or slash never is one."""
    return _FULLWIDTH_MARK if _KANA.search(path) else _FULLWIDTH


def _first_difference(left: str, right: str) -> int:
    pairs = zip(left, right, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _form_faults(path: str) -> Iterator[tuple[InputReason, int, str]]:
    url, windows = _URL.match(path), _WINDOWS.match(path)
    if url or _FILE_URL.match(path):
        yield InputReason.PATH_URL, 0, ""
    elif windows:
        yield InputReason.PATH_WINDOWS, 0, ""
    elif (position := path.find("\\")) >= 0:
        yield InputReason.PATH_BACKSLASH, position, "\\"
    if _percent_decoded(path) != path and (escape := _PERCENT.search(path)):
        yield InputReason.PATH_PERCENT_ENCODED, escape.start(), "%"
    if match := _NOT_EXPANDED.search(path):
        yield InputReason.PATH_NOT_EXPANDED, match.start(), match[0][0]


def _length_faults(path: str) -> Iterator[tuple[InputReason, int, str]]:
    if len(path.encode("utf-8", "surrogatepass")) > PATH_LIMIT_BYTES:
        yield InputReason.PATH_TOO_LONG, 0, ""
    position = 0
    for component in path.split("/"):
        if len(component.encode("utf-8", "surrogatepass")) > COMPONENT_LIMIT_BYTES:
            yield InputReason.PATH_COMPONENT_TOO_LONG, position, ""
        position += len(component) + 1


_CLEAN_ROUNDS: Final = 4


def clean(path: str) -> str:
    """The path that was probably meant: a candidate to look for on the disk, never one to open unchecked.

    Removes invisible, bidi and control characters, quotes, edge space and trailing punctuation; turns unusual spaces,
    full-width and compatibility characters and look-alike letters into plain ones; decodes ``file://`` and ``%E7``;
    turns backslashes into slashes; normalises to NFC. A path without faults comes back unchanged. What was lost
    (U+FFFD), undecodable bytes, drives, remote URLs and ``~`` stay: only their owner can mend them.
    """
    if not inspect(path):
        return path
    for _ in range(_CLEAN_ROUNDS):
        cleaned = _clean_once(path)
        if cleaned == path:
            break
        path = cleaned
    return path


_NUL_OR_CONTROL_OR_BIDI: Final = re.compile(f"[{_set((0, 0), *_CONTROL, *_BIDI)}]")
_UNUSUAL_SPACE: Final = re.compile(f"[{_set(*_SPACES)}]")


def _clean_once(path: str) -> str:
    if _FILE_URL.match(path):
        path = unquote(_FILE_URL.sub("", path), errors="strict") if _decodable(path) else _FILE_URL.sub("", path)
    elif not _URL.match(path):
        path = _percent_decoded(path)
    path = _EDGE_SPACE.sub("", path)
    path = _HIDDEN.sub("", _NUL_OR_CONTROL_OR_BIDI.sub("", path))
    path = _UNUSUAL_SPACE.sub(" ", path)
    path = _fullwidth(path).sub(_compatible, _COMPATIBILITY.sub(_compatible, path))
    path = unicodedata.normalize("NFC", _WORD.sub(_latinised, path))
    path = _unwrapped(path)
    return path if _URL.match(path) else path.replace("\\ ", " ").replace("\\", "/")


def _compatible(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match[0])


def _latinised(match: re.Match[str]) -> str:
    word = match[0]
    return _LOOK_ALIKE.sub(lambda one: _LOOK_ALIKES[one[0]], word) if _LATIN.search(word) else word


def _unwrapped(path: str) -> str:
    """Without edge space, surrounding quotes and trailing punctuation, in whatever order they were added."""
    while path:
        core = _EDGE_SPACE.sub("", path)
        if core and _quote_position(core) is not None:
            core = core.strip(_QUOTES)
        core = _TRAILING.sub(lambda match: match[1] or "", core)
        if core == path:
            break
        path = core
    return path


def _decodable(path: str) -> bool:
    try:
        unquote(path, errors="strict")
    except UnicodeDecodeError:
        return False
    return True


def _percent_decoded(path: str) -> str:
    """The path with its percent escapes decoded, or unchanged where they are no UTF-8 or no escapes at all."""
    return unquote(path, errors="strict") if "%" in path and _decodable(path) else path
