"""The path doctor: what is wrong with a path, and which existing file inside the allowed folders was meant.

It suggests; it renames nothing and opens nothing. Standard library only (pypinyin is used where it is installed).
What it looks at is bounded in entries and in time, and nothing outside of the roots is listed or named: links and
``..`` count by where they really lead.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Self
from urllib.parse import unquote

from recognizer.near import TOGETHER, Match, best
from recognizer.paths import PathIssue, inspect, mended
from recognizer.reasons import InputReason
from recognizer.sound import is_installed
from recognizer.system_errors import reason_of

MAX_COMPONENTS: Final = 64
MAX_ALTERNATIVES: Final = 5
_LOST: Final = re.compile(r"[\ufffd?]")
_DRIVE: Final = re.compile(r"\A(?:[A-Za-z]:|//[^/]+/[^/]+|\\\\[^\\]+\\[^\\]+)")


@dataclass(frozen=True, slots=True)
class Effort:
    """How far to look: directory entries in all, and milliseconds. ``sound``: also by pinyin, loading pypinyin."""

    entries: int = 100_000
    duration_ms: float = 2_000.0
    sound: bool = True


SMALL_EFFORT: Final = Effort(entries=500, duration_ms=250.0, sound=False)
"""For a service that has just failed to open a picture: it must not make it wait."""


@dataclass(frozen=True, slots=True)
class Meant:
    """The existing file that a path probably stands for.

    path          it is inside the roots, and a regular file
    reason        what the path and this file differ by
    certain       nothing but a known fault of writing lies between them; a near name is a guess
    alternatives  further files that fit as well, a few of them: then none is certain
    """

    path: str
    reason: InputReason
    certain: bool
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor says of one path.

    reason    the primary fault; None where a file can be opened under a path without faults
    issues    the faults that the name itself shows, worst first
    exists    whether a regular file stands at the path as it is
    meant     the file that was probably meant, when another than this
    complete  False where a limit ended the search before all was looked at
    """

    path: str
    reason: InputReason | None
    issues: tuple[PathIssue, ...]
    exists: bool
    meant: Meant | None
    complete: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A path as it was written: the faults that it shows, worst first, and the path without them."""

    path: str
    issues: tuple[PathIssue, ...]
    cleaned: str

    @classmethod
    def of(cls, path: str) -> Self:
        """Found out once, for it takes as long as some looks at the disk."""
        issues = inspect(path)
        return cls(path, issues, mended(path) if issues else path)

    def worst(self, otherwise: InputReason) -> InputReason:
        """The worst fault that it shows, or what was found otherwise."""
        return self.issues[0].reason if self.issues else otherwise


IN_THE_WAY: Final = frozenset(
    {InputReason.FILE_IS_DIRECTORY, InputReason.FILE_NOT_REGULAR, InputReason.FILE_SYMLINK_LOOP}
)
"""Something stands at the path, but no file: then none is missing that could be looked for."""


def examine(path: str, roots: Sequence[str] | None, effort: Effort = Effort()) -> Diagnosis:
    """What is wrong with ``path``, and what was meant instead, looked for inside ``roots`` alone.

    ``roots`` None: the path may lead anywhere, and what was meant is looked for in its own folder.
    """
    written = Written.of(path)
    place = _look(path)
    real_roots = None if roots is None else _real_each(roots)
    stands = place is not None and (place.fault is None or place.fault in IN_THE_WAY)
    if place is not None and stands and place.is_below(real_roots):
        locked = None if os.access(path, os.R_OK) else InputReason.FILE_PERMISSION_DENIED
        reason = written.issues[0].reason if written.issues else place.fault or locked
        return Diagnosis(path, reason, written.issues, exists=place.fault is None, meant=None, complete=True)
    search = _Search(_real_each(own_folder(written.cleaned)) if real_roots is None else real_roots, effort)
    meant = search.meant(written, place)
    fault = InputReason.FILE_MISSING
    if meant is not None and meant.reason is not fault:
        fault = meant.reason
    elif place is not None and place.is_below(real_roots):
        fault = place.fault or fault
    elif meant is None and place is not None and (not written.issues or os.path.lexists(path)):
        return Diagnosis(path, InputReason.PATH_OUTSIDE_ROOTS, written.issues, exists=False, meant=None, complete=True)
    complete = not search.exhausted
    return Diagnosis(path, written.worst(fault), written.issues, exists=False, meant=meant, complete=complete)


def what_was_meant(written: Written, roots: Sequence[str] | None, effort: Effort = SMALL_EFFORT) -> Meant | None:
    """The existing file that a path without a file stands for, if there is one: inside ``roots``, as in `examine`."""
    real_roots = _real_each(own_folder(written.cleaned) if roots is None else roots)
    return _Search(real_roots, effort).meant(written, _look(written.path))


def is_inside(path: str, roots: Sequence[str]) -> bool:
    """Whether a path really leads (links followed) into one of the folders. The path need not exist."""
    try:
        real = _real(path)
        return any(_below(real, _real(root)) for root in roots)
    except (OSError, ValueError):
        return False


def own_folder(cleaned: str) -> tuple[str, ...]:
    """The folder of a path, as far up as it exists: what may be looked at where no roots are configured."""
    if not _is_askable(cleaned):
        return ()
    folder = os.path.dirname(_absolute(cleaned))  # noqa: PTH120 - text with surrogates, no Path semantics
    while not os.path.isdir(folder):  # noqa: PTH112 - never raises
        folder = os.path.dirname(folder)  # noqa: PTH120
    return () if folder == "/" else (folder,)


def _is_askable(path: str) -> bool:
    """Not for what no file system can hold: NUL, half characters."""
    if "\0" in path or not path:
        return False
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _absolute(path: str) -> str:
    """A path that begins with a slash; relative ones begin where this process is, or at / when that is gone."""
    if path.startswith("/"):
        return path
    try:
        return os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118
    except OSError:
        return "/" + path


def _below(real: str, root: str) -> bool:
    return real == root or real.startswith(root.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a path leads, and why no regular file can be had there: None where one can."""

    asked: str
    fault: InputReason | None
    known: str | None = None

    @property
    def path(self) -> str:
        """With its links followed. For what is missing it is looked up only when it is asked for: it takes a while."""
        return _real_of_missing(_absolute(self.asked)) if self.known is None else self.known

    def is_below(self, real_roots: Sequence[str] | None) -> bool:
        """Whether it leads into one of the folders; None is anywhere."""
        if real_roots is None:
            return True
        real = self.path
        return any(_below(real, root) for root in real_roots)


