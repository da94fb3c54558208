"""`wumu dead-letters`: lines that are no events and events that the store refused, to look at and to try again."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from daemon.app import LEDGER
from daemon.cli.ask import order
from daemon.cli.common import (
    FOUND,
    USAGE,
    config_option,
    counted,
    echo_json,
    echo_table,
    fail,
    faults_shown,
    json_option,
    state_option,
    time_text,
)
from daemon.cli.main import HELP
from daemon.ledger.ledger import Ledger
from daemon.ledger.replayed import Replayed
from daemon.letters import Letter, letters
from recognizer.events import MalformedReason
from recognizer.paths import visible

SHOWN_CHARACTERS = 200
LETTERS_PER_ORDER = 500
BYTES_PER_ORDER = 512 * 1024
"""Half of what the daemon's socket takes at once."""

_reason_option = click.option(
    "--reason", type=click.Choice([one.value for one in MalformedReason]), help="Only those with this reason."
)


_config_taken = click.option(
    "--config",
    type=click.Path(path_type=Path),
    expose_value=False,
    help="Not looked at: taken, so that a script may give all verbs the same options.",
)


@click.group(context_settings=HELP)
def command() -> None:
    """Look at the lines that are no events and at the events that the store refused, and try them again.

    \b
    Examples:
      wumu dead-letters list
      wumu dead-letters list --reason refused_by_store --json > letters.json
      wumu dead-letters replay --reason refused_by_store     the mapping was mended
      wumu dead-letters replay --mended letters.json         the lines in it were
    """


@command.command("list")
@_reason_option
@click.option("--all", "everything", is_flag=True, help="Also those that were replayed.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The newest so many.")
@_config_taken
@state_option
@json_option
@faults_shown
def list_(reason: str | None, limit: int, state_dir: Path, *, everything: bool, as_json: bool) -> None:
    """List what was put aside: why, where it stood, what it says. Oldest first.

    Exit code 1 while there is any.
    """
    replayed_ms = _replayed_ms(state_dir)
    found, total = _newest(_chosen(letters(state_dir), replayed_ms, reason, everything=everything), limit)
    if as_json:
        echo_json([_told(letter, replayed_ms.get(letter.id)) for letter in found])
    elif found:
        echo_table(
            ("id", "put aside", "reason", "file", "at byte", "replayed", "detail", "line"),
            [_row(letter, replayed_ms.get(letter.id)) for letter in found],
        )
    if not total:
        click.echo("there is no dead letter", err=True)
        return
    if total > len(found):
        click.echo(f"the newest {len(found)} of {total}: --limit shows more", err=True)
    raise SystemExit(FOUND)


