"""What both benchmarks of the suite are told on the command line."""

import argparse
from pathlib import Path

from benchmarks.scenarios.kinds import KINDS
from daemon.plugins import registry
from rules.load import load_file
from rules.model import Rule


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), metavar="KIND")
    parser.add_argument("--seeds", type=int, default=4, help="worlds: services with a past of their own")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=5, help="how often each kind happens in each world")
    parser.add_argument("--rules", type=Path, default=Path("alerts.yaml"))


def shipped_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of an alerts.yaml. Raises SystemExit when it can't be used."""
    config = load_file(path, registry()).config
    if config is None:
        raise SystemExit(f"{path} can't be used: see wumu check {path}")
    return config.rules