_ONLY_LOOK: Final = getattr(os, "O_PATH", 0)
_GONE: Final = " (deleted)"


def _look(path: str) -> _Place | None:
    """None for what can't be asked for."""
    if not _is_askable(path):
        return None
    try:
        return _opened(path)
    except OSError as error:
        return _Place(path, reason_of(error, path))


def _opened(path: str) -> _Place:
    """Asked of the kernel, which follows the links in one go: a tenth of the time of realpath. Raises OSError."""
    if not _ONLY_LOOK:  # no Linux
        return _Place(path, _not_a_file(os.stat(path).st_mode), os.path.realpath(path))  # noqa: PTH116
    # with O_PATH nothing is read, no pipe is waited for and no permission is needed on the file
    handle = os.open(path, _ONLY_LOOK | os.O_CLOEXEC)
    try:
        real = os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115 - the link's own text
        fault = _not_a_file(os.fstat(handle).st_mode)
    finally:
        os.close(handle)
    known = real.startswith("/") and not real.endswith(_GONE)
    return _Place(path, fault, real if known else os.path.realpath(path))


def _not_a_file(mode: int) -> InputReason | None:
    if stat.S_ISREG(mode):
        return None
    return InputReason.FILE_IS_DIRECTORY if stat.S_ISDIR(mode) else InputReason.FILE_NOT_REGULAR


def _real_of_missing(path: str) -> str:
    """As realpath: what exists of it with its links followed, then the rest as it is written."""
    folder, _, name = path.rpartition("/")
    if folder and name not in {"", ".", ".."} and not os.path.lexists(path):
        try:
            return f"{_opened(folder).path.rstrip('/')}/{name}"
        except OSError:
            return os.path.realpath(path)
    return os.path.realpath(path)


def _real(path: str) -> str:
    """As os.path.realpath. Raises ValueError for what no file system can hold, OSError as that does."""
    place = _look(path)
    if place is None:
        raise ValueError(f"no path: {path!r}")
    return place.path


def _real_each(folders: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_real, folders)))


