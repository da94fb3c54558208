"""The kind `outlier`: what it finds and explains, what it keeps quiet about, and what it remembers."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.ensemble import IsolationForest

from detectors.base import Learner, Stage
from detectors.finding import Finding, Memory, Reason
from detectors.frame import Frame, Interval, Key, Series
from detectors.matching.threshold import MeasureName
from detectors.statistical.outlier import Outlier, Quantity
from detectors.stats.isolation import grow
from detectors.stats.outliers import rows_kept

BUCKET_MS = 300_000
T0_MS = 1_700_006_400_000
KEY: Key = (("model_name", "m"),)
MEASURES = (
    Quantity(measure=MeasureName.COUNT),
    Quantity(measure=MeasureName.AVG, field="duration_ms"),
    Quantity(measure=MeasureName.AVG, field="top1_score"),
)
Rows = NDArray[np.float64]


def outlier(**changes: Any) -> Outlier:
    """It knows enough after a hundred rows for the forest and a hundred and twenty for the promise."""
    settings = {"measures": MEASURES, "min_history": "500m", "adapt_after": "10h", "false_alarms": "1 per 2d"}
    return Outlier(**settings | changes)


def traffic(buckets: int, seed: int = 1) -> Rows:
    """Count, duration and score; the duration goes with the count, whatever the hour."""
    random = np.random.default_rng(seed)
    load = np.exp(0.6 * np.sin(np.arange(buckets) * 2 * np.pi / 144) + random.normal(0, 0.1, buckets))
    count = random.poisson(200 * load).astype(float)
    return np.stack([count, 150 * load * np.exp(random.normal(0, 0.03, buckets)), random.normal(0.9, 0.01, buckets)], 1)


def frame(rows: Rows, first: int = 0, shown: Sequence[int] | None = None) -> Frame:
    """Rows from ``first`` on are fresh; those of ``shown`` are there."""
    places = [place for place in (range(len(rows)) if shown is None else shown) if place >= first]
    starts = tuple(T0_MS + place * BUCKET_MS for place in places)
    values: dict[str, tuple[Any, ...]] = {"events": tuple(1.0 for _ in places)}
    for column in range(rows.shape[1]):
        values[f"m{column}"] = tuple(None if np.isnan(rows[p, column]) else float(rows[p, column]) for p in places)
    interval = Interval(T0_MS + first * BUCKET_MS, T0_MS + len(rows) * BUCKET_MS)
    return Frame(interval, interval.start_ms, BUCKET_MS, (Series(KEY, starts, values),) if places else ())


def judged(
    rows: Rows, detector: Outlier | None = None, shown: Sequence[int] | None = None
) -> tuple[list[Finding], Memory]:
    found = (detector or outlier()).detect(frame(rows, shown=shown), {})
    return list(found.findings), found.memory[KEY]


def after(finding: Finding) -> int:
    """The bucket whose end is the finding's time."""
    return (finding.at_ms - T0_MS) // BUCKET_MS - 1


ODD = slice(500, 520)


def night_load_at_day_speed(rows: Rows) -> Rows:
    """Few requests with the durations of many: each alone is nothing unusual."""
    changed = rows.copy()
    changed[ODD, 1] = 150 * np.exp(-0.55)
    changed[ODD, 0] = 200 * np.exp(0.55)
    return changed


def test_what_does_not_go_together_is_found_and_explained() -> None:
    """Both values are of every day; the alarm comes at once, tells since when, and does not blame the score."""
    findings, _ = judged(night_load_at_day_speed(traffic(530)))
    first = findings[0]
    assert 500 <= after(first) <= 503
    assert first.reason is Reason.OUTLIER
    assert abs(first.since_ms - (T0_MS + 500 * BUCKET_MS)) <= 2 * BUCKET_MS
    assert first.observed >= (first.expected.high or 0) > 0
    assert first.chance_days is not None
    assert first.chance_days >= 2
    blamed = [one["measure"] for one in first.details["measures"]]
    assert "avg of top1_score" not in blamed
    assert blamed[0] in first.details["value"]


