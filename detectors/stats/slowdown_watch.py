"""The test for a slowdown as a watch over many series: judge a bucket, raise or end alarms, learn from the rest."""

from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from detectors.stats import habits, rhythm
from detectors.stats.histograms import quantile
from detectors.stats.robust import change_start
from detectors.stats.rows import Layout, Rows
from detectors.stats.series import Floats
from detectors.stats.slowdown import (
    CHANNELS,
    DEPTH,
    LOCATION,
    WINDOWS,
    Contrasts,
    Ints,
    State,
    contrast,
    enter,
    fall,
    shapes,
    surprise,
)
from detectors.stats.slowdown_chance import chance_rates, promised_surprises
from detectors.stats.slowdown_learning import PRIOR_WANDER, learn

_NONE = -1
_CALM_BUCKETS = 5
_ECHO_BUCKETS = 10
"""The longest windows see for so long what is over."""
_FULL = 255
_LEAST_VALUES = 100
_NORMAL = NormalDist()

Pooled = NDArray[np.uint8]


@dataclass(frozen=True)
class Plan:
    """What is asked of the watch; spans are in buckets of ``bucket_ms``.

    edges             of the histograms, in the unit of the values
    false_per_bucket  the share of buckets that may begin a false alarm
    tails             the two quantiles beyond which values are counted
    min_change        smaller relative changes, and absolute ones below ``min_change_value``, are no alarm
    at_least          windows of fewer values say nothing
    """

    edges: Floats
    false_per_bucket: float
    min_history: float
    history: float
    adapt_after: float
    tails: tuple[float, float]
    min_change: float
    min_change_value: float
    at_least: int
    bucket_ms: int
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", Layout(shapes(self.bins)))

    @property
    def bins(self) -> int:
        return len(self.edges) + 1


@dataclass(slots=True)
class Batch:
    """The states of some series: numbers, the last buckets' histograms in 8 bits, and bucket numbers (-1: none).

    newest  the newest bucket that was judged
    since   the bucket in which the slowdown that is going on began
    """

    numbers: Rows
    pooled: Pooled
    newest: Ints
    since: Ints


