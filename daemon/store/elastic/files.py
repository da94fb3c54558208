"""What the store keeps beside the cluster: how far each source was stored, and the lines the cluster refused."""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from daemon.errors import StoreError, StoreUnavailable
from daemon.store.base import Checkpoint
from recognizer.events import Malformed, MalformedReason

_log = logging.getLogger(__name__)

DEAD_LETTERS_FILE = "elasticsearch-dead-letters.jsonl"
DEAD_LETTERS_LIMIT_BYTES = 256 * 1024 * 1024


class _Dated(msgspec.Struct):
    timestamp: int


class _DatedLetter(msgspec.Struct):
    line: str


class CheckpointFile:
    """Checkpoints in one small file that is replaced as a whole: after a crash it holds the old or the new state."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError when a file stands there that can't be read."""
        self._path = path
        self._lock = threading.Lock()
        self._checkpoints = _read(path)

    def all(self) -> dict[str, Checkpoint]:
        with self._lock:
            return dict(self._checkpoints)

    def save(self, checkpoint: Checkpoint) -> None:
        """Keeps it for good before it returns. Raises StoreUnavailable when the disk does not take it."""
        with self._lock:
            changed = {**self._checkpoints, checkpoint.identity: checkpoint}
            try:
                _replace(self._path, [msgspec.json.encode(list(changed.values()))])
            except OSError as error:
                raise _unwritable(self._path, error) from error
            self._checkpoints = changed


class DeadLetters:
    """Refused lines, one JSON object each: ``line``, ``file``, ``reason``, ``detail``, ``hint``. At least once: a crash
    between this file and the checkpoint may write a line twice.

    Where the file would grow beyond ``limit_bytes`` its older half goes first, which is said.
    """

    def __init__(self, path: Path, *, limit_bytes: int = DEAD_LETTERS_LIMIT_BYTES) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()

    def append(self, lines: Iterable[Malformed], source: str) -> None:
        """Keeps the lines, which came from the log file ``source``, for good before it returns.

        Raises StoreUnavailable when the disk does not take them.
        """
        text = b"".join(msgspec.json.encode(_letter(each, source)) + b"\n" for each in lines)
        if not text:
            return
        try:
            with self._lock:
                self._make_room(len(text))
                with self._path.open("a+b") as file:
                    # A crash may have left half a line: end it, so that it spoils nothing.
                    torn = file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
                    file.write(b"\n" + text if torn else text)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self._path, error) from error
        _log.warning("Elasticsearch refused %d lines for good; they are kept in %s", text.count(b"\n"), self._path)

    def expire(self, before_ms: int) -> None:
        """Removes the lines of events from before that time. Raises StoreUnavailable when the disk does not let it."""
        try:
            with self._lock, self._path.open("rb") as file:
                if any(_is_older(raw, before_ms) for raw in file):
                    file.seek(0)
                    _replace(self._path, (raw for raw in file if not _is_older(raw, before_ms)))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def _make_room(self, size: int) -> None:
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            there = os.fstat(file.fileno()).st_size
            if not there or there + size <= self._limit_bytes:
                return
            gone = 0
            while file.tell() < there // 2:
                file.readline()
                gone += 1
            _replace(self._path, file)
        _log.error("%s was full: its oldest %d lines are gone for good; mend their cause", self._path, gone)


def read_dead_letters(path: Path) -> Iterator[tuple[Malformed, str]]:
    """The refused lines and the log files they came from, oldest first; none where there is no such file."""
    try:
        with path.open("rb") as file:
            for raw in file:
                try:
                    letter = msgspec.json.decode(raw, type=dict[str, str])
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue  # half a line, left by a crash while it was written; it was written again after that
                reason = MalformedReason(letter["reason"])
                malformed = Malformed(letter["line"].encode(), reason, letter["detail"], letter["hint"])
                yield malformed, letter.get("file", "")
    except FileNotFoundError:
        return


def _letter(malformed: Malformed, source: str) -> Mapping[str, str]:
    return {
        "line": malformed.line.decode("utf-8", "replace"),
        "file": source,
        "reason": malformed.reason.value,
        "detail": malformed.detail,
        "hint": malformed.hint,
    }


def _read(path: Path) -> dict[str, Checkpoint]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(
            f"{path} can't be read: {error.strerror}", hint="give the daemon's user access to it"
        ) from error
    try:
        return {each.identity: each for each in msgspec.json.decode(raw, type=list[Checkpoint])}
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"{path} is damaged: {error}",
            hint="move it away: the logs are then read from their beginning, and what is stored is not stored twice",
        ) from error


def _is_older(raw: bytes, before_ms: int) -> bool:
    """Whether the event of a letter is from before that time; one that does not say stays until room is needed."""
    try:
        letter = msgspec.json.decode(raw, type=_DatedLetter)
        return msgspec.json.decode(letter.line, type=_Dated).timestamp < before_ms
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _replace(path: Path, content: Iterable[bytes]) -> None:
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.writelines(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unwritable(path: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"{path} can't be written: {error.strerror or error}",
        hint="free space on the disk or correct its permissions; nothing is lost, the log is read again from there",
    )
