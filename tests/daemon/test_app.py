"""The daemon as a whole in this process: reloads, the watchdog, and ends that nobody asked for."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.app import App
from daemon.clock import SystemClock
from rules.model import Config
from tests.support.daemon import DEADLINE_S, eventually
from tests.support.rules import config_of


class HastyClock(SystemClock):
    """The machine's clock, in which time can be made to have passed."""

    passed_s = 0.0

    def now_ms(self) -> int:
        return super().now_ms() + round(self.passed_s * 1_000)

    def monotonic(self) -> float:
        return super().monotonic() + self.passed_s


class Service:
    """An App in a thread, with what it tells systemd."""

    def __init__(self, read: Callable[[], Config], state: Path, notify: socket.socket) -> None:
        self.clock = HastyClock()
        self.app = App(read, state, self.clock)
        self.fault: BaseException | None = None
        self._notify = notify
        self.thread = threading.Thread(target=self._run, name="app")
        self.thread.start()

    def _run(self) -> None:
        try:
            self.app.run()
        except ZeroDivisionError as fault:
            self.fault = fault

    def wait_for(self, notice: str) -> None:
        while notice not in self._notify.recv(4_096).decode():
            pass

    def nothing_heard_yet(self) -> None:
        """Take what has been told so far."""
        self._notify.setblocking(False)
        try:
            while self._notify.recv(4_096):
                pass
        except BlockingIOError:
            self._notify.settimeout(DEADLINE_S)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Config]], Service]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, made(tmp_path, notify) as make:
        name = f"wumu-app-{os.getpid()}-{time.monotonic_ns()}"
        notify.bind("\0" + name)
        notify.settimeout(DEADLINE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)
        monkeypatch.setenv("WATCHDOG_USEC", "120000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield make


@contextmanager
def made(folder: Path, notify: socket.socket) -> Iterator[Callable[[Callable[[], Config]], Service]]:
    services: list[Service] = []

    def make(read: Callable[[], Config]) -> Service:
        services.append(Service(read, folder / "state", notify))
        return services[-1]

    yield make
    for one in services:
        one.app.request_stop()
        one.thread.join(DEADLINE_S)


def config(folder: Path, poll: str = "1s") -> Config:
    return config_of(
        f"version: 1\ntick: 1s\ningest: {{paths: ['{folder}/*.log'], poll: {poll}}}\n"
        "rules:\n  - {id: many, kind: count, at_least: 1000}\n"
    )


def test_logs_that_are_looked_at_seldom_do_not_look_like_a_hang(
    service: Callable[[Callable[[], Config]], Service], tmp_path: Path
) -> None:
    """With `poll: 10m` the reader gives a sign of life every ten minutes: the watchdog is fed in between too."""
    running = service(lambda: config(tmp_path, "10m"))
    running.wait_for("READY=1")
    running.clock.passed_s = 200.0
    running.nothing_heard_yet()
    running.wait_for("WATCHDOG=1")


def test_a_reload_is_taken_and_the_daemon_goes_on(
    service: Callable[[Callable[[], Config]], Service], tmp_path: Path
) -> None:
    running = service(lambda: config(tmp_path))
    running.wait_for("READY=1")
    running.app.request_reload()
    running.wait_for("RELOADING=1")
    running.wait_for("READY=1")
    running.wait_for("WATCHDOG=1")


def test_a_fault_of_our_own_ends_the_whole_process_not_a_part_of_it(
    service: Callable[[Callable[[], Config]], Service], tmp_path: Path
) -> None:
    """A daemon whose main loop died must end, or nobody would start it again."""
    answers = iter([config(tmp_path)])

    def read() -> Config:
        try:
            return next(answers)
        except StopIteration:
            raise ZeroDivisionError("a bug") from None

    running = service(read)
    running.wait_for("READY=1")
    running.app.request_reload()
    eventually(lambda: not running.thread.is_alive(), "the daemon ends")
    eventually(lambda: "ingest" not in {thread.name for thread in threading.enumerate()}, "and its reader", 10)
    assert isinstance(running.fault, ZeroDivisionError)
