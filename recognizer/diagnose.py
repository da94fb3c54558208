"""Why a picture could not be read: from an exception or a text, the path, and a look at the disk.

Standard library only. For services that decode with whatever they like and only know that it failed
(``cv2.imread`` answers ``None``).
"""

import os
from typing import Any, Final

from recognizer.encode import as_text
from recognizer.missing import explain
from recognizer.opened import opened_file
from recognizer.path_findings import PathFindings
from recognizer.paths import inspect
from recognizer.reasons import InputReason
from recognizer.system_errors import BY_ERRNO, reason_of

# What the usual libraries say, as exception class or in the text, in lower case.
_BY_WORD: Final = (
    ("unidentifiedimageerror", InputReason.IMAGE_NOT_AN_IMAGE),
    ("cannot identify image", InputReason.IMAGE_NOT_AN_IMAGE),
    ("decompressionbomb", InputReason.IMAGE_TOO_MANY_PIXELS),
    ("truncated", InputReason.IMAGE_TRUNCATED),
    ("premature end", InputReason.IMAGE_TRUNCATED),
    ("outofmemoryerror", InputReason.MODEL_OUT_OF_MEMORY),
    ("memoryerror", InputReason.MODEL_OUT_OF_MEMORY),
    ("embedded null", InputReason.PATH_NUL),
    ("surrogates not allowed", InputReason.PATH_UNDECODABLE),
    ("no such file", InputReason.FILE_MISSING),
    ("permission denied", InputReason.FILE_PERMISSION_DENIED),
    ("is a directory", InputReason.FILE_IS_DIRECTORY),
)
_IMAGE_BEGINNINGS: Final = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")
_LONGEST_BEGINNING: Final = 16
NO_PATH: Final = object()
"""For an error that belongs to no path: None would be a path of the wrong type."""
_ABSENT: Final = frozenset(
    {
        InputReason.FILE_MISSING,
        InputReason.FILE_PARENT_NOT_DIRECTORY,
        InputReason.PATH_TOO_LONG,
        InputReason.FILE_SYMLINK_BROKEN,
    }
)


def known_reason(word: object) -> InputReason | None:
    """The member of the closed enum that a word names, if any."""
    try:
        return InputReason(word) if isinstance(word, str) else None
    except ValueError:
        return None


def diagnose(error: object, path: object, stated: object = None) -> dict[str, Any]:
    """The fields of an ``input_error`` that say why: ``reason`` always, and what is wrong with the path, if anything.

    ``stated`` is the caller's own reason and wins; then comes what the exception knows (a ``reason`` of ours, errno,
    its class), then a look at the disk. Where nothing stands at a path with faults, the worst fault is the reason.
    """
    issues = () if path is NO_PATH else inspect(path)
    reason = known_reason(stated)
    known = reason is not None
    if reason is None:
        reason = _of_error(error)
        if reason is None or reason in _ABSENT:
            reason = _of_file(path) or reason
    found = PathFindings.of(issues)
    open_question = not known and (reason is None or reason in _ABSENT)
    if isinstance(path, str) and (issues or reason in _ABSENT):
        missing = explain(path, reason or InputReason.UNSPECIFIED, search=open_question)
        found = missing.findings
        if open_question:
            reason = missing.reason
    elif issues and open_question:
        reason = issues[0].reason
    given = {"reason_given": stated} if stated is not None and not known else {}
    return {"reason": (reason or InputReason.UNSPECIFIED).value, **given, **found.fields()}


def _of_error(error: object) -> InputReason | None:
    if (own := known_reason(getattr(error, "reason", None))) is not None:
        return own
    if isinstance(error, OSError) and error.errno in BY_ERRNO:
        return BY_ERRNO[error.errno]
    words = as_text(error).lower()
    return next((reason for word, reason in _BY_WORD if word in words), None)


def _of_file(path: object) -> InputReason | None:
    """What the disk says about the path; None where a file with something in it can be read."""
    begin = _beginning(path) if isinstance(path, (str, bytes)) else None
    return begin if isinstance(begin, InputReason) else None


def _beginning(path: str | bytes) -> bytes | InputReason | None:
    """The file's first bytes, or why there are none; None where the disk can't be asked."""
    try:
        with opened_file(path) as opened:
            if opened.fault is not None:
                return opened.fault.reason
            return os.read(opened.handle, _LONGEST_BEGINNING) or InputReason.FILE_EMPTY
    except OSError as error:
        return reason_of(error, path)
    except ValueError:  # NUL, or text that the file system's encoding lacks: the path's own issues say so
        return None


def of_content(path: object, platform: str = os.name) -> InputReason | None:
    """Why a decoder answered nothing although a file can be read: it is no image, or a broken one.

    On Windows (``platform`` ``nt``) a name beyond ASCII is enough: OpenCV looks for it under another one.
    """
    if not isinstance(path, (str, bytes)) or not isinstance(begin := _beginning(path), bytes):
        return None
    if not begin.startswith(_IMAGE_BEGINNINGS):
        return InputReason.IMAGE_NOT_AN_IMAGE
    on_windows = platform == "nt" and not path.isascii()
    return InputReason.PATH_NON_ASCII_ON_WINDOWS if on_windows else InputReason.IMAGE_CORRUPT
