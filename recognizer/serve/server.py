"""The process: uvicorn with the application, until SIGTERM or SIGINT; then what was taken is answered first."""

import signal
import socket
from types import FrameType

import uvicorn

from recognizer.decode import Decoder
from recognizer.pipeline import Recognizer
from recognizer.serve.app import create_app
from recognizer.serve.metrics import Metrics
from recognizer.serve.protocol import patient
from recognizer.serve.settings import Settings

_GRACE_SECONDS = 30
_KEEP_ALIVE_SECONDS = 15
_BACKLOG = 1024


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; OSError when the address is taken or may not be used. Port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def make_server(recognizer: Recognizer, settings: Settings, decoder: Decoder | None = None) -> uvicorn.Server:
    """The server, not yet running. Requests under way when it is asked to end have 30 seconds.

    ``decoder``: `recognizer.decode_worker.DecodeWorkers.decode` decodes in processes of their own.
    """
    metrics = Metrics()
    config = uvicorn.Config(
        create_app(recognizer, settings, metrics, decoder),
        http=patient(settings, metrics),
        ws="none",
        log_level="error",  # its warnings are of what callers send, which is counted
        access_log=False,  # the events tell of every request
        proxy_headers=False,  # whom to believe is our own setting
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return uvicorn.Server(config)


def run(recognizer: Recognizer, settings: Settings, listener: socket.socket, decoder: Decoder | None = None) -> None:
    """Serve until SIGTERM or SIGINT asks to end, and return when what was taken is answered."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _asked_to_end)  # uvicorn raises the signal once more when it has ended
    make_server(recognizer, settings, decoder).run(sockets=[listener])


def _asked_to_end(_number: int, _frame: FrameType | None) -> None:
    """Being asked to end is no fault: the exit code is 0."""
