"""A scenario through the shipped rules: store, tick and lifecycle as in the live daemon."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.scenarios import bulk
from benchmarks.scenarios.judge import Alarm
from benchmarks.scenarios.lines import lines_of
from benchmarks.scenarios.told import suspects_told
from benchmarks.scenarios.traffic import DAY_MS, HOUR_MS, MINUTE_MS
from benchmarks.scenarios.world import Scenario, complete, copied, fired, opened
from daemon.alerts.model import Transition
from daemon.evaluate import RuleState, tick
from daemon.store.base import Batch
from daemon.store.duckdb.store import DuckDBStore
from detectors.condition import fields_of
from detectors.query import Measure, Query, Unmatched
from recognizer.decode_lines import decode_batch
from rules.model import Rule


def play(scenario: Scenario, rules: Sequence[Rule]) -> list[Alarm]:
    """The alerts that fired after the world's past, in order of time, each with its suspects."""
    by_id = {rule.id: rule for rule in rules}
    with tempfile.TemporaryDirectory() as folder:
        path = copied(scenario.world, Path(folder) / "events.duckdb")
        if not scenario.incident.stepwise:
            bulk.write(path, scenario.pictures, scenario.world.fleet)
        with opened(path) as store:
            alarms = [
                _alarm(moved, by_id[moved.alert.rule_id], store) for moved in _transitions(scenario, rules, store)
            ]
    return sorted(alarms, key=lambda alarm: (alarm.known_ms, alarm.rule))


def _transitions(scenario: Scenario, rules: Sequence[Rule], store: DuckDBStore) -> Iterator[Transition]:
    """One long tick finds what ticks every minute would find, unless events come late (`daemon.evaluate.tick`).

    The last one is at the end of the traffic: a minute later every host would be silent.
    """
    last_ms = scenario.end_ms
    states: Mapping[str, RuleState] = scenario.world.states
    if not scenario.incident.stepwise:
        yield from fired(complete(tick(rules, states, store, last_ms, DAY_MS)))
        return
    lines = lines_of(scenario.pictures, scenario.world.fleet)
    place = 0
    for now_ms in range(scenario.world.now_ms + MINUTE_MS, last_ms, MINUTE_MS):
        begin = place
        while place < len(lines) and lines[place].arrives_ms < now_ms:
            place += 1
        _append(store, [line.text for line in lines[begin:place]], now_ms)
        judged = complete(tick(rules, states, store, now_ms, DAY_MS))
        states = {**states, **{one.rule.id: one.state for one in judged}}
        yield from fired(judged)


def _append(store: DuckDBStore, lines: Sequence[bytes], now_ms: int) -> None:
    decoded = decode_batch(lines, now_ms=now_ms, max_age_ms=DAY_MS, max_future_ms=HOUR_MS)
    if decoded.malformed:
        raise SystemExit(f"the generator wrote a line that is no event: {decoded.malformed[0]}")
    store.append(Batch(decoded.events, decoded.lines))


def looked_at(query: Query) -> frozenset[str]:
    """The fields that a rule's query looks at; one that only counts events looks at their types."""
    conditions = [query.where]
    names: set[str] = set()
    for measure in query.measures:
        if isinstance(measure, Unmatched):
            conditions += [measure.start, measure.end]
        elif isinstance(measure, Measure):
            conditions.append(measure.where)
        if measure.field is not None:
            names.add(measure.field)
    for condition in conditions:
        names |= fields_of(condition)
    return frozenset(names - {"event_type"}) or frozenset({"event_type"})


def _alarm(moved: Transition, rule: Rule, store: DuckDBStore) -> Alarm:
    finding = moved.alert.finding
    query = rule.detector.query()
    return Alarm(
        rule=rule.id,
        about=looked_at(query),
        key={name: value or "" for name, value in finding.key},
        known_ms=moved.at_ms + (0 if query.partial else query.settle_ms),
        suspects=suspects_told(store, rule, moved.alert),
    )
