"""Conditions that no event can ever satisfy."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

from detectors.condition import (
    Always,
    And,
    AnyCharacter,
    Compare,
    Condition,
    Exists,
    Not,
    Op,
    Or,
    Wildcard,
    fields_of,
    matches,
)
from recognizer.mapping import NUMERIC, Kind
from rules.fields import FIELDS

_FRESH = "\ue000"
"""A text that no condition mentions: stands for every value that is not named."""


def never_true(condition: Condition) -> str | None:
    """The field over which the condition contradicts itself, or None when some event may satisfy it.

    An answer is a proof: each field's values that the condition can tell apart are tried. Patterns that could
    only be told apart by constructing a text are left undecided.
    """
    match condition:
        case Not(Always()):
            return "*"
        case Or(parts):
            found = [never_true(part) for part in parts]
            return found[0] if found and all(found) else None
        case And(parts):
            return _conjunction(parts)
        case _:
            return _conjunction((condition,))


def _conjunction(parts: Sequence[Condition]) -> str | None:
    by_field: dict[str, list[Condition]] = {}
    for part in parts:
        names = fields_of(part)
        if len(names) == 1:
            by_field.setdefault(next(iter(names)), []).append(part)
        elif (inner := never_true(part) if isinstance(part, And | Or) else None) is not None:
            return inner
    return next((name for name, about in by_field.items() if _impossible(name, about)), None)


def _impossible(field: str, parts: Sequence[Condition]) -> bool:
    info = FIELDS.get(field)
    if info is None or info.is_list:
        return False
    leaves = [leaf for part in parts for leaf in leaves_of(part)]
    named = next((values for part in parts if (values := _only(part)) is not None), None)
    if named is None:
        if any(isinstance(leaf, Wildcard | AnyCharacter) for leaf in leaves):
            return False
        named = [*_candidates(info.kind, leaves), None]
    elif info.kind is Kind.INTEGER:
        named = [value for value in named if value == int(value)]
    return not any(all(matches(part, {field: value}) for part in parts) for value in named)


def _only(part: Condition) -> list[Any] | None:
    """The values a condition on one field admits, where it lists them."""
    if isinstance(part, Compare) and part.op is Op.EQ:
        return [part.value]
    if isinstance(part, Or):
        listed = [_only(inner) for inner in part.parts]
        return None if any(one is None for one in listed) else [value for one in listed for value in one or ()]
    return None


def _candidates(kind: Kind, leaves: Sequence[Condition]) -> list[Any]:
    """Values that stand for all the values the leaves can tell apart."""
    mentioned = [leaf.value for leaf in leaves if isinstance(leaf, Compare)]
    if kind is Kind.BOOLEAN:
        return [True, False]
    if kind not in NUMERIC:
        return [*mentioned, _FRESH]
    numbers = sorted({value for value in mentioned if not isinstance(value, str)} or {0.0})
    if kind is Kind.INTEGER:
        return [near for number in numbers for near in range(math.floor(number) - 1, math.ceil(number) + 2)]
    around = [near for number in numbers for near in (number - 1, number, number + 1)]
    return [*around, *((low + high) / 2 for low, high in itertools.pairwise(numbers))]


def leaves_of(condition: Condition) -> Iterator[Condition]:
    """The comparisons a condition is made of."""
    match condition:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves_of(part)
        case Not(part):
            yield from leaves_of(part)
        case Compare() | Exists() | Wildcard() | AnyCharacter():
            yield condition
        case _:
            return
