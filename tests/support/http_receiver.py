"""A real HTTP receiver in threads, that answers by a script: statuses, redirects, lost and endless replies."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer. ``lost``: read the request and hang up; ``stall``: answer nothing; ``endless``: a body
    that never ends; ``dribble``: a header a byte at a time, for ever."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    lost: bool = False
    stall: bool = False
    endless: bool = False
    dribble: bool = False


class Receiver:
    """What came in is in ``requests``; ``replies`` are used up one by one, the last one stays. A path that ends as one
    of ``path_replies`` has an answer of its own."""

    def __init__(self, replies: list[Reply]) -> None:
        self.requests: list[Request] = []
        self.replies = replies
        self.path_replies: dict[str, Reply] = {}
        self.url = ""
        self.stopping = threading.Event()
        self._lock = threading.Lock()

    def heard(self, path: str) -> int:
        """How many requests came to a path that ends so."""
        return sum(request.path.endswith(path) for request in self.requests)

    def take(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            for end, reply in self.path_replies.items():
                if request.path.endswith(end):
                    return reply
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            reply = receiver.take(Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if reply.lost:
                self.connection.shutdown(socket.SHUT_RDWR)
            elif reply.stall:
                receiver.stopping.wait()
            elif reply.dribble:
                self._pour(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", pause_s=0.02)
            else:
                self._answer(reply)

        def _answer(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.endless:
                self.end_headers()
                self._pour(b"", b"x" * 4096, pause_s=0.0)
                return
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def _pour(self, first: bytes, again: bytes, pause_s: float) -> None:
            try:
                self.wfile.write(first)
                while not receiver.stopping.wait(pause_s):
                    self.wfile.write(again)
            except OSError:
                return  # the client hung up, as it should

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the base class
            return

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        return  # a client that refuses the certificate is no fault of the receiver


@contextmanager
def http_receiver(*replies: Reply, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver on a free port; ``host`` is the name written into its url."""
    receiver = Receiver(list(replies) or [Reply()])
    server = _Server(("127.0.0.1", 0), _handler(receiver))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    receiver.url = f"{'https' if tls else 'http'}://{host}:{server.server_port}/hook"
    with _running(lambda: server.serve_forever(poll_interval=0.01)):
        try:
            yield receiver
        finally:
            receiver.stopping.set()
            server.shutdown()
            server.server_close()


@contextmanager
def _running(work: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(10)