def test_the_measure_that_moved_alone_is_named_first() -> None:
    rows = traffic(530)
    rows[ODD, 2] = 0.5
    findings, _ = judged(rows)
    told = findings[0].details["measures"][0]
    assert told["measure"] == "avg of top1_score"
    assert (told["observed"], told["usual"]) == pytest.approx((0.5, 0.9), abs=0.01)
    assert told["share"] > 0.8


@pytest.mark.parametrize("factor", [(1.0, 1000.0, 1.0), (0.001, 1.0, 50.0)])
def test_units_do_not_matter(factor: tuple[float, ...]) -> None:
    """Seconds or milliseconds: the same alarms."""
    rows = night_load_at_day_speed(traffic(530))
    plain, scaled = judged(rows)[0], judged(rows * np.array(factor))[0]
    assert [one.at_ms for one in plain] == [one.at_ms for one in scaled]


def test_one_odd_bucket_is_no_alarm_and_three_are() -> None:
    """A single bucket a little outside is noise; the mean of three neighbours is judged."""
    rows = traffic(530)
    rows[505, 2] = 0.84
    assert judged(rows)[0] == []
    rows[505:508, 2] = 0.84
    assert 505 < after(judged(rows)[0][0]) <= 508


def test_calm_traffic_stays_within_the_promise() -> None:
    """One alarm in two days is tolerated: four series of five days may give ten, and nine for good luck is nothing."""
    alarms = sum(len({one.since_ms for one in judged(traffic(1_440, seed))[0]}) for seed in range(4))
    assert alarms <= 8


def test_it_says_nothing_before_it_knows_enough_and_says_how_far_it_is() -> None:
    rows = traffic(200)
    rows[100:] = rows[100:] * 5
    findings, memory = judged(rows)
    assert findings == []
    progress = outlier().progress(memory)
    assert (progress.stage, progress.seen, progress.needed) == (Stage.WARMING_UP, 200, 220)
    assert progress.promised_days == 2.0
    assert outlier().progress(judged(traffic(300))[1]).stage is Stage.JUDGING
    assert outlier().progress({}).seen == outlier().progress({"version": 9}).seen == 0


def test_a_change_that_lasts_becomes_the_usual() -> None:
    """After ten hours the alarm is over, and what went before would be odd now."""
    rows = traffic(1_000)
    rows[500:, 2] -= 0.3
    findings, memory = judged(rows)
    assert after(findings[-1]) - 500 <= 121
    assert outlier().progress(memory).stage is Stage.JUDGING


def test_an_alarm_teaches_nothing_until_it_is_accepted() -> None:
    """The same incident again is an alarm again; once it was declared normal it is none."""
    rows = night_load_at_day_speed(traffic(512))
    again = np.concatenate([rows, traffic(60, 2), rows[500:512]])
    detector = outlier()
    _, memory = judged(rows, detector)
    assert detector.progress(memory).stage is Stage.ALARMED
    told = detector.detect(frame(again, first=512), {KEY: memory}).findings
    assert max(map(after, told), default=0) >= 572
    accepted = detector.accept(memory)
    assert detector.progress(accepted).stage is Stage.JUDGING
    quiet = detector.detect(frame(again, first=512), {KEY: accepted}).findings
    assert len(quiet) < len(told)
    assert detector.accept(accepted) == accepted


def test_a_planned_change_starts_anew() -> None:
    """The new level raises no alarm; how scores vary need not be learned again, so the wait is short."""
    rows = traffic(800)
    rows[512:, 2] -= 0.3
    detector = outlier()
    _, memory = judged(rows[:512], detector)
    rebased = detector.rebase(memory, T0_MS + 512 * BUCKET_MS)
    assert detector.progress(rebased).stage is Stage.WARMING_UP
    found = detector.detect(frame(rows, first=512), {KEY: rebased})
    assert found.findings == ()
    assert detector.progress(found.memory[KEY]).stage is Stage.JUDGING
    later = T0_MS + 900 * BUCKET_MS
    assert detector.rebase(memory, later) == memory, "the buckets before that time are still to come"


