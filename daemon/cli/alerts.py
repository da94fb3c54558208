"""`wumu alerts`: what fires, what fired, and what was sent about it."""

from pathlib import Path
from typing import Any

import click

from daemon.alerts.model import Alert, State
from daemon.app import LEDGER
from daemon.cli.common import (
    CELL_CHARACTERS,
    FOUND,
    echo_json,
    echo_table,
    faults_shown,
    json_option,
    key_text,
    state_option,
    time_text,
)
from daemon.cli.main import HELP
from daemon.ledger.ledger import Ledger
from daemon.notify.words import words
from detectors.duration import format_duration
from detectors.finding import Expected
from recognizer.paths import visible
from rules.model import Language

MOST = 10_000_000


@click.command(context_settings=HELP)
@click.argument("alert_id", required=False)
@click.option("--all", "everything", is_flag=True, help="Also the alerts that have ended.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@state_option
@json_option
@faults_shown
def command(alert_id: str | None, limit: int, state_dir: Path, *, everything: bool, as_json: bool) -> None:
    """List the alerts that are pending or firing, or show one with its history and its messages.

    \b
    Examples:
      wumu alerts
      wumu alerts --all --json
      wumu alerts 5a37c1

    Exit code 1 while an alert fires, so that a script can ask.
    """
    ledger = Ledger.read_only(state_dir / LEDGER)
    try:
        if alert_id is None:
            alerts = ledger.alerts(active=not everything, limit=limit)
        else:
            alerts = [alert for alert in ledger.alerts(limit=MOST) if alert.id.startswith(alert_id)]
        told = [_told(alert, ledger) if alert_id else _summary(alert) for alert in alerts]
    finally:
        ledger.close()
    if as_json:
        echo_json(told)
    elif alert_id is not None:
        for one in told:
            _show(one)
    elif not alerts:
        click.echo("no alert is kept" if everything else "no alert is pending or firing", err=True)
    else:
        echo_table(
            ("id", "state", "severity", "rule", "key", "reason", "observed", "since"),
            [_row(alert) for alert in alerts],
        )
    if alert_id is not None and not alerts:
        click.echo(f"there is no alert {visible(alert_id)}", err=True)
        raise SystemExit(FOUND)
    if any(alert.state is State.FIRING for alert in alerts):
        raise SystemExit(FOUND)


def _row(alert: Alert) -> tuple[object, ...]:
    finding = alert.finding
    return (
        alert.id[:8],
        alert.state,
        alert.severity,
        alert.rule_id,
        key_text(alert.key),
        finding.details.get("value") or finding.reason,
        words(Language.EN).number(finding.observed, finding.unit),
        time_text(finding.since_ms),
    )


def _summary(alert: Alert) -> dict[str, Any]:
    finding = alert.finding
    return {
        "id": alert.id,
        "rule": alert.rule_id,
        "key": dict(alert.key),
        "state": alert.state,
        "severity": alert.severity,
        "reason": finding.reason,
        "cause": finding.details.get("value"),
        "observed": finding.observed,
        "unit": finding.unit,
        "expected": {"low": finding.expected.low, "high": finding.expected.high},
        "since_ms": finding.since_ms,
        "active_at_ms": alert.active_at_ms,
        "fired_at_ms": alert.fired_at_ms,
        "resolved_at_ms": alert.resolved_at_ms,
    }


def _told(alert: Alert, ledger: Ledger) -> dict[str, Any]:
    return _summary(alert) | {
        "transitions": ledger.transitions(alert.id),
        "messages": ledger.messages(thread=alert.id),
    }


def _show(one: dict[str, Any]) -> None:
    click.echo(f"alert     {one['id']}  {one['state']}  {one['severity']}")
    click.echo(f"rule      {one['rule']}  {visible(key_text(one['key'].items()), CELL_CHARACTERS)}")
    click.echo(f"reason    {one['reason']} {visible(str(one['cause'] or ''))}".rstrip())
    say = words(Language.EN)
    expected = say.expected(Expected(**one["expected"]), one["unit"])
    click.echo(f"observed  {say.number(one['observed'], one['unit'])}{f', expected {expected}' if expected else ''}")
    click.echo(f"since     {time_text(one['since_ms'])}")
    if one["resolved_at_ms"]:
        click.echo(f"lasted    {format_duration(one['resolved_at_ms'] - one['active_at_ms'])}")
    for moved in one["transitions"]:
        click.echo(f"  {time_text(moved['at_ms'])}  {moved['before'] or '(new)'} → {moved['after']} ({moved['cause']})")
    for sent in one["messages"]:
        when = time_text(sent["ended_ms"] or sent["next_ms"])
        click.echo(
            f"  {when}  {sent['channel']}: {sent['state']} after {sent['attempts']} attempts {visible(sent['detail'])}"
        )
