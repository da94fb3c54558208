"""What has been played so far, line by line in a file: a run that was stopped goes on where it was."""

from pathlib import Path
from typing import TypeAlias

import msgspec

from benchmarks.scenarios.judge import Verdict


class Past(msgspec.Struct, frozen=True, tag="past"):
    """A world's clean history: the ids of the rules that raised a false alarm in it, one for each alarm."""

    seed: int
    alarms: tuple[str, ...]


class Played(msgspec.Struct, frozen=True, tag="played"):
    """One scenario, judged for the shipped rules and for those as ElastAlert 2 has them."""

    seed: int
    draw: int
    ours: Verdict
    theirs: Verdict


class Terms(msgspec.Struct, frozen=True, tag="terms"):
    """What all entries of a journal have in common. ``rules`` is the text of the rules that were judged by."""

    rules: str
    history_days: int


Entry: TypeAlias = Past | Played | Terms


class Journal:
    """``path`` None: nothing is kept beyond this process. Raises SystemExit for a journal on other terms."""

    def __init__(self, path: Path | None, terms: Terms) -> None:
        self._path = path
        self.entries: list[Entry] = []
        if path is not None and path.exists():
            self.entries = [msgspec.json.decode(line, type=Entry) for line in path.read_bytes().splitlines()]
        if not self.entries:
            self.add(terms)
        if self.entries[0] != terms:
            raise SystemExit(f"{path} was begun with other rules or another --days: name another file")

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(entry) + b"\n")

    @property
    def pasts(self) -> dict[int, Past]:
        """By the world's seed."""
        return {entry.seed: entry for entry in self.entries if isinstance(entry, Past)}

    @property
    def played(self) -> dict[tuple[int, int, str], Played]:
        """By the world's seed, the draw, and the kind of incident."""
        return {(one.seed, one.draw, one.ours.kind): one for one in self.entries if isinstance(one, Played)}
