"""A log file as services and logrotate treat it, with a ledger of every line that was completed."""

import gzip
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any

NOW_MS = 1_760_000_000_000


def event_line(event_id: str | None, *, timestamp_ms: int = NOW_MS, **fields: Any) -> bytes:
    """One event as JSON, without newline. A foreign service's line has no ``event_id``."""
    event = {"timestamp": timestamp_ms, "event_type": "input_start", "model_name": "m", "host": "h", "pid": 1, **fields}
    if event_id is not None:
        event["event_id"] = event_id
    return json.dumps(event, separators=(",", ":")).encode()


class Log:
    """Writes to ``path`` the way a service does: one descriptor, opened for appending, kept over a rename."""

    def __init__(self, path: Path, *, banner: bytes = b"", name: str = "") -> None:
        self.path = path
        self.name = name or path.name
        self.complete: list[bytes] = []
        self.partial = b""
        self._banner = banner
        self._numbers = itertools.count()
        self._file = self._open()

    def _open(self) -> Any:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("ab", buffering=0)
        if self._banner and os.fstat(file.fileno()).st_size == 0:
            file.write(self._banner + b"\n")
        return file

    def own(self, **fields: Any) -> bytes:
        """The next line of our own instrumentation."""
        number = next(self._numbers)
        return event_line(f"{self.name}-{number}", request_id=f"{self.name}-{number}", **fields)

    def foreign(self, **fields: Any) -> bytes:
        """The next line of a service that knows nothing of event ids."""
        return event_line(None, request_id=f"{self.name}-{next(self._numbers)}", **fields)

    def malformed(self, error: str = "") -> bytes:
        """The next line that is no event."""
        return f"not JSON {self.name} {next(self._numbers)} {error}".encode()

    def write(self, *lines: bytes) -> None:
        """Whole lines; the first one follows whatever was left unfinished."""
        for line in lines:
            self._file.write(line + b"\n")
            self.complete.append(self.partial + line)
            self.partial = b""

    def begin(self, piece: bytes) -> None:
        """A piece of a line."""
        self._file.write(piece)
        self.partial += piece

    def rotated(self, number: int, *, compressed: bool = False) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{'.gz' if compressed else ''}")

    def shift(self) -> None:
        """Make room at ``.1``: every rotated file moves up by one."""
        for number in range(30, 0, -1):
            for compressed in (False, True):
                if (old := self.rotated(number, compressed=compressed)).exists():
                    old.rename(self.rotated(number + 1, compressed=compressed))

    def rename(self) -> None:
        """Rotate by rename. The service writes on into the renamed file until `reopen`."""
        if self.path.exists():
            self.shift()
            self.path.rename(self.rotated(1))

    def reopen(self) -> None:
        self._file.close()
        self._file = self._open()

    def copy_truncate(self) -> None:
        """Rotate by copying and cutting the original to nothing."""
        self.shift()
        shutil.copyfile(self.path, self.rotated(1))
        os.truncate(self.path, 0)

    def compress(self, number: int) -> None:
        plain, packed = self.rotated(number), self.rotated(number, compressed=True)
        packed.write_bytes(gzip.compress(plain.read_bytes(), 1))
        plain.unlink()

    def close(self) -> None:
        self._file.close()
