"""Many events to their lines at once, by loops that run inside of the interpreter: no step of Python an event."""

from collections.abc import Sequence, Set
from itertools import repeat
from operator import itemgetter
from time import time_ns
from typing import Any, Final

from recognizer.encode import encode_each
from recognizer.limits import MAX_STRING_CHARACTERS
from recognizer.reasons import EventType

MOST: Final = 1024
"""Events of one batch: of more, several batches are made."""
_TYPE: Final = "event_type"
_TIME: Final = "timestamp"
_NUMBERS: Final = tuple(b'%d",' % number for number in range(MOST))
_WITHOUT_BRACE: Final = itemgetter(slice(1, None))


def join_lines(
    events: Sequence[dict[str, Any]], head: bytes, stamped: Set[str], batch_id: str, *, reasons_known: bool = False
) -> bytes | None:
    """The lines of the events, one after the other, or None where one by one other lines would come of them.

    head            what each line begins with, up to a comma: ``{"host":"a",``
    stamped         the names in it: an event that brings one of its own can't have it
    batch_id        with the number of the event added it is the event's ``event_id``
    reasons_known   whether no reason has to be found for an ``input_error``

    Events that bring no time all have that of the call. Raises what looking at the events raises: one of them may be
    no dict, or hold what only the careful way can write.
    """
    names: set[str] = set().union(*events)
    types = set(map(dict.get, events, repeat(_TYPE)))
    timed = _TIME in names
    if (
        (EventType.INPUT_ERROR.value in types and not reasons_known)
        or not all(isinstance(one, str) for one in types)
        or not names.isdisjoint(stamped)
        or (timed and not all(map(dict.__contains__, events, repeat(_TIME))))
    ):
        return None
    bodies = list(map(_WITHOUT_BRACE, encode_each(events)))
    if max(map(len, bodies)) > MAX_STRING_CHARACTERS:  # a text in it may have to be cut
        return None
    time = b"" if timed else b'"timestamp":%d,' % (time_ns() // 1_000_000)
    before = b'%b%b"event_id":"%b.' % (head, time, batch_id.encode())
    pieces = [before] * (3 * len(bodies))
    pieces[1::3], pieces[2::3] = _NUMBERS[: len(bodies)], bodies
    return b"".join(pieces)