@dataclass(frozen=True, slots=True)
class Slow:
    """One series is slow: what its newest buckets show, in the unit of the values.

    observed, usual  the ``share`` quantile of the window, and what it usually is at this time; ``high`` the bound
    score            how far out: surprise in multiples of what the promise asks for
    per_bucket       the share of buckets in which chance would give as much
    """

    row: int
    since: int
    tail: bool
    share: float
    observed: float
    usual: float
    high: float
    buckets: int
    values: int
    score: float
    per_bucket: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one bucket: the alarms, and for every row the raw score: the largest surprise, -ln of a probability.

    What is slow at this time of every day (`detectors.stats.habits`) is no alarm.
    """

    slow: tuple[Slow, ...]
    score: Floats


@dataclass(frozen=True)
class Watch:
    """Judges buckets by a plan. Stateless: all that changes is in the batch."""

    plan: Plan

    def fresh(self, count: int) -> Batch:
        """Series of which nothing is known."""
        state = self.plan.layout.split(np.zeros((count, self.plan.layout.width), np.float32))
        state["wander"][:] = np.repeat(np.array(PRIOR_WANDER)[:, None], 3, axis=1) * np.array([1.0, 1.0, 0.5])
        return Batch(
            self.plan.layout.join(state),
            np.zeros((count, DEPTH, self.plan.bins), np.uint8),
            np.full(count, _NONE, np.int64),
            np.full(count, _NONE, np.int64),
        )

    def step(self, batch: Batch, rows: Ints, histogram: Floats, number: int, at_ms: int) -> Verdict:
        """Judge and learn one bucket of some rows; ``batch`` is changed. Every bucket holds values.

        number  the running number of the bucket, larger than that of any bucket the rows have seen
        at_ms   its start, which tells the time of the day and the weekday (UTC)
        """
        plan = self.plan
        state = plan.layout.split(batch.numbers[rows])
        newest = batch.newest[rows]
        gap = np.where(newest == _NONE, 10 * DEPTH, number - newest)
        pooled = _pushed(batch.pooled[rows], histogram, gap)
        sums = enter(state, histogram, gap, at_ms, plan.tails)
        contrasts = contrast(state)
        surprises = surprise(contrasts, plan.at_least)
        largest = surprises.max(axis=1)
        rate = chance_rates(state, largest).min(axis=1)
        ready = state["learned"][:, 0] >= plan.min_history
        since = batch.since[rows]
        view = _View(plan, state, contrasts, surprises, pooled, at_ms)
        slow = self._alarms(view, np.flatnonzero(ready & (rate <= plan.false_per_bucket)), number, since)
        named = tuple(replace(one, row=int(rows[one.row])) for one in slow if self._is_news(view, one))
        calm = np.ones(len(rows), np.bool_)
        calm[[one.row for one in slow]] = False
        state["calm"][:, 0] = np.where(calm, state["calm"][:, 0] + 1.0, 0.0)
        since = np.where(state["calm"][:, 0] >= _CALM_BUCKETS, _NONE, since)
        lasted = (since != _NONE) & (number + 1 - since >= plan.adapt_after)
        for row in np.flatnonzero(lasted):
            start_anew(state, pooled, int(row), DEPTH)
        since = np.where(lasted, _NONE, since)
        learns = since == _NONE
        fallen = fall(contrasts, plan.at_least)
        learn(state, histogram, contrasts, surprises, fallen, learns & ~lasted, plan.history)
        moved = state["model"].copy()
        rhythm.observe(state, at_ms, sums, histogram.sum(axis=1), learns)
        _follow_model(state, moved, at_ms)
        batch.numbers[rows], batch.pooled[rows] = plan.layout.join(state), pooled
        batch.newest[rows], batch.since[rows] = number, since
        return Verdict(named, np.where(ready, largest.max(axis=1), 0.0))

    def _alarms(self, view: "_View", suspects: Ints, number: int, since: Ints) -> list[Slow]:
        """The suspects whose change matters; where one begins, what was learned since the change is taken back."""
        rates = chance_rates(view.state, view.surprises.max(axis=1))
        slow: list[Slow] = []
        for row in map(int, suspects):
            found = _Case(view, row).slow(number, int(since[row]), rates[row])
            if found is None:
                continue
            slow.append(found)
            if since[row] == _NONE:
                since[row] = found.since
                _forget_newest(view.state, view.pooled, row, number - found.since)
        return slow

    def _is_news(self, view: "_View", slow: Slow) -> bool:
        counts, pooled = view.state["count"][slow.row], view.pooled[slow.row]
        others = [width for width in WINDOWS if width < slow.buckets]
        windows = [_unpacked(pooled[:width], counts[:width]) for width in (slow.buckets, *others)]
        kept, reach_ms = view.state["habits"][slow.row], _ECHO_BUCKETS * self.plan.bucket_ms
        return habits.is_news(kept, windows, self.plan.edges, view.at_ms, reach_ms, self.plan.false_per_bucket)


@dataclass(frozen=True, slots=True)
class _View:
    """Everything about the newest bucket of some rows."""

    plan: Plan
    state: State
    contrasts: Contrasts
    surprises: Floats
    pooled: Pooled
    at_ms: int


@dataclass(frozen=True, slots=True)
class _Case:
    """One row whose newest bucket is too unusual for chance: does it matter, and since when?"""

    view: _View
    row: int

    def slow(self, number: int, since: int, rates: Floats) -> Slow | None:
        """The most surprising window and channel that shows a change that matters and is still going on."""
        plan, surprises = self.view.plan, self.view.surprises[self.row]
        scores = surprises / promised_surprises(self.view.state, self.row, plan.false_per_bucket)
        for place in np.argsort(-scores, axis=None, kind="stable"):
            window, channel = divmod(int(place), CHANNELS)
            score = float(scores[window, channel])
            if score < 1.0:
                return None
            if not self._goes_on(window, channel):
                continue
            share, usual, observed = self._levels(window, channel)
            bound = max(usual * (1.0 + plan.min_change), usual + plan.min_change_value)
            if not observed >= bound:
                continue
            return Slow(
                row=self.row,
                since=number - self._age(window, channel) if since == _NONE else since,
                tail=channel != LOCATION,
                share=share,
                observed=observed,
                usual=usual,
                high=max(bound, usual * (observed / usual) ** (1.0 / score)),
                buckets=WINDOWS[window],
                values=int(self.view.contrasts.values[self.row, window]),
                score=score,
                per_bucket=float(rates[channel]),
            )
        return None

    def _goes_on(self, window: int, channel: int) -> bool:
        """Not if only the older buckets of a long window are slow."""
        width = WINDOWS[window]
        if width < 5:  # too few to be divided
            return True
        newest = max(2, width // 3)
        held = self.view.state["count"][self.row, :newest].sum()
        if held <= 0:
            return False
        mean = self.view.state["excess"][self.row, :newest, channel].sum() / held
        rise = float(self.view.contrasts.rise[self.row, window, channel])
        return bool(mean - self.view.contrasts.level[self.row, window, channel] >= rise / 2)

    def _levels(self, window: int, channel: int) -> tuple[float, float, float]:
        """The quantile that shows the change best, its usual value and the window's."""
        usual, edges = self.view.state["usual"][self.row], self.view.plan.edges
        shown = _unpacked(
            self.view.pooled[self.row, : WINDOWS[window]], self.view.state["count"][self.row, : WINDOWS[window]]
        )
        if channel != LOCATION:
            share = 1.0 - float(self.view.contrasts.share[self.row, window, channel])
            return share, quantile(usual, edges, share), quantile(shown, edges, share)
        level = float(self.view.contrasts.level[self.row, window, LOCATION])
        level += float(rhythm.offset(self.view.state, self.view.at_ms)[self.row, LOCATION])
        return 0.5, quantile(usual, edges, _NORMAL.cdf(level)), quantile(shown, edges, 0.5)

    def _age(self, window: int, channel: int) -> int:
        """How many buckets ago the change began, most likely; 0: in the newest."""
        count, excess = self.view.state["count"][self.row], self.view.state["excess"][self.row, :, channel]
        middle = (
            self.view.contrasts.level[self.row, window, channel]
            + self.view.contrasts.rise[self.row, window, channel] / 2
        )
        oldest_first = (excess - count * middle)[::-1]
        return DEPTH - 1 - change_start(oldest_first)


