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
from daemon.console import VERBS, Console, stages
from daemon.control import Control, Verb
from daemon.engine import Engine
from daemon.errors import LedgerError, LedgerLocked, StoreError, WumuError
from daemon.health import Heartbeats, Notifier
from daemon.ledger.ledger import Ledger
from daemon.orders import VERBS as ORDERS
from daemon.orders import Orders
from daemon.schedule import Schedule
from daemon.store.base import EventStore
from daemon.store.registry import DEFAULT_KIND, STORES
from rules.model import Config

LOG = logging.getLogger("wumu")
CONTROL, LEDGER, LOCK = "control.sock", "ledger.sqlite", "lock"
SEND_EVERY_S = 1.0
HOUSEKEEPING_EVERY_S = 3_600.0
SHUTDOWN_SEND_S = 10.0
JOBS = ("read", "turn", "send", "housekeeping")
GUARD_EVERY_S = 1.0
STALE_S = 60.0
"""A part that gave no sign of life for so long is taken for hung (under systemd: half its watchdog time). Where its
configured interval is long, that is added."""
BREATH_S = 0.01
"""The reader's pause in a backlog: without it a reload would not get its turn."""
UNFORESEEN_S = 5.0
"""Pause before reading is tried again after a fault of our own."""


def embedded(config: Config) -> bool:
    """Whether the events lie in a file of the state folder, not in a cluster."""
    return config.store is None or config.store.kind == DEFAULT_KIND


