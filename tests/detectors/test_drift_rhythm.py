"""A rhythm of the day is no drift once it is known, and what departs from it still is: scores and labels."""

import zlib
from collections import Counter
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from detectors.finding import Detection, Finding, Memory, Reason
from detectors.frame import Bins, Counts, Frame, Interval, Key, Series, Value
from detectors.memory import Packed, recall, remember
from detectors.statistical.confidence_drift import ConfidenceDrift
from detectors.statistical.confidence_memory import State as ScoreState
from detectors.statistical.confidence_memory import Watch as ScoreWatch
from detectors.statistical.label_drift import LabelDrift
from detectors.statistical.label_memory import State as LabelState
from detectors.statistical.label_memory import Watch as LabelWatch
from detectors.stats.same_time import SameTime
from detectors.stats.scores import EDGES
from tests.detectors.noise import MINUTE_MS

BUCKET_MS = 5 * MINUTE_MS
DAY_MS = 86_400_000
T0_MS = 19_000 * DAY_MS
PER_DAY = DAY_MS // BUCKET_MS
KEY: Key = (("model_name", "a"),)
SCORES = 120

Row = dict[str, Value]


def at_night(number: int) -> bool:
    return not 7 <= number * BUCKET_MS / 3_600_000 % 24 < 19


def scores(number: int, random: np.random.Generator, fall: float) -> Row:
    """Lower by .1 at night; ``fall`` comes on top."""
    drawn = np.clip(random.beta(12.0, 2.0, SCORES) - 0.1 * at_night(number) - fall, 0, 1)
    bins = Counter(np.searchsorted(EDGES, drawn, side="right").tolist())
    return {
        "count": float(SCORES),
        "sum": float(drawn.sum()),
        "squares": float((drawn**2).sum()),
        "scores": Bins(tuple(sorted(bins.items()))),
    }


def labels(number: int, random: np.random.Generator, stuck: float) -> Row:
    """Other labels at night, of which the third one gets ``stuck``."""
    drawn = random.integers(0, 12, SCORES) + 8 * at_night(number)
    drawn = np.where(random.random(SCORES) < stuck, 15, drawn)
    counts = tuple((f"label {label}", count) for label, count in Counter(drawn.tolist()).most_common())
    return {"count": float(SCORES), "labels": Counts(counts)}


def judged(detector: ConfidenceDrift | LabelDrift, rows: list[Row], first: int, memory: dict[Key, Memory]) -> Detection:
    starts = tuple(T0_MS + (first + number) * BUCKET_MS for number in range(len(rows)))
    series = Series(KEY, starts, {name: tuple(row[name] for row in rows) for name in rows[0]})
    return detector.detect(Frame(Interval(starts[0], starts[-1] + BUCKET_MS), starts[0], BUCKET_MS, (series,)), memory)


MAKES: dict[
    str, tuple[ConfidenceDrift | LabelDrift, Callable[[int, np.random.Generator, float], Row], float, Reason]
] = {
    "scores": (ConfidenceDrift(bucket="5m", min_history="2h"), scores, 0.15, Reason.CONFIDENCE_DRIFT),
    "labels": (LabelDrift(bucket="5m", min_history="2h"), labels, 0.4, Reason.LABEL_STUCK),
}


@pytest.mark.parametrize("what", sorted(MAKES))
def test_a_rhythm_falls_silent_and_what_departs_from_it_is_found(what: str) -> None:
    """Ten days with another night: told at first, silent in the last five; then the night is a wrong one."""
    detector, make, change, reason = MAKES[what]
    random = np.random.default_rng(7)
    calm = [make(number, random, 0.0) for number in range(10 * PER_DAY)]
    learned = judged(detector, calm, 0, {})
    days = Counter((finding.at_ms - T0_MS) // DAY_MS for finding in learned.findings)
    assert days[0] + days[1] > 0
    assert sum(days[day] for day in range(5, 10)) == 0

    night = 10 * PER_DAY + 21 * PER_DAY // 24
    evening = [make(number, random, 0.0) for number in range(10 * PER_DAY, night)]
    before = judged(detector, evening, 10 * PER_DAY, dict(learned.memory))
    wrong = [make(number, random, change) for number in range(night, night + PER_DAY // 12)]
    after = judged(detector, wrong, night, dict(before.memory))
    assert not before.findings
    found: list[Finding] = [finding for finding in after.findings if finding.reason is reason]
    assert found
    assert found[0].at_ms <= T0_MS + night * BUCKET_MS + 3_600_000


def test_scores_as_version_2_remembered_them_are_still_used() -> None:
    """All blocks in one piece, with the rhythm and without it: what is known goes on."""
    detector, random = ConfidenceDrift(bucket="5m", min_history="2h"), np.random.default_rng(3)
    rows = [scores(number, random, 0.0) for number in range(80)]
    state = recall(judged(detector, rows, 0, {}).memory[KEY], ScoreState)
    assert state is not None
    blocks, whole = bytes(ScoreWatch.of(state).record.rows), whole_row(state.rhythm, state.now, 4)
    more = judged(detector, [scores(80, random, 0.0)], 80, {KEY: remember(state)})
    for same_time in (whole, b""):
        checksum = zlib.crc32(blocks + state.fit + state.stakes + same_time)
        old = ScoreState(
            version=2,
            query=state.query,
            judged_ms=state.judged_ms,
            rows=blocks,
            fit=state.fit,
            fit_age=state.fit_age,
            stakes=state.stakes,
            same_time=same_time,
            checksum=checksum,
        )
        again = judged(detector, [scores(80, np.random.default_rng(4), 0.0)], 80, {KEY: remember(old)})
        assert detector.progress(again.memory[KEY]).seen == detector.progress(more.memory[KEY]).seen > 20
        assert recall(again.memory[KEY], ScoreState).version == 3  # type: ignore[union-attr]


def test_labels_as_version_3_remembered_them_are_still_used() -> None:
    """Views by view, labels and rhythm in one piece each: the next blocks leave the same behind."""
    detector, random = LabelDrift(bucket="5m", min_history="2h"), np.random.default_rng(3)
    rows = [labels(number, random, 0.0) for number in range(90)]
    state = recall(judged(detector, rows[:80], 0, {}).memory[KEY], LabelState)
    assert state is not None
    parts = {
        "references": LabelWatch.of(state).references.tobytes(),
        "seen": state.known.data,
        "same_time": whole_row(state.rhythm, state.now, 16),
        "known": Packed(),
        "settled": Packed(),
        "newest": b"",
        "skipped": 0,
        "rhythm": Packed(),
        "now": b"",
    }
    old = msgspec.structs.replace(state, version=3, **parts)
    old = msgspec.structs.replace(old, checksum=old.vouched())
    new, again = (judged(detector, rows[80:], 80, {KEY: remember(one)}).memory[KEY] for one in (state, old))
    one, other = (recall(memory, LabelState) for memory in (new, again))
    assert one is not None
    assert other is not None
    assert other.version == 4
    assert (LabelWatch.of(one).references == LabelWatch.of(other).references).all()
    assert (one.known.data, one.rhythm.data, one.now) == (other.known.data, other.rhythm.data, other.now)
    assert (one.stakes, one.slots, one.names) == (other.stakes, other.slots, other.names)


def whole_row(learned: Packed, now: bytes, channels: int) -> bytes:
    """A rhythm in one piece, even where nothing has been learned yet."""
    rest = SameTime(channels).row.nbytes - 4 * channels
    return (learned.data or bytes(rest)) + now
