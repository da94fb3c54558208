"""Which files the globs mean now, and which of their neighbours are rotated copies of them."""

import fnmatch
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_WILDCARD = re.compile(r"[*?\[]")
_ANY_DEPTH = "**"
_AT_END = re.compile(r"(?:[._-](?:\d[\dT:._-]*|old))?(?:\.gz)?$")
"""What rotation appends: app.log.1, app.log-20260131, app.log.2026-01-31_00-00-00, app.log.old; with or without .gz."""
_IN_THE_MIDDLE = re.compile(r"^(?P<stem>.+?)[._-]\d[\dT:._-]*(?P<suffix>\.[A-Za-z]\w*)(?:\.gz)?$")
"""Rotation that keeps the suffix: app-20260131.log, app.1.log."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file on disk. ``inode`` is (device, inode); ``pattern`` the glob that led to it.

    ``rotated`` is true for a file that the glob does not name itself but whose name is that of a rotated copy.
    """

    path: str
    inode: tuple[int, int]
    size: int
    modified_ns: int
    rotated: bool
    pattern: str


@dataclass(slots=True)
class Scan:
    """What one look at the disk saw: files oldest first, and the paths that could not be looked at with the reason."""

    files: list[Found] = field(default_factory=list)
    problems: dict[str, OSError] = field(default_factory=dict)


def scan(patterns: Iterable[str]) -> Scan:
    """Look for the files of every glob. ``**`` stands for any number of folders and does not follow links to folders.

    A file that is reached twice (two globs, a symbolic or a hard link) is listed once. Pipes, sockets, devices
    and folders are passed over. Names that begin with a dot match only where the glob says the dot.
    """
    result = Scan()
    seen: dict[tuple[int, int], Found] = {}
    for pattern in patterns:
        for found in _of_pattern(pattern, result.problems):
            known = seen.get(found.inode)
            if known is None or (known.rotated and not found.rotated):
                seen[found.inode] = found
    result.files = sorted(seen.values(), key=lambda found: (found.modified_ns, found.path))
    return result


def _of_pattern(pattern: str, problems: dict[str, OSError]) -> Iterator[Found]:
    absolute = os.path.abspath(os.path.expanduser(pattern))  # noqa: PTH100, PTH111  # Path would drop a trailing **
    *folders, last = absolute.split(os.sep)[1:]  # noqa: PTH206
    if last == _ANY_DEPTH:
        folders, last = [*folders, _ANY_DEPTH], "*"
    matches = re.compile(fnmatch.translate(last)).match
    literal = not _WILDCARD.search(last)
    for folder in _folders(os.sep, folders, problems):
        names = [last] if literal and not os.access(folder, os.R_OK) else _names(folder, problems)
        for name in names:
            if name.startswith(".") and not last.startswith("."):
                continue
            rotated = matches(name) is None
            if rotated and not any(matches(base) for base in _bases(name)):
                continue
            found = _regular(os.path.join(folder, name), problems, rotated=rotated, pattern=pattern)  # noqa: PTH118
            if found is not None:
                yield found


def _bases(name: str) -> Iterator[str]:
    """The names that a file of this name may have had before it was rotated."""
    end = _AT_END.search(name)
    if end is not None and 0 < end.start() < len(name):
        yield name[: end.start()]
    middle = _IN_THE_MIDDLE.match(name)
    if middle is not None:
        yield middle["stem"] + middle["suffix"]


def _folders(root: str, parts: list[str], problems: dict[str, OSError]) -> Iterator[str]:
    if not parts:
        yield root
        return
    part, *rest = parts
    if part == _ANY_DEPTH:
        yield from _folders(root, rest, problems)
        for child in _children(root, "*", problems, follow_links=False):
            yield from _folders(child, parts, problems)
    elif _WILDCARD.search(part):
        for child in _children(root, part, problems, follow_links=True):
            yield from _folders(child, rest, problems)
    else:
        yield from _folders(os.path.join(root, part), rest, problems)  # noqa: PTH118


def _children(folder: str, part: str, problems: dict[str, OSError], *, follow_links: bool) -> Iterator[str]:
    matches = re.compile(fnmatch.translate(part)).match
    for name in _names(folder, problems):
        path = os.path.join(folder, name)  # noqa: PTH118
        if matches(name) and (part.startswith(".") or not name.startswith(".")):
            if not follow_links and os.path.islink(path):  # noqa: PTH114
                continue
            if os.path.isdir(path):  # noqa: PTH112
                yield path


def _names(folder: str, problems: dict[str, OSError]) -> list[str]:
    """Names in the folder, sorted; a folder that is not there yet is no problem."""
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        problems[folder] = error
        return []


def _regular(path: str, problems: dict[str, OSError], *, rotated: bool, pattern: str) -> Found | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return None  # gone between the listing and now, or a link to nowhere
    except OSError as error:
        problems[path] = error
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Found(path, (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns, rotated, pattern)
