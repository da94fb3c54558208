"""`wumu doctor-path`: what is wrong with a path, and which existing file was meant. Looks only, changes nothing.

Works with the [recognizer] extra alone, and without torch.
"""

import sys
import unicodedata
from typing import Any

import click

from daemon.cli.main import HELP
from recognizer.doctor import IN_THE_WAY, Diagnosis, examine
from recognizer.encode import encode
from recognizer.hints import HINTS
from recognizer.paths import PathIssue, inspect, visible

FOUND = 1


@click.command(context_settings=HELP)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Look for the file that was meant below this folder; may be repeated. Default: the path's own folder.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON line a path.")
def command(paths: tuple[str, ...], roots: tuple[str, ...], *, as_json: bool) -> None:
    """Say what is wrong with each PATH: the fault, the character and its place, and the existing file that was meant.

    \b
    Examples:
      wumu doctor-path /data/upload/bailing.png
      wumu doctor-path 'D:\\图片\\百灵.png' --root /mnt/pictures
      wumu doctor-path --json "$path" | jq -r .path_suggested

    Nothing outside of the roots is looked at, links followed. Exit code 1 when a path has a fault.
    """
    found = [examine(path, roots or None) for path in paths]
    for one in found:
        if as_json:
            click.echo(encode(_fields(one)).decode(), nl=False)
        else:
            _show(one)
    sys.exit(FOUND if any(one.reason is not None for one in found) else 0)


def _fields(one: Diagnosis) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "file_path": one.path,
        "reason": one.reason,
        "exists": one.exists,
        "issues": [
            {"reason": issue.reason, "position": issue.position + 1, "character": issue.code_point or None}
            for issue in one.issues
        ],
        "complete": one.complete,
    }
    if one.meant is not None:
        fields |= {
            "path_suggested": one.meant.path,
            "differs_by": one.meant.reason,
            "certain": one.meant.certain,
            "alternatives": one.meant.alternatives,
        }
    return fields


def _show(one: Diagnosis) -> None:
    click.echo(f"{click.style(one.reason or 'ok', bold=True)}  {visible(one.path)}")
    if one.reason is None:
        return
    for issue in one.issues:
        click.echo(f"  {_issue(issue, len(one.path))}")
    if one.exists:
        click.echo("  a file stands under this very name")
    if one.meant is not None:
        click.echo(f"  {'meant' if one.meant.certain else 'perhaps'}: {visible(one.meant.path)}  ({one.meant.reason})")
        for other in one.meant.alternatives:
            click.echo(f"  or: {visible(other)}")
    elif not one.exists and one.reason not in IN_THE_WAY:
        click.echo(
            f"  no file that could be meant was found{'' if one.complete else ' before the limits were reached'}"
        )
    click.echo(f"  what to do: {_hint(one)}")


def _hint(one: Diagnosis) -> str:
    if one.reason is None or (not one.issues and one.meant is not None and inspect(one.meant.path)):
        return "the file's own name has the fault: wumu fix-paths FOLDER --dry-run writes a script that renames it"
    return HINTS[one.reason]


def _issue(issue: PathIssue, total: int) -> str:
    if not issue.character:
        return str(issue.reason)
    name = unicodedata.name(issue.character, "")
    return f"{issue.reason}: character {issue.position + 1} of {total} is {issue.code_point} {name}".rstrip()
