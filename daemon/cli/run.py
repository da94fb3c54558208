"""`wumu run`: the daemon."""

import gc
import signal
from pathlib import Path

import click

from daemon.app import App
from daemon.cli.common import config_option, faults_shown, read_config, state_option
from daemon.cli.main import HELP
from daemon.clock import SystemClock
from daemon.logs import log_to_stderr

GC_THRESHOLD = (50_000, 20, 50)
"""A backlog is events by the million, none of them in a cycle: looking for cycles that often costs a quarter of it."""


@click.command(context_settings=HELP)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@config_option
@state_option
@faults_shown
def command(config_path: Path, state_dir: Path, log_level: str) -> None:
    """Read the logs, judge them on a schedule and send alerts, until SIGTERM. SIGHUP reads the configuration again.

    \b
    Examples:
      wumu run
      wumu run --config /etc/wumu/alerts.yaml --state /var/lib/wumu
      kill -HUP "$(pidof -x wumu)"
    """
    log_to_stderr(log_level)
    gc.set_threshold(*GC_THRESHOLD)
    app = App(lambda: read_config(config_path), state_dir, SystemClock())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: app.request_stop())
    signal.signal(signal.SIGHUP, lambda *_: app.request_reload())
    app.run()
