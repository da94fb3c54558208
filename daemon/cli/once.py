"""`wumu once`: one turn over what is there."""

from pathlib import Path
from typing import Any

import click

from daemon.alerts.model import State
from daemon.app import LEDGER, only_daemon, open_store
from daemon.cli.common import (
    FOUND,
    config_option,
    echo_json,
    fail,
    faults_shown,
    json_option,
    read_config,
    state_option,
)
from daemon.cli.main import HELP
from daemon.clock import SystemClock
from daemon.engine import Engine
from daemon.ledger.ledger import Ledger
from daemon.logs import log_to_stderr

SEND_WAIT_S = 30.0


@click.command(context_settings=HELP)
@config_option
@state_option
@json_option
@faults_shown
def command(config_path: Path, state_dir: Path, *, as_json: bool) -> None:
    """Read the logs to their end, judge every rule once, send what is due, and stop. For cron, and for trying rules.

    \b
    Examples:
      wumu once
      wumu once --json

    Exit code 1 while an alert fires, 3 when the logs could not be read to their end.
    """
    log_to_stderr("warning")
    config = read_config(config_path)
    with only_daemon(state_dir):
        store = open_store(config, state_dir)
        ledger = Ledger.open(state_dir / LEDGER)
        try:
            engine = Engine(config, store, ledger, state_dir, SystemClock())
            result = _work(engine) | {"alerts": {state.value: count for state, count in ledger.counts().items()}}
        finally:
            ledger.close()
            store.close()
    if as_json:
        echo_json(result)
    else:
        click.echo(f"read {result['events']} events, put {result['malformed']} lines aside")
        click.echo(f"judged {result['rules']} rules, {result['failed']} of them failed")
        click.echo(f"sent {result['sent']} messages, {result['undelivered']} wait for the next turn")
        click.echo("alerts: " + (", ".join(f"{count} {state}" for state, count in result["alerts"].items()) or "none"))
    if result["trouble"]:
        fail(f"the logs are not read to their end: {result['trouble']}", "mend it and run it again: nothing is lost")
    if result["alerts"].get(State.FIRING):
        raise SystemExit(FOUND)


def _work(engine: Engine) -> dict[str, Any]:
    events = malformed = sent = 0
    trouble = None
    clock = SystemClock()
    while (report := engine.read()) is not None:
        events += report.events
        malformed += sum(report.malformed.values())
        trouble = report.trouble
        if not report.behind or trouble is not None:
            break
    turn = engine.turn()
    end = clock.monotonic() + SEND_WAIT_S
    while True:
        done = engine.send()
        sent += done.delivered
        if not (done.busy or done.delivered or done.dead) or clock.monotonic() >= end:
            break
    engine.close(SEND_WAIT_S)
    return {
        "events": events,
        "malformed": malformed,
        "rules": len({evaluation.rule_id for evaluation in turn.evaluations}),
        "failed": len({evaluation.rule_id for evaluation in turn.evaluations if evaluation.error}),
        "sent": sent,
        "undelivered": engine.undelivered,
        "trouble": trouble,
    }
