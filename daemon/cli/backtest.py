"""`wumu backtest`: what the rules would have found in the events that are kept."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from daemon.alerts.model import Alert
from daemon.cli import history
from daemon.cli.common import (
    FOUND,
    echo_json,
    echo_table,
    faults_shown,
    json_option,
    key_text,
    time_text,
)
from daemon.cli.main import HELP
from daemon.notify.words import words
from daemon.picture import draw_replayed
from daemon.replay import Replayed, replay
from detectors.duration import format_duration
from rules.model import Language

MOST_SHOWN = 20
"""Alerts of one rule in the table; --json has all."""


@click.command(context_settings=HELP)
@history.wanted
@click.option(
    "--picture", "folder", type=click.Path(path_type=Path, file_okay=False), help="A picture of each RULE goes there."
)
@json_option
@faults_shown
def command(wanted: history.Wanted, folder: Path | None, *, as_json: bool) -> None:
    """Judge the events that are kept with RULE as it stands in the configuration, all rules without a name.

    It is the daemon's own judging, in event time; nothing is sent and nothing is changed, also beside a running daemon.
    For a rule that learns, the false alarms that it promises in that time stand beside the alerts that there were.

    \b
    Examples:
      wumu backtest
      wumu backtest slow-inference --since 30d --picture pictures
      wumu backtest --config changed.yaml --since 2026-11-01 --until 2026-11-08 --json

    Exit code 1 when a rule could not be replayed to the end.
    """
    results = []
    with wanted.open(drawn=folder is not None) as past:
        for rule, tell in past.rules():
            (one,) = replay([rule], past.source, past.interval, marks=past.marks, on_progress=tell)
            results.append(one)
            if folder is not None and not one.error:
                draw_replayed(one, past.source, folder / f"{rule.id}.png")
    if as_json:
        echo_json(
            {
                "from_ms": past.interval.start_ms,
                "until_ms": past.interval.end_ms,
                "rules": [_as_json(one) for one in results],
            }
        )
    else:
        _show(results)
        if folder is not None:
            click.echo(f"pictures are in {click.format_filename(folder)}")
    if any(one.error for one in results):
        raise SystemExit(FOUND)


def _show(results: list[Replayed]) -> None:
    interval = results[0].interval
    click.echo(
        f"{time_text(interval.start_ms)} to {time_text(interval.end_ms)}, {format_duration(interval.length_ms)}\n"
    )
    echo_table(
        ("rule", "series", "alerts", "notices a day", "false alarms promised", "seconds", ""),
        [
            (
                one.rule.id,
                one.series,
                len(one.alerts),
                f"{one.notices_a_day:.3g}",
                None if one.promised is None else f"{one.promised:.2g} in {one.judged_days:.3g} series-days",
                f"{one.took_s:.1f}",
                one.error,
            )
            for one in results
        ],
    )
    if any(one.alerts for one in results):
        click.echo()
        echo_table(
            ("rule", "since", "ended", "key", "reason", "observed", "expected"),
            [row for one in results for row in _rows(one)],
        )


def _rows(replayed: Replayed) -> Iterable[tuple[object, ...]]:
    say = words(Language.EN)
    for alert in replayed.alerts[:MOST_SHOWN]:
        peak = alert.peak
        yield (
            alert.rule_id,
            time_text(peak.since_ms),
            time_text(alert.resolved_at_ms) or "(goes on)",
            key_text(alert.key),
            peak.details.get("value") or peak.reason,
            say.number(peak.observed, peak.unit),
            say.expected(peak.expected, peak.unit),
        )
    if len(replayed.alerts) > MOST_SHOWN:
        yield replayed.rule.id, f"and {len(replayed.alerts) - MOST_SHOWN} more: --json shows all"


def _as_json(replayed: Replayed) -> dict[str, Any]:
    return {
        "rule": replayed.rule.id,
        "kind": replayed.rule.detector.kind,
        "series": replayed.series,
        "notices": replayed.notices,
        "notices_a_day": replayed.notices_a_day,
        "judged_days": replayed.judged_days,
        "promised": replayed.promised,
        "observed": len(replayed.alerts),
        "took_s": replayed.took_s,
        "error": replayed.error,
        "alerts": [_alert(alert) for alert in replayed.alerts],
    }


def _alert(alert: Alert) -> dict[str, Any]:
    peak = alert.peak
    return {
        "id": alert.id,
        "key": dict(alert.key),
        "reason": peak.reason,
        "cause": peak.details.get("value"),
        "since_ms": min(alert.finding.since_ms, peak.since_ms),
        "began_ms": alert.active_at_ms,
        "fired_ms": alert.fired_at_ms,
        "ended_ms": alert.resolved_at_ms,
        "observed": peak.observed,
        "expected": {"low": peak.expected.low, "high": peak.expected.high},
        "unit": peak.unit,
        "chance_days": peak.chance_days,
    }
