"""What the verbs share: where the configuration and the state are, how faults and tables look."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

import click

from daemon.errors import ConfigError, WumuError
from daemon.plugins import registry
from recognizer.paths import visible
from rules.load import load_file
from rules.model import Config
from rules.problems import Weight, render

P = ParamSpec("P")
R = TypeVar("R")

FOUND, USAGE, UNAVAILABLE = 1, 2, 3


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
    """A foreseen fault becomes one line and exit code 3, never a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except WumuError as fault:
            fail(str(fault), fault.hint)

    return run


def fail(message: str, hint: str = "", code: int = UNAVAILABLE) -> NoReturn:
    """One line on stderr, and the way out below it."""
    click.echo(f"wumu: {visible(message, 2_000)}", err=True)
    if hint:
        click.echo(f"  what to do: {visible(hint, 2_000)}", err=True)
    sys.exit(code)


def read_config(path: Path) -> Config:
    """The checked configuration; its warnings go to stderr. Raises ConfigError with every problem."""
    loaded = load_file(path, registry())
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    errors = [problem for problem in loaded.problems if problem.weight is Weight.ERROR]
    for problem in loaded.problems:
        click.echo(render(problem, text), err=True)
    if loaded.config is None or errors:
        raise ConfigError(f"{path} has {len(errors)} errors", hint=f"wumu check {path}")
    return loaded.config


def echo_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def echo_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns; every cell is made safe to show."""
    from rich.console import Console  # noqa: PLC0415  # rich costs start-up time that --json need not pay
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(escape(visible("" if cell is None else str(cell), 200)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def time_text(milliseconds: int | None, zone: str = "UTC") -> str:
    """A time as people read it, with its zone."""
    if milliseconds is None:
        return ""
    moment = datetime.fromtimestamp(milliseconds / 1_000, tz=UTC).astimezone(ZoneInfo(zone))
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")


def key_text(pairs: Iterable[tuple[str, str | None]]) -> str:
    return " ".join(f"{name}={value if value is not None else '(none)'}" for name, value in pairs) or "(all)"


def fields_text(event: Mapping[str, Any], left_out: Iterable[str]) -> str:
    """The rest of an event's fields on one line."""
    skipped = set(left_out)
    return " ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in event.items() if name not in skipped
    )
