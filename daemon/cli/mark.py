"""`wumu mark`: a planned change, with which baselines start anew."""

from pathlib import Path
from typing import Any

import click

from daemon.app import LEDGER
from daemon.cli.ask import Moment, now_ms, order
from daemon.cli.common import (
    USAGE,
    config_option,
    echo_json,
    echo_table,
    fail,
    faults_shown,
    json_option,
    state_option,
    time_text,
)
from daemon.cli.main import HELP
from daemon.ledger.ledger import Ledger
from daemon.ledger.marks import Marks
from recognizer.paths import visible


@click.command(context_settings=HELP)
@click.argument("name", required=False)
@click.option("--at", "at_ms", type=Moment(), help="When it happened or will happen; now by default.")
@click.option("--rule", "rules", multiple=True, help="Only the baseline of this rule; may be given several times.")
@click.option("--list", "listed", is_flag=True, help="What was marked, and which rules have started anew with it.")
@config_option
@state_option
@json_option
@faults_shown
def command(
    name: str | None,
    at_ms: int | None,
    rules: tuple[str, ...],
    config_path: Path,
    state_dir: Path,
    *,
    listed: bool,
    as_json: bool,
) -> None:
    """Mark a planned change, such as a deployment: the rules that learn start new baselines at that time.

    What was usual before it is not held against what comes after it. Whom these rules tell is told once that they learn
    anew, and a message about an alert that begins within an hour after the change names it.

    \b
    Examples:
      wumu mark "model v2"
      wumu mark "new lens on camera 7" --at 2026-11-22T14:30 --rule confidence-drift
      wumu mark "model v2" --at 10m
      wumu mark --list
    """
    if listed:
        marks = _marks(state_dir)
        if as_json:
            echo_json(marks)
        else:
            _show(marks)
        return
    if name is None:
        fail("a change needs a name", 'wumu mark "model v2", or wumu mark --list', USAGE)
    arguments = {"name": name, "at_ms": now_ms() if at_ms is None else at_ms, "rules": rules}
    marked = order("mark", arguments, config_path, state_dir)
    if as_json:
        echo_json(marked)
        return
    said = "is marked" if marked["new"] else "was marked before, once is enough"
    click.echo(f"{marked['name']} {said}: {time_text(marked['at_ms'])}")
    click.echo(f"new baselines: {visible(', '.join(marked['rules']), 2_000) or 'none, for no rule learns'}")


def _marks(state_dir: Path) -> list[dict[str, Any]]:
    ledger = Ledger.read_only(state_dir / LEDGER)
    try:
        applied = Marks(ledger).applied()
        return [
            {
                "id": mark.id,
                "name": mark.name,
                "at_ms": mark.at_ms,
                "recorded_ms": mark.recorded_ms,
                "rules": list(mark.rules),
                "applied_ms": dict(applied.get(mark.id, {})),
            }
            for mark in Marks(ledger).all()
        ]
    finally:
        ledger.close()


def _show(marks: list[dict[str, Any]]) -> None:
    if not marks:
        click.echo("nothing was marked", err=True)
        return
    echo_table(
        ("changed", "name", "only", "started anew"),
        [
            (time_text(one["at_ms"]), one["name"], ", ".join(one["rules"]), ", ".join(one["applied_ms"]) or "(not yet)")
            for one in marks
        ],
    )
