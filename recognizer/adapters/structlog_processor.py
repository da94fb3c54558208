"""structlog's events as events of the log: a processor, placed last but one, or last with ``final=True``.

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, EventProcessor(final=True)])
    log.warning("slow disk", event_type="disk_slow", duration_ms=812.0)

Importing this needs no structlog.
"""

import importlib
import sys
from collections.abc import MutableMapping
from typing import Any, Final

from recognizer.adapters.stdlib_logging import tell
from recognizer.adapters.trace_context import from_current_span

_RENAMED: Final = {"event": "message"}
_TAKEN: Final = frozenset({"event_type", "exc_info", "timestamp"})


class EventProcessor:
    """Writes one event and hands structlog's own dict on unchanged; with ``final`` structlog itself writes nothing.

    structlog's ``event`` becomes ``message``, the method's name ``level``. ``timestamp`` is taken where it is a whole
    number, milliseconds since 1970; any other is replaced by the time of the call. ``exc_info`` becomes ``error``.
    """

    def __init__(self, *, final: bool = False) -> None:
        self._final = final

    def __call__(self, _logger: object, method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        fields = {_RENAMED.get(name, name): value for name, value in event_dict.items() if name not in _TAKEN}
        fields = {**from_current_span(), "level": method, **fields}
        when = event_dict.get("timestamp")
        if type(when) is int:
            fields["timestamp"] = when
        if (fault := _exception(event_dict.get("exc_info"))) is not None:
            fields.setdefault("error", fault)
        tell(event_dict.get("event_type"), fields)
        if self._final:
            raise importlib.import_module("structlog").DropEvent  # only who uses structlog comes here
        return event_dict


def _exception(exc_info: object) -> BaseException | None:
    """What structlog takes as ``exc_info``: an exception, a triple, or True for the one that is being handled."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple) and len(exc_info) == 3:
        return _exception(exc_info[1])
    return sys.exception() if exc_info else None
