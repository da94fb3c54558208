"""The chosen plans, kept from one start to the next: one small JSON file a machine.

A plan holds for one model, device, torch and input size; anything else is measured anew. The file is a convenience:
one that can't be read or written costs the two seconds of measuring again, and one line that says so.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from recognizer.device.plan import Measurement, Plan
from recognizer.paths import visible
from recognizer.sinks import say

VERSION: Final = 1
_MAX_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """What a choice holds for. ``input_shape``: pictures of a full batch, channels, height, width."""

    weights_sha256: str
    device_name: str
    torch_version: str
    input_shape: tuple[int, int, int, int]
    compiled: bool
    """Whether compiling was tried too."""

    def __str__(self) -> str:
        shape = "x".join(map(str, self.input_shape))
        tried = "compiled" if self.compiled else "uncompiled"
        return f"{self.weights_sha256} {self.device_name} torch-{self.torch_version} {shape} {tried}"


class _Entry(msgspec.Struct, frozen=True):
    plan: Plan
    measured: tuple[Measurement, ...] = ()


class _File(msgspec.Struct, frozen=True):
    version: int
    entries: dict[str, Any]


def default_path() -> Path:
    """Where the file lies: below XDG_CACHE_HOME, else ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "wumu" / "device-plans.json"


def look_up(path: Path, key: Key) -> Plan | None:
    """The plan that was chosen for ``key`` before, or None."""
    entry = _read(path).get(str(key))
    if entry is None:
        return None
    try:
        return msgspec.convert(entry, _Entry).plan
    except msgspec.ValidationError as error:
        say(f"a plan in {visible(str(path))} is not understood and is measured anew: {error}")
        return None


def keep(path: Path, key: Key, plan: Plan, measured: Sequence[Measurement]) -> None:
    """Adds the choice, with what it was chosen from for whoever wants to look."""
    entry = {"plan": asdict(plan), "measured": [asdict(one) for one in measured]}
    document = {"version": VERSION, "entries": {**_read(path, quiet=True), str(key): entry}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as scratch:
            json.dump(document, scratch, indent=1)
        Path(scratch.name).replace(path)
    except OSError as error:
        say(f"the chosen plan can't be kept in {visible(str(path))} ({error.strerror}); the next start measures again")


def _read(path: Path, *, quiet: bool = False) -> dict[str, Any]:
    """The entries; none when the file is missing, of another version or damaged, which is said but for ``quiet``."""
    try:
        with path.open("rb") as stream:
            found = msgspec.json.decode(stream.read(_MAX_BYTES + 1), type=_File)
        if found.version != VERSION:
            raise msgspec.ValidationError(f"version {found.version}, not {VERSION}")
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not quiet:
            detail = visible(str(error), 200)
            say(f"{visible(str(path))} is ignored, plans are measured anew: {detail}")
        return {}
    return found.entries
