"""`wumu tune`: what other settings would have cost."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from daemon.cli import history
from daemon.cli.ask import Moment
from daemon.cli.common import (
    FOUND,
    config_option,
    echo_json,
    echo_table,
    faults_shown,
    json_option,
    read_config,
    state_option,
)
from daemon.cli.main import HELP
from daemon.picture import draw_costs, figure
from daemon.tune import Candidate, Tuned, tune


@click.command(context_settings=HELP)
@click.argument("rules", metavar="[RULE]...", nargs=-1)
@click.option("--since", type=Moment(), default="7d", show_default=True, help="From when: a time, or how long ago.")
@click.option("--until", type=Moment(), help="Up to when; now by default.")
@click.option(
    "--at-most",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Notices a day that one rule may cost.",
)
@click.option("--picture", "picture", type=click.Path(path_type=Path, dir_okay=False), help="A PNG of the costs.")
@config_option
@state_option
@json_option
@faults_shown
def command(
    rules: tuple[str, ...],
    since: int,
    until: int | None,
    at_most: float,
    picture: Path | None,
    config_path: Path,
    state_dir: Path,
    *,
    as_json: bool,
) -> None:
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
    config = read_config(config_path, warn=False)
    asked = history.chosen(config, rules)
    with history.events(config, state_dir) as source, history.progress(len(asked)) as tell:
        if picture is not None:
            figure(1, 1)  # what is missing is said before an hour of work, not after it
        interval = history.stretch(source, since, until)
        marks = history.marks(state_dir)
        results = [
            tune(
                rule,
                source,
                interval,
                at_most=at_most,
                even_if_quiet=bool(rules),
                marks=marks,
                on_progress=partial(tell, place, rule.id),
            )
            for place, rule in enumerate(asked)
        ]
    if picture is not None:
        draw_costs({one.rule.id: _bars(one) for one in results}, picture)
    if as_json:
        days = {"from_ms": interval.start_ms, "until_ms": interval.end_ms, "at_most": at_most}
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
