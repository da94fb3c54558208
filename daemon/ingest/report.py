"""What ingest did: of one pass, and since the start."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from recognizer.events import MalformedReason


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """One pass over the files.

    events      newly stored
    duplicates  read again and recognised by their event_id
    bytes       consumed
    malformed   lines put aside, by reason
    notes       oddities of lines that were stored all the same, by kind
    lag_bytes   written and not yet stored
    files       that the globs lead to now
    behind      there is more to read at once
    trouble     why the pass ended early; None when it did not
    """

    events: int = 0
    duplicates: int = 0
    bytes: int = 0
    malformed: Mapping[MalformedReason, int] = field(default_factory=dict)
    notes: Mapping[str, int] = field(default_factory=dict)
    lag_bytes: int = 0
    files: int = 0
    behind: bool = False
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestCounters:
    """Since the process started, as metrics, health and `wumu doctor` show it. A value: safe to read from any thread.

    last_event_ms   newest timestamp stored, milliseconds since 1970 UTC
    problems        files and folders that can't be read now, with the reason
    """

    events_total: int = 0
    duplicates_total: int = 0
    bytes_total: int = 0
    malformed_total: Mapping[MalformedReason, int] = field(default_factory=dict)
    notes_total: Mapping[str, int] = field(default_factory=dict)
    not_quarantined_total: int = 0
    lag_bytes: int = 0
    last_event_ms: int | None = None
    files: int = 0
    files_open: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)
    trouble: str | None = None


@dataclass(slots=True)
class Tally:
    """Counts in the making."""

    events: int = 0
    duplicates: int = 0
    bytes: int = 0
    malformed: Counter[MalformedReason] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    not_quarantined: int = 0
    last_event_ms: int | None = None

    def add(self, other: "Tally") -> None:
        self.events += other.events
        self.duplicates += other.duplicates
        self.bytes += other.bytes
        self.malformed += other.malformed
        self.notes += other.notes
        self.not_quarantined += other.not_quarantined
        if other.last_event_ms is not None:
            self.saw(other.last_event_ms)

    def saw(self, timestamp_ms: int) -> None:
        self.last_event_ms = max(timestamp_ms, self.last_event_ms or timestamp_ms)
