"""The fields a rule may name, with the kind of value each holds: derived from the contract of an event."""

import difflib
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from recognizer.events import Event


class Kind(enum.StrEnum):
    """What a field's values are; decides how a word in a condition is read."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


NUMERIC = frozenset({Kind.INTEGER, Kind.NUMBER})


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """``many`` says that the field is a list; a condition then asks whether any element matches."""

    kind: Kind
    many: bool = False
    about: str = ""


_KINDS: tuple[tuple[type[msgspec.inspect.Type], Kind], ...] = (
    (msgspec.inspect.StrType, Kind.TEXT),
    (msgspec.inspect.BoolType, Kind.BOOLEAN),
    (msgspec.inspect.IntType, Kind.INTEGER),
    (msgspec.inspect.FloatType, Kind.NUMBER),
)


def _info(annotation: msgspec.inspect.Type) -> FieldInfo | None:
    match annotation:
        case msgspec.inspect.Metadata(type=inner, extra_json_schema=extra):
            found = _info(inner)
            about = (extra or {}).get("description", "")
            return replace(found, about=about) if found is not None and about else found
        case msgspec.inspect.UnionType(types=types):
            return next((found for found in map(_info, types) if found is not None), None)
        case msgspec.inspect.ListType(item_type=item):
            element = _info(item)
            return None if element is None else FieldInfo(element.kind, many=True)
    return next((FieldInfo(kind) for known, kind in _KINDS if isinstance(annotation, known)), None)


def _fields() -> dict[str, FieldInfo]:
    structure = msgspec.inspect.type_info(Event)
    if not isinstance(structure, msgspec.inspect.StructType):
        raise TypeError("Event is a msgspec.Struct")
    found = {field.encode_name: _info(field.type) for field in structure.fields}
    return {name: info for name, info in found.items() if info is not None}


FIELDS: Mapping[str, FieldInfo] = _fields()
"""Every field of the contract by name. Fields the contract does not name can't be asked for."""


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name a human most likely meant, if one is close."""
    folded = {candidate.casefold(): candidate for candidate in valid}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def did_you_mean(name: str, valid: Iterable[str], *, listed: int = 15) -> str | None:
    """A hint for an unknown name: the nearest valid one, else what there is unless that is more than ``listed``."""
    names = list(valid)
    close = nearest(name, names)
    if close is not None:
        return f"did you mean {close}?"
    return f"one of: {', '.join(names)}" if 0 < len(names) <= listed else None
