"""Real Elasticsearch nodes as child processes that can't outlive the test run.

Run as a program it starts one node and waits until it is interrupted::

    python -m tests.support.elasticsearch.nodes 9.2.0
"""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

from tests.support.elasticsearch.jars import HERE, Distribution, Unavailable, fetch, find_java

BOOT_SECONDS = 180
_SETTINGS = (
    "cluster.routing.allocation.disk.threshold_enabled=false",
    "cluster.max_shards_per_node=5000",
)
_DESCRIPTOR = """\
name=transport-netty4
description=HTTP and transport
version={version}
elasticsearch.version={version}
java.version={java}
classname=org.elasticsearch.transport.netty4.Netty4Plugin
"""
_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d [%-5p] %c{1.}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


class Node:
    """One node: where it answers, and the means to end it gently or at once.

    Its data lie in ``home`` until `stop` removes them, so a killed node can be started again on the same data.
    """

    def __init__(self, version: str, home: Path, *, heap: str = "512m", settings: Sequence[str] = ()) -> None:
        self.version = version
        self.home = home
        self.heap = heap
        self.settings = tuple(settings)
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        _furnish(home, fetch(version))

    def start(self) -> "Node":
        """Boots it and waits until it answers. Raises Unavailable with the end of its log when it does not."""
        distribution = fetch(self.version)
        modules = "ALL-MODULE-PATH,jdk.net,jdk.httpserver,jdk.management.agent"
        port = self.url.rsplit(":", 1)[1] if self.url else "0"
        command = [
            *(str(find_java(self.version)), f"-Xms{self.heap}", f"-Xmx{self.heap}"),
            *("--module-path", str(distribution.server), "--add-modules", modules),
            *(str(HERE / "TestNode.java"), str(self.home), f"http.port={port}", *_SETTINGS, *self.settings),
        ]
        log = (self.home / "node.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self.url = f"http://127.0.0.1:{self._port()}"
        wait_until_healthy(self.url, time.monotonic() + BOOT_SECONDS)
        return self

    def kill(self) -> None:
        """Ends it at once, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._reap()

    def stop(self) -> None:
        """Ends it and removes its data."""
        if self._process is not None:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._reap()
        shutil.rmtree(self.home, ignore_errors=True)

    def _port(self) -> int:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        watchdog = threading.Timer(BOOT_SECONDS, process.kill)
        watchdog.start()
        try:
            for line in process.stdout:
                with (self.home / "node.log").open("ab") as log:
                    log.write(line)
                if line.startswith(b"HTTP-PORT "):
                    _drain(process.stdout, self.home / "node.log")
                    return int(line.split()[1])
        finally:
            watchdog.cancel()
        tail = (self.home / "node.log").read_text("utf-8", "replace")[-2_000:]
        self._reap()
        raise Unavailable(f"Elasticsearch {self.version} did not start:\n{tail}")

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self._process = None


def start_node(version: str, heap: str = "512m") -> Node:
    """One node on a free port with data of its own. Raises Unavailable."""
    home = Path(tempfile.mkdtemp(prefix=f"elasticsearch-{version}-"))
    try:
        return Node(version, home, heap=heap, settings=["discovery.type=single-node", "transport.port=0"]).start()
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


@contextlib.contextmanager
def cluster(version: str, size: int = 3, heap: str = "512m") -> Iterator[list[Node]]:
    """Several nodes that form one cluster. Raises Unavailable."""
    ports = free_ports(size)
    seeds = ",".join(f"127.0.0.1:{port}" for port in ports)
    names = [f"n{index}" for index in range(size)]
    nodes = [
        Node(
            version,
            Path(tempfile.mkdtemp(prefix=f"elasticsearch-{version}-{name}-")),
            heap=heap,
            settings=[
                *(f"node.name={name}", f"transport.port={port}", f"discovery.seed_hosts={seeds}"),
                f"cluster.initial_master_nodes={','.join(names)}",
            ],
        )
        for name, port in zip(names, ports, strict=True)
    ]
    try:
        threads = [threading.Thread(target=node.start) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for node in nodes:
            wait_until_healthy(node.url, time.monotonic() + BOOT_SECONDS, nodes=size)
        yield nodes
    finally:
        for node in nodes:
            node.stop()


def wait_until_healthy(url: str, deadline: float, nodes: int = 1) -> None:
    """Returns when the cluster behind the address is yellow or green. Raises Unavailable at the deadline."""
    target = f"{url}/_cluster/health?wait_for_status=yellow&wait_for_nodes=>={nodes}&timeout=5s"
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            health = requests.get(target, timeout=10).json()
        except (requests.RequestException, ValueError) as error:
            last = str(error)
            continue
        if not health.get("timed_out", True):
            return
        last = str(health)
    raise Unavailable(f"Elasticsearch at {url} does not become healthy: {last}")


def free_ports(number: int) -> list[int]:
    """Ports nobody listens on at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _furnish(home: Path, distribution: Distribution) -> None:
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "log4j2.properties").write_text(_LOGGING)
    module = home / "modules" / "transport-netty4"
    if not module.exists():
        shutil.copytree(distribution.transport, module)
    java = 17 if distribution.version.startswith("8.") else 21
    (module / "plugin-descriptor.properties").write_text(_DESCRIPTOR.format(version=distribution.version, java=java))


def _drain(stream: object, log: Path) -> None:
    """Keeps the pipe empty, or the node would stand still once it is full."""

    def copy() -> None:
        with log.open("ab") as file, contextlib.suppress(ValueError, OSError):
            for line in stream:  # type: ignore[attr-defined]
                file.write(line)

    threading.Thread(target=copy, daemon=True).start()


def main() -> None:
    node = start_node(sys.argv[1] if len(sys.argv) > 1 else "8.12.2")
    print(node.url, flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        node.stop()


if __name__ == "__main__":
    main()