def _pushed(pooled: Pooled, histogram: Floats, gap: Ints) -> Pooled:
    """The newest histogram in front, counts scaled down to 8 bits where they are larger."""
    source = np.arange(DEPTH)[None, :] - np.minimum(gap, DEPTH)[:, None]
    if np.all(gap == 1):
        moved = np.empty_like(pooled)
        moved[:, 1:] = pooled[:, :-1]
    else:
        moved = pooled[np.arange(len(gap))[:, None], np.maximum(source, 0)]
        moved[source < 0] = 0
    scale = np.maximum(histogram.max(axis=1, keepdims=True) / _FULL, 1.0)
    moved[:, 0] = np.rint(histogram / scale)
    return moved


def _unpacked(pooled: Pooled, counts: Floats) -> Floats:
    """The sum of some buckets' histograms, each brought back to its count."""
    held = pooled.sum(axis=-1, dtype=np.float64)
    factor = np.where(held > 0, counts / np.maximum(held, 1.0), 0.0)
    result: Floats = (pooled * factor[..., None]).sum(axis=-2)
    return result


def _forget_newest(state: State, pooled: Pooled, row: int, age: int) -> None:
    """Take out of what is usual the buckets from the change on, which were learned before it was noticed."""
    for name in ("short", "long"):
        for kind in (name, f"{name}_weight"):
            before = state[kind][row, age].copy()
            state[kind][row, :age] = before
            state[f"now_{kind}"][row] = before
    learned = _unpacked(pooled[row, 1 : age + 1], state["count"][row, 1 : age + 1])
    state["usual"][row] = np.maximum(state["usual"][row] - learned, 0.0)


def start_anew(state: State, pooled: Pooled, row: int, buckets: int) -> None:
    """What the newest ``buckets`` show becomes what is usual, and the levels start there; noise and season are kept.

    Too few values can't tell what is usual: then it is learned from the beginning.
    """
    held = state["count"][row, :buckets]
    state["usual"][row] = _unpacked(pooled[row, :buckets], held)
    if held.sum() < _LEAST_VALUES:
        state["learned"][row] = np.count_nonzero(held)
    for name in ("count", "excess", "expected", "short", "long", "short_weight", "long_weight"):
        state[name][row] = 0.0
    for name in ("now_short", "now_long", "now_short_weight", "now_long_weight", "slot_sum", "slot_count"):
        state[name][row] = 0.0
    pooled[row] = 0


def _follow_model(state: State, before: Floats, at_ms: int) -> None:
    """Where another season model was chosen the windows begin anew and the levels are told from its offset."""
    after = state["model"].copy()
    changed = np.flatnonzero((after != before).any(axis=1))
    if not len(changed):
        return
    part = {name: state[name][changed] for name in ("day", "week", "model")}
    new = rhythm.offset(part, at_ms)
    old = rhythm.offset(part | {"model": before[changed]}, at_ms)
    for name in ("short", "long"):
        state[f"now_{name}"][changed] += old - new
        state[name][changed] = state[f"now_{name}"][changed][:, None]
    for name in ("count", "excess", "expected"):
        state[name][changed] = 0.0
