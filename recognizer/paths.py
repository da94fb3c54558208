"""Path hygiene: what is wrong with a path, seen without touching the disk. Pure, standard library only.

A path with a zero-width space looks right and opens nothing. ``inspect`` names the faults, ``clean`` gives the path
that was probably meant, ``visible`` shows any text so that nothing in it stays hidden.

Names that people really give (Chinese, Japanese, Persian, Hindi, emoji, ``照片（1）.png``) have no faults: a joiner
inside an emoji or a Persian word, a variation selector after an ideograph, full-width brackets are left alone.
"""

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeAlias

from recognizer.characters import (
    BIDI,
    CONTROL,
    HIDDEN,
    SPACES,
    UNSAFE_RANGES,
    character_set,
    code_point,
    visible,
)
from recognizer.escapes import (
    character_escapes,
    is_resolved_escape,
    percent_decoded,
    percent_position,
    with_escapes_again,
    without_character_escapes,
)
from recognizer.mojibake import GBK_STARTS, mangled, repaired
from recognizer.reasons import InputReason

__all__ = ["UNSAFE_RANGES", "PathIssue", "clean", "code_point", "inspect", "issue_names", "mended", "parent", "visible"]

COMPONENT_LIMIT_BYTES: Final = 255
"""NAME_MAX of ext4, xfs, btrfs and tmpfs: 85 Chinese characters."""
PATH_LIMIT_BYTES: Final = 4095
"""PATH_MAX of Linux without the closing NUL."""
MAX_ISSUES: Final = 32


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


def _plain() -> re.Pattern[str]:
    """Names made of these characters alone have no faults: the answer for nearly every path of a healthy service.

    Ideographs that a wrong reading begins with are left out: a name with one of them is looked at closely.
    """
    edges = [0x4E00, *(ord(one) + step for one in GBK_STARTS for step in (0, 1)), 0xA000]
    ideographs = character_set(*((low, end - 1) for low, end in zip(edges[::2], edges[1::2], strict=True) if low < end))
    return re.compile(
        rf"[A-Za-z0-9_./{ideographs}][A-Za-z0-9_./ +=@(){{}}\-\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
        rf"\u3001\u3002\u3005\u3008-\u3011\u3041-\u3096\u30a1-\u30fa\u30fc{ideographs}\uac00-\ud7a3\uff08\uff09]*"
        rf"[A-Za-z0-9_/){ideographs}]"
    )


_PLAIN: Final = _plain()
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
_REMOTE: Final = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.\-]+://|data:[a-z]+/", re.IGNORECASE)
_FILE_URL: Final = re.compile(r"file:(?://(?:localhost)?(?=/)|(?=/)|//)", re.IGNORECASE)
_NOT_EXPANDED: Final = re.compile(r"\A~[A-Za-z0-9_.\-]*/|\$\{\w+\}|(?:(?<=/)|\A)\$[A-Za-z_]\w*(?=/|\Z)|%[A-Z]{4,}%")
_LOSSY: Final = re.compile(r"\ufffd|\?{2,}")
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_BY_CHARACTER: Final = (
    (InputReason.PATH_NUL, re.compile(r"\0")),
    (InputReason.PATH_UNDECODABLE, _SURROGATE),
    (InputReason.PATH_BIDI_CONTROL, re.compile(f"[{character_set(*BIDI)}]")),
    (InputReason.PATH_INVISIBLE_CHARACTER, HIDDEN),
    (InputReason.PATH_UNUSUAL_SPACE, re.compile(f"[{character_set(*SPACES)}]")),
    (InputReason.PATH_COMPATIBILITY_CHARACTER, _COMPATIBILITY),
    (InputReason.PATH_LOSSY, _LOSSY),
)
_CONTROL_CHARACTER: Final = re.compile(f"[{character_set(*CONTROL)}]")


def inspect(path: object, platform: str = os.name) -> tuple[PathIssue, ...]:
    """The faults of a path, each reason and character once, worst first; () for a good path.

    Nothing is read from the disk. Anything but text counts as PATH_WRONG_TYPE; at most MAX_ISSUES come back.
    ``platform`` is where the path is opened: on Windows (``nt``) drives and backslashes are right, and a name beyond
    ASCII can't be opened by OpenCV, which hands its UTF-8 to a call that takes it for another encoding.
    """
    if not isinstance(path, str):
        return (PathIssue(InputReason.PATH_WRONG_TYPE, 0, "", ""),)
    size = len(path)
    if platform == "nt":
        return _inspect(path, _ON_POSIX_ONLY, tuple(_windows_faults(path)))
    if (size <= _PLAIN_CHARACTERS or (size <= COMPONENT_LIMIT_BYTES and path.isascii())) and _PLAIN.fullmatch(path):
        return ()
    return _inspect(path)


_ON_POSIX_ONLY: Final = frozenset({InputReason.PATH_WINDOWS, InputReason.PATH_BACKSLASH})


def _inspect(
    path: str, ignored: frozenset[InputReason] = frozenset(), further: tuple["_Fault", ...] = ()
) -> tuple[PathIssue, ...]:
    if not path.strip():
        return (PathIssue(InputReason.PATH_EMPTY, 0, "", ""),)
    found: dict[tuple[InputReason, str], PathIssue] = {}
    for reason, position, character in chain(_faults(path), further):
        if reason not in ignored:
            found.setdefault((reason, character), PathIssue(reason, position, character, code_point(character)))
        if len(found) == MAX_ISSUES:
            break
    return tuple(found.values())


