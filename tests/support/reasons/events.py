"""For each reason of the log: real lines in a real file, and what the events say that were read from them."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from recognizer.decode_lines import decode_batch
from recognizer.emit import configure, log_event
from recognizer.reasons import InputReason as Reason
from recognizer.sinks import FileSink, MemorySink
from tests.support.disks import remount, tiny_disk
from tests.support.emission import emitting_to, until

DAY_MS = 86_400_000
NOW_MS = 1_790_000_000_000
_DROPPED = re.compile(rb'"dropped_before":[1-9]')
LINE = b'{"timestamp":%d,"event_type":"input_start","file_path":"/a.png"}'


def _read(line: bytes) -> Callable[[Path], Iterable[str]]:
    def case(folder: Path) -> list[str]:
        (folder / "events.log").write_bytes(line + b"\n")
        lines = (folder / "events.log").read_bytes().splitlines()
        found = decode_batch(lines, now_ms=NOW_MS, max_age_ms=DAY_MS, max_future_ms=DAY_MS)
        return [issue for event in found.events for issue in event.event_issues or ()]

    return case


def _gap(folder: Path) -> list[str]:
    """A disk that is full, and later is not."""
    with tiny_disk(folder) as disk, emitting_to(MemorySink()):
        log = disk / "events.log"
        configure(FileSink(log, max_bytes=0))
        for _ in range(40):
            log_event("input_start", error="x" * 4_000)
        remount(disk, "size=1m")
        until(lambda: _DROPPED.search(log.read_bytes()) is not None, lambda: log_event("input_start"))
        configure(None)
    return [Reason.EVENT_GAP]


def _unspecified(_: Path) -> list[str]:
    """A service that gives no reason of its own, about a path that has no fault and no file to look at."""
    found = decode_batch(
        [b'{"timestamp":%d,"event_type":"input_error","error":"it did not work"}' % NOW_MS],
        now_ms=NOW_MS,
        max_age_ms=DAY_MS,
        max_future_ms=DAY_MS,
    )
    return [str(event.reason) for event in found.events]


CASES: dict[Reason, Callable[[Path], Iterable[str]]] = {
    Reason.EVENT_TIMESTAMP_UNIT: _read(LINE % (NOW_MS // 1000)),
    Reason.EVENT_LINE_ILLEGAL: _read(b"\xef\xbb\xbf" + LINE % NOW_MS),
    Reason.EVENT_GAP: _gap,
    Reason.UNSPECIFIED: _unspecified,
}
