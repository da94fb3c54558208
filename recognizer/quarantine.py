"""Files that killed or stalled a decoder: known by their content, so that none gets a second chance.

With a folder the knowledge outlives the process: ``<sha256>.json`` says what happened, ``<sha256>.data`` is a copy for
whoever examines it. The file itself stays where it is.
"""

import hashlib
import json
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recognizer.reasons import InputReason

_log = logging.getLogger(__name__)

MAX_KEPT: Final = 100
"""So many files are copied; further ones are known by their record alone."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a file did: its reason and one line for a human."""

    reason: InputReason
    message: str


class Quarantine:
    """Safe to share between threads. ``folder`` None keeps the knowledge in memory alone."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises OSError where the folder can't be made or read."""
        self._folder = folder
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {}
        self._sizes: set[int] = set()
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in folder.glob("*.json"):
                self._load(path)

    def _load(self, path: Path) -> None:
        try:
            found = json.loads(path.read_bytes())
            record, size = Record(InputReason(found["reason"]), str(found["message"])), int(found["size"])
        except (ValueError, KeyError, TypeError) as fault:
            _log.warning("%s is no record of the quarantine and is left out: %r", path, fault)
            return
        self._records[path.stem] = record
        self._sizes.add(size)

    def __len__(self) -> int:
        return len(self._records)

    def find(self, data: bytes) -> Record | None:
        """What the file with this content did, if it is known. Costs a hash only for files of a known size."""
        return self._records.get(_name(data)) if len(data) in self._sizes else None

    def add(self, data: bytes, path: str, record: Record) -> None:
        """Remember the content. Raises OSError where it can't be written; it is known in memory all the same."""
        name = _name(data)
        with self._lock:
            known = len(self._records)
            self._records[name] = record
            self._sizes.add(len(data))
        if self._folder is None:
            return
        about = {"reason": record.reason, "message": record.message, "size": len(data), "file_path": ascii(path)}
        if known < MAX_KEPT:
            _write(self._folder / f"{name}.data", data)
        _write(self._folder / f"{name}.json", json.dumps(about).encode() + b"\n")


def _write(path: Path, data: bytes) -> None:
    """All or nothing, also when the process dies meanwhile."""
    half = path.with_name(f"{path.name}.half")
    half.touch(mode=0o600)
    half.write_bytes(data)
    half.replace(path)


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
