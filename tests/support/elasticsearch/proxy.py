"""A small real HTTP proxy in front of Elasticsearch that fails on demand, the way networks and gateways do.

Faults are given as a list: each request to one of the watched paths takes the first fault of the list, or passes
unharmed when none is left. A fault is a function that gets the `Exchange`.
"""

import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import urlsplit

import orjson


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


class Exchange:
    """One request on its way. A fault decides what the client gets and whether the server sees it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes, upstream: str, released: threading.Event) -> None:
        self.handler = handler
        self.body = body
        self.released = released
        self._upstream = urlsplit(upstream)

    def forward(self, body: bytes | None = None) -> Reply:
        """The server's own answer."""
        connection = HTTPConnection(str(self._upstream.hostname), self._upstream.port, timeout=60)
        try:
            headers = {name: value for name, value in self.handler.headers.items() if name.lower() != "content-length"}
            connection.request(self.handler.command, self.handler.path, self.body if body is None else body, headers)
            answer = connection.getresponse()
            content = answer.read()
            kept = ("content-type", "content-encoding", "x-elastic-product", "location")
            pairs = tuple((name, value) for name, value in answer.getheaders() if name.lower() in kept)
            return Reply(answer.status, content, pairs)
        finally:
            connection.close()

    def reply(self, reply: Reply, *, promised: int | None = None) -> None:
        """Answers the client; ``promised`` bytes are announced where that is not what is sent."""
        self.handler.send_response(reply.status)
        for name, value in reply.headers:
            self.handler.send_header(name, value)
        self.handler.send_header("Content-Length", str(len(reply.body) if promised is None else promised))
        self.handler.end_headers()
        self.handler.wfile.write(reply.body)
        if promised is not None and promised != len(reply.body):
            self.handler.close_connection = True

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.connection.close()
        self.handler.close_connection = True


Fault: TypeAlias = Callable[[Exchange], None]


def lose_answer(exchange: Exchange) -> None:
    """The server does its work; the client never hears of it."""
    exchange.forward()
    exchange.reset()


def reset(exchange: Exchange) -> None:
    """The connection breaks before the server sees the request."""
    exchange.reset()


def hang(exchange: Exchange) -> None:
    """The server does its work; the answer comes only when the proxy is released."""
    exchange.forward()
    exchange.released.wait(30)
    exchange.reset()


def cut_answer(exchange: Exchange) -> None:
    """Half of the answer, though all of it was announced."""
    answer = exchange.forward()
    exchange.reply(
        Reply(answer.status, answer.body[: len(answer.body) // 2], answer.headers), promised=len(answer.body)
    )


def shorten_answer(exchange: Exchange) -> None:
    """Half of the answer, announced as the whole."""
    answer = exchange.forward()
    exchange.reply(Reply(answer.status, answer.body[: len(answer.body) // 2], answer.headers))


def answer_with(status: int, body: bytes = b"", *headers: tuple[str, str]) -> Fault:
    """An answer of somebody on the way; the server never sees the request."""
    return lambda exchange: exchange.reply(Reply(status, body, headers or (("Content-Type", "text/html"),)))


def refuse_items(every: int, status: int = 429, kind: str = "es_rejected_execution_exception") -> Fault:
    """Every n-th item of a bulk is refused, the others are done."""

    def fault(exchange: Exchange) -> None:
        lines = exchange.body.splitlines(keepends=True)
        pairs = [lines[i] + lines[i + 1] for i in range(0, len(lines), 2)]
        refused = set(range(0, len(pairs), every))
        passed = [pair for index, pair in enumerate(pairs) if index not in refused]
        done = iter(orjson.loads(exchange.forward(b"".join(passed)).body)["items"] if passed else [])
        error = {"create": {"status": status, "error": {"type": kind, "reason": "rejected execution"}}}
        items = [error if index in refused else next(done) for index in range(len(pairs))]
        product = ("X-Elastic-Product", "Elasticsearch")
        exchange.reply(
            Reply(200, orjson.dumps({"errors": True, "items": items}), (("Content-Type", "application/json"), product))
        )

    return fault


def refuse_containing(mark: bytes, reply: Reply) -> Fault:
    """Requests that hold the mark are refused whole."""
    return lambda exchange: exchange.reply(reply if mark in exchange.body else exchange.forward())


def garble(sent: bytes, arrived: bytes) -> Fault:
    """Somebody on the way changes the request; the answer is the server's own."""
    return lambda exchange: exchange.reply(exchange.forward(exchange.body.replace(sent, arrived)))


def refuse_longer_than(limit: int) -> Fault:
    """Requests of more bytes are refused as too large."""
    return lambda exchange: exchange.reply(
        Reply(413, b"<html>413</html>") if len(exchange.body) > limit else exchange.forward()
    )


@dataclass
class Proxy:
    """``faults`` befall the requests to ``paths`` in turn; ``always`` befalls those for which none is left.

    ``requests`` are those that came, ``answered_bytes`` the bodies of unharmed answers to them.
    """

    url: str
    released: threading.Event
    faults: deque[Fault]
    requests: list[str]
    answered_bytes: list[int]
    always: Fault | None = None
    paths: tuple[str, ...] = ("/_bulk", "/_msearch")


@contextlib.contextmanager
def proxy_to(upstream: str) -> Iterator[Proxy]:
    """A proxy on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            exchange = Exchange(self, body, upstream, proxy.released)
            proxy.requests.append(f"{self.command} {self.path}")
            fault: Fault | None = None
            if self.path.startswith(proxy.paths):
                fault = proxy.faults.popleft() if proxy.faults else proxy.always
            with contextlib.suppress(ConnectionError):
                if fault is None:
                    answer = exchange.forward()
                    proxy.answered_bytes.append(len(answer.body))
                    exchange.reply(answer)
                else:
                    fault(exchange)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """The tests look at `Proxy.requests` instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host, port = server.server_address[:2]
    proxy = Proxy(f"http://{host!s}:{port}", threading.Event(), deque(), [], [])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
