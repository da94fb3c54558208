"""`wumu query`: events that match a filter."""

from pathlib import Path

import click

from daemon.cli.ask import Duration, ask, now_ms
from daemon.cli.common import (
    FOUND,
    USAGE,
    config_option,
    echo_json,
    echo_table,
    faults_shown,
    fields_text,
    json_option,
    state_option,
    time_text,
)
from daemon.cli.main import HELP
from rules.problems import Problem, ProblemCode, render
from rules.where import WhereError, parse

SHOWN = ("timestamp", "event_type", "host", "file_path", "event_id", "request_id", "pid", "schema_version", "file_dir")


@click.command(context_settings=HELP)
@click.argument("kql")
@click.option("--since", type=Duration(), default="24h", show_default=True, help="How far to look back.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
@config_option
@state_option
@json_option
@faults_shown
def command(kql: str, since: int, limit: int, config_path: Path, state_dir: Path, *, as_json: bool) -> None:
    """Show the events that match KQL, the filter language of Kibana's search bar.

    \b
    Examples:
      wumu query 'event_type: input_error and file_path: */upload/*'
      wumu query 'top1_score < 0.3' --since 1h --json
      wumu query 'host: "gpu-1" and not http_status: 200' --limit 500

    Exit code 1 when nothing matches.
    """
    _check(kql)
    events = ask("query", {"where": kql, "since_ms": now_ms() - since, "limit": limit}, config_path, state_dir)
    if as_json:
        echo_json(events)
    else:
        echo_table(
            ("time", "event", "host", "path", "more"),
            [
                (
                    time_text(event["timestamp"]),
                    event["event_type"],
                    event.get("host"),
                    event.get("file_path"),
                    fields_text(event, SHOWN),
                )
                for event in events
            ],
        )
    if not events:
        click.echo("no event matches", err=True)
        raise SystemExit(FOUND)


def _check(kql: str) -> None:
    """Ends with exit code 2 and a caret where the filter can't be read."""
    try:
        parse(kql)
    except WhereError as fault:
        problem = Problem(
            code=ProblemCode.BAD_CONDITION,
            message=fault.message,
            file="KQL",
            line=1,
            column=fault.position + 1,
            width=max(1, fault.width),
            hint=fault.hint,
        )
        click.echo(render(problem, kql.replace("\n", " ")), err=True)
        raise SystemExit(USAGE) from fault
