"""The events of a store that the running daemon holds, asked for through its socket."""

from collections.abc import Sequence
from pathlib import Path

from daemon.control import call
from daemon.store.base import Ask
from daemon.store.wire import ask_to_json, frame_from_json
from detectors.frame import Frame

TIMEOUT_S = 300.0
"""Much history at once may take a while, on a machine that judges at the same time."""


class RemoteStore:
    """A `daemon.evaluate.Source` on the daemon's control socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def ask(self, asks: Sequence[Ask]) -> tuple[Frame, ...]:
        frames = call(self._socket, "ask", {"asks": [ask_to_json(ask) for ask in asks]}, timeout_s=TIMEOUT_S)
        return tuple(frame_from_json(frame, ask.query) for frame, ask in zip(frames, asks, strict=True))
