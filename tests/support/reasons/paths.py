"""For each reason of a path or a file: a real one that has it, and what the reader says."""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from recognizer.decode import read
from recognizer.diagnose import of_content
from recognizer.fault import InputFault
from recognizer.inspect import Limits
from recognizer.reasons import InputReason as Reason
from tests.support.emission import until
from tests.support.path_rows import PNG, ROWS, reason_of, tree

Case = Callable[[Path], Iterable[str | None]]


def _row(path: object, reason: Reason) -> Case:
    def case(folder: Path) -> list[str]:
        with tree(folder) as root:
            return [reason_of(root, path, reason)]

    return case


def fault_of(path: Path | str, limits: Limits = Limits()) -> Reason:  # noqa: B008 - it is frozen
    with pytest.raises(InputFault) as caught:
        read(path, limits)
    return caught.value.reason


def _control_character(folder: Path) -> list[str]:
    return [fault_of(f"{folder}/bai\x1b[31m.png")]


def _on_windows(folder: Path) -> list[str | None]:
    (folder / "百灵.png").write_bytes(PNG)
    return [of_content(f"{folder}/百灵.png", platform="nt")]


def _too_large(folder: Path) -> list[str]:
    (folder / "a.png").write_bytes(PNG)
    return [fault_of(folder / "a.png", Limits(max_file_bytes=10))]


def _no_more_files(folder: Path) -> list[str]:
    (folder / "a.png").write_bytes(PNG)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        return [fault_of(folder / "a.png")]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


_AS_NOBODY = """
import os, sys
from recognizer.decode import read
from recognizer.fault import InputFault
if os.geteuid() == 0:
    os.setuid(65534)
try:
    read(sys.argv[1])
except InputFault as fault:
    print(fault.reason)
"""


def _not_allowed(folder: Path) -> list[str]:
    """Asked by a process that is not root, who may read everything."""
    path = folder / "a.png"
    path.write_bytes(PNG)
    path.chmod(0o000)
    for place in path.parents:
        if place.stat().st_uid == os.geteuid():
            place.chmod(place.stat().st_mode | 0o055)
    child = subprocess.run([sys.executable, "-c", _AS_NOBODY, path], capture_output=True, text=True, check=True)
    return [child.stdout.strip()]


def _still_writing(folder: Path) -> list[str]:
    """A file of zeros that another thread appends to without a pause."""
    path, stop = folder / "a.png", threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as stream:
            stream.truncate(1 << 24)
            while not stop.is_set() and stream.tell() < 1 << 27:
                stream.write(bytes(4096))

    path.touch()
    found: list[str] = []
    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: Reason.FILE_STILL_WRITING in found, lambda: found.append(fault_of(path)))
    finally:
        stop.set()
        writer.join()
    return found


CASES: dict[Reason, Case] = {
    **{reason: _row(path, reason) for _, path, reason in reversed(ROWS)},
    Reason.PATH_CONTROL_CHARACTER: _control_character,
    Reason.PATH_NON_ASCII_ON_WINDOWS: _on_windows,
    Reason.FILE_TOO_LARGE: _too_large,
    Reason.FILE_IO_ERROR: _no_more_files,
    Reason.FILE_PERMISSION_DENIED: _not_allowed,
    Reason.FILE_STILL_WRITING: _still_writing,
}
