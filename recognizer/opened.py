"""Opening a file of unknown kind: it never waits, and what is no regular file is told by its reason.

Standard library only.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from recognizer.fault import InputFault
from recognizer.reasons import InputReason

# O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
_FLAGS: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
NOT_REGULAR: Final = "the path is a pipe, socket or device, not a file"


class Opened(NamedTuple):
    """What was opened for reading: its descriptor, and what the system said of it then."""

    handle: int
    status: os.stat_result

    @property
    def fault(self) -> InputFault | None:
        """Why it can't be read like a file, None for a regular one; of a device the bytes never end."""
        if stat.S_ISREG(self.status.st_mode):
            return None
        if stat.S_ISDIR(self.status.st_mode):
            return InputFault(InputReason.FILE_IS_DIRECTORY, "the path is a folder")
        return InputFault(InputReason.FILE_NOT_REGULAR, NOT_REGULAR)


@contextmanager
def opened_file(path: str | bytes | os.PathLike[str]) -> Iterator[Opened]:
    """What stands at ``path``, open within the block, whatever it is.

    Raises OSError where nothing can be opened, ValueError for what no file system can hold.
    """
    handle = os.open(path, _FLAGS)
    try:
        yield Opened(handle, os.fstat(handle))
    finally:
        os.close(handle)
