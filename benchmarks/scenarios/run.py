"""Incidents in realistic traffic through the shipped rules: what is caught, how soon, and what is suspected.

    python -m benchmarks.scenarios.run [--kinds gpu_throttled dark_camera …] [--seeds 4] [--draws 5] [--quick]
        [--journal FILE] [--table]

For every world (seed) a clean history is generated and judged; every kind of incident happens ``draws`` times after it.
Prints one JSON object: the shipped rules and, over the same traffic, rules as ElastAlert 2 has them. With a journal
every scenario is kept as it ends, and the same command goes on where it was stopped; what is kept there already is not
played again but stands in the report.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.conditions import conditions
from benchmarks.scenarios import elastalert
from benchmarks.scenarios.journal import Journal, Past, Played, Terms
from benchmarks.scenarios.judge import Alarm, Verdict, by_kind, judge, summary
from benchmarks.scenarios.kinds import KINDS
from benchmarks.scenarios.options import add_options, shipped_rules
from benchmarks.scenarios.play import play
from benchmarks.scenarios.table import table
from benchmarks.scenarios.world import World, make_scenario, make_world
from rules.model import Rule

BARS = {"recall": 0.95, "precision": 0.95, "median_delay_min_abrupt": 3.0, "cause_first": 0.97}


def main() -> int:
    given = _arguments()
    rules = shipped_rules(given.rules)
    journal = Journal(given.journal, Terms(given.rules.read_text(encoding="utf-8"), given.days))
    began = time.perf_counter()
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        _play_world(seed, rules, given, journal)
    played = list(journal.played.values())
    ours, theirs = [one.ours for one in played], [one.theirs for one in played]
    if given.table:
        print(table(ours, theirs))
        return 0
    report = {
        "benchmark": "scenarios",
        "conditions": conditions("duckdb", "numpy"),
        "worlds": sorted({one.seed for one in played}),
        "draws": len({one.draw for one in played}),
        "history_days": given.days,
        "seconds": round(time.perf_counter() - began, 1),
        "bars": BARS,
        "shipped_rules": summary(ours) | {"kinds": by_kind(ours)},
        "elastalert_style": summary(theirs) | {"kinds": by_kind(theirs)},
        "clean_history": _clean(list(journal.pasts.values()), given.days),
    }
    print(json.dumps(report, indent=2, ensure_ascii=False))
    return 0


def _clean(pasts: Sequence[Past], days: int) -> dict[str, Any]:
    """The false alarms of the clean histories, by rule."""
    alarms = [rule for past in pasts for rule in past.alarms]
    return {"days": days * len(pasts), "alarms": {rule: alarms.count(rule) for rule in sorted(set(alarms))}}


def _play_world(seed: int, rules: Sequence[Rule], given: argparse.Namespace, journal: Journal) -> None:
    """Every scenario of a world that the journal lacks."""
    done = journal.played
    missing = [(draw, kind) for draw in range(given.draws) for kind in given.kinds if (seed, draw, kind) not in done]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(seed, given.days, rules, Path(folder))
        if seed not in journal.pasts:
            journal.add(Past(seed, tuple(moved.alert.rule_id for moved in world.clean)))
        _say(f"world {seed}: false alarms of its clean past: {', '.join(journal.pasts[seed].alarms) or 'none'}")
        for draw, kind in missing:
            played = _played(world, kind, draw, rules)
            journal.add(played)
            _say(_line(played))


def _played(world: World, kind: str, draw: int, rules: Sequence[Rule]) -> Played:
    scenario = make_scenario(world, KINDS[kind], draw)
    ours = judge(play(scenario, rules), scenario.truth)
    return Played(world.seed, draw, ours, judge(elastalert.play(scenario), scenario.truth))


def _say(line: str) -> None:
    """For whoever watches."""
    print(line, file=sys.stderr, flush=True)


def _line(played: Played) -> str:
    verdict: Verdict = played.ours
    delay = "-" if verdict.delay_ms is None else f"{verdict.delay_ms / 60_000:.1f} min"
    return (
        f"{verdict.kind} {played.seed}.{played.draw}: {delay}, rank {verdict.rank}; "
        f"right {_named(verdict.right)}; wrong {_named(verdict.wrong)}"
    )


def _named(alarms: Sequence[Alarm]) -> str:
    return ", ".join(f"{alarm.rule}[{'/'.join(alarm.key.values())}]" for alarm in alarms) or "none"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_options(parser)
    parser.add_argument("--days", type=int, help="length of the clean history (8; with --quick 2)")
    parser.add_argument("--quick", action="store_true", help="one world with two days of history, each kind once")
    parser.add_argument("--journal", type=Path, help="keep every scenario in this file, and go on from it")
    parser.add_argument("--table", action="store_true", help="print the kinds as a Markdown table instead of JSON")
    given = parser.parse_args()
    if given.quick:
        given.seeds, given.draws = 1, 1
    if given.days is None:
        given.days = 2 if given.quick else 8
    return given


if __name__ == "__main__":
    sys.exit(main())
