"""A real systemd as process 1 of its own PID, mount, cgroup, IPC and UTS namespaces, with nothing but a test's units.

/etc, /var and /opt are overlays, /run is empty and /proc/sys read-only: what happens inside leaves no trace. The
network is the machine's own, so services bind to loopback only. Needs root and the right to mount.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

_MANAGER = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(path).exists()), "")
_BOOT_TIMEOUT_S = 60.0
_POLL_S = 0.05
_TARGETS = ("default", "sysinit", "basic", "multi-user", "network", "network-online", "shutdown", "exit", "rescue")
_OUTPUT = "/run/output"
_CGROUP2 = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/cgroup
mount -t cgroup2 none /run/cgroup
"""
"""Begins a script in a mount namespace of its own: the unified cgroup hierarchy, wherever the machine has it."""
_PROBE = (
    _CGROUP2
    + """
mkdir -p /run/upper /run/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work /etc
"""
)
_ENTER = (
    _CGROUP2
    + """
mkdir "/run/cgroup/$0"
echo $$ >"/run/cgroup/$0/cgroup.procs"
umount /run/cgroup
umount /run
exec "$@"
"""
)
_LEAVE = (
    _CGROUP2
    + """
[ ! -d "/run/cgroup/$0" ] || find "/run/cgroup/$0" -depth -type d -exec rmdir {} +
"""
)
_INIT = f"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
for folder in etc var opt; do
  mkdir -p /run/overlay/$folder/upper /run/overlay/$folder/work
  mount -t overlay overlay -o lowerdir=/$folder,upperdir=/run/overlay/$folder/upper,workdir=/run/overlay/$folder/work \
    /$folder
done
mkdir -p {_OUTPUT} /run/units/service.d
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount --make-rshared /
for target in {" ".join(_TARGETS)}; do
  printf '[Unit]\\nDefaultDependencies=no\\nDescription=%s\\n' $target >/run/units/$target.target
done
printf '[Service]\\nStandardOutput=append:{_OUTPUT}/%%p\\nStandardError=inherit\\n' >/run/units/service.d/output.conf
exec env -i PATH="$PATH" container=lxc SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/nonexistent \
  {_MANAGER} --system --log-target=null --unit=default.target
"""


def require_systemd() -> None:
    """Skip the test, saying why, where no systemd can be booted; fail instead where CI=true."""
    reason = _obstacle()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"can't boot a systemd here: {reason}")
    if reason:
        pytest.skip(f"can't boot a systemd here: {reason}")


def _obstacle() -> str:
    if os.geteuid() != 0:
        return "the test does not run as root"
    if not _MANAGER:
        return "systemd is not installed (apt-get install systemd)"
    missing = [tool for tool in ("unshare", "nsenter", "systemctl") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not installed (apt-get install util-linux systemd)"
    probe = subprocess.run(["unshare", "--mount", "sh", "-c", _PROBE], capture_output=True, text=True, check=False)
    return "" if probe.returncode == 0 else f"no right to mount ({probe.stderr.strip()})"


class Systemd:
    """A booted systemd. Leaving the context kills everything in it.

    with Systemd({"hello.service": HELLO}) as systemd:
        systemd.run("systemctl", "start", "hello")
        assert systemd.show("hello")["ActiveState"] == "active"
    """

    def __init__(self, units: Mapping[str, str]) -> None:
        self._units = units
        self._cgroup = f"wumu-test-{os.getpid()}-{id(self)}"
        self._outer: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        try:
            self._boot()
            for name, text in self._units.items():
                self.write(f"/run/units/{name}", text)
            self.run("systemctl", "daemon-reload")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def path(self, inside: str) -> Path:
        """The path outside of an absolute path inside. Absolute symbolic links on the way lead astray."""
        return Path(f"/proc/{self._pid}/root{inside}")

    def write(self, inside: str, text: str, *, mode: int = 0o644) -> None:
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def output(self, unit: str) -> str:
        """What the services of a unit wrote to stdout and stderr."""
        path = self.path(f"{_OUTPUT}/{unit}")
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def run(self, *command: str, check: bool = True, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside; with ``check`` a failure is an AssertionError that shows what it said."""
        done = subprocess.run(
            ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--", *command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def show(self, unit: str) -> dict[str, str]:
        """The properties of a unit as `systemctl show` gives them."""
        lines = self.run("systemctl", "show", unit).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def wait_until(
        self, unit: str, holds: Callable[[dict[str, str]], bool], *, timeout_s: float = 60.0
    ) -> dict[str, str]:
        """Wait for a unit's properties to satisfy ``holds``; they are returned."""
        deadline = time.monotonic() + timeout_s
        pause = threading.Event()
        while not holds(properties := self.show(unit)):
            if time.monotonic() > deadline:
                shown = ("ActiveState", "SubState", "Result", "NRestarts", "StatusText", "ExecMainStatus")
                state = json.dumps({name: properties.get(name, "") for name in shown})
                raise AssertionError(f"{unit} after {timeout_s} s: {state}\n{self.output(unit)}")
            pause.wait(_POLL_S)
        return properties

    def _boot(self) -> None:
        namespaces = ("--pid", "--mount", "--mount-proc", "--ipc", "--uts", "--cgroup")
        inner = ("unshare", "--fork", "--kill-child=KILL", *namespaces, "sh", "-c", _INIT)
        self._outer = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _ENTER, self._cgroup, *inner],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + _BOOT_TIMEOUT_S
        pause = threading.Event()
        while not self._is_up(self._outer):
            if self._outer.poll() is not None or time.monotonic() > deadline:
                self._outer.kill()
                _, said = self._outer.communicate()
                raise AssertionError(f"systemd did not boot: {said.decode(errors='replace')}")
            pause.wait(_POLL_S)

    def _is_up(self, outer: subprocess.Popen[bytes]) -> bool:
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        pids = children.read_text().split() if children.exists() else []
        if not pids:
            return False
        self._pid = int(pids[0])
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in {"running", "degraded"}

    def _end(self) -> None:
        if self._outer is not None:
            if self._pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
            self._outer.kill()
            self._outer.communicate()
        # Processes that were killed may take a moment to leave their groups.
        deadline = time.monotonic() + _BOOT_TIMEOUT_S
        pause = threading.Event()
        leave = ["unshare", "--mount", "sh", "-c", _LEAVE, self._cgroup]
        while (left := subprocess.run(leave, capture_output=True, text=True, check=False)).returncode != 0:
            if time.monotonic() > deadline:
                raise AssertionError(f"the cgroup of the test's systemd can't be removed: {left.stderr}")
            pause.wait(_POLL_S)
