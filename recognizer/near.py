"""Which of a folder's names is most like the one that was asked for, and what they differ by. No disk access.

From sure to vague: the same name written in another way (case, form, look-alikes, a wrong encoding), the same
letters with other separators, the same sound, a typing error. Names whose numbers differ are never near: ``img_41``
and ``img_42`` are two pictures.
"""

import difflib
import os
import re
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from recognizer import mojibake
from recognizer import sound as speech
from recognizer.paths import clean, inspect, skeleton
from recognizer.reasons import InputReason

LIKENESS: Final = 0.8
"""Share of equal characters (difflib's ratio, from 0 to 1) from which on a name counts as near."""
MAX_COMPARED: Final = 5_000
"""So many names are compared letter by letter: it takes some microseconds each."""
MAX_FOUND: Final = 6
_NUMBERS: Final = re.compile(r"\d+")
_BYTES_READ_AS: Final = ("gb18030", "big5", "cp932", "latin-1")


@dataclass(frozen=True, slots=True)
class Match:
    """A name of the folder. ``others`` fit as well; ``certain`` where only the way of writing differs."""

    name: str
    reason: InputReason
    certain: bool
    others: tuple[str, ...] = ()


Fits = Callable[[str], bool]
_Same = Callable[[str, str], bool]


def best(wanted: str, names: Sequence[str], fits: Fits, until: float, *, sound: bool) -> Match | None:
    """The name most like ``wanted`` for which ``fits`` holds (it is of the right kind and may be named), or None.

    ``until``: the time (monotonic, seconds) at which the search gives up. ``sound``: also by pinyin.
    """
    for reason, same in _SURE:
        found = _matching(wanted, names, same, fits, until)
        if found:
            # the fault may be the file's: an invisible character in its name, not in the path
            issues = inspect(found[0]) if same is _same_cleaned else ()
            named = issues[0].reason if issues else reason
            return Match(found[0], named, certain=len(found) == 1, others=tuple(found[1:]))
    vague = [_same_letters, _same_stem, *([_same_sound] if sound or speech.is_loaded() else [])]
    for same in vague:
        if found := _matching(wanted, names, same, fits, until):
            return Match(found[0], InputReason.PATH_NEAR_NAME, certain=False, others=tuple(found[1:]))
    found = [name for name in islice(_near(wanted, names, until), MAX_FOUND) if fits(name)]
    return Match(found[0], InputReason.PATH_NEAR_NAME, certain=False, others=tuple(found[1:])) if found else None


def _matching(wanted: str, names: Sequence[str], same: _Same, fits: Fits, until: float) -> list[str]:
    found: list[str] = []
    for name in names:
        if time.monotonic() > until:
            break
        if same(wanted, name) and fits(name):
            found.append(name)
            if len(found) == MAX_FOUND:
                break
    return found


# ---------------------------------------------------------------- the same name in another way of writing


def _same_cleaned(wanted: str, name: str) -> bool:
    return clean(name) == wanted


def _same_form(wanted: str, name: str) -> bool:
    """Brackets and commas of full width are no fault of a name; but ``（1）`` and ``(1)`` are two names."""
    return unicodedata.normalize("NFKC", wanted) == unicodedata.normalize("NFKC", name)


def _same_bytes(wanted: str, name: str) -> bool:
    """One of the two is bytes that are no UTF-8, which in some encoding spell the other."""
    return any(other in _decodings(one) for one, other in ((name, wanted), (wanted, name)) if not one.isascii())


def _decodings(name: str) -> Iterator[str]:
    if not any("\udc80" <= one <= "\udcff" for one in name):
        return
    for encoding in _BYTES_READ_AS:
        try:
            yield os.fsencode(name).decode(encoding)
        except UnicodeDecodeError:
            continue


def _same_spaces(wanted: str, name: str) -> bool:
    return "+" in wanted and wanted.replace("+", " ") == name


def _same_case(wanted: str, name: str) -> bool:
    return wanted.casefold() == name.casefold()


def _same_looks(wanted: str, name: str) -> bool:
    return skeleton(wanted) == skeleton(name)


def _same_reading(wanted: str, name: str) -> bool:
    """One of the two is the other one read in a wrong encoding, perhaps with some characters lost."""
    return _is_misread(wanted, name) or _is_misread(name, wanted)


def _is_misread(looks: str, meant: str) -> bool:
    if meant.isascii():
        return False
    looks = looks.replace("\ufffd", "?")
    left = _stem(looks).replace("?", "")
    if 2 * len(left) < len(_stem(looks)):
        return False  # too little is left of it to tell one name from another
    return any(one.replace("\ufffd", "?") == looks for one in mojibake.misreadings(meant))


_SURE: Final[tuple[tuple[InputReason, _Same], ...]] = (
    (InputReason.PATH_NOT_NFC, _same_cleaned),
    (InputReason.PATH_FULLWIDTH, _same_form),
    (InputReason.PATH_PLUS_FOR_SPACE, _same_spaces),
    (InputReason.PATH_CASE_MISMATCH, _same_case),
    (InputReason.PATH_UNDECODABLE, _same_bytes),
    (InputReason.PATH_HOMOGLYPH, _same_looks),
    (InputReason.PATH_MOJIBAKE, _same_reading),
)


# ---------------------------------------------------------------- nearly the same name


def _stem(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem and len(suffix) <= 5 else name


def _same_letters(wanted: str, name: str) -> bool:
    return bool(letters := speech.letters(wanted)) and letters == speech.letters(name)


def _same_stem(wanted: str, name: str) -> bool:
    return _stem(wanted).casefold() == _stem(name).casefold()


def _same_sound(wanted: str, name: str) -> bool:
    """One is in characters, the other in pinyin; both in characters is a typing error by sound."""
    if not (speech.CHINESE.search(wanted) or speech.CHINESE.search(name)) or _numbers(wanted) != _numbers(name):
        return False
    return not speech.spoken(_stem(wanted)).isdisjoint(speech.spoken(_stem(name))) and bool(speech.letters(_stem(name)))


def _numbers(name: str) -> list[str]:
    return _NUMBERS.findall(name)


def _near(wanted: str, names: Sequence[str], until: float) -> Iterator[str]:
    """Names with the same numbers and nearly the same letters before the suffix, the most alike first."""
    numbers, stem = _numbers(wanted), _stem(wanted).casefold()
    matcher = difflib.SequenceMatcher(autojunk=False, b=stem)
    alike: list[tuple[float, str]] = []
    like_length = (name for name in names if abs(len(name) - len(wanted)) <= len(stem) // 3 + 1)
    for name in islice((name for name in like_length if _numbers(name) == numbers), MAX_COMPARED):
        if time.monotonic() > until:
            break
        matcher.set_seq1(_stem(name).casefold())
        if matcher.real_quick_ratio() >= LIKENESS and matcher.quick_ratio() >= LIKENESS:
            ratio = matcher.ratio()
            if ratio >= LIKENESS:
                alike.append((-ratio, name))
    return (name for _, name in sorted(alike))
