"""The service's own log lines as events, beside those of the pictures: a handler for the standard library's logging.

logging.getLogger().addHandler(EventHandler(level=logging.WARNING))
log.warning("slow disk", extra={"event_type": "disk_slow", "duration_ms": 812.0})
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

from recognizer.adapters.trace_context import from_current_span
from recognizer.emit import log_event
from recognizer.encode import as_text

LOG_LINE: Final = "log_line"
"""The event type of a record that names none."""
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "event_type"}


class EventHandler(logging.Handler):
    """Each record becomes one event: ``level``, ``logger``, ``message``, what ``extra`` holds, and the exception.

    ``extra={"event_type": …}`` names the type. Inside of a `recognizer.emit.recognition` block the event carries the
    block's request. A ``timestamp`` in ``extra`` is taken where it is a whole number, milliseconds since 1970. Nothing
    is raised into the service, and no lock is held while the event is written.
    """

    def createLock(self) -> None:  # noqa: N802 - the name is logging's
        """None: events are whole without one, and one that is held while another thread forks is never freed."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {name: value for name, value in vars(record).items() if name not in _OWN}
        fields = {
            **from_current_span(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **fields,
        }
        if type(fields.get("timestamp")) is not int:
            fields["timestamp"] = int(record.created * 1_000)
        if record.exc_info and record.exc_info[1] is not None:
            fields.setdefault("error", record.exc_info[1])
        tell(vars(record).get("event_type"), fields)


def tell(event_type: object, fields: Mapping[Any, Any]) -> None:
    """Writes what a logging library holds as one event: a type that is no text is `LOG_LINE`, names become text."""
    named = {name if isinstance(name, str) else as_text(name): value for name, value in fields.items()}
    log_event(event_type if isinstance(event_type, str) and event_type else LOG_LINE, **named)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as fault:  # noqa: BLE001 - the caller's arguments ran: what can be told is told
        return f"{as_text(record.msg)} (its arguments do not fit: {as_text(fault)})"
