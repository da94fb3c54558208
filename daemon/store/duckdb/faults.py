"""DuckDB's errors as ours: what happened, and what to do."""

import re
import shlex

import duckdb

from daemon.errors import StoreError, StoreUnavailable

DATA_ERRORS = (duckdb.DataError, duckdb.InvalidInputException, duckdb.NotSupportedError)
"""Faults of what was to be stored, not of the place where it is stored."""

BROKEN = (duckdb.FatalException, duckdb.InternalException)
"""After these the database object answers nothing more and must be opened anew."""

_NO_SPACE = re.compile(r"no space left|disk quota|file too large|could not write", re.IGNORECASE)
_DAMAGED = re.compile(
    r"not a valid duckdb|corrupt|checksum|could not read enough|failure while replaying wal|deserializ|version number",
    re.IGNORECASE,
)
_HOLDER = re.compile(r"\(PID (\d+)\)")


def explained(error: duckdb.Error, place: str) -> StoreError:
    """The error in our words, with a way out."""
    text = " ".join(str(error).split())
    if "Conflicting lock" in text or "Could not set lock" in text:
        holder = _HOLDER.search(text)
        by = f"process {holder[1]}" if holder else "another process"
        return StoreUnavailable(
            f"{place} is in use by {by}", hint="one process at a time: stop that one, or ask the running daemon"
        )
    if _NO_SPACE.search(text):
        return StoreUnavailable(f"{place} can't be written: {text}", hint="free disk space; nothing accepted was lost")
    if _DAMAGED.search(text):
        return StoreError(
            f"{place} is damaged or no event file: {text}",
            hint=f"stop the daemon and set it aside: {_set_aside(place)}; the next start makes a new one",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return StoreUnavailable(f"the event store ran out of memory: {text}", hint="raise its memory_limit")
    if isinstance(error, (duckdb.IOException, duckdb.TransactionException, duckdb.ConnectionException, *BROKEN)):
        return StoreUnavailable(f"{place} does not answer: {text}", hint="see the disk and the permissions of the file")
    return StoreError(f"the event store refused the request: {text}", hint="this is a fault of wumu: please report it")


def _set_aside(place: str) -> str:
    """A command to paste. The file's write-ahead log goes along: it fits no other file."""
    return " ; ".join(
        f"mv -- {shlex.quote(place + end)} {shlex.quote(place + '.damaged' + end)}" for end in ("", ".wal")
    )
