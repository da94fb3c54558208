"""How a verb gets its answer: from the running daemon, or from the files when none runs."""

import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click

from daemon.app import CONTROL, LEDGER, embedded, open_store
from daemon.cli.common import read_config
from daemon.console import Console
from daemon.control import NotRunning, call
from daemon.ledger.ledger import Ledger
from detectors.duration import duration_ms


def ask(verb: str, arguments: Mapping[str, Any], config_path: Path, state_dir: Path) -> Any:
    """The answer to a console verb. Nothing is made or changed. Raises WumuError."""
    try:
        return call(state_dir / CONTROL, verb, arguments)
    except NotRunning:
        config = read_config(config_path, warn=False)
    with ExitStack() as stack:

        def ledger() -> Ledger:
            return stack.enter_context(closing(Ledger.read_only(state_dir / LEDGER)))

        if embedded(config):
            ledger()  # where there is none, no event was ever kept: say so instead of making an empty store
        store = stack.enter_context(closing(open_store(config, state_dir)))
        return Console(config, store, ledger, now_ms).verbs()[verb](arguments)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Duration(click.ParamType[int]):
    """A duration such as 5m, 24h, 7d; the value is in milliseconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return duration_ms(value)
        except ValueError as fault:
            self.fail(str(fault), param, ctx)
