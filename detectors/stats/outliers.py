"""Are several measures of a bucket odd together? An isolation forest, calibrated, judged over neighbouring buckets.

A row holds a bucket's measures. The forest grows from the rows that are remembered, again after every so many new ones;
how odd a row is, is counted in robust deviations of the scores of the rows the forest grew from. The mean over the
last `PERSIST` buckets is judged: its upper tail (`detectors.stats.tail`) says how often chance alone gives as much.
Each row is scored before the forest knows it.
"""

import functools
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np

from detectors.stats.isolation import Forest, Rows, grow
from detectors.stats.robust import change_start, upper_scale
from detectors.stats.series import Floats
from detectors.stats.tail import Tail, needed

PERSIST: Final = 3
"""Neighbouring buckets whose mean oddity is judged: one odd bucket alone is noise."""

MOST_MEASURES: Final = 8
_NUMBERS_KEPT = 6_400
_MOST_ROWS = 2_000
_RECENT = 12
_FITTED_KEPT = 256
"""Forests that are held ready, at most 0.4 MB each; one that is asked for again is grown again."""
_LARGEST = 1e30
_LEAST_SPREAD = 0.01
"""Scores go from 0 to 1; where nearly all are equal, this much is one deviation."""
_OVER = 0.5
"""An alarm is over when the oddity falls below this share of the height at which it began."""


class Moment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A judged bucket: its start, how odd it was alone, and its row (NaN is written as None)."""

    start_ms: int
    oddity: Annotated[float, msgspec.Meta(ge=0, le=1e6)]
    row: tuple[float | None, ...]


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of a series. ``rows`` and ``odd`` are packed float32; the forest grew from the first
    ``trained`` rows; ``odd`` are the rows of the alarm that began at ``since_ms``."""

    rows: bytes = b""
    trained: Annotated[int, msgspec.Meta(ge=0, le=_MOST_ROWS)] = 0
    odd: bytes = b""
    tail: Tail = msgspec.field(default_factory=Tail)
    recent: tuple[Moment, ...] = ()
    since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """How to learn, in buckets of ``bucket_ms``: rows of ``width`` measures; ``least`` rows before the first forest,
    of at most ``most`` rows, a new one after ``retrain``; ``interval`` buckets between false alarms; what has lasted
    for ``adapt`` buckets is the new usual."""

    bucket_ms: int
    width: int
    least: int
    most: int
    retrain: int
    interval: float
    adapt: int

    @property
    def needed(self) -> int:
        """Rows that must have been seen before the promise can be kept."""
        return self.least + needed(self.interval)


def rows_kept(width: int) -> int:
    """The longest history of so many measures: what fits in the memory of a series."""
    return min(_MOST_ROWS, _NUMBERS_KEPT // width)


@dataclass(frozen=True, slots=True)
class Verdict:
    """An alarm: the oddity and the height that it reached, since when, how many buckets lie between two such by chance,
    and per measure what it was, what it usually is, and its share in the oddity."""

    oddity: float
    height: float
    since_ms: int
    interval: float
    row: Floats
    usual: Floats
    shares: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """``usual`` and ``scale`` even the measures out, ``axes`` turn them into independent ones of deviation 1, whose
    largest values so far are ``reach``; of the scores of such rows ``middle`` is usual and ``spread`` one deviation."""

    usual: Floats
    scale: Floats
    axes: Floats
    reach: Floats
    forest: Forest
    middle: float
    spread: float

    def oddities(self, rows: Rows) -> Floats:
        """How many deviations the rows' scores lie above the usual one, at least 0. A missing value is as usual.

        Beyond all it has seen a forest can't tell how far: there the distance is added.
        """
        turned = _evened(rows, self.usual, self.scale) @ self.axes
        odd = np.maximum(self.forest.scores(turned.astype(np.float32)) - self.middle, 0.0) / self.spread
        found: Floats = odd + np.maximum(np.abs(turned) - self.reach, 0.0).sum(axis=1)
        return found

    def shares(self, rows: Rows) -> Floats:
        """By how much the oddity would fall if a measure had its usual value: one number per measure, of sum 1."""
        whole = self.oddities(rows).mean()
        without = np.empty(rows.shape[1])
        for index in range(rows.shape[1]):
            mended = rows.copy()
            mended[:, index] = np.nan
            without[index] = self.oddities(mended).mean()
        falls = np.maximum(whole - without, 0.0)
        total = falls.sum()
        found: Floats = falls / total if total > 0 else np.full(len(falls), 1.0 / len(falls))
        return found


def _evened(rows: Rows, usual: Floats, scale: Floats) -> Floats:
    """Rows whose measures can be compared: deviations from the usual value, far ones drawn in."""
    return np.nan_to_num(np.arcsinh((rows.astype(np.float64) - usual) / scale), nan=0.0)


def _axes(evened: Floats) -> Floats:
    """Turns rows so that measures which go together become axes of deviation 1: a cut along an axis then sees what does
    not fit together. An axis along which nothing ever moved counts a hundredth of the mean deviation as one."""
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(evened, rowvar=False, bias=True)))
    least = max(1e-4 * float(variances.mean()), 1e-12)
    found: Floats = axes / np.sqrt(np.maximum(variances, least))
    return found


