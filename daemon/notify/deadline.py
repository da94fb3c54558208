"""A time limit on a whole conversation, which socket time-outs alone don't give: they begin anew with each byte."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Deadline:
    """Ends every watched connection ``timeout_s`` after its start, whatever the peer does.

    A peer that answers one byte a second never trips a socket time-out. Shutting the connection down from outside
    wakes the reader, which then sees an end of stream; ``expired`` tells it why.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._expired = False
        self._timer = threading.Timer(timeout_s, self._expire)
        self._timer.daemon = True

    @property
    def expired(self) -> bool:
        return self._expired

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for handle in self._watched:
                handle.close()
            self._watched.clear()

    def watch(self, connection: socket.socket) -> None:
        """End this connection too when time is up. Holds a handle of its own: wrapping in TLS detaches the first."""
        with self._lock:
            handle = connection.dup()
            self._watched.append(handle)
            if self._expired:
                _end(handle)

    def _expire(self) -> None:
        with self._lock:
            self._expired = True
            for handle in self._watched:
                _end(handle)


def _end(handle: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the peer may have ended it already
        handle.shutdown(socket.SHUT_RDWR)
