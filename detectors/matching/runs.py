"""Joining the runs of single buckets to runs across buckets."""

from dataclasses import dataclass, field

from detectors.frame import Run, RunSummary


@dataclass(frozen=True, slots=True)
class Streaking:
    """A run that is long enough: ``length`` outcomes ``value`` from start_ms to end_ms, the last in ``bucket_ms``."""

    value: str
    length: int
    start_ms: int
    end_ms: int
    bucket_ms: int


@dataclass(slots=True)
class _Row:
    """The run that is growing: its pieces by bucket, and what it was when it was last long enough."""

    value: str
    pieces: list[tuple[int, Run]] = field(default_factory=list)
    reached: Streaking | None = None


@dataclass(slots=True)
class RunJoiner:
    """Takes bucket after bucket and knows the run that is going on.

    times      how long a run must be
    within_ms  only outcomes that lie this close together are joined, to the precision of a bucket
    """

    times: int
    within_ms: int
    _row: _Row | None = None
    _ended: list[Streaking] = field(default_factory=list)

    def feed(self, bucket_ms: int, summary: RunSummary) -> None:
        """The outcomes of the next bucket that has any."""
        if summary.prefix is None:
            self._close()
        else:
            self._extend(bucket_ms, summary.prefix)
        if summary.whole:
            return
        for run in summary.inner:
            self._close()
            self._extend(bucket_ms, run)
        self._close()
        if summary.suffix is not None:
            self._extend(bucket_ms, summary.suffix)

    def open_at(self, now_ms: int) -> Streaking | None:
        """The run that is long enough and still open; one without news for ``within_ms`` is over."""
        if self._row is not None and self._row.pieces[-1][1].end_ms <= now_ms - self.within_ms:
            self._close()
        if self._row is None or self._length(self._row) < self.times:
            return None
        return self._row.reached

    def take_ended(self) -> list[Streaking]:
        """The runs that were long enough at some time and have ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def _extend(self, bucket_ms: int, run: Run) -> None:
        row = self._row
        if row is None or row.value != run.value or run.start_ms - row.pieces[-1][1].end_ms > self.within_ms:
            self._close()
            row = self._row = _Row(run.value)
        row.pieces = [piece for piece in row.pieces if piece[0] >= bucket_ms - self.within_ms]
        row.pieces.append((bucket_ms, run))
        length = self._length(row)
        if length >= self.times:
            row.reached = Streaking(row.value, length, row.pieces[0][1].start_ms, run.end_ms, bucket_ms)

    def _close(self) -> None:
        if self._row is not None and self._row.reached is not None:
            self._ended.append(self._row.reached)
        self._row = None

    @staticmethod
    def _length(row: _Row) -> int:
        return sum(run.length for _, run in row.pieces)