class _Search:
    """One search with its limits."""

    def __init__(self, real_roots: tuple[str, ...], effort: Effort) -> None:
        self._roots = real_roots
        self._left = effort.entries
        self._until = time.monotonic() + effort.duration_ms / 1_000
        self._sound = effort.sound
        self._own: str | None = None
        self.exhausted = False

    def meant(self, written: Written, place: _Place | None) -> Meant | None:
        """By cleaning the name first, then by what the folders hold. ``place``: where the path itself leads."""
        self._own = place.path if place is not None and place.fault is None else None
        path, cleaned = written.path, written.cleaned
        candidates = [(cleaned, InputReason.FILE_MISSING)]
        if "%" in path:
            candidates.append((unquote(path), InputReason.PATH_PERCENT_ENCODED))
        for candidate, reason in candidates:
            for start, rest, certain in self._places(candidate):
                if (found := self._file("/".join((start, *rest)))) is not None:
                    return Meant(found, written.worst(reason), certain)
        if self._sound:
            self._load_sound()
        for start, rest, certain in self._places(cleaned):
            if (walked := self._walk(start, rest, path, certain=certain)) is not None:
                return replace(walked, reason=written.worst(walked.reason))
        return None

    def _load_sound(self) -> None:
        """Loading pypinyin is no search: it may take longer than the whole search is given."""
        started = time.monotonic()
        is_installed()
        self._until += time.monotonic() - started

    def _places(self, cleaned: str) -> Iterator[tuple[str, tuple[str, ...], bool]]:
        """Where a cleaned path may lie: below which root, the components from there, and whether that is certain."""
        if cleaned.startswith("~/"):
            cleaned = os.path.expanduser(cleaned)  # noqa: PTH111
        drive = _DRIVE.match(cleaned)
        components = tuple(one for one in cleaned[drive.end() if drive else 0 :].split("/") if one not in {"", "."})
        if not components or len(components) > MAX_COMPONENTS or ".." in components:
            return
        if drive:
            # the share is mounted somewhere below a root, under a part of its folders
            for root in self._roots:
                for skip in range(len(components)):
                    yield root, components[skip:], skip < len(components) - 1
            return
        absolute = os.path.normpath(cleaned if cleaned.startswith("/") else _absolute("/".join(components)))
        for root in self._roots:
            if _below(absolute, root):
                yield root, tuple(absolute[len(root) :].strip("/").split("/")), True
            elif not cleaned.startswith("/"):
                yield root, components, True

    def _walk(self, folder: str, rest: tuple[str, ...], path: str, *, certain: bool) -> Meant | None:
        """From a folder down: as the name says where that exists, else to what is most like it."""
        reason = InputReason.FILE_MISSING
        alternatives: tuple[str, ...] = ()
        certain = certain and not _LOST.search(path)
        for number, component in enumerate(rest):
            last = number == len(rest) - 1
            place = f"{folder}/{component}"
            if self._file(place) is not None if last else self._is_folder(place):
                folder = place
                continue
            found = self._most_like(folder, component, files=last)
            if found is None:
                return None
            if certain and (reason is InputReason.FILE_MISSING or not found.certain):
                reason = found.reason
            certain = certain and found.certain and not found.others
            if last:
                alternatives = tuple(f"{folder}/{other}" for other in found.others[:MAX_ALTERNATIVES])
            folder = f"{folder}/{found.name}"
        real = self._file(folder)
        return None if real is None else Meant(real, reason, certain, alternatives)

    def _most_like(self, folder: str, component: str, *, files: bool) -> Match | None:
        fits: Callable[[str], object] = self._file if files else self._is_folder
        names = [name for name in self._names(folder) if name != component]
        found = best(component, names, lambda name: bool(fits(f"{folder}/{name}")), self._until, sound=self._sound)
        self.exhausted = self.exhausted or time.monotonic() > self._until
        return found

    def _names(self, folder: str) -> list[str]:
        names: list[str] = []
        if not self._is_folder(folder):
            return names
        try:
            with os.scandir(folder) as entries:
                while self._left > 0 and time.monotonic() <= self._until:
                    part = [entry.name for entry in islice(entries, min(TOGETHER, self._left))]
                    if not part:
                        return names
                    names += part
                    self._left -= len(part)
                self.exhausted = self.exhausted or next(entries, None) is not None
        except OSError:
            return names
        return names

    def _file(self, path: str) -> str | None:
        """Where a regular file inside of the roots really lies, when it is another than the path itself names."""
        place = _look(path)
        if place is None or place.fault is not None or place.path == self._own:
            return None
        return place.path if place.is_below(self._roots) else None

    def _is_folder(self, path: str) -> bool:
        place = _look(path)
        return place is not None and place.fault is InputReason.FILE_IS_DIRECTORY and place.is_below(self._roots)
