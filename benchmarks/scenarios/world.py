"""A service with a past: its clean history, judged by rules, from which every scenario goes on.

The history is judged once, in one long tick. What the rules remember then is a value, so that any number of scenarios
can begin with it.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.scenarios import bulk
from benchmarks.scenarios.fleet import Fleet, make_fleet
from benchmarks.scenarios.registry import Incident, Scene
from benchmarks.scenarios.traffic import DAY_MS, HOUR_MS, MINUTE_MS, Pictures, traffic
from benchmarks.scenarios.truth import Truth
from daemon.alerts.model import State, Transition
from daemon.evaluate import Judgement, RuleState, tick
from daemon.store.duckdb.parameters import DuckDBParameters
from daemon.store.duckdb.store import DuckDBStore
from rules.model import Rule

FIRST_MONDAY_MS = 1_772_409_600_000
"""2026-03-02 00:00 UTC."""
LEAD_MS = 3 * HOUR_MS
"""How much of its past a scenario's store holds: what windows and comparisons reach back to."""
QUIET_MS = 20 * MINUTE_MS
"""Clean traffic before and after an incident."""
_PARAMETERS = DuckDBParameters(memory_limit="1GB")


@dataclass(frozen=True, slots=True)
class World:
    """``lead`` is the traffic before ``now_ms``, ``lead_file`` a store that holds it.

    ``clean`` are the alerts that fired in the clean history: false ones.
    """

    seed: int
    fleet: Fleet
    now_ms: int
    lead: Pictures
    lead_file: Path
    states: Mapping[str, RuleState]
    clean: tuple[Transition, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What comes after a world's past, with what really happened. ``end_ms`` is the end of the traffic."""

    world: World
    incident: Incident
    truth: Truth
    pictures: Pictures
    end_ms: int


def make_world(seed: int, days: int, rules: Sequence[Rule], folder: Path) -> World:
    """``folder`` must be empty and this world's own. Worlds of different seeds end at different hours of the week."""
    fleet = make_fleet(seed)
    random = np.random.default_rng([seed, 2])
    now_ms = FIRST_MONDAY_MS + days * DAY_MS + int(random.integers(7 * 24 * 60)) * MINUTE_MS
    past = traffic(fleet, random, now_ms - days * DAY_MS, now_ms, "past")
    whole, lead_file = folder / "past.duckdb", folder / "lead.duckdb"
    bulk.write(whole, past, fleet)
    with opened(whole) as store:
        judged = complete(tick(rules, {}, store, now_ms, days * DAY_MS))
    whole.unlink()
    lead = past.take(past.at_ms >= now_ms - LEAD_MS)
    bulk.write(lead_file, lead, fleet)
    return World(
        seed=seed,
        fleet=fleet,
        now_ms=now_ms,
        lead=lead,
        lead_file=lead_file,
        states={one.rule.id: one.state for one in judged},
        clean=tuple(fired(judged)),
    )


def make_scenario(world: World, incident: Incident, draw: int) -> Scenario:
    """The ``draw``-th way in which the incident can happen in this world."""
    random = np.random.default_rng([world.seed, 3, draw, *incident.name.encode()])
    start_ms = world.now_ms + QUIET_MS + int(random.integers(15 * MINUTE_MS))
    end_ms = start_ms + incident.minutes * MINUTE_MS
    pictures = traffic(world.fleet, random, world.now_ms, end_ms + QUIET_MS, "new")
    scene = Scene(world.fleet, random, pictures, start_ms, end_ms)
    truth = incident.into(scene)
    return Scenario(world, incident, truth, scene.pictures, end_ms + QUIET_MS)


def fired(judged: Sequence[Judgement]) -> Iterator[Transition]:
    """The transitions with which alerts began to fire."""
    for judgement in judged:
        for moved in judgement.transitions:
            if moved.alert.state is State.FIRING and moved.before is not State.FIRING:
                yield moved


def complete(judged: Sequence[Judgement]) -> Sequence[Judgement]:
    """Raises SystemExit when a rule could not be judged: no figure may rest on that."""
    errors = [f"{one.rule.id}: {one.evaluation.error}" for one in judged if one.evaluation.error]
    if errors:
        raise SystemExit("rules failed: " + "; ".join(errors))
    return judged


@contextmanager
def opened(path: Path) -> Iterator[DuckDBStore]:
    """The store in a file, closed at the end."""
    store = DuckDBStore(path, _PARAMETERS)
    try:
        yield store
    finally:
        store.close()


def copied(world: World, path: Path) -> Path:
    """The world's store, for one scenario to write to."""
    shutil.copyfile(world.lead_file, path)
    return path
