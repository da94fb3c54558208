"""The search for a near name the long way: each name of the folder is asked by itself, in the order of the folder."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterator

from recognizer import mojibake, sound
from recognizer.near import LIKENESS, MAX_FOUND, MAX_SUFFIX, Match
from recognizer.paths import clean, inspect, skeleton
from recognizer.reasons import InputReason as Reason

Same = Callable[[str, str], bool]


def stem_of(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem and len(suffix) <= MAX_SUFFIX else name


def numbers_of(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def decodings(name: str) -> Iterator[str]:
    for encoding in ("gb18030", "big5", "cp932", "latin-1") if re.search(r"[\udc80-\udcff]", name) else ():
        try:
            yield name.encode("utf-8", "surrogateescape").decode(encoding)
        except UnicodeError:
            continue


def form(wanted: str, name: str) -> bool:
    both_plain = wanted.isascii() and name.isascii()
    return not both_plain and unicodedata.normalize("NFKC", name) == unicodedata.normalize("NFKC", wanted)


def spelled_in_bytes(wanted: str, name: str) -> bool:
    return not wanted.isascii() and (name in set(decodings(wanted)) or wanted in set(decodings(name)))


def drawn_alike(wanted: str, name: str) -> bool:
    both_plain = wanted.isascii() and name.isascii()
    return not both_plain and len(name) == len(wanted) and skeleton(name) == skeleton(wanted)


def misread(wanted: str, name: str) -> bool:
    lossy = wanted.replace("\ufffd", "?")
    if wanted.isascii() and "?" not in wanted:
        return False
    if name in {*mojibake.readings(wanted), *mojibake.misreadings(wanted)}:
        return True
    telling = "?" in lossy and 2 * len(stem_of(lossy).replace("?", "")) >= len(stem_of(lossy))
    looks = (one.replace("\ufffd", "?") for one in mojibake.misreadings(name))
    return telling and not name.isascii() and lossy in looks


def sounds_alike(wanted: str, name: str) -> bool:
    if not (sound.CHINESE.search(wanted) or sound.CHINESE.search(name)) or numbers_of(wanted) != numbers_of(name):
        return False
    return bool((sound.spoken(stem_of(wanted)) - {""}) & sound.spoken(stem_of(name)))


def same_stem(wanted: str, name: str) -> bool:
    start = stem_of(wanted).casefold() + "."
    return name.casefold().startswith(start) and len(name) - len(start) <= MAX_SUFFIX


SURE: tuple[tuple[Reason | None, Same], ...] = (
    (None, lambda wanted, name: clean(name) == wanted),
    (Reason.PATH_FULLWIDTH, form),
    (Reason.PATH_PLUS_FOR_SPACE, lambda wanted, name: "+" in wanted and name == wanted.replace("+", " ")),
    (Reason.PATH_CASE_MISMATCH, lambda wanted, name: name.casefold() == wanted.casefold()),
    (Reason.PATH_UNDECODABLE, spelled_in_bytes),
    (Reason.PATH_HOMOGLYPH, drawn_alike),
    (Reason.PATH_MOJIBAKE, misread),
)
GUESSED: tuple[Same, ...] = (
    lambda wanted, name: sound.letters(wanted) != "" and sound.letters(name) == sound.letters(wanted),
    same_stem,
    sounds_alike,
)


def ratio(wanted: str, name: str) -> float:
    return difflib.SequenceMatcher(None, stem_of(name).casefold(), stem_of(wanted).casefold(), autojunk=False).ratio()


def best(wanted: str, names: list[str], fits: Callable[[str], bool]) -> Match | None:
    """As `recognizer.near.best`, by sound too and without a limit of time."""
    for reason, same in SURE:
        if found := [name for name in names if same(wanted, name) and fits(name)][:MAX_FOUND]:
            named = reason or inspect(found[0])[0].reason
            return Match(found[0], named, certain=len(found) == 1, others=tuple(found[1:]))
    for same in GUESSED:
        if found := [name for name in names if same(wanted, name) and fits(name)][:MAX_FOUND]:
            return Match(found[0], Reason.PATH_NEAR_NAME, certain=False, others=tuple(found[1:]))
    spread = len(stem_of(wanted)) // 3 + 1
    alike = [
        (-ratio(wanted, name), name)
        for name in names
        if abs(len(name) - len(wanted)) <= spread and numbers_of(name) == numbers_of(wanted)
    ]
    near = [name for likeness, name in sorted(alike) if -likeness >= LIKENESS][:MAX_FOUND]
    found = [name for name in near if fits(name)]
    return Match(found[0], Reason.PATH_NEAR_NAME, certain=False, others=tuple(found[1:])) if found else None
