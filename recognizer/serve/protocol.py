"""HTTP/1.1 that waits for a request only so long: uvicorn alone waits for ever while bytes trickle in.

A connection that sends its headers byte by byte (Slowloris) would keep its descriptor, and a thousand of them all that
the process may have. The time runs from the connection, or from the first byte of a further request on it, to the end
of the headers; no byte that comes in between prolongs it. A body has its time too: that of one that nobody reads any
more, because its request was refused, is measured here alone.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from recognizer.serve.metrics import Metrics
from recognizer.serve.settings import Settings

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_HEAD, _BODY = "slow_head", "slow_body"
_NOTHING_SAID = (h11.IDLE, h11.SEND_RESPONSE)
_GRACE_SECONDS = 5.0
"""So much longer than a body may take it may stay unfinished: whoever reads it answers first, in words."""


class PatientProtocol(H11Protocol):
    """One connection. `patient` sets how long it waits, and where it is counted that it gave up."""

    head_seconds: float
    body_seconds: float
    metrics: Metrics

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait(_HEAD, self.head_seconds)

    def data_received(self, data: bytes) -> None:
        if self.conn.their_state is h11.IDLE:
            self._wait(_HEAD, self.head_seconds)
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop(_HEAD)
        if self.conn.their_state is h11.SEND_BODY:
            self._wait(_BODY, self.body_seconds)
        else:
            self._stop(_BODY)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop(_HEAD)
        self._stop(_BODY)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """To what is no HTTP. Of its sender nothing is known, so it is counted and no event."""
        self.metrics.cut_off("invalid_http")
        if self.conn.our_state in _NOTHING_SAID:
            super().send_400_response(msg)
        else:  # it has its answer already, and what follows is broken
            self.transport.close()

    def _wait(self, what: str, seconds: float) -> None:
        if what not in self._timers:
            self._timers[what] = self.loop.call_later(seconds, self._give_up, what)

    def _stop(self, what: str) -> None:
        if (timer := self._timers.pop(what, None)) is not None:
            timer.cancel()

    def _give_up(self, what: str) -> None:
        if not self.transport.is_closing():
            self.metrics.cut_off(what)
            if what == _HEAD:
                self.transport.write(_TOO_SLOW)
            self.transport.close()


def patient(settings: Settings, metrics: Metrics) -> type[PatientProtocol]:
    """The protocol for uvicorn, with the times of the settings."""

    class Patient(PatientProtocol):
        head_seconds = settings.head_seconds
        body_seconds = settings.body_seconds + _GRACE_SECONDS

    Patient.metrics = metrics
    return Patient
