"""A file's bytes from any path: opened here, by its bytes, with errno kept; every fault is an `InputFault`.

`cv2.imread` answers None for every fault alike, hangs on a FIFO and crashes the process on a name that is no UTF-8.
"""

import enum
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recognizer import paths
from recognizer.doctor import is_inside
from recognizer.fault import InputFault
from recognizer.missing import Missing, explain
from recognizer.opened import NOT_REGULAR, Opened, opened_file
from recognizer.path_findings import PathFindings
from recognizer.reasons import InputReason
from recognizer.system_errors import reason_of

PathInput = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_BLOCK_BYTES: Final = 1 << 16
"""So much is read at a time of a file whose size is not known before."""


class Repair(enum.StrEnum):
    """What to do with a faulty path for which the doctor found the file that was meant."""

    NEVER = "never"
    EXISTING_FILE_INSIDE_ROOTS = "existing_file_inside_roots"


@dataclass(frozen=True, slots=True)
class Access:
    """Which files may be read.

    roots    only files that really lie below these folders, links followed; None: any file
    repair   whether the file that was meant is read in place of a faulty path. Never a guess: a near name or one of
             several candidates is only named. Needs roots.
    """

    roots: tuple[str, ...] | None = None
    repair: Repair = Repair.NEVER

    def __post_init__(self) -> None:
        if self.repair != Repair.NEVER and not self.roots:
            raise ValueError(f"repair={self.repair} needs roots: the folders in which a file may be read instead")


ANY_FILE: Final = Access()


@dataclass(frozen=True, slots=True)
class Source:
    """What was read. ``path.suggested`` is the file that was read in place of ``text``, None where that itself was."""

    data: bytes
    text: str
    path: PathFindings


def read_file(path: object, max_bytes: int, access: Access = ANY_FILE) -> Source:
    """The bytes of the file at ``path``, at most ``max_bytes``; `InputFault` says why there are none."""
    name = as_bytes(path)
    text = os.fsdecode(name)
    if access.roots is not None and not is_inside(text, access.roots):
        if not is_inside(paths.clean(text), access.roots):
            raise _outside(text)
        # "/in/a.png" in quotes only seems to lie outside
        missing = explain(text, InputReason.PATH_OUTSIDE_ROOTS, access.roots)
        return _read_instead(text, _path_fault(text, missing), missing, max_bytes, access)
    try:
        return Source(_read(name, max_bytes, access), text, PathFindings.seen(text))
    except OSError as error:
        fault, found = _file_fault(error, name, text, access)
        if found is None:
            raise fault from error
        return _read_instead(text, fault, found, max_bytes, access)


def _read_instead(text: str, fault: InputFault, missing: Missing, max_bytes: int, access: Access) -> Source:
    """The file that was meant, where the configuration allows it and there is no doubt; else the fault is raised."""
    meant = missing.meant
    if access.repair == Repair.NEVER or meant is None or not meant.certain:
        raise fault
    try:
        data = _read(os.fsencode(meant.path), max_bytes, access)
    except OSError:
        raise fault from None  # it went in the meantime: the path's own fault is what remains
    return Source(data, text, PathFindings.of(missing.issues, fault.reason, suggested=meant.path))


def as_bytes(path: object) -> bytes:
    """The path as the operating system takes it; `InputFault` for what can be no path."""
    if isinstance(path, os.PathLike):
        path = path.__fspath__()
    if isinstance(path, str):
        try:
            path = os.fsencode(path)
        except UnicodeEncodeError as error:
            message = f"the path holds half a character: character {error.start + 1} of {len(path)}"
            raise InputFault(InputReason.PATH_UNDECODABLE, message) from error
    if not isinstance(path, bytes):
        raise InputFault(InputReason.PATH_WRONG_TYPE, f"a path is text, not {type(path).__name__}")
    if not path:
        raise InputFault(InputReason.PATH_EMPTY, "the path is empty")
    if b"\0" in path:
        place = len(os.fsdecode(path[: path.index(0)])) + 1
        raise InputFault(InputReason.PATH_NUL, f"the path holds NUL: character {place} of {len(os.fsdecode(path))}")
    return path


def as_text(path: object) -> str:
    """The path for people and logs, also when it is none."""
    if isinstance(path, os.PathLike):
        path = path.__fspath__()
    if isinstance(path, bytes):
        return os.fsdecode(path)
    return path if isinstance(path, str) else repr(path)


# ---------------------------------------------------------------- the bytes


