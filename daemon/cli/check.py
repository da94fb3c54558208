"""`wumu check`: everything that is wrong with an alerts.yaml, at once."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from daemon.cli.common import FOUND, USAGE, counted, echo_json, json_option
from daemon.cli.main import HELP
from daemon.plugins import registry
from recognizer.paths import visible
from rules.load import Loaded, load_bytes, load_file
from rules.problems import ProblemCode, Weight, render, to_json


@click.command(context_settings=HELP)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@json_option
def command(files: Sequence[Path], *, as_json: bool) -> None:
    """Report every problem of each FILE with its place, and what to do. Without FILE: alerts.yaml; - is stdin.

    \b
    Exit codes: 0 no errors (warnings are allowed), 1 errors, 2 a file can't be read.
    Examples:
      wumu check
      wumu check /etc/wumu/alerts.yaml --json
      ssh gpu-1 cat /etc/wumu/alerts.yaml | wumu check -
    """
    known = registry()
    paths = files or (Path("alerts.yaml"),)
    results = [
        load_bytes(sys.stdin.buffer.read(), "<stdin>", known) if str(path) == "-" else load_file(path, known)
        for path in paths
    ]
    if as_json:
        echo_json([_as_json(path, result) for path, result in zip(paths, results, strict=True)])
    else:
        for path, result in zip(paths, results, strict=True):
            _show(path, result)
    sys.exit(max(map(_exit_code, results)))


def _as_json(path: Path, result: Loaded) -> dict[str, object]:
    return {
        "file": str(path),
        "ok": result.config is not None,
        "rules": None if result.config is None else len(result.config.rules),
        "problems": [to_json(problem) for problem in result.problems],
    }


def _show(path: Path, result: Loaded) -> None:
    for problem in result.problems:
        click.echo(render(problem, result.source))
        click.echo()
    click.echo(_summary(visible(str(path)), result))


def _summary(file: str, result: Loaded) -> str:
    weights = [problem.weight for problem in result.problems]
    found = [counted(weights.count(weight), weight) for weight in Weight if weight in weights]
    if result.config is None:
        return f"{', '.join(found)} in {file}"
    parts = [counted(len(result.config.rules), "rule"), counted(len(result.config.channels), "channel")]
    return f"{file}: {', '.join([*parts, *(found or ['no problems'])])}"


def _exit_code(result: Loaded) -> int:
    if any(problem.code is ProblemCode.UNREADABLE for problem in result.problems):
        return USAGE
    return FOUND if result.config is None else 0
