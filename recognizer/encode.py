"""Any Python value to one line of strictly valid JSON. Standard library only; orjson is used where it is installed.

Values that JSON does not know become the nearest thing it knows, by these rules: NaN and Infinity are null, bytes are
text with ``\\xff`` for what is no UTF-8, half surrogate pairs are shown as ``‹U+D800›``, integers beyond 64
bits are text, arrays are lists, enums their values, paths text, sets lists, dataclasses objects, exceptions
``Type: message``, cycles and deep nests a short text, everything else its ``str()``. What is too long is cut and named
in ``truncated_fields``.
"""

import dataclasses
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from enum import Enum
from itertools import islice, repeat
from typing import Any, Final

from recognizer.limits import INT64_MAX, MAX_DEPTH, MAX_STRING_CHARACTERS
from recognizer.paths import visible

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

MAX_ELEMENTS: Final = 1024
"""Longest list or object a field keeps: an event holds no tensors."""
MAX_WRITTEN_BYTES: Final = 64 * 1024
"""Beyond this a line loses its largest fields: it goes out in one write, which should be a short one."""
MAX_TRUNCATED_NAMES: Final = 64
_NEVER_LEFT_OUT: Final = frozenset({"event_type", "timestamp", "event_id"})
_LONGEST_INTEGER_BITS: Final = 1024
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


