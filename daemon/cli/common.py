"""What the verbs share: where the configuration and the state are, how faults and tables look."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click

from daemon.cli.main import ROOM, drop_output, refused
from daemon.errors import BadRequest, ConfigError, WumuError
from daemon.notify.words import moment
from daemon.plugins import registry
from recognizer.paths import visible
from rules.load import load_file
from rules.model import Config
from rules.problems import Weight, render

P = ParamSpec("P")
R = TypeVar("R")

FOUND, USAGE, UNAVAILABLE = 1, 2, 3
CELL_CHARACTERS = 4_096
"""A cell is cut to this: more than any path has, for paths and ids are there to be pasted."""
COLUMN_CELLS = 60
"""A column is padded to this at most; what is longer pushes the rest of its line to the right."""


def default_state() -> Path:
    """systemd's StateDirectory, /var/lib/wumu for root, else the user's state folder."""
    if folder := os.environ.get("STATE_DIRECTORY"):
        return Path(folder.split(":")[0])
    if os.geteuid() == 0:
        return Path("/var/lib/wumu")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "wumu"


def config_option(command: Callable[P, R]) -> Callable[P, R]:
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        envvar="WUMU_CONFIG",
        default=Path("alerts.yaml"),
        show_default=True,
        help="The configuration. [env: WUMU_CONFIG]",
    )(command)


def state_option(command: Callable[P, R]) -> Callable[P, R]:
    return click.option(
        "--state",
        "state_dir",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="WUMU_STATE",
        default=default_state,
        help="The folder with the ledger and the embedded store. [env: WUMU_STATE; default: /var/lib/wumu for root]",
    )(command)


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    return click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")(command)


def faults_shown(command: Callable[P, R]) -> Callable[P, R]:
    """A foreseen fault becomes one line and exit code 3, or 2 where the call was wrong; never a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:
            drop_output()
            sys.exit(0)
        except (BadRequest, ConfigError) as fault:
            fail(str(fault), fault.hint, USAGE)
        except WumuError as fault:
            fail(str(fault), fault.hint)
        except OSError as fault:
            drop_output()
            fail(refused(fault), ROOM)

    return run


def fail(message: str, hint: str = "", code: int = UNAVAILABLE) -> NoReturn:
    """One line on stderr, and the way out below it."""
    click.echo(f"wumu: {visible(message, 2_000)}", err=True)
    if hint:
        click.echo(f"  what to do: {visible(hint, 2_000)}", err=True)
    sys.exit(code)


def read_config(path: Path, *, warn: bool = True) -> Config:
    """The checked configuration; its errors go to stderr, and its warnings too when ``warn``. Raises ConfigError."""
    loaded = load_file(path, registry())
    errors = [problem for problem in loaded.problems if problem.weight is Weight.ERROR]
    for problem in loaded.problems if warn else errors:
        click.echo(render(problem, loaded.source), err=True)
    if loaded.config is None:
        raise ConfigError(f"{path} can't be used: {counted(len(errors), 'error')}", hint=f"wumu check {path}")
    return loaded.config


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def echo_json(value: Any) -> None:
    """One document. Whatever could act on a terminal or can't be written in its encoding stands as \\uXXXX."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not utf8, indent=2, default=str)
    click.echo("\n".join(_printable(line) for line in text.split("\n")))


def _printable(line: str) -> str:
    return line if line.isprintable() else "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in line)


def echo_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns; every cell is made safe to show, none is cut or broken where it would be pasted."""
    from rich.cells import cell_len  # noqa: PLC0415  # rich costs start-up time that --json need not pay

    lines = [[visible("" if cell is None else str(cell), CELL_CHARACTERS) for cell in row] for row in (columns, *rows)]
    widths = [min(COLUMN_CELLS, max(map(cell_len, column))) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        click.secho("  ".join(padded).rstrip(), bold=number == 0)


def time_text(milliseconds: int | None, zone: str = "UTC") -> str:
    """A time as people read it, with its zone."""
    return "" if milliseconds is None else moment(milliseconds, zone)


def key_text(pairs: Iterable[tuple[str, str | None]]) -> str:
    return " ".join(f"{name}={value if value is not None else '(none)'}" for name, value in pairs) or "(all)"


def fields_text(event: Mapping[str, Any], left_out: Iterable[str]) -> str:
    """The rest of an event's fields on one line."""
    skipped = set(left_out)
    return " ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in event.items() if name not in skipped
    )
