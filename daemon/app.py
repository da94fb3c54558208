"""The composition root: builds the parts from a configuration, starts, reloads and stops them."""

import contextlib
import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from daemon.clock import Clock
from daemon.console import VERBS, Console
from daemon.control import Control, Verb
from daemon.engine import Engine
from daemon.errors import LedgerError, LedgerLocked, StoreError, WumuError
from daemon.health import Heartbeats, Notifier
from daemon.ledger.ledger import Ledger
from daemon.schedule import Schedule
from daemon.store.base import EventStore
from daemon.store.registry import STORES
from rules.model import Config

LOG = logging.getLogger("wumu")
CONTROL, LEDGER, LOCK = "control.sock", "ledger.sqlite", "lock"
SEND_EVERY_S = 1.0
HOUSEKEEPING_EVERY_S = 3_600.0
SHUTDOWN_SEND_S = 10.0
JOBS = ("read", "turn", "send", "housekeeping")
GUARD_EVERY_S = 1.0
STALE_S = 60.0
"""A part that gave no sign of life for so long is taken for hung (under systemd: half its watchdog time)."""


def open_store(config: Config, state_dir: Path) -> EventStore:
    """The event store of a configuration; the embedded one in the state folder by default."""
    if config.store is None:
        kind = STORES["duckdb"]
        return kind.make(kind.parameters(), state_dir)
    return STORES[config.store.kind].make(config.store.parameters, state_dir)