@functools.lru_cache(maxsize=_FITTED_KEPT)
def _fitted(content: bytes, width: int) -> _Fitted:
    """Remembered by content: a pure function, so that forgetting one costs time and nothing else."""
    rows = np.frombuffer(content, np.float32).reshape(-1, width)
    known = [np.sort(column[~np.isnan(column)]).astype(np.float64) for column in rows.T]
    usual = np.array([np.median(column) if len(column) else 0.0 for column in known])
    scale = np.array([_scale(column) for column in known])
    evened = _evened(rows, usual, scale)
    axes = _axes(evened)
    turned = (evened @ axes).astype(np.float32)
    forest = grow(turned)
    middle, spread = upper_scale(forest.scores(turned))
    return _Fitted(usual, scale, axes, np.abs(turned).max(axis=0), forest, middle, max(spread, _LEAST_SPREAD))


def _scale(column: Floats) -> float:
    """Twice the width of the middle half, within which values are nearly kept; of what there is if that is 0."""
    if not len(column):
        return 1.0
    low, high = np.quantile(column, (0.25, 0.75))
    return float(2 * (high - low) or column.std() or abs(column[0]) or 1.0)


class Watch:
    """One series, bucket after bucket."""

    def __init__(self, plan: Plan, learned: Learned) -> None:
        """Raises ValueError when what is remembered does not fit the plan."""
        self._plan = plan
        self._rows = _unpacked(learned.rows, plan.width)
        self._odd = _unpacked(learned.odd, plan.width)
        self._trained = learned.trained
        if self._trained > len(self._rows) or any(len(one.row) != plan.width for one in learned.recent):
            raise ValueError("not a memory of this plan")
        self._tail = learned.tail
        self._recent = list(learned.recent)
        self._since_ms = learned.since_ms

    @property
    def learned(self) -> Learned:
        return Learned(
            rows=self._rows.tobytes(),
            trained=self._trained,
            odd=self._odd.tobytes(),
            tail=self._tail,
            recent=tuple(self._recent),
            since_ms=self._since_ms,
        )

    @property
    def seen(self) -> int:
        """Rows that count towards `Plan.needed`."""
        return min(len(self._rows), self._plan.least) + min(self._tail.seen, needed(self._plan.interval))

    @property
    def alarmed(self) -> bool:
        return self._since_ms is not None

    def judge(self, start_ms: int, measures: Floats) -> Verdict | None:
        """Take in the next bucket: an alarm, or None. NaN stands for what was not measured."""
        row = np.clip(measures, -_LARGEST, _LARGEST).astype(np.float32)
        if not self._trained:
            self._learn(row)
            return None
        fitted = self._fitted()
        oddity = float(min(fitted.oddities(row[None])[0], 1e6))
        self._recent = [*self._recent[1 - _RECENT :], Moment(start_ms, oddity, _written(row))]
        pooled = sum(one.oddity for one in self._pool(start_ms)) / PERSIST
        if self._tail.seen < needed(self._plan.interval):
            self._tail.learn(pooled)
            self._learn(row)
            return None
        interval = self._tail.interval(pooled)
        if interval >= self._plan.interval:
            return self._alarm(start_ms, row, pooled, interval, fitted)
        if self._since_ms is not None and pooled >= _OVER * self._tail.height(self._plan.interval):
            self._set_aside(row)
            return None
        if self._since_ms is not None:
            self._end()
        self._tail.learn(pooled)
        self._learn(row)
        return None

    def accept(self) -> None:
        """The alarm that is going on was normal: what it showed is learned at once."""
        if self._since_ms is None:
            return
        self._rows = np.concatenate([self._rows, self._odd])
        self._end()
        self._train()

    def rebase(self) -> None:
        """What was usual is no longer; how scores vary is kept."""
        self._rows = self._rows[:0]
        self._trained = 0
        self._end()

    def _fitted(self) -> _Fitted:
        return _fitted(np.ascontiguousarray(self._rows[: self._trained]).tobytes(), self._plan.width)

    def _pool(self, start_ms: int) -> list[Moment]:
        """The newest buckets; after a gap there is less to go by."""
        return [one for one in self._recent if one.start_ms > start_ms - PERSIST * self._plan.bucket_ms]

    def _learn(self, row: Rows) -> None:
        """Remember a row. The forest grows anew when it has seen twice as much, and after every ``retrain``."""
        self._rows = np.concatenate([self._rows, row[None]])
        new = len(self._rows) - self._trained
        if new >= (min(self._trained, self._plan.retrain) if self._trained else self._plan.least):
            self._train()

    def _train(self) -> None:
        self._rows = self._rows[-self._plan.most :]
        self._trained = len(self._rows) if len(self._rows) >= self._plan.least else 0

    def _alarm(self, start_ms: int, row: Rows, pooled: float, interval: float, fitted: _Fitted) -> Verdict | None:
        height = min(self._tail.height(self._plan.interval), pooled)
        if self._since_ms is None:
            self._since_ms = self._began_ms(height)
            self._tail.learn_alarm(pooled, self._plan.interval)
            self._take_back(sum(self._since_ms <= one.start_ms < start_ms for one in self._recent))
        self._set_aside(row)
        since_ms = self._since_ms
        pool = np.array([one.row for one in self._pool(start_ms)], dtype=np.float32)
        verdict = Verdict(pooled, height, since_ms, interval, row.astype(np.float64), fitted.usual, fitted.shares(pool))
        if start_ms + self._plan.bucket_ms - since_ms < self._plan.adapt * self._plan.bucket_ms:
            return verdict
        self._rows = self._odd
        self._end()
        self._train()
        return None

    def _began_ms(self, height: float) -> int:
        excess = np.array([one.oddity for one in self._recent]) - height / 2
        return self._recent[change_start(excess)].start_ms

    def _set_aside(self, row: Rows) -> None:
        self._odd = np.concatenate([self._odd, row[None]])[-self._plan.most :]

    def _take_back(self, count: int) -> None:
        """The newest rows belong to the alarm: they were learned before it could be seen."""
        count = min(count, len(self._rows) - self._trained)
        if count:
            self._odd, self._rows = self._rows[-count:], self._rows[:-count]

    def _end(self) -> None:
        self._odd = self._odd[:0]
        self._recent = []
        self._since_ms = None


def _written(row: Rows) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in row)


def _unpacked(raw: bytes, width: int) -> Rows:
    """Raises ValueError when these are no rows of that width."""
    if len(raw) % (4 * width):
        raise ValueError("not a whole number of rows")
    rows = np.frombuffer(raw, np.float32).reshape(-1, width)
    if np.isinf(rows).any():
        raise ValueError("a row is not finite")
    return rows
