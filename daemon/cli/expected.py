"""`wumu expected`: that alert was normal."""

from pathlib import Path

import click

from daemon.cli.ask import order
from daemon.cli.common import config_option, echo_json, faults_shown, json_option, key_text, state_option
from daemon.cli.main import HELP
from recognizer.paths import visible


@click.command(context_settings=HELP)
@click.argument("alert_id")
@config_option
@state_option
@json_option
@faults_shown
def command(alert_id: str, config_path: Path, state_dir: Path, *, as_json: bool) -> None:
    """Say that what ALERT_ID shows is normal: its rule takes it for usual from now on, and the alert ends.

    Whoever was told of the alert is told that it was declared normal. This works for the rules that learn; a rule with
    a fixed limit has nothing to learn: change its limit. The beginning of the id is enough.

    \b
    Examples:
      wumu alerts
      wumu expected 5a37c1
    """
    ended = order("expected", {"alert": alert_id}, config_path, state_dir)
    if as_json:
        echo_json(ended)
        return
    series = visible(key_text(ended["key"].items()), 2_000)
    click.echo(f"alert {ended['id']} has ended: rule {ended['rule']} takes it for usual from now on ({series})")