def test_gaps_and_missing_values_are_no_oddity() -> None:
    """A night without events, a bucket without scores, a measure that never came."""
    rows = traffic(600)
    rows[300:310, 2] = np.nan
    shown = [*range(280), *range(330, 600)]
    assert judged(rows, shown=shown)[0] == []
    rows[:, 2] = np.nan
    assert judged(rows)[0] == []


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_constant_series_is_calm_and_its_end_is_seen(value: float) -> None:
    rows = np.full((500, 3), value)
    assert judged(rows)[0] == []
    rows[400:, 1] = value + 3.0
    assert after(judged(rows)[0][0]) <= 402


def test_counters_that_reset_and_clocks_that_jump_do_no_harm() -> None:
    """A counter's saw teeth are learned like any values; a frame from before what was judged is not judged again."""
    rows = traffic(600)
    rows[:, 1] = np.arange(600) % 50 * 10.0
    findings, memory = judged(rows)
    assert len({one.since_ms for one in findings}) <= 2
    back = outlier().detect(frame(rows[:400]), {KEY: memory})
    assert back.findings == ()


def test_memory_is_small_and_of_no_use_to_other_measures() -> None:
    """The most that can be remembered: eight measures, a full history, an alarm that lasts."""
    measures = tuple(Quantity(measure=MeasureName.AVG, field=f"figure_{place}") for place in range(8))
    detector = outlier(measures=measures, adapt_after="31d", history="125h")
    most = rows_kept(8)
    rows = np.random.default_rng(5).lognormal(size=(most + 400, 8)) * 123.456
    rows[most:] *= 40
    _, memory = judged(rows, detector)
    assert len(json.dumps(memory)) < 100_000
    assert outlier().progress(memory).seen == 0


def test_memory_that_is_damaged_is_a_fresh_start() -> None:
    detector, (_, memory) = outlier(), judged(traffic(300))
    learned: Mapping[str, Any] = memory["learned"]
    for damage in ({"rows": "AAAA"}, {"rows": "###"}, {"trained": 10_000}, {"recent": [[1, 1.0, [1.0]]]}):
        broken = dict(memory) | {"learned": dict(learned) | damage}
        assert detector.progress(broken).seen == 0
        assert detector.accept(broken) == broken
        assert detector.detect(frame(traffic(310), first=300), {KEY: broken}).findings == ()


def test_the_kept_trees_score_like_scikit_learn() -> None:
    """The arrays are the forest: not a score differs."""
    rows = np.random.default_rng(2).normal(size=(700, 3)).astype(np.float32)
    theirs = IsolationForest(n_estimators=64, max_samples=256, random_state=20_081_215).fit(rows)
    others = np.random.default_rng(3).normal(scale=3, size=(200, 3)).astype(np.float32)
    assert grow(rows).scores(others) == pytest.approx(-theirs.score_samples(others), abs=1e-12)


def test_the_kind_is_loaded_without_scikit_learn() -> None:
    """Who uses no outlier rule pays for none; who does and lacks the extra is told what to install."""
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from detectors.statistical.outlier import Outlier\n"
        "try:\n    Outlier()\n"
        "except ValueError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'wumu[outlier]'" in told.stdout, told.stderr
    assert importlib.util.find_spec("sklearn") is not None
    code = "import sys; from detectors.statistical.outlier import Outlier; Outlier(); print('sklearn' in sys.modules)"
    quick = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert quick.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"measures": ()}, "at least one"),
        ({"measures": MEASURES * 3}, "at most 8"),
        ({"measures": (*MEASURES, MEASURES[0])}, "twice"),
        ({"retrain_every": "1s"}, "write 5m or longer"),
        ({"measures": [{"measure": "avg"}]}, "of what"),
        ({"measures": [{"measure": "percentile", "field": "duration_ms"}]}, "which percentile"),
        ({"bucket": "1m", "min_history": "2d", "adapt_after": "2d", "history": "1500m"}, "min_history"),
    ],
)
def test_parameters_that_make_no_sense_are_told(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        outlier(**given)


def test_it_is_a_learner() -> None:
    assert isinstance(outlier(), Learner)