def _read(name: bytes, max_bytes: int, access: Access) -> bytes:
    with opened_file(name) as opened:
        if access.roots is not None and not is_inside(_real_path(opened.handle, name), access.roots):
            raise _outside(os.fsdecode(name))  # a link was turned after it was looked at
        if opened.fault is not None:
            raise opened.fault
        data = _read_all(opened, max_bytes)
        before, after = opened.status, os.fstat(opened.handle)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            message = f"the file is still being written: it had {before.st_size} bytes, now {after.st_size}"
            raise InputFault(InputReason.FILE_STILL_WRITING, message)
    if not data:
        raise InputFault(InputReason.FILE_EMPTY, "the file is empty")
    return data


def _real_path(handle: int, name: bytes) -> str:
    """Where the file that was opened really lies: asked of the kernel, so that no link can change it any more."""
    try:
        return os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115 - the link's own text
    except OSError:
        return os.fsdecode(name)


def _read_all(opened: Opened, max_bytes: int) -> bytes:
    handle, size = opened.handle, opened.status.st_size
    if size > max_bytes:
        raise _too_large(size, max_bytes)
    data = os.read(handle, size + 1 if size else _BLOCK_BYTES)
    if len(data) == size:
        return data
    parts = [data]
    total = len(data)
    # the file changes while it is read, the system reads in pieces, or makes the file up and tells no size (/proc)
    while part := os.read(handle, max(size, _BLOCK_BYTES)):
        parts.append(part)
        total += len(part)
        if total > max_bytes:
            raise _too_large(total, max_bytes)
    return b"".join(parts)


def _too_large(size: int, max_bytes: int) -> InputFault:
    return InputFault(InputReason.FILE_TOO_LARGE, f"{size} bytes are more than the limit of {max_bytes}")


# ---------------------------------------------------------------- the faults


def _outside(text: str) -> InputFault:
    return InputFault(
        InputReason.PATH_OUTSIDE_ROOTS,
        "the path leads out of the folders that may be read",
        path=PathFindings.of(paths.inspect(text), InputReason.PATH_OUTSIDE_ROOTS),
    )


def _file_fault(error: OSError, name: bytes, text: str, access: Access) -> tuple[InputFault, Missing | None]:
    """The fault, and where nothing stands at the path also what was found out about that."""
    found = PathFindings.seen(text)
    reason = reason_of(error, name)
    message = error.strerror or str(error)
    if reason is InputReason.FILE_SYMLINK_BROKEN:
        message = f"the link points to {_link_target(name)}, which is gone"
    elif reason is InputReason.FILE_NOT_REGULAR:
        message = NOT_REGULAR
    elif reason is InputReason.FILE_MISSING or (reason is InputReason.FILE_PARENT_NOT_DIRECTORY and found.issues):
        missing = explain(text, reason, access.roots)
        return _path_fault(text, missing), missing
    elif reason is InputReason.FILE_PERMISSION_DENIED:
        message = f"user {os.geteuid()} may not read it"
    elif reason is InputReason.PATH_TOO_LONG and InputReason.PATH_COMPONENT_TOO_LONG in found.issues:
        reason = InputReason.PATH_COMPONENT_TOO_LONG
    return InputFault(reason, message, path=found), None


def _path_fault(text: str, missing: Missing) -> InputFault:
    """Nothing stands at the path: its faults, or an existing file that it differs from, are the likely cause."""
    worst = missing.issues[0] if missing.issues else None
    message = "no such file" if worst is not None else _what_is_missing(text)
    if worst is not None and worst.code_point:
        message += f"; the path holds {worst.code_point}: character {worst.position + 1} of {len(text)}"
    if missing.meant is not None and missing.meant.path != missing.cleaned:
        guess = "was probably meant" if missing.meant.certain else "has nearly this name"
        message += f"; the file {paths.visible(missing.meant.path)} {guess}"
    elif missing.cleaned is not None:
        stands = "a" if missing.cleaned_exists else "no"
        message += f"; {stands} file stands at the cleaned path {paths.visible(missing.cleaned)}"
    return InputFault(missing.reason, message, path=missing.findings)


def _link_target(name: bytes) -> str:
    try:
        return paths.visible(os.fsdecode(os.readlink(name)))  # noqa: PTH115  # bytes
    except OSError as error:
        return f"something unreadable ({error.strerror})"


def _what_is_missing(text: str) -> str:
    """Names the first folder that is missing: that is the one to look at."""
    missing = Path(text)
    for parent in missing.parents:
        if os.path.lexists(parent):
            break
        missing = parent
    what = "no such file" if missing == Path(text) else "no such folder"
    return f"{what}: {paths.visible(str(missing))}"
