"""What the operating system's error numbers say of a path. Standard library only."""

import errno
import os
from typing import Final

from recognizer.reasons import InputReason

BY_ERRNO: Final = {
    errno.ENOENT: InputReason.FILE_MISSING,
    errno.ENOTDIR: InputReason.FILE_PARENT_NOT_DIRECTORY,
    errno.EACCES: InputReason.FILE_PERMISSION_DENIED,
    errno.EPERM: InputReason.FILE_PERMISSION_DENIED,
    errno.ELOOP: InputReason.FILE_SYMLINK_LOOP,
    errno.EISDIR: InputReason.FILE_IS_DIRECTORY,
    errno.ENXIO: InputReason.FILE_NOT_REGULAR,
    errno.ENODEV: InputReason.FILE_NOT_REGULAR,
    errno.EILSEQ: InputReason.PATH_UNDECODABLE,
    errno.ENAMETOOLONG: InputReason.PATH_TOO_LONG,
    errno.EIO: InputReason.FILE_IO_ERROR,
    errno.ESTALE: InputReason.FILE_IO_ERROR,
    errno.ENOMEM: InputReason.MODEL_OUT_OF_MEMORY,
}


def reason_of(error: OSError, path: str | bytes) -> InputReason:
    """Why nothing can be opened at ``path``; a link that leads nowhere is told from a file that is missing."""
    if error.errno == errno.ENOENT and os.path.islink(path):  # noqa: PTH114  # bytes too
        return InputReason.FILE_SYMLINK_BROKEN
    return BY_ERRNO.get(error.errno or 0, InputReason.FILE_IO_ERROR)
