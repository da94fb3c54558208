"""A condition on one event, as data: what `where:` becomes, and what stores compile.

Semantics, the same in every store and pinned by its conformance suite:

- A field that is missing matches nothing; ``Not`` of such a condition therefore matches.
- On a list field a comparison holds if it holds for any element.
- Text compares exactly (case counts); numbers compare as numbers; a comparison of a field with a value
  of another type matches nothing.
- ``Wildcard``: ``*`` stands for any run of characters (also none), everything else for itself.
- ``AnyCharacter``: the text holds at least one character of the given inclusive code point ranges.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

Scalar: TypeAlias = str | int | float | bool


class Op(enum.StrEnum):
    EQ = "="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True)
class Always:
    """Matches every event."""


@dataclass(frozen=True, slots=True)
class Compare:
    field: str
    op: Op
    value: Scalar


@dataclass(frozen=True, slots=True)
class Exists:
    field: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    field: str
    pattern: str


@dataclass(frozen=True, slots=True)
class AnyCharacter:
    field: str
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Condition"


Condition: TypeAlias = Always | Compare | Exists | Wildcard | AnyCharacter | And | Or | Not


def equals(field: str, value: Scalar) -> Compare:
    return Compare(field, Op.EQ, value)


def all_of(*parts: Condition) -> Condition:
    """The conjunction, flattened, without the parts that always hold."""
    kept: list[Condition] = []
    for part in parts:
        if isinstance(part, And):
            kept.extend(part.parts)
        elif not isinstance(part, Always):
            kept.append(part)
    if not kept:
        return Always()
    return kept[0] if len(kept) == 1 else And(tuple(kept))


def any_of(*parts: Condition) -> Condition:
    """The disjunction of at least one part."""
    return parts[0] if len(parts) == 1 else Or(parts)


def fields_of(condition: Condition) -> frozenset[str]:
    """The names of all fields a condition looks at."""
    match condition:
        case Always():
            return frozenset()
        case And(parts) | Or(parts):
            return frozenset().union(*map(fields_of, parts))
        case Not(part):
            return fields_of(part)
        case _:
            return frozenset({condition.field})


def matches(condition: Condition, event: Mapping[str, Any]) -> bool:
    """Whether one event (field name to value) satisfies the condition: the meaning that stores must reproduce."""
    match condition:
        case Always():
            return True
        case And(parts):
            return all(matches(part, event) for part in parts)
        case Or(parts):
            return any(matches(part, event) for part in parts)
        case Not(part):
            return not matches(part, event)
        case Compare(field, op, value):
            return any(_holds(element, op, value) for element in _elements(event.get(field)))
        case Exists(field):
            return bool(_elements(event.get(field)))
        case Wildcard(field, pattern):
            expression = _wildcard(pattern)
            return any(isinstance(e, str) and expression.fullmatch(e) is not None for e in _elements(event.get(field)))
        case AnyCharacter(field, ranges):
            return any(isinstance(e, str) and _has(e, ranges) for e in _elements(event.get(field)))


def _elements(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _holds(element: Any, op: Op, value: Scalar) -> bool:
    if _type(element) is not _type(value):
        return False
    match op:
        case Op.EQ:
            return bool(element == value)
        case Op.LT:
            return bool(element < value)
        case Op.LE:
            return bool(element <= value)
        case Op.GT:
            return bool(element > value)
        case Op.GE:
            return bool(element >= value)


def _type(value: Any) -> type:
    return type(value) if isinstance(value, (bool, str)) else float


def _has(text: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= ord(character) <= high for character in text for low, high in ranges)


@lru_cache(maxsize=1024)
def _wildcard(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)


def to_json(condition: Condition) -> list[Any]:
    """A condition as JSON: ``[name of the kind, its parts…]``."""
    name = type(condition).__name__
    match condition:
        case Always():
            return [name]
        case And(parts) | Or(parts):
            return [name, *map(to_json, parts)]
        case Not(part):
            return [name, to_json(part)]
        case Compare(field, op, value):
            return [name, field, op.value, value]
        case Exists(field):
            return [name, field]
        case Wildcard(field, pattern):
            return [name, field, pattern]
        case AnyCharacter(field, ranges):
            return [name, field, [list(pair) for pair in ranges]]


def from_json(value: list[Any]) -> Condition:
    """The inverse of `to_json`. Raises ValueError on anything else."""
    match value:
        case ["Always"]:
            return Always()
        case ["And", *parts]:
            return And(tuple(map(from_json, parts)))
        case ["Or", *parts]:
            return Or(tuple(map(from_json, parts)))
        case ["Not", part]:
            return Not(from_json(part))
        case ["Compare", str(field), str(op), scalar]:
            return Compare(field, Op(op), scalar)
        case ["Exists", str(field)]:
            return Exists(field)
        case ["Wildcard", str(field), str(pattern)]:
            return Wildcard(field, pattern)
        case ["AnyCharacter", str(field), ranges]:
            return AnyCharacter(field, tuple((low, high) for low, high in ranges))
        case _:
            raise ValueError(f"not a condition: {value!r}")