def _windows_faults(path: str) -> "Iterator[_Fault]":
    if (found := _NOT_ASCII.search(path)) is not None:
        yield InputReason.PATH_NON_ASCII_ON_WINDOWS, found.start(), found[0]


def issue_names(path: object) -> list[str]:
    """The reasons of the path's issues as ``path_issues`` holds them: worst first, each once."""
    return list(dict.fromkeys(issue.reason.value for issue in inspect(path)))


_Fault: TypeAlias = tuple[InputReason, int, str]


def _faults(path: str) -> Iterator[_Fault]:
    if _REMOTE.match(path):
        yield InputReason.PATH_REMOTE_URL, 0, ""
        return
    for start, end, _ in mangled(path):
        yield InputReason.PATH_MOJIBAKE, start, ""
        path = path[:start] + "_" * (end - start) + path[end:]  # what it holds by mistake is no fault of its own
    for reason, expression in _BY_CHARACTER:
        for match in expression.finditer(path):
            yield reason, match.start(), match[0][0]
    yield from _edge_faults(path)
    yield from _letter_faults(path)
    yield from _form_faults(path)
    yield from _length_faults(path)


def _edge_faults(path: str) -> Iterator[_Fault]:
    start, end = 0, len(path)
    for match in _EDGE_SPACE.finditer(path):
        start, end = (match.end(), end) if match.start() == 0 else (start, match.start())
        yield InputReason.PATH_EDGE_SPACE, match.start(), match[0][0]
    for match in _CONTROL_CHARACTER.finditer(path, start, end):
        escape = is_resolved_escape(path, match.start())
        reason = InputReason.PATH_UNESCAPED_ESCAPE if escape else InputReason.PATH_CONTROL_CHARACTER
        yield reason, match.start(), match[0]
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


def _letter_faults(path: str) -> Iterator[_Fault]:
    if path.isascii():
        return
    for match in _fullwidth(path).finditer(path):
        yield InputReason.PATH_FULLWIDTH, match.start(), match[0]
    for word in _WORD.finditer(path) if _LOOK_ALIKE.search(path) else ():
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


def _form_faults(path: str) -> Iterator[_Fault]:
    windows = _WINDOWS.match(path)
    if _FILE_URL.match(path):
        yield InputReason.PATH_URL, 0, ""
    elif windows:
        yield InputReason.PATH_WINDOWS, 0, ""
    if escape := next(character_escapes(path), None):
        yield InputReason.PATH_HTML_OR_U_ESCAPE, escape[0], path[escape[0]]
        path = without_character_escapes(path)
    if not windows and (position := path.find("\\")) >= 0:
        yield InputReason.PATH_BACKSLASH, position, "\\"
    if (percent := percent_position(path)) is not None:
        yield InputReason.PATH_PERCENT_ENCODED, percent, "%"
    if match := _NOT_EXPANDED.search(path):
        yield InputReason.PATH_NOT_EXPANDED, match.start(), match[0][0]


def _length_faults(path: str) -> Iterator[_Fault]:
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
    full-width and compatibility characters and look-alike letters into plain ones; decodes ``file://``, ``%E7``,
    ``&#30334;`` and ``\\u767e``; re-reads what was read in a wrong encoding; turns backslashes into slashes;
    normalises to NFC. A path without faults comes back unchanged. What was lost (U+FFFD), undecodable bytes, drives,
    remote URLs and ``~`` stay: only their owner can mend them.
    """
    return mended(path) if inspect(path, "posix") else path


def mended(path: str) -> str:
    """As `clean`, for a path that is known to have faults: one without may come back changed."""
    for _ in range(_CLEAN_ROUNDS):
        cleaned = _clean_once(path)
        if cleaned == path or _PLAIN.fullmatch(cleaned):
            return cleaned
        path = cleaned
    return path


_NUL_OR_CONTROL_OR_BIDI: Final = re.compile(f"[{character_set((0, 0), *CONTROL, *BIDI)}]")
_UNUSUAL_SPACE: Final = re.compile(f"[{character_set(*SPACES)}]")


def _clean_once(path: str) -> str:
    if _REMOTE.match(path):
        return path
    path = repaired(path)
    path = with_escapes_again(_EDGE_SPACE.sub("", path))
    path = percent_decoded(without_character_escapes(_FILE_URL.sub("", path, count=1)))
    path = _EDGE_SPACE.sub("", path)
    path = HIDDEN.sub("", _NUL_OR_CONTROL_OR_BIDI.sub("", path))
    path = _UNUSUAL_SPACE.sub(" ", path)
    path = _fullwidth(path).sub(_compatible, _COMPATIBILITY.sub(_compatible, path))
    path = unicodedata.normalize("NFC", _WORD.sub(_latinised, path) if _LOOK_ALIKE.search(path) else path)
    path = _unwrapped(path)
    return path if _REMOTE.match(path) else path.replace("\\ ", " ").replace("\\", "/")


def _compatible(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match[0])


def skeleton(text: str) -> str:
    """The text with every look-alike letter as the Latin one it is drawn like: equal for names that look equal."""
    return _LOOK_ALIKE.sub(lambda one: _LOOK_ALIKES[one[0]], clean(text))


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
