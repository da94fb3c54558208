"""`wumu explain`: why a rule did or did not fire."""

from collections import Counter
from pathlib import Path
from typing import Any

import click

from daemon.cli.ask import ask
from daemon.cli.common import (
    config_option,
    counted,
    echo_json,
    echo_table,
    faults_shown,
    json_option,
    key_text,
    state_option,
    time_text,
)
from daemon.cli.main import HELP
from recognizer.paths import visible


@click.command(context_settings=HELP)
@click.argument("rule")
@click.option("--turns", type=click.IntRange(1, 200), default=10, show_default=True, help="The last so many turns.")
@config_option
@state_option
@json_option
@faults_shown
def command(rule: str, turns: int, config_path: Path, state_dir: Path, *, as_json: bool) -> None:
    """Show what RULE asks the store, what came back in its last turns, and what it made of it.

    Of a rule that learns, also how far each series is: warming_up until it has seen what it needs to keep its promise
    about false alarms, then judging, or alarmed.

    \b
    Examples:
      wumu explain slow-inference
      wumu explain path-errors-in-a-row --turns 50 --json
    """
    answer = ask("explain", {"rule": rule, "turns": turns}, config_path, state_dir)
    if as_json:
        echo_json(answer)
        return
    _show(answer)


def _show(answer: dict[str, Any]) -> None:
    click.echo(f"rule           {answer['rule']} ({answer['kind']})")
    click.echo(f"looks at       {visible(answer['where'], 2_000)}")
    click.echo(f"grouped by     {', '.join(answer['group_by']) or '(all together)'}")
    click.echo(
        f"timers         every {answer['every']}, for {answer['for']}, keep_firing_for {answer['keep_firing_for']}"
    )
    click.echo(f"tells          {', '.join(answer['notify']) or '(nobody: no channel is named)'}")
    click.echo(f"judged until   {time_text(answer['judged_until_ms']) or '(never)'}")
    click.echo(f"remembers      {answer['keys_remembered']} keys")
    for alert in answer["alerts"]:
        click.echo(f"alert          {alert['id'][:8]} {alert['state']} {visible(key_text(alert['key']))}")
    for mark in answer["marks"]:
        when = "baseline since" if mark["applied"] else "new at"
        click.echo(f"{when:<14} {time_text(mark['at_ms'])}: {mark['name']} was marked")
    if answer["series"]:
        show_series(answer["series"])
    click.echo()
    echo_table(
        ("turn", "judged", "to", "series", "buckets", "findings", "ms", "verdict"),
        [
            (
                time_text(turn["at_ms"]),
                time_text(turn["from_ms"]),
                time_text(turn["until_ms"]),
                turn["series"],
                turn["buckets"],
                turn["findings"],
                round(turn["duration_ms"], 1),
                turn["error"] or ("found" if turn["findings"] else "quiet"),
            )
            for turn in answer["turns"]
        ],
    )
    click.echo("\nthe request of its next turn:")
    for line in answer["request"].split("\n"):
        click.echo(visible(line, 20_000))


def show_series(series: list[dict[str, Any]]) -> None:
    stages = Counter(one["stage"] for one in series)
    click.echo(f"series         {', '.join(f'{count} {stage}' for stage, count in stages.items())}\n")
    echo_table(
        ("series", "stage", "seen", "needed", "false alarms"),
        [
            (
                key_text(one["key"].items()),
                one["stage"],
                counted(one["seen"], one["unit"].removesuffix("s")),
                one["needed"],
                f"1 per {one['promised_days']:.3g} days at most",
            )
            for one in series
        ],
    )