class _Plain:
    """One walk through a value: makes it None, bool, int, float, str, list or dict all through.

    Remembers what it stands in, and whether anything was cut.
    """

    def __init__(self) -> None:
        self.cut = False
        self._inside: set[int] = set()

    def value(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -INT64_MAX <= value <= INT64_MAX else self._long_integer(value)
        if kind is float:
            return value if math.isfinite(value) else None
        if kind is str:
            return self.text(value)
        try:
            return self._odd(value)
        except Exception as fault:  # noqa: BLE001 - the value's own code ran: it may raise anything
            return f"<{kind.__name__}: {type(fault).__name__} while it was read>"

    def text(self, value: str) -> str:
        if len(value) > MAX_STRING_CHARACTERS:
            self.cut = True
            value = value[:MAX_STRING_CHARACTERS]
        if _SURROGATE.search(value):
            value = _SURROGATE.sub(lambda match: visible(match[0]), value)[:MAX_STRING_CHARACTERS]
        return value

    def _long_integer(self, value: int) -> str:
        # str() of a giant integer takes quadratic time and is refused by newer Pythons
        return str(value) if value.bit_length() <= _LONGEST_INTEGER_BITS else f"an integer of {value.bit_length()} bits"

    def _odd(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return self.value(value.value)
        if isinstance(value, str):
            return self.text(str.__getitem__(value, slice(None)))
        if isinstance(value, int):
            return self.value(int.__index__(value))
        if isinstance(value, float):
            return self.value(float.__float__(value))
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.text(bytes(value[: MAX_STRING_CHARACTERS + 1]).decode("utf-8", "backslashreplace"))
        if isinstance(value, os.PathLike):
            return self.value(value.__fspath__())
        if isinstance(value, (date, time)):
            return value.isoformat()
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {value}")
        return self._holder(value)

    def _holder(self, value: Any) -> Any:
        """Something that holds other values: what it stands in is remembered, so that cycles end."""
        if isinstance(value, type):
            return value.__name__
        if id(value) in self._inside or len(self._inside) >= MAX_DEPTH:
            return f"<{type(value).__name__} inside itself>" if id(value) in self._inside else "<nested too deep>"
        self._inside.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._object(value.items(), len(value))
            if isinstance(value, (list, tuple, AbstractSet)):
                return self._list(value, len(value))
            if dataclasses.is_dataclass(value):
                names = [field.name for field in dataclasses.fields(value)]
                return self._object(((name, getattr(value, name)) for name in names), len(names))
            if hasattr(value, "dtype") and hasattr(value, "shape") and hasattr(value, "tolist"):
                return self._array(value)
            return self.text(str(value))
        finally:
            self._inside.discard(id(value))

    def _object(self, items: Iterable[tuple[Any, Any]], size: int) -> dict[str, Any]:
        self.cut |= size > MAX_ELEMENTS
        return {self._key(key): self.value(one) for key, one in islice(items, MAX_ELEMENTS)}

    def _key(self, key: Any) -> str:
        name = self.value(key)
        return name if isinstance(name, str) else json.dumps(name)

    def _list(self, values: Iterable[Any], size: int) -> list[Any]:
        self.cut |= size > MAX_ELEMENTS
        return [self.value(one) for one in islice(values, MAX_ELEMENTS)]

    def _array(self, array: Any) -> Any:
        """A number of numpy or torch, or a small array; of a large one only its form: it may be a picture."""
        shape = tuple(array.shape)
        if math.prod(shape) > MAX_ELEMENTS:
            self.cut = True
            return f"array of {array.dtype}, shape {list(shape)}"
        return self.value(array.tolist())


def as_text(value: Any) -> str:
    """Any value as text; an exception as ``Type: message``. Never raises, whatever the value's own code does."""
    result = _Plain().value(value)
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def _plain_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with plain values only; fields that were cut are named in ``truncated_fields``."""
    result: dict[str, Any] = {}
    cut: list[str] = []
    for key, value in event.items():
        walk = _Plain()
        name = walk.text(key)
        result[name] = walk.value(value)
        if walk.cut:
            cut.append(name)
    if cut:
        result["truncated_fields"] = cut
    return result


def _dumps(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _careful(event: Mapping[str, Any]) -> bytes:
    """The line of any event: the slow way that can't fail."""
    result = _plain_event(event)
    line = _dumps(result)
    if len(line) > MAX_WRITTEN_BYTES:
        line = _dumps(_shortened(result))
    return line


def _shortened(event: dict[str, Any]) -> dict[str, Any]:
    """The event without its largest fields, which are named instead, so that its line keeps its limit.

    What tells one event from another stays, however many small fields there are.
    """
    sizes = {name: len(_dumps({name: value})) for name, value in event.items()}
    left = MAX_WRITTEN_BYTES - MAX_STRING_CHARACTERS
    kept: dict[str, Any] = {}
    for name in sorted(sizes, key=lambda name: (name not in _NEVER_LEFT_OUT, sizes[name])):
        left -= sizes[name]
        if left < 0:
            break
        kept[name] = event[name]
    gone = [visible(name, 64) for name in event if name not in kept]
    ordered = {name: value for name, value in event.items() if name in kept and name != "truncated_fields"}
    return ordered | {"truncated_fields": [*event.get("truncated_fields", ()), *gone][:MAX_TRUNCATED_NAMES]}


def _known(value: Any) -> Any:
    """What orjson asks about: a type that it does not know, made plain."""
    walk = _Plain()
    result = walk.value(value)
    if walk.cut:
        raise TypeError("cut: the careful way names the field")
    return result


def _known_of_many(value: Any) -> Any:
    if isinstance(value, bytes):
        raise TypeError("bytes may be a path, which is decoded as the file system does")
    return _known(value)


def _not_installed(_value: Any, _default: Callable[[Any], Any], _options: int) -> bytes:
    raise TypeError("orjson is not installed: the careful way makes the line")


_OPTIONS: Final = orjson.OPT_APPEND_NEWLINE if orjson is not None else 0
_quick: Final[Callable[[Any, Callable[[Any], Any], int], bytes]] = (
    orjson.dumps if orjson is not None else _not_installed
)
"""``_quick(event, _known, _OPTIONS)`` is the line of an event of which orjson knows everything.

Integers beyond 64 bits, text with half surrogates and keys that are no text raise TypeError, deep nests RecursionError:
those go the careful way; so do long lines, in which a text may be over its limit.
"""


def encode(event: dict[str, Any]) -> bytes:
    """One event to one line of UTF-8 JSON with its newline. Keys of the event must be text."""
    try:
        line = _quick(event, _known, _OPTIONS)
    except (TypeError, RecursionError):
        return _careful(event)
    return line if len(line) <= MAX_STRING_CHARACTERS else _careful(event)


def encode_each(events: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The line of each event. TypeError where one needs to be looked at alone; texts in long lines may be too long."""
    return map(_quick, events, repeat(_known_of_many), repeat(_OPTIONS))
