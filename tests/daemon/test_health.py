"""What systemd hears from us, and when a silent part is noticed."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.clock import ManualClock
from daemon.health import Heartbeats, Notifier
from tests.support.systemd import Systemd, require_systemd


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """The service manager's end of the notification socket, and its name in NOTIFY_SOCKET."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@wumu-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        listener.settimeout(10)
        yield listener, address


def test_each_message_is_one_datagram_of_assignments(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())})
    notifier.ready("watching 12 rules")
    notifier.status("waiting: the store is down")
    notifier.watchdog()
    notifier.extend_start(1.5)
    notifier.stopping()
    assert [listener.recv(4096) for _ in range(5)] == [
        b"READY=1\nSTATUS=watching 12 rules",
        b"STATUS=waiting: the store is down",
        b"WATCHDOG=1",
        b"EXTEND_TIMEOUT_USEC=1500000",
        b"STOPPING=1\nSTATUS=stopping",
    ]
    assert notifier.watchdog_s == 60


def test_a_reload_says_when_it_began(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    before_us = time.monotonic_ns() // 1_000
    Notifier({"NOTIFY_SOCKET": address}).reloading()
    reloading, began = listener.recv(4096).decode().splitlines()
    assert reloading == "RELOADING=1"
    assert before_us <= int(began.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1_000


def test_a_status_cannot_speak_in_our_name(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    Notifier({"NOTIFY_SOCKET": address}).status("/data/x\nREADY=1\u202e")
    assert listener.recv(4096).decode().count("\n") == 0


def test_without_a_service_manager_nothing_happens(caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({})
    for say in (notifier.ready, notifier.reloading, notifier.stopping, notifier.watchdog):
        say()
    assert notifier.watchdog_s is None
    assert caplog.records == []


def test_a_service_manager_that_is_gone_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    notifier.ready()
    notifier.status("still here")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_only_where_it_watches_us(environment: dict[str, str], watchdog_s: float | None) -> None:
    assert Notifier(environment).watchdog_s == watchdog_s


def test_a_silent_part_is_named_until_it_beats_again() -> None:
    clock = ManualClock()
    heartbeats = Heartbeats(clock)
    heartbeats.expect("reader", 10)
    heartbeats.expect("sender", 30)
    clock.advance_ms(10_000)
    assert heartbeats.stale() == ()
    clock.advance_ms(1)
    assert heartbeats.stale() == ("reader",)
    clock.advance_ms(20_000)
    assert heartbeats.stale() == ("reader", "sender")
    heartbeats.beat("reader")
    assert heartbeats.stale() == ("sender",)


_SERVICE = """
import signal, sys, threading
from daemon.clock import SystemClock
from daemon.health import Heartbeats, Notifier

clock, notifier = SystemClock(), Notifier()
heartbeats = Heartbeats(clock)
heartbeats.expect("work", notifier.watchdog_s / 2)
hang, reload, stop = threading.Event(), threading.Event(), threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: hang.set())
signal.signal(signal.SIGHUP, lambda *_: reload.set())
signal.signal(signal.SIGTERM, lambda *_: stop.set())
print("started", flush=True)
notifier.ready("at work")
while not clock.wait(0.1, stop):
    if not hang.is_set():
        heartbeats.beat("work")
    if not heartbeats.stale():
        notifier.watchdog()
    if reload.is_set():
        reload.clear()
        notifier.reloading()
        notifier.ready("reloaded")
notifier.stopping()
print("stopped", flush=True)
"""
_UNIT = """
[Service]
Type=notify
NotifyAccess=main
ExecStart={python} -c "import sys; exec(open('/etc/service.py').read())"
ExecReload=/bin/kill -HUP $MAINPID
Environment=PYTHONPATH={root}
WatchdogSec=5
Restart=always
RestartSec=100ms
"""


@pytest.mark.systemd
def test_systemd_starts_reloads_restarts_what_hangs_or_crashes_and_stops() -> None:
    require_systemd()
    root = Path(__file__).parents[2]
    python = sys.executable
    with Systemd({"service.service": _UNIT.format(python=python, root=root)}) as systemd:
        systemd.write("/etc/service.py", _SERVICE)
        systemd.run("systemctl", "start", "service")
        first = systemd.show("service")
        assert (first["ActiveState"], first["StatusText"]) == ("active", "at work")

        systemd.run("systemctl", "reload", "service")
        systemd.wait_until("service", lambda now: now["StatusText"] == "reloaded")

        systemd.run("kill", "-USR1", first["MainPID"])
        hung = systemd.wait_until("service", lambda now: now["NRestarts"] == "1" and now["ActiveState"] == "active")
        assert hung["MainPID"] != first["MainPID"]

        systemd.run("kill", "-KILL", hung["MainPID"])
        systemd.wait_until("service", lambda now: now["NRestarts"] == "2" and now["ActiveState"] == "active")

        systemd.run("systemctl", "stop", "service")
        assert systemd.show("service")["Result"] == "success"
        assert systemd.output("service").splitlines() == ["started", "started", "started", "stopped"]
