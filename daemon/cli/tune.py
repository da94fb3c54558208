"""`wumu tune`: what other settings would have cost."""

from pathlib import Path
from typing import Any

import click

from daemon.cli import history
from daemon.cli.common import (
    FOUND,
    echo_json,
    echo_table,
    faults_shown,
    json_option,
)
from daemon.cli.main import HELP
from daemon.cli.numbers import RealRange
from daemon.picture import draw_costs
from daemon.tune import Candidate, Tuned, tune


@click.command(context_settings=HELP)
@history.wanted
@click.option(
    "--at-most",
    type=RealRange(0),
    default=1.0,
    show_default=True,
    help="Notices a day that one rule may cost.",
)
@click.option("--picture", "picture", type=click.Path(path_type=Path, dir_okay=False), help="A PNG of the costs.")
@json_option
@faults_shown
def command(wanted: history.Wanted, at_most: float, picture: Path | None, *, as_json: bool) -> None:
    """Replay the events that are kept with other settings of RULE, of all rules without a name, and propose some.

    A rule that costs no more notices a day than --at-most is left as it is; other settings are tried on it only where
    it is named. For the others that setting is proposed which keeps the most of the present alerts among those that are
    quiet enough. Nothing is changed: the lines to paste into alerts.yaml are printed. A notice is a message that an
    alert begins, goes on or is over.

    \b
    Examples:
      wumu tune
      wumu tune slow-inference --since 14d --at-most 0.2 --picture costs.png

    Exit code 1 when a rule could not be replayed to the end.
    """
    with wanted.open(drawn=picture is not None) as past:
        results = [
            tune(
                rule,
                past.source,
                past.interval,
                at_most=at_most,
                even_if_quiet=bool(wanted.names),
                marks=past.marks,
                on_progress=tell,
            )
            for rule, tell in past.rules()
        ]
    if picture is not None:
        draw_costs({one.rule.id: _bars(one) for one in results}, picture)
    if as_json:
        days = {"from_ms": past.interval.start_ms, "until_ms": past.interval.end_ms, "at_most": at_most}
        echo_json(days | {"rules": [_as_json(one) for one in results]})
    else:
        _show(results, at_most)
    if any(one.present.replayed.error for one in results):
        raise SystemExit(FOUND)


def _bars(tuned: Tuned) -> list[tuple[str, float, bool]]:
    """The present setting and the proposed one first: a picture has no room for all."""
    first = [tuned.present] if tuned.proposed is tuned.present else [tuned.present, tuned.proposed]
    others = [one for one in tuned.candidates if one is not tuned.present and one is not tuned.proposed]
    return [(one.text, one.replayed.notices_a_day, one is tuned.proposed) for one in (*first, *others)]


def _show(results: list[Tuned], at_most: float) -> None:
    echo_table(
        ("rule", "setting", "notices a day", "alerts", "present ones kept", ""),
        [_row(tuned, one) for tuned in results for one in tuned.candidates],
    )
    noisy = [tuned for tuned in results if tuned.present.replayed.notices_a_day > at_most]
    for tuned in noisy:
        before, after = (one.replayed.notices_a_day for one in (tuned.present, tuned.proposed))
        if after > at_most:
            click.echo(f"\n# {tuned.rule.id}: nothing that was tried costs as little as {at_most:g} notices a day")
        if tuned.proposed is not tuned.present:
            click.echo(f"\n# {tuned.rule.id}: {after:.3g} notices a day instead of {before:.3g}. In its rule write:")
            for key, value in tuned.proposed.setting.items():
                click.echo(f"    {key}: {value}")
    if not noisy:
        click.echo("\nevery rule is quiet enough as it is")


def _row(tuned: Tuned, one: Candidate) -> tuple[object, ...]:
    return (
        tuned.rule.id,
        one.text,
        f"{one.replayed.notices_a_day:.3g}",
        len(one.replayed.alerts),
        f"{one.kept} of {len(tuned.present.replayed.alerts)}",
        one.replayed.error or ("proposed" if one is tuned.proposed else None),
    )


def _as_json(tuned: Tuned) -> dict[str, Any]:
    return {
        "rule": tuned.rule.id,
        "error": tuned.present.replayed.error,
        "proposed": dict(tuned.proposed.setting),
        "candidates": [
            {
                "setting": dict(one.setting),
                "notices_a_day": one.replayed.notices_a_day,
                "alerts": len(one.replayed.alerts),
                "kept": one.kept,
                "promised": one.replayed.promised,
                "error": one.replayed.error,
            }
            for one in tuned.candidates
        ],
    }
