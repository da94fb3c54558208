"""An engine with real channels and a real ledger, a clock in the hand, and two webhooks that listen."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.clock import ManualClock
from daemon.engine import Engine
from daemon.ledger.ledger import Ledger
from daemon.notify.channel import Message, Occasion
from daemon.store.reference import ReferenceStore
from daemon.watch import PATIENCE_MS, Trouble
from tests.support.rules import config_of

HOUR = 3_600_000
BEGIN = 500_000 * HOUR
RULE = "  - {id: many, kind: count, at_least: 1000, notify: [ops]}\n"
OTHER = "  - {id: more, kind: count, at_least: 1000, notify: [ops]}\n"


class Site:
    """``hook`` is the url of a receiver."""

    def __init__(self, folder: Path, hook: str, rules: str = RULE, *, logs: bool = False) -> None:
        self.folder, self.hook, self.clock, self.logs = folder, hook, ManualClock(BEGIN), logs
        self.store, self.ledger = ReferenceStore(), Ledger.open(folder / "ledger.sqlite")
        self.engine = self.start(rules)

    def config(self, rules: str, channels: tuple[str, ...] = ("ops", "pager")) -> str:
        hooks = "".join(
            f"  {name}: {{kind: webhook, url: '{self.hook}{name}', allow_private: true}}\n" for name in channels
        )
        ingest = f"{{paths: ['{self.folder}/*.log']}}" if self.logs else "{enabled: false}"
        return f"version: 1\ningest: {ingest}\nchannels:\n{hooks}rules:\n{rules}"

    def start(self, rules: str) -> Engine:
        return Engine(config_of(self.config(rules)), self.store, self.ledger, self.folder, self.clock)

    def post(self, name: str, channel: str = "ops") -> None:
        message = Message(
            id=name, thread=name, occasion=Occasion.DRILL, created_at_ms=0, subject="s", text="t", html="h"
        )
        self.ledger.post(channel, message, self.clock.now_ms())

    def deliver(self) -> None:
        """Send until nothing more is due, however long the receiver takes."""
        report = self.engine.send()
        while report.busy or report.delivered or report.dead:
            report = self.engine.send()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Another program holds the ledger's write lock."""
        self.ledger.rows("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(self.folder / "ledger.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.close()

    def close(self) -> None:
        self.engine.close(10)
        self.ledger.close()


def tell_and_die(folder: Path, hook: str, trouble: Trouble, name: str) -> None:
    """What a daemon does that sees a trouble last, tells of it, and is killed."""
    site = Site(folder, hook, logs=True)
    site.engine.watch.seen(trouble, name, "a fault", BEGIN)
    site.clock.advance_ms(PATIENCE_MS[trouble])
    site.deliver()
    os.kill(os.getpid(), signal.SIGKILL)
