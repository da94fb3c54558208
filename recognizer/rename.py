"""Which names below a folder have faults, and what they should be called. Nothing is renamed here."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from recognizer.mojibake import spelled
from recognizer.paths import COMPONENT_LIMIT_BYTES, clean, inspect
from recognizer.reasons import InputReason


@dataclass(frozen=True, slots=True)
class Rename:
    """One faulty name. ``folder`` is relative to where the search began, "" there itself.

    ``new`` is None where no better name is known or it can't be given: ``obstacle`` says why.
    """

    folder: str
    old: str
    new: str | None
    reason: InputReason
    obstacle: str = ""


def renames(folder: str) -> Iterator[Rename]:
    """The faulty names below a folder, those inside a folder before the folder's own. Hidden folders are left out.

    Links are not followed. Two names that would become the same, or one that exists already, keep theirs.
    """
    for place, folders, files in os.walk(folder, topdown=False):
        relative = os.path.relpath(place, folder)
        inside = "" if relative == "." else relative
        if any(part.startswith(".") for part in inside.split("/")):
            continue
        yield from _renames_in(inside, [*files, *(one for one in folders if not one.startswith("."))], folders)


def _renames_in(folder: str, names: list[str], folders: list[str]) -> Iterator[Rename]:
    wanted = {name: (issues[0].reason, _better(name)) for name in sorted(names) if (issues := inspect(name))}
    taken = {*names, *folders}
    times = Counter(new for _, new in wanted.values())
    for old, (reason, new) in wanted.items():
        if new is None or new == old:
            yield Rename(folder, old, None, reason, "no better name is known")
        elif "/" in new or new in {".", ".."} or len(os.fsencode(new)) > COMPONENT_LIMIT_BYTES:
            yield Rename(folder, old, None, reason, "the better name would be no name in this folder")
        elif new in taken:
            yield Rename(folder, old, None, reason, "the better name is taken already")
        elif times[new] > 1:
            yield Rename(folder, old, None, reason, "another name would become the same")
        else:
            yield Rename(folder, old, new, reason)


def _better(name: str) -> str | None:
    """The clean name; of bytes that are no UTF-8 what they spell in an encoding of East Asia."""
    if any("\udc80" <= one <= "\udcff" for one in name):
        name = spelled(os.fsencode(name)) or ""
    return clean(name) or None
