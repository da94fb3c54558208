"""The running daemon's door: a Unix socket in the state folder, one JSON line in, one JSON line out.

A DuckDB file admits one process, so `wumu query`, `trace`, `explain` and `backtest` ask the daemon that holds it;
`mark`, `expected` and `alerts --retry` tell it something. Only the user who runs the daemon (and root) can open the
socket.
"""

import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daemon.errors import BadRequest, WumuError

LOG = logging.getLogger("wumu.control")
MAX_REQUEST_BYTES = 2**20
TIMEOUT_S = 30.0

Verb = Callable[[Mapping[str, Any]], Any]


class NotRunning(WumuError):
    """No daemon listens on this state folder."""


class Control:
    """Serves the verbs until it is closed."""

    def __init__(self, path: Path, verbs: Mapping[str, Verb]) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        with _address(path) as address:
            self._server = _Server(address, verbs)
        path.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def call(path: Path, verb: str, arguments: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S) -> Any:
    """Ask the daemon. Raises NotRunning when there is none and WumuError with the daemon's own words."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            with _address(path) as address:
                connection.connect(address)
            connection.sendall(json.dumps({"verb": verb, "arguments": arguments}).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline())
    except (FileNotFoundError, ConnectionRefusedError) as fault:
        raise NotRunning(f"no daemon is running on {path.parent}") from fault
    except OSError as fault:
        raise WumuError(
            f"the daemon on {path} can't be asked: {fault}", hint="run the command as the daemon's user, or as root"
        ) from fault
    except ValueError as fault:
        raise WumuError(
            "the daemon broke off before its answer was complete", hint="see its log: journalctl -u wumu"
        ) from fault
    if "error" in answer:
        kind = BadRequest if answer.get("bad_request") else WumuError
        raise kind(str(answer["error"]), hint=str(answer.get("hint", "")))
    return answer["result"]


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """The socket's name, also where its path is longer than the 108 bytes that the system allows."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, verbs: Mapping[str, Verb]) -> None:
        self.verbs = verbs
        super().__init__(path, _Handler)


class _Handler(socketserver.StreamRequestHandler):
    timeout = TIMEOUT_S
    server: _Server

    def handle(self) -> None:
        try:
            answer = {"result": self._answer(self.rfile.readline(MAX_REQUEST_BYTES))}
        except WumuError as fault:
            answer = {"error": str(fault), "hint": fault.hint, "bad_request": isinstance(fault, BadRequest)}
        except Exception as fault:
            LOG.exception("a console request failed")
            answer = {"error": f"the daemon failed on this request: {type(fault).__name__}: {fault}"}
        try:
            self.wfile.write(json.dumps(answer).encode() + b"\n")
        except OSError as fault:
            LOG.info("who asked did not wait for the answer: %s", fault)

    def _answer(self, line: bytes) -> Any:
        try:
            request = json.loads(line)
            verb = self.server.verbs[request["verb"]]
        except (ValueError, KeyError, TypeError) as fault:
            raise WumuError("the daemon doesn't know this request", hint="use the same version of wumu") from fault
        return verb(request["arguments"])
