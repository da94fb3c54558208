"""Signs of life: what the service manager is told, and whether every part of the daemon still gives one.

The protocol is sd_notify(3): a datagram of ``NAME=value`` lines to the socket named by NOTIFY_SOCKET.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping

from daemon.clock import Clock
from recognizer.paths import visible

logger = logging.getLogger(__name__)

_STATUS_CHARACTERS = 512
_SEND_TIMEOUT_S = 2.0


class Notifier:
    """Tells systemd about us; says nothing where systemd does not ask (no NOTIFY_SOCKET).

    watchdog_s   seconds after which systemd takes a silent service for hung; None when it does not watch
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)
        self._failed = False

    def ready(self, status: str = "") -> None:
        """The start, or a reload, is done."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1", _status("stopping"))

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(_status(text))

    def watchdog(self) -> None:
        """A sign of life; wanted at least every ``watchdog_s`` seconds, better twice as often."""
        if self.watchdog_s is not None:
            self._send("WATCHDOG=1")

    def extend_start(self, seconds: float) -> None:
        """The start (or the stop) takes longer and makes progress: at least this much more time is wanted."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the NUL of Linux's abstract socket names.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
                connection.settimeout(_SEND_TIMEOUT_S)
                connection.sendto("\n".join(filter(None, lines)).encode(), address)
        except OSError as error:
            if not self._failed:
                logger.warning("can't tell systemd over %s how we are: %s", visible(self._address), error)
            self._failed = True
        else:
            self._failed = False


class Heartbeats:
    """The parts that must give a sign of life, each within its own time. Safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limits_s: dict[str, float] = {}
        self._last_s: dict[str, float] = {}

    def expect(self, name: str, limit_s: float) -> None:
        """From now on a beat of this part is due every ``limit_s`` seconds."""
        self._limits_s[name] = limit_s
        self.beat(name)

    def beat(self, name: str) -> None:
        """The part is alive."""
        self._last_s[name] = self._clock.monotonic()

    def stale(self) -> tuple[str, ...]:
        """The parts that have been silent for longer than they may."""
        now_s = self._clock.monotonic()
        limits = self._limits_s.copy()
        return tuple(name for name, limit_s in limits.items() if now_s - self._last_s[name] > limit_s)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """WATCHDOG_USEC in seconds, unless it is meant for another process: a child inherits the environment."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1_000_000 if microseconds.isdecimal() and int(microseconds) > 0 else None


def _status(text: str) -> str:
    """Without line breaks, or a file's name could speak to systemd in our voice."""
    return f"STATUS={visible(text, _STATUS_CHARACTERS)}" if text else ""
