"""`wumu alerts`: what fires, what fired, and what was sent about it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from daemon.alerts.model import Alert, State
from daemon.app import LEDGER
from daemon.baseline import Mark, preceding
from daemon.cli.ask import order
from daemon.cli.common import (
    CELL_CHARACTERS,
    FOUND,
    USAGE,
    config_option,
    counted,
    echo_json,
    echo_table,
    fail,
    faults_shown,
    json_option,
    key_text,
    state_option,
    time_text,
)
from daemon.cli.main import HELP
from daemon.ledger.ledger import Ledger
from daemon.ledger.marks import Marks
from daemon.ledger.outbox import Outbox
from daemon.notify.words import words
from detectors.duration import format_duration
from detectors.finding import Expected
from recognizer.paths import visible
from recognizer.reasons import InputReason
from rules.model import Language

MOST = 10_000_000
LETTER_COLUMNS = ("channel", "thread", "attempts", "reason", "detail", "subject")


@click.command(context_settings=HELP)
@click.argument("alert_id", required=False)
@click.option("--all", "everything", is_flag=True, help="Also the alerts that have ended.")
@click.option("--dead", is_flag=True, help="The messages that could not be delivered, instead of alerts.")
@click.option("--retry", is_flag=True, help="Send those again, all or the ones about ALERT_ID.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@config_option
@state_option
@json_option
@faults_shown
def command(
    alert_id: str | None,
    limit: int,
    config_path: Path,
    state_dir: Path,
    *,
    everything: bool,
    dead: bool,
    retry: bool,
    as_json: bool,
) -> None:
    """List the alerts that are pending or firing, or show one with its history and its messages.

    \b
    Examples:
      wumu alerts
      wumu alerts --all --json
      wumu alerts 5a37c1
      wumu alerts --dead
      wumu alerts --retry

    Exit code 1 while an alert fires, so that a script can ask.
    """
    if alert_id == "":  # a script's empty variable must not mean all
        fail("ALERT_ID is empty", "wumu alerts lists what there is", USAGE)
    if dead or retry:
        letters = order("retry", {"alert": alert_id}, config_path, state_dir) if retry else _dead(alert_id, state_dir)
        _show_letters(letters, retried=retry, as_json=as_json)
        return
    _list(alert_id, state_dir, everything=everything, limit=limit, as_json=as_json)


def _list(alert_id: str | None, state_dir: Path, *, everything: bool, limit: int, as_json: bool) -> None:
    ledger = Ledger.read_only(state_dir / LEDGER)
    try:
        if alert_id is None:
            alerts = ledger.alerts(active=not everything, limit=limit)
        else:
            alerts = [alert for alert in ledger.alerts(limit=MOST) if alert.id.startswith(alert_id)]
        marks = Marks(ledger).all()
        told = [_summary(alert, marks) | (_story(alert, ledger) if alert_id else {}) for alert in alerts]
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
            ("id", "state", "severity", "rule", "key", "reason", "observed", "since", "after"),
            [
                (*_row(alert), (one["planned_change"] or {}).get("name"))
                for alert, one in zip(alerts, told, strict=True)
            ],
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
        cause if (cause := finding.details.get("value")) in tuple(InputReason) else finding.reason,
        words(Language.EN).number(finding.observed, finding.unit),
        time_text(finding.since_ms),
    )


def _summary(alert: Alert, marks: Sequence[Mark]) -> dict[str, Any]:
    finding = alert.finding
    mark = preceding(marks, finding.since_ms)
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
        "chance_days": finding.chance_days,
        "since_ms": finding.since_ms,
        "active_at_ms": alert.active_at_ms,
        "fired_at_ms": alert.fired_at_ms,
        "resolved_at_ms": alert.resolved_at_ms,
        "planned_change": None if mark is None else {"name": mark.name, "at_ms": mark.at_ms},
    }


def _story(alert: Alert, ledger: Ledger) -> dict[str, Any]:
    return {
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
    if one["chance_days"] is not None:
        click.echo(f"by chance {say.chance(one['chance_days'])}")
    click.echo(f"since     {time_text(one['since_ms'])}")
    if change := one["planned_change"]:
        click.echo(f"change    {change['name']} was marked at {time_text(change['at_ms'])}")
    if one["resolved_at_ms"]:
        click.echo(f"lasted    {format_duration(one['resolved_at_ms'] - one['active_at_ms'])}")
    for moved in one["transitions"]:
        click.echo(f"  {time_text(moved['at_ms'])}  {moved['before'] or '(new)'} → {moved['after']} ({moved['cause']})")
    for sent in one["messages"]:
        when = time_text(sent["ended_ms"] or sent["next_ms"])
        click.echo(
            f"  {when}  {sent['channel']}: {sent['state']} after {sent['attempts']} attempts {visible(sent['detail'])}"
        )


def _dead(alert_id: str | None, state_dir: Path) -> list[dict[str, Any]]:
    ledger = Ledger.read_only(state_dir / LEDGER)
    try:
        return [one for one in Outbox(ledger).dead_letters() if one["thread"].startswith(alert_id or "")]
    finally:
        ledger.close()


def _show_letters(letters: list[dict[str, Any]], *, retried: bool, as_json: bool) -> None:
    if as_json:
        echo_json(letters)
    elif letters:
        echo_table(
            ("given up", "channel", "about", "attempts", "reason", "detail", "message"),
            [(time_text(one["ended_ms"]), *(one[name] for name in LETTER_COLUMNS)) for one in letters],
        )
    if not letters:
        click.echo("there is no dead letter", err=True)
    elif retried:
        click.echo(f"{counted(len(letters), 'message')} queued again", err=True)
    else:
        click.echo("mend the channel, then send them again: wumu alerts --retry", err=True)
