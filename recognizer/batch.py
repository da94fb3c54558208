"""Many events to their lines at once: one call of the encoder instead of one an event.

The encoder writes the whole batch as one JSON array, which is cut at ``},{"<first key>":``. In strictly valid JSON
these bytes stand only between two objects, because a quote inside a text is escaped. They stand exactly between the
events when all of them begin with that key and there are as many pieces as events; where a nested object begins with
it too, the count tells, and the events go one by one.
"""

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any, Final

from recognizer.encode import encode_array
from recognizer.limits import MAX_STRING_CHARACTERS

MOST: Final = 1024
"""Events of one batch: of more, several batches are made."""
_TYPE: Final = "event_type"
_TIME: Final = "timestamp"
_PATH: Final = "file_path"
_TEXT_OR_NONE: Final = frozenset({str, type(None)})
_NUMBERS: Final = tuple(b'%d",' % number for number in range(MOST))


def join_lines(events: Sequence[dict[str, Any]], head: bytes, stamped: frozenset[str], now_ms: int) -> bytes | None:
    """The lines of the events, one after the other, or None where only one by one is safe: the same events come of it.

    head      what each line begins with, up to its number in the batch: ``{"host":"a",…,"event_id":"run-7.``
    stamped   the names in the head: an event that brings one of them can't have it
    now_ms    the time of events that bring none, milliseconds since 1970: either all of them bring one or none
    """
    names: set[str] = set().union(*events)
    key = next(iter(events[0]), None)
    timed = _TIME in names
    if not stamped.isdisjoint(names) or (timed and not all(map(dict.__contains__, events, repeat(_TIME)))):
        return None
    if _PATH in names and not set(map(type, map(dict.get, events, repeat(_PATH)))) <= _TEXT_OR_NONE:
        return None
    if key != _TYPE and not all(map(dict.__contains__, events, repeat(_TYPE))):
        return None
    if not isinstance(key, str) or not all(map(key.__eq__, map(next, map(iter, events), repeat(None)))):
        return None
    try:
        opening = encode_array([{key: 0}])[len("[{") : -len("0}]")]
        bodies = encode_array(events)[len("[{") + len(opening) : -len("}]")].split(b"},{" + opening)
    except (TypeError, RecursionError):
        return None
    time = b"" if timed else b'"timestamp":%d,' % now_ms
    if len(bodies) != len(events) or max(map(len, bodies)) + len(head) + 64 > MAX_STRING_CHARACTERS:
        return None
    parts = zip(repeat(b"}\n" + head), _NUMBERS, repeat(time + opening), bodies)
    return b"".join(chain.from_iterable(parts))[len("}\n") :] + b"}\n"
