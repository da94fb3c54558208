"""Tell what happened to a picture: one call an event, for any Python service. Standard library only.

    configure(sink=FileSink("/var/log/recognizer/events.jsonl"), model_name="resnest101")

    with recognition(path) as r:
        image = cv2.imread(path)
        r.input_success(image)  # None becomes an input_error that says why
        ...

Nothing here raises into the service, whatever the values: an event that can't be written is counted, and the next one
that can carries the count in ``dropped_before``. Threads, asyncio tasks and forked children each keep their own place.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from recognizer.batch import MOST
from recognizer.diagnose import NO_PATH, diagnose
from recognizer.emitter import EMITTER, path_fields
from recognizer.encode import as_text
from recognizer.reasons import EventType
from recognizer.recognition import BLOCK, Recognition, current, recognition
from recognizer.sinks import Sink

__all__ = ["Recognition", "configure", "current", "log_event", "log_events", "recognition", "together"]


_INPUT_ERROR: Final = EventType.INPUT_ERROR.value
_block: Final = BLOCK.get
_emit: Final = EMITTER.emit


def configure(sink: Sink | None, model_name: str | None = None, host: str | None = None) -> None:
    """Say once, at start, where events go. ``sink=None`` switches them off; ``host`` is the machine's name by default.

    The sink that was in use is closed; events lost before are counted in ``dropped_before`` of the first one written.
    """
    EMITTER.configure(sink, model_name, host)


def log_event(event_type: str, /, **fields: Any) -> None:
    """Write one event with any fields; inside a `recognition` block it carries the block's request_id and path.

    An ``input_error`` without a known ``reason`` gets one, from its ``error`` (an exception or a text), from its
    ``file_path`` and from the disk.
    """
    try:
        if (block := _block()) is not None:
            fields = {**block.carried, **fields}
        if type(event_type) is not str:
            event_type = as_text(event_type)  # a set or an array by mistake: neither can be looked up or compared
        if event_type == _INPUT_ERROR:
            fields = _with_reason(fields)
        _emit(event_type, fields)
    except RecursionError:
        EMITTER.dropped += 1  # the service's stack is full: no room for another call
    except Exception as fault:  # noqa: BLE001 - nothing may reach the service: it is said and counted
        EMITTER.lose(1, fault)


def log_events(events: Iterable[dict[str, Any]]) -> None:
    """Write many events in one go, each a dict with its ``event_type``: a fraction of what as many `log_event` cost.

    They go out in one write when the call is made, so nothing is held that a dying process could lose. Cheapest when
    either all or none bring a ``timestamp``, and none brings what the emitter stamps (host, model_name…); without a
    timestamp they all have the time of the call. ``file_dir`` is left to the reader, who derives it. What one event
    holds spoils no other. The dicts stay as they are.
    """
    try:
        many, block = list(events), BLOCK.get()
    except Exception as fault:  # noqa: BLE001 - the caller's own iterator ran: it may raise anything
        EMITTER.lose(1, fault)
        return
    for start in range(0, len(many), MOST):
        part = many[start : start + MOST]
        if block is not None or not EMITTER.emit_block(part):
            with EMITTER.together():
                for event in part:
                    _log_one(event)


def _log_one(event: Mapping[str, Any]) -> None:
    try:
        fields = dict(event)
        event_type = fields.pop("event_type")
        log_event(event_type, **fields)
    except Exception as fault:  # noqa: BLE001 - what is no event, or has no type, is lost alone
        EMITTER.lose(1, fault)


def together() -> AbstractContextManager[None]:
    """The events that this thread tells in the block go out at its end in one write, which costs less than many.

    For batches: a process that dies inside of the block loses the block's events.
    """
    return EMITTER.together()


def _with_reason(fields: dict[str, Any]) -> dict[str, Any]:
    if "file_path" in fields:
        fields |= path_fields(fields["file_path"])
    found = diagnose(fields.get("error"), fields.get("file_path", NO_PATH), fields.get("reason"))
    return {**found, **fields, "reason": found["reason"]}
