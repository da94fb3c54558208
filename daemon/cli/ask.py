"""How a verb gets its answer, or has its order done: by the running daemon, or on the files when none runs."""

import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from daemon.app import CONTROL, LEDGER, embedded, only_daemon, open_store
from daemon.cli.common import read_config
from daemon.clock import SystemClock
from daemon.console import Console
from daemon.control import NotRunning, call
from daemon.cycle import Cycle
from daemon.ledger.ledger import Ledger
from daemon.notify.announce import Announcer
from daemon.orders import Orders
from daemon.store.base import EventStore
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


def order(verb: str, arguments: Mapping[str, Any], config_path: Path, state_dir: Path) -> Any:
    """Tell the running daemon something, or write it where it will read it when none runs. Raises WumuError."""
    try:
        return call(state_dir / CONTROL, verb, arguments)
    except NotRunning:
        config = read_config(config_path, warn=False)
    Ledger.read_only(state_dir / LEDGER).close()  # where there is none: say so instead of making an empty one
    with ExitStack() as stack:
        stack.enter_context(only_daemon(state_dir))
        ledger = stack.enter_context(closing(Ledger.open(state_dir / LEDGER)))

        def store() -> EventStore:
            return stack.enter_context(closing(open_store(config, state_dir)))

        def cycle() -> Cycle:
            opened = store()
            return Cycle(config, opened, ledger, Announcer(config, opened), SystemClock())

        return Orders(config, ledger, cycle, now_ms, store, state_dir).verbs()[verb](arguments)


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


class Moment(click.ParamType[int]):
    """A time, as ISO 8601 (UTC unless it says otherwise) or as a duration before now; milliseconds since 1970 UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        with suppress(ValueError):  # then it is a date
            return now_ms() - duration_ms(value)
        try:
            moment = datetime.fromisoformat(value)
            return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 2026-11-22T14:30, 2026-11-22T14:30+08:00, or 10m ago as 10m", param, ctx
            )
