"""`wumu trace`: the whole chain of one picture's events."""

from pathlib import Path
from typing import Any

import click
import msgspec

from daemon.cli.ask import Duration, ask, now_ms
from daemon.cli.common import (
    CELL_CHARACTERS,
    FOUND,
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
from recognizer.events import Event
from recognizer.paths import visible
from rules.model import Language
from rules.path_facts import path_facts

ONCE = ("file_path", "file_dir", "request_id", "model_name", "host", "pid", "schema_version", "path_issues")
SHOWN = (*ONCE, "timestamp", "event_type", "event_id", "duration_ms")


@click.command(context_settings=HELP)
@click.argument("request_or_path")
@click.option("--since", type=Duration(), default="30d", show_default=True, help="How far to look back.")
@config_option
@state_option
@json_option
@faults_shown
def command(request_or_path: str, since: int, config_path: Path, state_dir: Path, *, as_json: bool) -> None:
    """Show every event of one picture: REQUEST_OR_PATH is a request_id, an event_id or a path.

    A path may be given as the service got it, as it was meant, or as it is shown: the clean path finds the picture
    whose path had an invisible character in it, and the character is shown with its place.

    \b
    Examples:
      wumu trace /data/upload/7.png
      wumu trace 3f2a9c --json

    Exit code 1 when nothing is known of it.
    """
    events = ask("trace", {"what": request_or_path, "since_ms": now_ms() - since}, config_path, state_dir)
    if as_json:
        echo_json(events)
    else:
        for chain in _by_request(events).values():
            _show(chain)
    if not events:
        click.echo(f"nothing is known of {visible(request_or_path)}", err=True)
        raise SystemExit(FOUND)


def _by_request(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    chains: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        chains.setdefault(event.get("request_id") or event["event_id"], []).append(event)
    return chains


def _show(chain: list[dict[str, Any]]) -> None:
    known = {name: event[name] for event in chain for name in ONCE if event.get(name) is not None}
    click.echo(f"request  {visible(str(known.get('request_id', '(none)')))}")
    click.echo(f"path     {visible(known.get('file_path', '(none)'), CELL_CHARACTERS)}")
    for path in dict.fromkeys(event["file_path"] for event in chain if event.get("file_path")):
        for fact in _facts(next(event for event in chain if event.get("file_path") == path)):
            click.echo(f"         {fact}")
    by = f"model {known.get('model_name')} on {known.get('host')}, pid {known.get('pid')}"
    click.echo(f"by       {visible(by)}")
    first = chain[0]["timestamp"]
    echo_table(
        ("time", "+ms", "event", "took ms", "fields"),
        [
            (
                time_text(event["timestamp"]),
                event["timestamp"] - first,
                event["event_type"],
                event.get("duration_ms"),
                fields_text(event, SHOWN),
            )
            for event in chain
        ],
    )
    click.echo()


def _facts(event: dict[str, Any]) -> tuple[str, ...]:
    """The faulty characters of a path with their places, and whether a file is at the cleaned path: as the mail has it.

    A file that is not here may be on the machine that wrote the event.
    """
    return path_facts(msgspec.convert(event, Event), Language.EN, lambda path: Path(path).is_file() or None)[1:]
