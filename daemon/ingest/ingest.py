"""The tailer: log files in, events and the place up to which they have been read into the store, together."""

import hashlib
import logging
import os
from collections import deque
from itertools import accumulate
from pathlib import Path

from daemon.clock import Clock
from daemon.errors import StoreError
from daemon.ingest.content import Unreadable
from daemon.ingest.discover import Found, scan
from daemon.ingest.files import Files, Inode, shown
from daemon.ingest.identity import Consumed
from daemon.ingest.memory import give_back
from daemon.ingest.quarantine import LineKey, Misfit, Quarantine, QuarantineError
from daemon.ingest.report import IngestCounters, IngestReport, Tally
from daemon.ingest.source import Block, Replaced, Source
from daemon.ingest.tell import Teller, problem
from daemon.store.base import Batch, Checkpoint, EventStore
from recognizer.decode_lines import Decoded, decode_batch
from recognizer.events import MAX_LINE_BYTES, NOTE_HINTS, Malformed, MalformedReason
from rules.model import IngestConfig

logger = logging.getLogger(__name__)

BATCH_LINES = 4_000
"""As many as Elasticsearch's store sends at once. Decoded and encoded they take about 15 MiB."""
PROBE_LINES = 100
"""A store that was in trouble is asked with so few first: an outage costs no memory and hardly any work."""
PASS_BYTES = 64 * 1024 * 1024
"""One pass ends after about this much, so that a backlog does not keep the caller from its other duties."""
SUPERSEDED_IDLE_MS = 60_000
"""A rotated file that did not change for this long has no writer any more."""
_LONGEST_PAUSE_S = 30.0