@command.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that were not replayed yet.")
@_reason_option
@click.option(
    "--mended",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
    help="What `list --json` gave, with the lines put right; - is standard input.",
)
@config_option
@state_option
@json_option
@faults_shown
def replay(
    ids: tuple[str, ...],
    reason: str | None,
    mended: Path | None,
    config_path: Path,
    state_dir: Path,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Store the events of dead letters after all: those with IDS, those with a reason, the mended ones, or all.

    Each is stored once, however often this is called; the list then leaves it out. The beginning of an id is enough. A
    running daemon does it itself. Exit code 1 when a line still is no event or the store still refuses it.
    """
    if mended is not None and (ids or reason or everything):
        fail("--mended names the letters itself", "give it without IDS, --reason and --all", USAGE)
    if not (ids or reason or everything or mended):
        fail("which dead letters?", "give IDS, --reason, --mended FILE or --all", USAGE)
    if mended is None:
        wanted: dict[str, str | None] = dict.fromkeys(_named(ids, reason, state_dir))
    else:
        wanted = _mended(mended, state_dir)
    answer: dict[str, list[Any]] = {"stored": [], "before": [], "failed": []}
    for part in _parts(wanted):
        for name, ones in order("replay", {"letters": part}, config_path, state_dir).items():
            answer[name] += ones
    _show(answer, as_json=as_json)
    if answer["failed"]:
        raise SystemExit(FOUND)


def _replayed_ms(state_dir: Path) -> Mapping[str, int]:
    with closing(Ledger.read_only(state_dir / LEDGER)) as ledger:
        return Replayed(ledger).times_ms()


def _chosen(
    found: Iterable[Letter], replayed_ms: Mapping[str, int], reason: str | None, *, everything: bool = False
) -> Iterator[Letter]:
    for letter in found:
        if (reason is None or letter.reason == reason) and (everything or letter.is_open(replayed_ms.get(letter.id))):
            yield letter


def _newest(found: Iterable[Letter], limit: int) -> tuple[list[Letter], int]:
    """The last so many, each once as it was told last; and how many there are in all."""
    kept: dict[str, Letter] = {}
    seen: set[str] = set()
    for letter in found:
        seen.add(letter.id)
        kept.pop(letter.id, None)
        kept[letter.id] = letter
        if len(kept) > limit:
            del kept[next(iter(kept))]
    return list(kept.values()), len(seen)


def _named(ids: tuple[str, ...], reason: str | None, state_dir: Path) -> list[str]:
    """The full ids. One that was replayed may be named: it is told as stored before."""
    chosen = _chosen(letters(state_dir), _replayed_ms(state_dir), reason, everything=bool(ids))
    known = dict.fromkeys(letter.id for letter in chosen if not ids or letter.id.startswith(ids))
    for start in ids:
        matches = [one for one in known if one.startswith(start)]
        if len(matches) != 1:
            fail(
                f"{len(matches) or 'no'} dead letter{'s' * (len(matches) > 1)} begin{'s' * (not matches)} with {start}",
                "wumu dead-letters list --all",
                USAGE,
            )
    return list(known)


def _mended(file: Path, state_dir: Path) -> dict[str, str | None]:
    """By id the lines of the file; None where they are as they were."""
    try:
        with click.open_file(str(file), encoding="utf-8") as stream:
            lines = {str(one["id"]): str(one["line"]) for one in json.load(stream)}
    except (ValueError, LookupError, TypeError) as error:
        fail(f"{file} is not what `wumu dead-letters list --json` gives: {error}", "edit only the lines in it", USAGE)
    kept = {letter.id: letter.text() for letter in letters(state_dir) if letter.id in lines}
    return {one: None if kept.get(one) == line else line for one, line in lines.items()}


def _parts(wanted: Mapping[str, str | None]) -> Iterator[dict[str, str | None]]:
    """As many at once as the daemon's socket takes."""
    part: dict[str, str | None] = {}
    size = 0
    for letter_id, line in wanted.items():
        length = len(json.dumps(line))
        if part and (len(part) == LETTERS_PER_ORDER or size + length > BYTES_PER_ORDER):
            yield part
            part, size = {}, 0
        part[letter_id] = line
        size += length
    if part:
        yield part


def _told(letter: Letter, replayed_ms: int | None) -> dict[str, Any]:
    return {
        "id": letter.id,
        "at_ms": letter.at_ms or None,
        "file": letter.file,
        "offset": letter.offset,
        "reason": letter.reason,
        "detail": letter.detail,
        "hint": letter.hint,
        "length": letter.length,
        "replayed_ms": replayed_ms,
        "line": letter.text(),
    }


def _row(letter: Letter, replayed_ms: int | None) -> tuple[object, ...]:
    return (
        letter.id,
        time_text(letter.at_ms or None),
        letter.reason,
        letter.file,
        letter.offset,
        time_text(replayed_ms),
        visible(letter.detail, SHOWN_CHARACTERS),
        visible(letter.text(), SHOWN_CHARACTERS),
    )


def _show(answer: Mapping[str, list[Any]], *, as_json: bool) -> None:
    if as_json:
        echo_json(answer)
        return
    if answer["failed"]:
        columns = ("id", "reason", "detail", "hint")
        echo_table(columns, [tuple(one[name] for name in columns) for one in answer["failed"]])
    told = [f"{counted(len(answer['stored']), 'event')} stored"]
    if answer["before"]:
        told.append(f"{len(answer['before'])} had been stored before")
    if answer["failed"]:
        told.append(f"{len(answer['failed'])} can't be stored yet")
    click.echo(", ".join(told), err=True)
