"""How well the product names the cause of an incident, apart from whether and when anything was found.

    python -m benchmarks.scenarios.suspects [--seeds 4] [--draws 5] [--kinds dark_camera …]

Somebody who knows what happened points at the bad events (`Symptom`) of ten minutes, or of as many more as it takes
until there are fifty (at night one camera has five in ten minutes); the product's message says what they share. The
planted cause must be the first of at most three. Prints one JSON object.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions
from benchmarks.scenarios import bulk
from benchmarks.scenarios.judge import rank_of
from benchmarks.scenarios.kinds import KINDS
from benchmarks.scenarios.options import add_options, shipped_rules
from benchmarks.scenarios.told import suspects_told
from benchmarks.scenarios.traffic import MINUTE_MS
from benchmarks.scenarios.truth import Named, Onset, Symptom, Truth
from benchmarks.scenarios.world import LEAD_MS, Scenario, copied, make_scenario, make_world, opened
from daemon.alerts.model import Alert, State
from daemon.store.base import Ask, EventStore
from detectors.condition import Not, all_of
from detectors.evidence import against_the_past, beyond
from detectors.finding import Evidence, Expected, Finding, Reason
from detectors.frame import Interval
from detectors.keys import key_condition
from detectors.query import Measure, Query, Statistic
from rules.model import Rule, Severity

STEP_MS = 10 * MINUTE_MS
ENOUGH = 50
"""Bad events to look at, if the incident has as many."""
NORMAL_PERCENT = 95.0
"""Beyond what so many in a hundred stayed within before, a value is bad."""
BARS = {"cause_first": 0.9, "aim": 0.97}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_options(parser)
    given = parser.parse_args()
    rule = shipped_rules(given.rules)[0]
    began = time.perf_counter()
    ranks: dict[str, list[int | None]] = {}
    for scenario, symptom in _scenarios(given):
        named = named_causes(scenario, symptom, rule)
        rank = rank_of(named, scenario.truth)
        ranks.setdefault(scenario.truth.kind, []).append(rank)
        if rank != 1:
            print(f"{scenario.truth.kind} of {scenario.truth.causes}: named {named}", file=sys.stderr, flush=True)
    report = {
        "benchmark": "suspects",
        "conditions": conditions("duckdb", "numpy"),
        "seeds": [given.first_seed, given.seeds],
        "draws": given.draws,
        "seconds": round(time.perf_counter() - began, 1),
        "bars": BARS,
        **_summary([rank for of_kind in ranks.values() for rank in of_kind]),
        "kinds": {kind: _summary(of_kind) for kind, of_kind in ranks.items()},
    }
    print(json.dumps(report, indent=2))
    return 0


def _scenarios(given: argparse.Namespace) -> Iterator[tuple[Scenario, Symptom]]:
    """Nothing has to be learned here: a past of a day without rules does."""
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        with tempfile.TemporaryDirectory() as folder:
            world = make_world(seed, 1, (), Path(folder))
            for kind in given.kinds:
                for draw in range(given.draws):
                    scenario = make_scenario(world, KINDS[kind], draw)
                    if scenario.truth.symptom is not None:
                        yield scenario, scenario.truth.symptom


def _summary(ranks: Sequence[int | None]) -> dict[str, Any]:
    return {
        "scenarios": len(ranks),
        "cause_first": round(ranks.count(1) / len(ranks), 4),
        "cause_named": round(sum(rank is not None for rank in ranks) / len(ranks), 4),
    }


def named_causes(scenario: Scenario, symptom: Symptom, rule: Rule) -> tuple[Named, ...]:
    """What the product's message about the bad events names."""
    with tempfile.TemporaryDirectory() as folder:
        path = copied(scenario.world, Path(folder) / "events.duckdb")
        bulk.write(path, scenario.pictures.take(scenario.pictures.at_ms < scenario.truth.end_ms), scenario.world.fleet)
        with opened(path) as store:
            return suspects_told(store, rule, _alert(rule, _finding(store, scenario.truth, symptom)))


def _finding(store: EventStore, truth: Truth, symptom: Symptom) -> Finding:
    """What somebody who knows the incident would have found."""
    evidence = _evidence(store, truth, symptom)
    return Finding(
        key=symptom.key,
        at_ms=evidence.interval.end_ms,
        since_ms=truth.start_ms,
        reason=Reason.VALUE_TOO_HIGH,
        observed=1.0,
        expected=Expected(high=0.0),
        unit="",
        score=2.0,
        evidence=evidence,
    )


def _evidence(store: EventStore, truth: Truth, symptom: Symptom) -> Evidence:
    """That of the shortest window with `ENOUGH` bad events, or of the whole incident."""
    steps = range(STEP_MS, truth.end_ms - truth.start_ms + STEP_MS, STEP_MS)
    windows = [_window(truth, min(length_ms, truth.end_ms - truth.start_ms)) for length_ms in steps]
    bound = None
    if symptom.field:
        bound = _normal_bound(store, symptom, Interval(truth.start_ms - LEAD_MS // 2, truth.start_ms))
    found = [_evidence_in(window, symptom, bound) for window in windows]
    return next((evidence for evidence in found if _bad_events(store, symptom, evidence) >= ENOUGH), found[-1])


def _window(truth: Truth, length_ms: int) -> Interval:
    """What comes gradually is looked at when it is worst."""
    if truth.onset is Onset.GRADUAL:
        return Interval(truth.end_ms - length_ms, truth.end_ms)
    return Interval(truth.start_ms, truth.start_ms + length_ms)


def _evidence_in(window: Interval, symptom: Symptom, bound: float | None) -> Evidence:
    if bound is not None:
        return beyond(symptom.where, symptom.field, bound, window, high=symptom.high)
    if symptom.bad is None:
        return against_the_past(symptom.where, window)
    return Evidence(window, all_of(symptom.where, symptom.bad), all_of(symptom.where, Not(symptom.bad)))


def _bad_events(store: EventStore, symptom: Symptom, evidence: Evidence) -> float:
    query = Query(where=all_of(evidence.bad, key_condition(symptom.key)), measures=(Measure("count"),), bucket_ms=0)
    (frame,) = store.ask([Ask(query, evidence.interval, evidence.interval.start_ms)])
    counts = [count for series in frame.series for count in series.values["count"]]
    return sum(count for count in counts if isinstance(count, (int, float)))


def _normal_bound(store: EventStore, symptom: Symptom, before: Interval) -> float:
    """The edge of what was normal before."""
    percent = NORMAL_PERCENT if symptom.high else 100 - NORMAL_PERCENT
    measure = Measure("edge", Statistic.PERCENTILE, symptom.field, percent)
    query = Query(where=all_of(symptom.where, key_condition(symptom.key)), measures=(measure,), bucket_ms=0)
    (frame,) = store.ask([Ask(query, before, before.start_ms)])
    value = frame.series[0].values["edge"][0]
    if not isinstance(value, float):
        raise SystemExit(f"no {symptom.field} came before the incident")
    return value


def _alert(rule: Rule, finding: Finding) -> Alert:
    return Alert(
        id="planted",
        rule_id=rule.id,
        key=finding.key,
        state=State.FIRING,
        severity=Severity.WARNING,
        active_at_ms=finding.at_ms,
        last_seen_ms=finding.at_ms,
        finding=finding,
        peak=finding,
        fired_at_ms=finding.at_ms,
    )


if __name__ == "__main__":
    sys.exit(main())
