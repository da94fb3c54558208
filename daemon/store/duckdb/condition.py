"""Conditions to SQL. Pure: text and parameters, no connection.

Values never stand in the text, they are parameters; names do, and come from the event contract alone
(`daemon.store.contract` has refused every other). A condition's SQL may be NULL where the condition does not hold:
WHERE and FILTER take that for false, NOT needs a COALESCE.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, assert_never

from daemon.store.contract import NUMERIC
from daemon.store.duckdb.schema import quoted
from detectors.condition import Always, And, AnyCharacter, Compare, Condition, Exists, Not, Op, Or, Scalar, Wildcard
from recognizer.mapping import Kind, columns

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with its positional parameters."""

    text: str
    parameters: tuple[Any, ...] = ()

    def __add__(self, other: "Sql | str") -> "Sql":
        if isinstance(other, str):
            return Sql(self.text + other, self.parameters)
        return Sql(self.text + other.text, self.parameters + other.parameters)


FALSE = Sql("FALSE")


def joined(separator: str, parts: Iterable[Sql]) -> Sql:
    """The pieces one after the other."""
    known = list(parts)
    return Sql(separator.join(part.text for part in known), tuple(p for part in known for p in part.parameters))


def condition(where: Condition) -> Sql:
    """A condition as an SQL expression."""
    match where:
        case Always():
            return Sql("TRUE")
        case And(parts):
            return _chain(" AND ", parts, empty="TRUE")
        case Or(parts):
            return _chain(" OR ", parts, empty="FALSE")
        case Not(Not(part)):
            return condition(part)
        case Not(part):
            return Sql("NOT COALESCE(") + condition(part) + ", FALSE)"
        case Compare(field, op, value):
            return _compare(field, op, value)
        case Exists(field):
            return exists(field)
        case Wildcard(field, pattern):
            return _of_text(field, "{} LIKE ? ESCAPE '\\'", _like(pattern))
        case AnyCharacter(field, ranges):
            pattern = _character_class(ranges)
            return _of_text(field, "regexp_matches({}, ?)", pattern) if pattern else FALSE
        case _:
            assert_never(where)


def _chain(operator: str, parts: tuple[Condition, ...], *, empty: str) -> Sql:
    if not parts:
        return Sql(empty)
    return Sql("(") + joined(operator, map(condition, parts)) + ")"


def exists(field: str) -> Sql:
    """Whether a field has a value; an empty list has none."""
    return Sql(f"len({quoted(field)}) > 0" if columns()[field].is_list else f"{quoted(field)} IS NOT NULL")


def _any(field: str, template: str, parameter: Any) -> Sql:
    """``template`` holds for the field's value, or for an element of its list."""
    if columns()[field].is_list:
        test = template.format("element")
        return Sql(f"len(list_filter({quoted(field)}, lambda element: {test})) > 0", (parameter,))
    return Sql(template.format(quoted(field)), (parameter,))


def _of_text(field: str, template: str, parameter: str) -> Sql:
    return _any(field, template, parameter) if columns()[field].kind is Kind.TEXT else FALSE


def _compare(field: str, op: Op, value: Scalar) -> Sql:
    kind = columns()[field].kind
    if isinstance(value, bool):
        return _any(field, f"{{}} {op} ?", value) if kind is Kind.BOOLEAN else FALSE
    if isinstance(value, str):
        return _any(field, f"{{}} {op} ?", value) if kind is Kind.TEXT else FALSE
    if math.isnan(value) or columns()[field].kind not in NUMERIC:
        return FALSE
    if kind is Kind.NUMBER:
        return _any(field, f"{{}} {op} CAST(? AS DOUBLE)", _as_float(value))
    return _compare_integer(field, op, value)


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _compare_integer(field: str, op: Op, value: float) -> Sql:
    """Compares as integers, exactly: a fraction moves the bound to the next integer."""
    if not INT64_MIN <= value <= INT64_MAX:
        below = {Op.LT, Op.LE} if value > 0 else {Op.GT, Op.GE}
        return exists(field) if op in below else FALSE
    bound = math.floor(value)
    if bound != value:
        if op is Op.EQ:
            return FALSE
        op = Op.LE if op in {Op.LT, Op.LE} else Op.GT
    return _any(field, f"{{}} {op} CAST(? AS BIGINT)", bound)


def _like(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


def _character_class(ranges: tuple[tuple[int, int], ...]) -> str:
    clipped = [(max(low, 0), min(high, LAST_CODE_POINT)) for low, high in ranges]
    inside = "".join(f"\\x{{{low:X}}}-\\x{{{high:X}}}" for low, high in clipped if low <= high)
    return f"[{inside}]" if inside else ""