class Ingest:
    """Follows the files of `IngestConfig.paths` into a store. For one thread, but for ``counters``.

    Every complete line is stored once, or put into the quarantine once: its batch carries the place behind it, and the
    store keeps both or neither. While the store is down nothing is held in memory but the place.
    """

    def __init__(
        self,
        config: IngestConfig,
        store: EventStore,
        quarantine: Path,
        clock: Clock,
        *,
        batch_lines: int = BATCH_LINES,
        pass_bytes: int = PASS_BYTES,
        superseded_idle_ms: int = SUPERSEDED_IDLE_MS,
        open_limit: int | None = None,
    ) -> None:
        self._counters = IngestCounters()
        self._config = config
        self._store = store
        self._quarantine = Quarantine(quarantine)
        self._clock = clock
        self._batch_lines = batch_lines
        self._pass_bytes = pass_bytes
        self._superseded_idle_s = superseded_idle_ms / 1000
        self._open_limit = open_limit
        self._files: Files | None = None
        self._total = Tally()
        self._teller = Teller()
        self._past: set[Inode] | None = None
        self._put: set[LineKey] = set()
        self._refused: list[Misfit] = []
        self._next: Inode | None = None
        self._pause_s = self._retry_at_s = 0.0

    def poll(self) -> IngestReport:
        """Read what is there, up to a limit. Foreseen faults end the pass early and stand in ``trouble``.

        After such a fault the store is left alone for a while, twice as long each time, up to half a minute.
        """
        if self._clock.monotonic() < self._retry_at_s:
            return self._report(Tally(), behind=False)
        tally, trouble_before = Tally(), self._teller.trouble
        files, behind = self._counters.files, False
        try:
            files, behind = self._pass(tally)
        except (StoreError, QuarantineError) as error:
            self._teller.troubled(error)
            self._pause_s = min(max(self._config.poll_ms / 1000, 2 * self._pause_s), _LONGEST_PAUSE_S)
            self._retry_at_s = self._clock.monotonic() + self._pause_s
        else:
            self._teller.recovered()
            self._pause_s = 0.0
        if trouble_before is None and self._teller.trouble is not None:
            give_back()  # here, where nothing holds the fault any more
        self._total.add(tally)
        self._publish(files)
        return self._report(tally, behind=behind)

    def counters(self) -> IngestCounters:
        """What was done since the start, as of the end of the last pass. May be asked from any thread."""
        return self._counters

    def close(self) -> None:
        """Close every file. What has been stored is safe already."""
        for source in self._files or ():
            source.close()
        self._files = None

    def _report(self, tally: Tally, *, behind: bool) -> IngestReport:
        return IngestReport(
            events=tally.events,
            duplicates=tally.duplicates,
            bytes=tally.bytes,
            malformed=dict(tally.malformed),
            notes=dict(tally.notes),
            lag_bytes=self._counters.lag_bytes,
            files=self._counters.files,
            behind=behind,
            trouble=self._teller.trouble,
        )

    def _pass(self, tally: Tally) -> tuple[int, bool]:
        """Take turns, a block a file, until nothing is left or the limit is reached: files seen, whether more waits."""
        found = scan(self._config.paths)
        if self._past is None:
            self._past = {file.inode for file in found.files if file.rotated}
        if self._files is None:
            self._files = self._begin(found.files, self._past)
        self._put_refused(tally)
        problems = {path: problem(error) for path, error in found.problems.items()}
        order = self._files.order(found.files)
        first = next((place for place, (inode, _) in enumerate(order) if inode == self._next), 0)
        queue = deque(order[first:] + order[:first])
        while queue and tally.bytes < self._pass_bytes:
            turn = queue.popleft()
            if self._turn(self._files, *turn, tally, problems):
                queue.append(turn)
        self._next = queue[0][0] if queue else None
        self._teller.unreadable(self._teller.problems | problems if queue else problems)
        return len(found.files), bool(queue)

    def _begin(self, found: list[Found], past: set[Inode]) -> Files:
        """Take up where the last process stopped. Files that had been rotated before a glob was first watched are the
        past: they are declared as read."""
        checkpoints = self._store.checkpoints()
        files = Files(Consumed(checkpoints.values()), open_limit=self._open_limit)
        unwatched = {pattern for pattern in self._config.paths if _glob_identity(pattern) not in checkpoints}
        for file in found:
            if file.inode in past and file.pattern in unwatched:
                try:
                    place = files.past(file)
                except (OSError, Unreadable) as error:
                    logger.warning("can't read %s: %s", shown(file.path), problem(error))
                    continue
                if place is not None:
                    self._store.append(Batch((), (), place))
        for pattern in sorted(unwatched):
            self._store.append(Batch((), (), Checkpoint(_glob_identity(pattern), shown(pattern), 0)))
        return files

    def _turn(self, files: Files, inode: Inode, found: Found | None, tally: Tally, problems: dict[str, str]) -> bool:
        """Store the next block of one file; whether it may have more."""
        now_s = self._clock.monotonic()
        source = None
        try:
            source = files.source(inode, found, now_s)
            if source is None:
                return False
            rested = source.superseded and now_s - source.changed_at >= self._superseded_idle_s
            over = not source.ended and (rested or source.fixed)
            if source.waiting and not over:
                return False
            block = source.read(PROBE_LINES if self._pause_s else self._batch_lines, to_the_end=over)
        except Replaced:
            if source is not None and source.size > source.offset:
                logger.warning(
                    "%s was replaced when %d of its %d bytes had been read: the rest is read from its rotated copy, if "
                    "there is one",
                    shown(source.path), source.offset, source.size,
                )  # fmt: skip
            files.forget(inode)
            return found is not None
        except (OSError, Unreadable) as error:
            path = found.path if found is not None else source.path if source is not None else ""
            problems[path] = problem(error)
            return False
        if block is not None:
            self._keep(files, source, block, tally)
            files.rest(source)
            return True
        if over and source.waiting:
            source.ended = True
            if found is None:
                files.forget(inode)
        files.rest(source)
        return not source.waiting

    def _keep(self, files: Files, source: Source, block: Block, tally: Tally) -> None:
        """Quarantine first, then events and place in one step: a crash in between repeats, and never skips."""
        origin = block.head.origin()
        decoded = self._decoded(block, origin)
        misfits = [
            Misfit(shown(source.path), origin, offset, malformed, block.length or len(malformed.line))
            for malformed, offset in zip(decoded.malformed, decoded.malformed_offsets, strict=True)
        ]
        self._put_aside(misfits, tally)
        self._put.update(misfit.key() for misfit in misfits)
        place = Checkpoint(block.head.identity(), shown(source.path), block.end)
        appended = self._store.append(Batch(decoded.events, decoded.lines, place))
        self._pause_s = 0.0
        files.consumed.record(block.head, block.end)
        source.advance(block)
        self._put.difference_update(misfit.key() for misfit in misfits)
        tally.events += appended.stored
        tally.duplicates += appended.duplicates
        tally.bytes += block.end - block.start
        tally.notes.update(decoded.notes)
        if decoded.events:
            tally.saw(max(event.timestamp for event in decoded.events))
        for note in decoded.notes:
            self._teller.once(shown(source.path), note, NOTE_HINTS[note])
        self._refused += _refused(source, block, origin, appended.refused)
        self._put_refused(tally)

    def _decoded(self, block: Block, origin: str) -> Decoded:
        if block.length:
            malformed = Malformed(
                block.lines[0],
                MalformedReason.LINE_TOO_LONG,
                f"the line has {block.length} bytes, more than {MAX_LINE_BYTES}; its beginning is kept",
                "write one event a line and no picture data into it",
            )
            return Decoded(malformed=[malformed], malformed_offsets=[block.start])
        return decode_batch(
            block.lines,
            now_ms=self._clock.now_ms(),
            max_age_ms=self._config.max_age_ms,
            max_future_ms=self._config.max_future_ms,
            identity=origin,
            offset=block.start,
        )

    def _put_aside(self, misfits: list[Misfit], tally: Tally) -> None:
        """Quarantine and count, but for the lines that were when the same block could not be stored before."""
        misfits = [misfit for misfit in misfits if misfit.key() not in self._put]
        tally.not_quarantined += self._quarantine.put(misfits, self._clock.now_ms())
        for misfit in misfits:
            malformed = misfit.malformed
            tally.malformed[malformed.reason] += 1
            text = f"the line at byte {misfit.offset} is malformed: {malformed.detail}; {malformed.hint}"
            self._teller.once(misfit.file, malformed.reason, text)

    def _put_refused(self, tally: Tally) -> None:
        """Quarantine what the store refused; kept in memory while the quarantine can't be written."""
        self._put_aside(self._refused, tally)
        self._refused = []

    def _publish(self, files: int) -> None:
        total = self._total
        sources = self._files
        self._counters = IngestCounters(
            events_total=total.events,
            duplicates_total=total.duplicates,
            bytes_total=total.bytes,
            malformed_total=dict(total.malformed),
            notes_total=dict(total.notes),
            not_quarantined_total=total.not_quarantined,
            lag_bytes=sum(source.lag_bytes() for source in sources or ()),
            last_event_ms=total.last_event_ms,
            files=files,
            files_open=0 if sources is None else sources.open_count(),
            problems={shown(path): text for path, text in self._teller.problems.items()},
            trouble=self._teller.trouble,
        )


def _refused(source: Source, block: Block, origin: str, refused: tuple[Malformed, ...]) -> list[Misfit]:
    """The place of each line that the store refused; of one that had been mended, the place of its block."""
    if not refused:
        return []
    starts = accumulate((len(line) + 1 for line in block.lines), initial=block.start)
    places = dict(zip(block.lines, starts, strict=False))
    return [
        Misfit(shown(source.path), origin, places.get(malformed.line, block.start), malformed, len(malformed.line))
        for malformed in refused
    ]


def _glob_identity(pattern: str) -> str:
    """The checkpoint that says this glob has been watched before."""
    return "glob-" + hashlib.blake2b(os.fsencode(pattern), digest_size=16).hexdigest()
