"""Incidents in realistic traffic through the shipped rules: what is caught, how soon, and what is suspected.

    python -m benchmarks.scenarios.run [--kinds gpu_throttled dark_camera …] [--seeds 4] [--draws 5] [--quick]

For every world (seed) a clean history is generated and judged; every kind of incident happens ``draws`` times after it.
Prints one JSON object: the shipped rules and, over the same traffic, rules as ElastAlert 2 has them.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions
from benchmarks.scenarios import elastalert
from benchmarks.scenarios.judge import Alarm, Verdict, by_kind, judge, summary
from benchmarks.scenarios.kinds import KINDS
from benchmarks.scenarios.options import add_options, shipped_rules
from benchmarks.scenarios.play import play
from benchmarks.scenarios.world import World, make_scenario, make_world
from rules.model import Rule

BARS = {"recall": 0.95, "precision": 0.95, "median_delay_min_abrupt": 3.0, "cause_first": 0.97}


@dataclass(slots=True)
class Results:
    """Verdicts on either system, and the false alarms of the clean histories."""

    ours: list[Verdict] = field(default_factory=list)
    theirs: list[Verdict] = field(default_factory=list)
    clean: list[str] = field(default_factory=list)
    clean_days: float = 0.0

    def report(self) -> dict[str, Any]:
        return {
            "shipped_rules": summary(self.ours) | {"kinds": by_kind(self.ours)},
            "elastalert_style": summary(self.theirs) | {"kinds": by_kind(self.theirs)},
            "clean_history": {
                "days": self.clean_days,
                "alarms": {rule: self.clean.count(rule) for rule in sorted(set(self.clean))},
            },
        }


def main() -> int:
    given = _arguments()
    rules = shipped_rules(given.rules)
    results = Results()
    began = time.perf_counter()
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        with tempfile.TemporaryDirectory() as folder:
            world = make_world(seed, given.days, rules, Path(folder))
            results.clean += [moved.alert.rule_id for moved in world.clean]
            results.clean_days += given.days
            false = ", ".join(moved.alert.rule_id for moved in world.clean) or "none"
            print(f"world {seed}: false alarms of its clean past: {false}", file=sys.stderr, flush=True)
            for verdict, baseline in _scenarios(world, rules, given.kinds, given.draws):
                results.ours.append(verdict)
                results.theirs.append(baseline)
    print(
        json.dumps(
            {
                "benchmark": "scenarios",
                "conditions": conditions("duckdb", "numpy"),
                "seeds": [given.first_seed, given.seeds],
                "draws": given.draws,
                "history_days": given.days,
                "seconds": round(time.perf_counter() - began, 1),
                "bars": BARS,
                **results.report(),
            },
            indent=2,
            ensure_ascii=False,
        )
    )
    return 0


def _scenarios(
    world: World, rules: Sequence[Rule], kinds: Sequence[str], draws: int
) -> Iterator[tuple[Verdict, Verdict]]:
    for kind in kinds:
        for draw in range(draws):
            scenario = make_scenario(world, KINDS[kind], draw)
            verdict = judge(play(scenario, rules), scenario.truth)
            print(_line(verdict, world.seed, draw), file=sys.stderr, flush=True)
            yield verdict, judge(elastalert.play(scenario), scenario.truth)


def _line(verdict: Verdict, seed: int, draw: int) -> str:
    """One scenario for whoever watches."""
    delay = "-" if verdict.delay_ms is None else f"{verdict.delay_ms / 60_000:.1f} min"
    return (
        f"{verdict.truth.kind} {seed}.{draw}: {delay}, rank {verdict.rank}; "
        f"right {_named(verdict.right)}; wrong {_named(verdict.wrong)}"
    )


def _named(alarms: Sequence[Alarm]) -> str:
    return ", ".join(f"{alarm.rule}[{'/'.join(alarm.key.values())}]" for alarm in alarms) or "none"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_options(parser)
    parser.add_argument("--days", type=int, help="length of the clean history (8; with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="one world with two days of history, each kind once")
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.draws = 1, 1
    if given.days is None:
        given.days = 2 if given.quick else 8
    return given


if __name__ == "__main__":
    sys.exit(main())
