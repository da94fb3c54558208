"""From what a user names to the pictures that are meant: files, folders, patterns, a list on standard input."""

import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from recognizer.inspect import IMAGE_SUFFIXES
from recognizer.paths import clean

_MAGIC = frozenset("*?[")


def expand(arguments: Iterable[str]) -> Iterator[str]:
    """Every path that the arguments mean, in their order; folders and patterns sorted.

    A folder stands for the pictures below it, by their suffix also where the name has a fault, hidden ones left out; a
    folder that can't be read stands for itself. A pattern (``**`` too) stands for what it matches. What names neither
    comes back as it is, also when nothing is there: that is an answer the reader has to give.
    """
    for argument in arguments:
        if _is_folder(argument):
            yield from _pictures_below(argument)
        elif _MAGIC & set(argument) and not os.path.lexists(argument):
            yield from _matches(argument)
        else:
            yield argument


def _is_folder(path: str) -> bool:
    return "\0" not in path and os.path.isdir(path)  # noqa: PTH112  # answers False where Path.is_dir raises


def _pictures_below(folder: str) -> Iterator[str]:
    unreadable: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and (_is_picture(name) or _is_picture(clean(name))):
                yield str(Path(place) / name)
    yield from (str(error.filename) for error in unreadable)


def _is_picture(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _matches(pattern: str) -> Iterator[str]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  # Path.glob refuses absolute patterns
    if not found:
        yield pattern
    for path in found:
        if _is_folder(path):
            yield from _pictures_below(path)
        else:
            yield path


def read_list(stream: BinaryIO, *, separator: bytes = b"\n") -> Iterator[str]:
    """The paths of a list, one a line or separated by NUL, as they come; empty ones are skipped.

    Bytes that are no UTF-8 stay what they are: as the system's own surrogate escapes they open the same file.
    """
    rest = b""
    while block := _available(stream):
        *whole, rest = (rest + block).split(separator)
        yield from (os.fsdecode(one) for one in whole if one)
    if rest:
        yield os.fsdecode(rest)


def _available(stream: BinaryIO) -> bytes:
    """What is there now: a pipe that is still being filled does not hold back the lines it has."""
    read1 = getattr(stream, "read1", stream.read)
    return bytes(read1(65536))
