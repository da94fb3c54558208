"""The real daemon as a child process, for tests of the whole."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

WUMU = (sys.executable, "-m", "daemon.cli")
DEADLINE_S = 90.0


def eventually(holds: Callable[[], Any], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """The first true answer of ``holds``, asked again and again until the deadline."""
    end = time.monotonic() + deadline_s
    pause = threading.Event()
    while time.monotonic() < end:
        if answer := holds():
            return answer
        pause.wait(0.02)
    raise AssertionError(f"not within {deadline_s:.0f} s: {what}")


def wumu(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    return subprocess.run(
        [*WUMU, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | environment,
    )


class Daemon:
    """`wumu run` on a configuration; its standard error goes to ``log``. It tells when it is ready as to systemd."""

    def __init__(self, config: Path, state: Path, environment: Mapping[str, str] | None = None) -> None:
        self.config, self.state = config, state
        self.log = state.parent / f"{state.name}.log"
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._notify: socket.socket | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return at once."""
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"\0wumu-test-{os.getpid()}-{time.monotonic_ns()}"
        self._notify.bind(name)
        self._notify.settimeout(DEADLINE_S)
        environment = os.environ | {"NOTIFY_SOCKET": "@" + name[1:]} | self._environment
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*WUMU, "run", "--config", str(self.config), "--state", str(self.state)], stderr=log, env=environment
            )

    def wait_ready(self) -> None:
        """Until the first full turn is done."""
        self.wait_for_notice("READY=1")

    def wait_for_notice(self, text: str) -> None:
        """Until the daemon has told systemd so."""
        assert self._notify is not None
        while text not in self._notify.recv(4096).decode():
            pass

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        return self._end(signal.SIGTERM)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _end(self, number: int) -> int:
        if self._process is None:
            return 0
        if self.alive():
            self._process.send_signal(number)
        status = self._process.wait(DEADLINE_S)
        if self._notify is not None:
            self._notify.close()
        self._process = self._notify = None
        return status


@contextlib.contextmanager
def running(config: Path, state: Path, **environment: str) -> Iterator[Daemon]:
    """A daemon that is ready, and stopped at the end whatever happened."""
    daemon = Daemon(config, state, environment)
    daemon.start()
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.stop()


def write_lines(path: Path, *events: Mapping[str, Any]) -> None:
    """Append events to a log as a service does."""
    with path.open("a", encoding="utf-8") as log:
        log.writelines(json.dumps(event, ensure_ascii=False) + "\n" for event in events)