def open_store(config: Config, state_dir: Path) -> EventStore:
    """The event store of a configuration; the embedded one in the state folder by default."""
    if config.store is None:
        kind = STORES[DEFAULT_KIND]
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
        self._down: dict[str, str] = {}
        self._stale: tuple[str, ...] = ()

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
            stack.callback(lambda: self._close(self._engine))
            stack.callback(Control(self._state_dir / CONTROL, self._verbs()).close)
            self._work(config)

    def _work(self, config: Config) -> None:
        reader = threading.Thread(target=self._read_logs, name="ingest")
        self._expect_beats(config)
        self._schedule.every(config.tick_ms / 1_000, "turn", self._turn)
        self._schedule.every(SEND_EVERY_S, "send", self._send)
        self._schedule.every(HOUSEKEEPING_EVERY_S, "housekeeping", self._housekeeping)
        reader.start()
        self._schedule.start()
        LOG.info(
            "watching: %d rules, %d channels, state in %s", len(config.rules), len(config.channels), self._state_dir
        )
        try:
            while not self._stop.wait(GUARD_EVERY_S):
                self._guard()
        finally:
            self._stop.set()
            LOG.info("stopping: what is under way is finished and committed")
            self._notifier.stopping()
            reader.join()
            self._schedule.stop()

    def _expect_beats(self, config: Config) -> None:
        limit_s = self._notifier.watchdog_s / 2 if self._notifier.watchdog_s else STALE_S
        intervals_s = {"read": config.ingest.poll_ms / 1_000, "turn": config.tick_ms / 1_000, "send": SEND_EVERY_S}
        for name, interval_s in intervals_s.items():
            self._heartbeats.expect(name, limit_s + interval_s)

    def _guard(self) -> None:
        """Every second: the clock, the watchdog, a reload."""
        self._schedule.guard()
        stale = self._heartbeats.stale()
        if stale and stale != self._stale:
            LOG.error("no sign of life from: %s", ", ".join(stale))
        if not stale:
            self._notifier.watchdog()
        self._stale = stale
        if not self._ready.is_set():
            self._notifier.extend_start(2 * STALE_S)
        if self._reload.is_set():
            self._reload.clear()
            self._read_again()

    def _read_logs(self) -> None:
        while not self._stop.is_set():
            pause_s = UNFORESEEN_S
            try:
                with self._using["read"]:
                    report = self._engine.read()
                    poll_s = self._engine.config.ingest.poll_ms / 1_000
                self._heartbeats.beat("read")
                pause_s = BREATH_S if report is not None and report.behind else poll_s
            except Exception:  # without a reader everything would look silent
                LOG.exception("the logs could not be read for an unforeseen reason; it is tried again")
            self._stop.wait(pause_s)

    def _turn(self) -> None:
        try:
            with self._using["turn"]:
                known = self._engine.known_until_ms
                turn = self._engine.turn()
        except (StoreError, LedgerError) as fault:
            self._say_down("turns", str(fault), fault.hint)
        else:
            self._say_down("turns", "")
            if known is not None and not self._ready.is_set():
                self._ready.set()
                LOG.info("the first turn is done")  # before whoever waits for it goes on
                self._notifier.ready(f"watching with {len(self._engine.config.rules)} rules")
            if turn.messages:
                self._schedule.soon("send")
        self._heartbeats.beat("turn")

    def _send(self) -> None:
        try:
            with self._using["send"]:
                self._engine.send()
        except LedgerError as fault:
            self._say_down("messages", str(fault), fault.hint)
        else:
            self._say_down("messages", "")
        self._heartbeats.beat("send")

    def _housekeeping(self) -> None:
        try:
            with self._using["housekeeping"]:
                self._engine.housekeeping()
        except (StoreError, LedgerError) as fault:
            LOG.warning("old data could not be removed: %s; it is tried again in an hour", fault)

    def _say_down(self, what: str, why: str, hint: str = "") -> None:
        """One line when turns or messages begin to fail, one when they work again."""
        before, self._down[what] = self._down.get(what, ""), why
        if why and not before:
            LOG.error("%s wait: %s%s", what, why, f"; {hint}" if hint else "")
            self._notifier.status(f"waiting: {why}")
        elif before and not why:
            LOG.info("%s go on; what was missed is made up for now", what)
            self._notifier.status("watching")

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
                before, self._engine = self._engine, self._engine.renewed(config)
                self._close(before)
            self._schedule.every(config.tick_ms / 1_000, "turn", self._turn)
            self._expect_beats(config)
            LOG.info("reloaded: %d rules, %d channels", len(config.rules), len(config.channels))
        except WumuError as fault:
            LOG.error("not reloaded, the old configuration stays: %s; %s", fault, fault.hint)
        if self._ready.is_set():
            self._notifier.ready("watching")

    def _close(self, engine: Engine) -> None:
        try:
            engine.close(SHUTDOWN_SEND_S)
        except LedgerError as fault:
            LOG.error("what was just sent could not be recorded and is sent again: %s; %s", fault, fault.hint)

    def _verbs(self) -> Mapping[str, Verb]:
        """The console's verbs, always with the configuration that is in force."""

        def console() -> Console:
            return Console(self._engine.config, self._store, lambda: self._ledger, self._clock.now_ms)

        verbs: dict[str, Verb] = {name: partial(_ask, console, name) for name in VERBS}
        orders: dict[str, Verb] = {name: partial(self._order, name) for name in ORDERS}
        return verbs | orders | {"status": lambda _: self._status()}

    def _order(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """Do what people tell the daemon, between two turns; a replay also between two passes over the logs."""
        with self._using["read"] if verb == "replay" else contextlib.nullcontext(), self._using["turn"]:
            engine = self._engine
            orders = Orders(
                engine.config,
                self._ledger,
                lambda: engine.cycle,
                self._clock.now_ms,
                lambda: self._store,
                self._state_dir,
            )
            return orders.verbs()[verb](arguments)

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
            "learning": self._learning(),
        }

    def _learning(self) -> dict[str, dict[str, int]]:
        """Of each rule that learns, how many series are how far."""
        states = self._engine.cycle.states
        found = {rule.id: stages(rule, states[rule.id]) for rule in self._engine.config.rules if rule.id in states}
        return {name: counts for name, counts in found.items() if counts}


def _ask(console: Callable[[], Console], verb: str, arguments: Mapping[str, Any]) -> Any:
    return console().verbs()[verb](arguments)
