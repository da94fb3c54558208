"""`wumu fix-paths`: the shell script that gives faulty names their better ones, for a human to read and run.

Works with the [recognizer] extra alone. Renames nothing itself.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from daemon.cli.main import HELP
from recognizer.paths import visible
from recognizer.rename import Rename, renames
from rules.shell import quote

FOUND, USAGE = 1, 2

_HEAD = """\
#!/bin/bash
# Better names for the files below {folder}, made by `wumu fix-paths`. Read it before you run it with bash.
# Nothing is ever overwritten: a name that is taken is left alone, and said.
set -u
failed=0
move() {{
    if [ -e "$2" ] || [ -L "$2" ] || ! mv -nT -- "$1" "$2"; then
        printf 'not renamed: %q\\n' "$1" >&2
        failed=1
    fi
}}
cd -- {quoted} || exit 1
"""


@click.command(context_settings=HELP)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--dry-run", is_flag=True, help="Write the script. There is no other way: wumu renames nothing itself.")
def command(folder: str, *, dry_run: bool) -> None:
    """Write a shell script that renames the files and folders below FOLDER whose names have faults.

    Invisible characters, full-width letters, wrong encodings (also bytes that are no UTF-8), stray spaces and quotes:
    each line says what is wrong. Names that would meet another one are left alone and listed.

    \b
    Examples:
      wumu fix-paths /data/upload --dry-run > fix.sh
      wumu fix-paths /data/upload --dry-run | less

    Exit code 1 when there are faulty names.
    """
    if not dry_run:
        click.echo("wumu fix-paths: wumu renames nothing itself", err=True)
        click.echo(
            f"  what to do: wumu fix-paths {visible(quote(folder) or '')} --dry-run > fix.sh, read it, bash fix.sh",
            err=True,
        )
        sys.exit(USAGE)
    count = kept = 0
    root = os.path.realpath(folder)
    click.echo(_HEAD.format(folder=visible(root), quoted=quote(root)), nl=False)
    for one in renames(root):
        count += 1
        kept += one.new is None
        for line in _lines(one):
            click.echo(line)
    click.echo("exit $failed")
    click.echo(f"{count} faulty names, {count - kept} of them with a better one", err=True)
    sys.exit(FOUND if count else 0)


def _lines(one: Rename) -> Iterator[str]:
    """What is wrong, and the command; names that no shell can write are none of a file system."""
    old = str(Path(one.folder) / one.old)
    if one.new is None:
        yield f"# {one.reason}: {visible(old)} keeps its name: {one.obstacle}"
        return
    new = str(Path(one.folder) / one.new)
    yield f"# {one.reason}: {visible(old)}"
    yield f"move {quote('./' + old)} {quote('./' + new)}"
