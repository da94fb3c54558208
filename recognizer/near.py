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
CLOCK_EVERY: Final = 32
"""Names between two looks at the clock."""
MAX_FOUND: Final = 6
MAX_SUFFIX: Final = 5
_UNDECODED: Final = re.compile(r"[\udc80-\udcff]")
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
_Same = Callable[[str], bool]
_Maker = Callable[[str], _Same | None]
"""From the name that was asked for to what recognises it in another way of writing; None where there is no other."""


def best(wanted: str, names: Sequence[str], fits: Fits, until: float, *, sound: bool) -> Match | None:
    """The name most like ``wanted`` for which ``fits`` holds (it is of the right kind and may be named), or None.

    ``until``: the time (monotonic, seconds) at which the search gives up. ``sound``: also by pinyin.
    """
    for reason, maker in _SURE:
        if found := _matching(maker(wanted), names, fits, until):
            # the fault may be the file's: an invisible character in its name, not in the path
            issues = inspect(found[0]) if maker is _cleaned else ()
            named = issues[0].reason if issues else reason
            return Match(found[0], named, certain=len(found) == 1, others=tuple(found[1:]))
    for maker in (_letters, _stems, *([_sounds] if sound or speech.is_loaded() else [])):
        if found := _matching(maker(wanted), names, fits, until):
            return Match(found[0], InputReason.PATH_NEAR_NAME, certain=False, others=tuple(found[1:]))
    found = [name for name in islice(_near(wanted, names, until), MAX_FOUND) if fits(name)]
    return Match(found[0], InputReason.PATH_NEAR_NAME, certain=False, others=tuple(found[1:])) if found else None


def _matching(same: _Same | None, names: Sequence[str], fits: Fits, until: float) -> list[str]:
    found: list[str] = []
    if same is None:
        return found
    for start in range(0, len(names), CLOCK_EVERY):
        if len(found) >= MAX_FOUND or time.monotonic() > until:
            break
        found += [name for name in names[start : start + CLOCK_EVERY] if same(name) and fits(name)]
    return found[:MAX_FOUND]


# ---------------------------------------------------------------- the same name in another way of writing


_NOTHING_TO_CLEAN: Final = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]*[0-9A-Za-z])?").fullmatch
"""Most names of a folder: they stay as they are, and so are not what was asked for."""


def _cleaned(wanted: str) -> _Same:
    return lambda name: (_NOTHING_TO_CLEAN(name) is None or name == wanted) and clean(name) == wanted


def _forms(wanted: str) -> _Same:
    """Brackets and commas of full width are no fault of a name; but ``（1）`` and ``(1)`` are two names."""
    form = unicodedata.normalize("NFKC", wanted)
    if wanted.isascii():
        return lambda name: not name.isascii() and unicodedata.normalize("NFKC", name) == form
    return lambda name: unicodedata.normalize("NFKC", name) == form


def _spaces(wanted: str) -> _Same | None:
    return wanted.replace("+", " ").__eq__ if "+" in wanted else None


def _cases(wanted: str) -> _Same:
    folded = wanted.casefold()
    return lambda name: name.casefold() == folded


def _bytes(wanted: str) -> _Same | None:
    """One of the two is bytes that are no UTF-8, which in some encoding spell the other."""
    if wanted.isascii():
        return None
    spelled = set(_decodings(wanted))
    return lambda name: name in spelled or wanted in _decodings(name)


def _decodings(name: str) -> Iterator[str]:
    if _UNDECODED.search(name) is None:
        return
    for encoding in _BYTES_READ_AS:
        try:
            yield os.fsencode(name).decode(encoding)
        except UnicodeDecodeError:
            continue


def _looks(wanted: str) -> _Same:
    drawn, length, plain = skeleton(wanted), len(wanted), wanted.isascii()
    return lambda name: len(name) == length and not (plain and name.isascii()) and skeleton(name) == drawn


def _misread(wanted: str) -> _Same | None:
    """One of the two is the other one read in a wrong encoding; what was asked for may have lost characters in that."""
    lossy = wanted.replace("\ufffd", "?")
    if wanted.isascii() and "?" not in wanted:
        return None
    known = {*mojibake.readings(wanted), *mojibake.misreadings(wanted)}
    # with too little left of it one name can't be told from another
    telling = "?" in lossy and 2 * len(_stem(lossy).replace("?", "")) >= len(_stem(lossy))
    if not telling:
        return known.__contains__
    return lambda name: (
        name in known
        or (not name.isascii() and any(one.replace("\ufffd", "?") == lossy for one in mojibake.misreadings(name)))
    )


_SURE: Final[tuple[tuple[InputReason, _Maker], ...]] = (
    (InputReason.PATH_NOT_NFC, _cleaned),
    (InputReason.PATH_FULLWIDTH, _forms),
    (InputReason.PATH_PLUS_FOR_SPACE, _spaces),
    (InputReason.PATH_CASE_MISMATCH, _cases),
    (InputReason.PATH_UNDECODABLE, _bytes),
    (InputReason.PATH_HOMOGLYPH, _looks),
    (InputReason.PATH_MOJIBAKE, _misread),
)


# ---------------------------------------------------------------- nearly the same name


def _stem(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem and len(suffix) <= MAX_SUFFIX else name


def _letters(wanted: str) -> _Same | None:
    letters = speech.letters(wanted)
    if not letters:
        return None
    if not letters.isascii():
        return lambda name: speech.letters(name) == letters
    # of names in ASCII a pattern tells the same, most of them by their first letter
    between = "[^0-9a-z]*"
    spelled = re.compile(f"{between}{between.join(letters)}{between}", re.ASCII | re.IGNORECASE).fullmatch
    return lambda name: spelled(name) is not None if name.isascii() else speech.letters(name) == letters


def _stems(wanted: str) -> _Same:
    start = _stem(wanted).casefold() + "."
    return lambda name: name.casefold().startswith(start) and len(name) - len(start) <= MAX_SUFFIX


def _sounds(wanted: str) -> _Same:
    """One is in characters, the other in pinyin; both in characters is a typing error by sound."""
    numbers, sounds = _numbers(wanted), speech.spoken(_stem(wanted)) - {""}
    chinese = speech.CHINESE.search(wanted) is not None

    def same(name: str) -> bool:
        if not (chinese or speech.CHINESE.search(name)) or _numbers(name) != numbers:
            return False
        return not sounds.isdisjoint(speech.spoken(_stem(name)))

    return same


def _numbers(name: str) -> list[str]:
    return _NUMBERS.findall(name)


def _same_numbers(wanted: str) -> _Same:
    numbers = _numbers(wanted)
    return (lambda name: _numbers(name) == numbers) if numbers else (lambda name: _NUMBERS.search(name) is None)


def _near(wanted: str, names: Sequence[str], until: float) -> Iterator[str]:
    """Names with the same numbers and nearly the same letters before the suffix, the most alike first."""
    same_numbers, stem = _same_numbers(wanted), _stem(wanted).casefold()
    matcher = difflib.SequenceMatcher(autojunk=False, b=stem)
    alike: list[tuple[float, str]] = []
    like_length = (name for name in names if abs(len(name) - len(wanted)) <= len(stem) // 3 + 1)
    for name in islice((name for name in like_length if same_numbers(name)), MAX_COMPARED):
        if time.monotonic() > until:
            break
        matcher.set_seq1(_stem(name).casefold())
        if matcher.real_quick_ratio() >= LIKENESS and matcher.quick_ratio() >= LIKENESS:
            ratio = matcher.ratio()
            if ratio >= LIKENESS:
                alike.append((-ratio, name))
    return (name for _, name in sorted(alike))