@contextlib.contextmanager
def only_daemon(state_dir: Path) -> Iterator[None]:
    """Hold the state folder. Raises LedgerLocked when another daemon does."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
        lock = os.open(state_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise WumuError(
            f"the state folder {state_dir} can't be used: {fault.strerror}",
            hint="run it as the daemon's user, or give a folder that you may write: --state FOLDER",
        ) from fault
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            pid = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            raise LedgerLocked(
                f"another wumu (pid {pid}) works on {state_dir}",
                hint="stop it first, or give this one a folder of its own: --state FOLDER",
            ) from fault
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


class App:
    """The running daemon: an engine on a schedule, with signals, watchdog and console around it."""

    def __init__(self, read: Callable[[], Config], state_dir: Path, clock: Clock) -> None:
        self._read = read
        self._state_dir = state_dir
        self._clock = clock
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._ready = threading.Event()
        self._using = {name: threading.Lock() for name in JOBS}
        self._notifier = Notifier()
        self._heartbeats = Heartbeats(clock)
        self._schedule = Schedule(clock)
        self._down = ""

    def request_stop(self) -> None:
        """End `run` soon. Safe in a signal handler."""
        self._stop.set()

    def request_reload(self) -> None:
        """Read the configuration again soon. Safe in a signal handler."""
        self._reload.set()

    def run(self) -> None:
        """Work until a stop is requested. Raises WumuError when it can't begin."""
        config = self._read()
        with ExitStack() as stack:
            stack.enter_context(only_daemon(self._state_dir))
            self._ledger = Ledger.open(self._state_dir / LEDGER)
            stack.callback(self._ledger.close)
            self._store = open_store(config, self._state_dir)
            stack.callback(self._store.close)
            self._engine = Engine(config, self._store, self._ledger, self._state_dir, self._clock)
            stack.callback(lambda: self._engine.close(SHUTDOWN_SEND_S))
            stack.callback(Control(self._state_dir / CONTROL, self._verbs()).close)
            self._work(config)

    def _work(self, config: Config) -> None:
        reader = threading.Thread(target=self._read_logs, name="ingest")
        for name in ("read", "turn", "send"):
            self._heartbeats.expect(name, self._notifier.watchdog_s / 2 if self._notifier.watchdog_s else STALE_S)
        self._schedule.every(config.tick_ms / 1_000, "turn", self._turn)
        self._schedule.every(SEND_EVERY_S, "send", self._send)
        self._schedule.every(HOUSEKEEPING_EVERY_S, "housekeeping", self._housekeeping)
        reader.start()
        self._schedule.start()
        LOG.info(
            "watching: %d rules, %d channels, state in %s", len(config.rules), len(config.channels), self._state_dir
        )
        while not self._stop.wait(GUARD_EVERY_S):
            self._guard()
        LOG.info("stopping: what is under way is finished and committed")
        self._notifier.stopping()
        reader.join()
        self._schedule.stop()

    def _guard(self) -> None:
        """Every second: the clock, the watchdog, a reload."""
        self._schedule.guard()
        stale = self._heartbeats.stale()
        if stale:
            LOG.error("no sign of life from: %s", ", ".join(stale))
        else:
            self._notifier.watchdog()
        if not self._ready.is_set():
            self._notifier.extend_start(2 * STALE_S)
        if self._reload.is_set():
            self._reload.clear()
            self._read_again()

    def _read_logs(self) -> None:
        while not self._stop.is_set():
            with self._using["read"]:
                engine = self._engine
                report = engine.read()
            self._heartbeats.beat("read")
            if report is None or not report.behind:
                self._stop.wait(engine.config.ingest.poll_ms / 1_000)

    def _turn(self) -> None:
        try:
            with self._using["turn"]:
                known = self._engine.known_until_ms
                turn = self._engine.turn()
        except (StoreError, LedgerError) as fault:
            self._say_down(str(fault), fault.hint)
        else:
            self._say_down("")
            if known is not None and not self._ready.is_set():
                self._ready.set()
                self._notifier.ready(f"watching with {len(self._engine.config.rules)} rules")
                LOG.info("the first turn is done")
            if turn.messages:
                self._schedule.soon("send")
        self._heartbeats.beat("turn")

    def _send(self) -> None:
        try:
            with self._using["send"]:
                self._engine.send()
        except LedgerError as fault:
            LOG.error("sending waits: %s; %s", fault, fault.hint)
        self._heartbeats.beat("send")

    def _housekeeping(self) -> None:
        try:
            with self._using["housekeeping"]:
                self._engine.housekeeping()
        except (StoreError, LedgerError) as fault:
            LOG.warning("old data could not be removed: %s; it is tried again in an hour", fault)

    def _say_down(self, why: str, hint: str = "") -> None:
        """One line when turns begin to fail, one when they work again."""
        if why and not self._down:
            LOG.error("turns wait: %s%s", why, f"; {hint}" if hint else "")
            self._notifier.status(f"waiting: {why}")
        elif self._down and not why:
            LOG.info("turns go on; what was missed is judged now")
            self._notifier.status("watching")
        self._down = why

    def _read_again(self) -> None:
        """Reload: all or nothing. What is wrong is said, and the old configuration stays."""
        self._notifier.reloading()
        try:
            config = self._read()
            with ExitStack() as stack:
                for lock in self._using.values():
                    stack.enter_context(lock)
                if config.store != self._engine.config.store:
                    raise WumuError(
                        "the event store can't change while running", hint="restart: systemctl restart wumu"
                    )
                self._engine.close(SHUTDOWN_SEND_S)
                self._engine = Engine(config, self._store, self._ledger, self._state_dir, self._clock)
            self._schedule.every(config.tick_ms / 1_000, "turn", self._turn)
            LOG.info("reloaded: %d rules, %d channels", len(config.rules), len(config.channels))
        except WumuError as fault:
            LOG.error("not reloaded, the old configuration stays: %s; %s", fault, fault.hint)
        if self._ready.is_set():
            self._notifier.ready("watching")

    def _verbs(self) -> Mapping[str, Verb]:
        """The console's verbs, always with the configuration that is in force."""

        def console() -> Console:
            return Console(self._engine.config, self._store, lambda: self._ledger, self._clock.now_ms)

        verbs: dict[str, Verb] = {name: partial(_ask, console, name) for name in VERBS}
        return verbs | {"status": lambda _: self._status()}

    def _status(self) -> dict[str, Any]:
        """What `wumu doctor` asks a running daemon."""
        health = self._store.health()
        return {
            "pid": os.getpid(),
            "ready": self._ready.is_set(),
            "store": {"ok": health.ok, "detail": health.detail, "events": health.events, "newest_ms": health.newest_ms},
            "known_until_ms": self._engine.known_until_ms,
            "undelivered": self._engine.undelivered,
            "troubles": self._engine.watch.troubles,
            "ingest": self._engine.ingest_counters(),
        }


def _ask(console: Callable[[], Console], verb: str, arguments: Mapping[str, Any]) -> Any:
    return console().verbs()[verb](arguments)
