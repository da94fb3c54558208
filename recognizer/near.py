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
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
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
TOGETHER: Final = 512
"""So many names are read and searched at once, between two looks at the clock."""
MAX_FOUND: Final = 6
MAX_SUFFIX: Final = 5
_UNDECODED: Final = re.compile(r"[\udc80-\udcff]")
_NO_SEPARATORS: Final = {code: None for code in range(128) if not chr(code).isalnum() and chr(code) != "/"}
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


class _Names:
    """Some names of one folder, with what several of the ways to compare them need.

    Most comparisons are one search in all of the names at once, between the slashes that no name holds: that takes a
    tenth of the time of a step of Python for each of them.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.all = names
        self.joined = f"/{'/'.join(names)}/"

    @cached_property
    def odd(self) -> list[str]:
        """Those that cleaning may change; of all others it is known that they stay as they are."""
        return _ODD.findall(self.joined)

    @cached_property
    def beyond_ascii(self) -> list[str]:
        return [name for name in self.odd if not name.isascii()]

    @cached_property
    def folded(self) -> str:
        return self.joined.casefold()

    def that_are(self, wanted: Container[str]) -> list[str]:
        return [name for name in self.all if name in wanted]

    @cached_property
    def letters(self) -> str:
        """Only the letters and digits of each: `recognizer.sound.letters` between the slashes."""
        if self.folded.isascii():
            return self.folded.translate(_NO_SEPARATORS)
        return f"/{'/'.join(map(speech.letters, self.all))}/"

    def at(self, text: str, start: str) -> Iterator[str]:
        """The names that begin so in ``text``, which is one of those above; a slash in ``start`` ends the name."""
        number = end = 0
        while (at := text.find(f"/{start}", end)) >= 0:
            number += text.count("/", end, at)
            yield self.all[number]
            # the closing slash of one name is the opening one of the next
            number, end = number + 1, at + 1

    def in_order(self, found: Iterable[str]) -> list[str]:
        """Names out of several lists as the folder has them."""
        chosen = list(found)
        return sorted(chosen, key=self.all.index) if len(chosen) > 1 else chosen


_Search = Callable[[_Names], Iterable[str]]
_Maker = Callable[[str], _Search | None]
"""From the name that was asked for to what finds it in another way of writing; None where there is no other."""


def best(
    wanted: str, names: Sequence[str], fits: Fits, until: float, *, sound: bool, together: int = TOGETHER
) -> Match | None:
    """The name most like ``wanted`` for which ``fits`` holds (it is of the right kind and may be named), or None.

    ``until``: the time (monotonic, seconds) at which the search gives up. ``sound``: also by pinyin.
    ``together``: so many names are searched between two looks at the clock.
    """
    parts = [_Names(names[start : start + together]) for start in range(0, len(names), together)]
    for reason, maker in _SURE:
        if found := _matching(maker(wanted), parts, fits, until):
            # the fault may be the file's: an invisible character in its name, not in the path
            issues = inspect(found[0]) if maker is _cleaned else ()
            named = issues[0].reason if issues else reason
            return Match(found[0], named, certain=len(found) == 1, others=tuple(found[1:]))
    for maker in (_letters, _stems, *([_sounds] if sound or speech.is_loaded() else [])):
        if found := _matching(maker(wanted), parts, fits, until):
            return Match(found[0], InputReason.PATH_NEAR_NAME, certain=False, others=tuple(found[1:]))
    found = [name for name in islice(_near(wanted, names, until), MAX_FOUND) if fits(name)]
    return Match(found[0], InputReason.PATH_NEAR_NAME, certain=False, others=tuple(found[1:])) if found else None


def _matching(search: _Search | None, parts: Sequence[_Names], fits: Fits, until: float) -> list[str]:
    found: list[str] = []
    if search is None:
        return found
    for part in parts:
        if len(found) >= MAX_FOUND or time.monotonic() > until:
            break
        found += [name for name in search(part) if fits(name)]
    return found[:MAX_FOUND]


# ---------------------------------------------------------------- the same name in another way of writing


_PLAIN: Final = r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]*[0-9A-Za-z])?"
"""Most names of a folder: they stay as they are when they are cleaned, and so are not what was asked for."""
_is_plain: Final = re.compile(_PLAIN).fullmatch
_ODD: Final = re.compile(rf"/(?!{_PLAIN}/)([^/]+)")


def _cleaned(wanted: str) -> _Search:
    return lambda names: (name for name in names.odd if clean(name) == wanted)


def _forms(wanted: str) -> _Search:
    """Brackets and commas of full width are no fault of a name; but ``（1）`` and ``(1)`` are two names."""
    form = unicodedata.normalize("NFKC", wanted)

    def search(names: _Names) -> list[str]:
        found = [name for name in names.beyond_ascii if unicodedata.normalize("NFKC", name) == form]
        # a name in ASCII is its own form; what was asked for in ASCII has no other form in ASCII
        return found if wanted.isascii() or not form.isascii() else names.in_order([*names.that_are({form}), *found])

    return search


def _spaces(wanted: str) -> _Search | None:
    spaced = {wanted.replace("+", " ")}
    return (lambda names: names.that_are(spaced)) if "+" in wanted else None


def _cases(wanted: str) -> _Search:
    folded = wanted.casefold() + "/"
    return lambda names: names.at(names.folded, folded)


def _bytes(wanted: str) -> _Search | None:
    """One of the two is bytes that are no UTF-8, which in some encoding spell the other."""
    if wanted.isascii():
        return None
    spelled = set(_decodings(wanted))

    def search(names: _Names) -> list[str]:
        undecoded = names.beyond_ascii if _UNDECODED.search(names.joined) else ()
        found = [name for name in undecoded if wanted in _decodings(name)]
        return names.in_order(dict.fromkeys([*(names.that_are(spelled) if spelled else ()), *found]))

    return search


def _decodings(name: str) -> Iterator[str]:
    if _UNDECODED.search(name) is None:
        return
    for encoding in _BYTES_READ_AS:
        try:
            yield os.fsencode(name).decode(encoding)
        except UnicodeError:  # other bytes, or beside them half a character, which no file system can hold
            continue


def _looks(wanted: str) -> _Search:
    drawn, length, plain = skeleton(wanted), len(wanted), wanted.isascii()
    could_be_plain = not plain and len(drawn) == length and _is_plain(drawn) is not None

    def search(names: _Names) -> list[str]:
        odd = names.beyond_ascii if plain else names.odd
        found = [name for name in odd if len(name) == length and skeleton(name) == drawn]
        # a plain name is drawn as it is written
        return names.in_order([*names.that_are({drawn}), *found]) if could_be_plain else found

    return search


def _misread(wanted: str) -> _Search | None:
    """One of the two is the other one read in a wrong encoding; what was asked for may have lost characters in that."""
    lossy = wanted.replace("\ufffd", "?")
    if wanted.isascii() and "?" not in wanted:
        return None
    known = {*mojibake.readings(wanted), *mojibake.misreadings(wanted)}
    # with too little left of it one name can't be told from another
    telling = "?" in lossy and 2 * len(_stem(lossy).replace("?", "")) >= len(_stem(lossy))

    def search(names: _Names) -> list[str]:
        looks = (
            name
            for name in (names.beyond_ascii if telling else ())
            if any(one.replace("\ufffd", "?") == lossy for one in mojibake.misreadings(name))
        )
        return names.in_order({*names.that_are(known), *looks})

    return search


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


def _letters(wanted: str) -> _Search | None:
    letters = speech.letters(wanted)
    return (lambda names: names.at(names.letters, letters + "/")) if letters else None


def _stems(wanted: str) -> _Search:
    start = _stem(wanted).casefold() + "."
    return lambda names: (name for name in names.at(names.folded, start) if len(name) - len(start) <= MAX_SUFFIX)


def _sounds(wanted: str) -> _Search:
    """One is in characters, the other in pinyin; both in characters is a typing error by sound."""
    numbers, sounds = _numbers(wanted), speech.spoken(_stem(wanted)) - {""}
    chinese = speech.CHINESE.search(wanted) is not None

    def same(name: str) -> bool:
        if not (chinese or speech.CHINESE.search(name)) or _numbers(name) != numbers:
            return False
        return not sounds.isdisjoint(speech.spoken(_stem(name)))

    return lambda names: filter(same, names.all if chinese else names.beyond_ascii)


def _numbers(name: str) -> list[str]:
    return _NUMBERS.findall(name)


def _same_numbers(wanted: str) -> Callable[[str], bool]:
    numbers = _numbers(wanted)
    if not numbers:
        return lambda name: _NUMBERS.search(name) is None
    return lambda name: numbers[0] in name and _numbers(name) == numbers


def _near(wanted: str, names: Sequence[str], until: float) -> Iterator[str]:
    """Names with the same numbers and nearly the same letters before the suffix, the most alike first."""
    same_numbers, stem = _same_numbers(wanted), _stem(wanted).casefold()
    matcher = difflib.SequenceMatcher(autojunk=False, b=stem)
    alike: list[tuple[float, str]] = []
    spread = len(stem) // 3 + 1
    shortest, longest = len(wanted) - spread, len(wanted) + spread
    like_length = (name for name in names if shortest <= len(name) <= longest)
    for name in islice((name for name in like_length if same_numbers(name)), MAX_COMPARED):
        if time.monotonic() > until:
            break
        matcher.set_seq1(_stem(name).casefold())
        if matcher.real_quick_ratio() >= LIKENESS and matcher.quick_ratio() >= LIKENESS:
            ratio = matcher.ratio()
            if ratio >= LIKENESS:
                alike.append((-ratio, name))
    return (name for _, name in sorted(alike))
