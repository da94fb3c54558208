"""Documents back to events, also those that others wrote into the indices: what is odd is mended, not passed over."""

import logging
from collections import Counter
from typing import Any

import msgspec

from daemon.store.elastic.bulk import EXTRA_FIELD
from daemon.store.elastic.filters import TIME_FIELD
from daemon.store.elastic.replies import Hit
from recognizer.events import FIELD_NAMES, Event
from recognizer.lenient import Refusal, coerce

_log = logging.getLogger(__name__)


def read_event(hit: Hit) -> Event | None:
    """The event a document holds; None for a foreign document that is no event."""
    try:
        found: dict[str, Any] = msgspec.json.decode(hit.source)
        return _strict(found) or _mended(found)
    except (msgspec.MsgspecError, TypeError, RecursionError) as error:
        _log.warning("a document in the store is no event and is left out: %s", error)
        return None


def _strict(found: dict[str, Any]) -> Event | None:
    """The event of a document that this store wrote, or one like it."""
    unknown = {name: value for name, value in found.items() if name not in FIELD_NAMES and name != TIME_FIELD}
    known = {name: value for name, value in found.items() if name in FIELD_NAMES}
    kept = unknown.pop(EXTRA_FIELD, None)
    try:
        extra = unknown if kept is None else msgspec.json.decode(kept)
        return msgspec.convert({**known, "extra": extra}, Event)
    except (msgspec.MsgspecError, TypeError):
        return None


def _mended(found: dict[str, Any]) -> Event:
    """What Elasticsearch took though the contract does not: "12" for a number, a list for a text, @timestamp alone.

    A value that can't be mended is kept as ``<name>_given``. Raises msgspec.ValidationError where nothing says when or
    what.
    """
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in sorted(found.items(), key=lambda item: item[0] != TIME_FIELD):  # timestamp overrides it
        try:
            fit, other = coerce({name: value}, Counter())
        except Refusal:
            fit, other = {}, {f"{name}_given": value}
        known |= fit
        extra |= other
    return msgspec.convert({**known, "extra": extra}, Event)
