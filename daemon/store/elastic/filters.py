"""A condition becomes query DSL. Pure.

The meaning is `detectors.condition.matches`. Two things differ between the two worlds and are settled here: a
comparison with a value of another type matches nothing (Elasticsearch would convert or complain), and whole
numbers beyond 64 bits are clamped (Elasticsearch would complain).
"""

import math
import string
from collections.abc import Iterator
from typing import Any, TypeAlias, assert_never

from daemon.store.contract import Kind, columns
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
    Scalar,
    Wildcard,
)
from detectors.frame import Interval

Clause: TypeAlias = dict[str, Any]

TIME_FIELD = "@timestamp"

_NOTHING: Clause = {"match_none": {}}
_EVERYTHING: Clause = {"match_all": {}}
_RANGE_NAMES = {Op.LT: "lt", Op.LE: "lte", Op.GT: "gt", Op.GE: "gte"}
_INT64 = (-(2**63), 2**63 - 1)
_DATE_LIMIT_MS = 253_402_300_800_000
"""The year 10000: no stored event lies beyond it, and Elasticsearch refuses to read dates far beyond."""
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
_RANGES_PER_EXPRESSION = 60
"""Elasticsearch takes expressions of up to 1,000 characters; a range needs at most five."""


def clause(condition: Condition) -> Clause:
    """The query that matches what the condition matches."""
    match condition:
        case Always():
            return _EVERYTHING
        case And(parts):
            clauses = [clause(part) for part in _flat(parts, And)]
            return _bool(filter=clauses) if clauses else _EVERYTHING
        case Or(parts):
            clauses = [clause(part) for part in _flat(parts, Or)]
            return one_of(clauses) if clauses else _NOTHING  # 8.x takes an empty list for everything
        case Not(Not(part)):
            return clause(part)
        case Not(part):
            return _bool(must_not=[clause(part)])
        case Exists(field):
            return {"exists": {"field": field}}
        case Compare(field, op, value):
            return _compare(field, op, value)
        case Wildcard(field, pattern):
            return _wildcard(field, pattern)
        case AnyCharacter(field, ranges):
            return _any_character(field, ranges)
        case _:
            assert_never(condition)


def within(interval: Interval, *clauses: Clause) -> Clause:
    """All of the clauses, in the interval."""
    span = {"gte": interval.start_ms, "lt": interval.end_ms, "format": "epoch_millis"}
    return _bool(filter=[{"range": {TIME_FIELD: span}}, *(each for each in clauses if each != _EVERYTHING)])


def one_of(clauses: list[Clause]) -> Clause:
    """Any of the clauses."""
    return _bool(should=clauses, minimum_should_match=1)


def none_of(*clauses: Clause) -> Clause:
    """None of the clauses."""
    return _bool(must_not=list(clauses))


def _bool(**parts: Any) -> Clause:
    return {"bool": parts}


def _flat(parts: tuple[Condition, ...], kind: type[And] | type[Or]) -> Iterator[Condition]:
    """The parts without needless nesting, which Elasticsearch limits to a depth of 30."""
    for part in parts:
        if isinstance(part, kind):
            yield from _flat(part.parts, kind)
        else:
            yield part


def _compare(field: str, op: Op, value: Scalar) -> Clause:
    column = columns()[field]
    fits = {
        Kind.TEXT: isinstance(value, str),
        Kind.BOOLEAN: isinstance(value, bool),
        Kind.INTEGER: isinstance(value, (int, float)) and not isinstance(value, bool),
        Kind.NUMBER: isinstance(value, (int, float)) and not isinstance(value, bool),
    }[column.kind]
    if not fits:
        return _NOTHING
    if isinstance(value, bool):
        return _compare_boolean(field, op, value=value)
    if isinstance(value, str):
        return {"term": {field: value}} if op is Op.EQ else _range(field, **{_RANGE_NAMES[op]: value})
    if column.kind is Kind.INTEGER:
        return _compare_integer(field, op, value)
    return _compare_number(field, op, float(value))


def _compare_boolean(field: str, op: Op, *, value: bool) -> Clause:
    """False is less than true."""
    holds = {
        Op.EQ: [value],
        Op.LT: [False] if value else [],
        Op.LE: [False, True] if value else [False],
        Op.GT: [] if value else [True],
        Op.GE: [True] if value else [False, True],
    }[op]
    return {"terms": {field: holds}} if holds else _NOTHING


def _compare_integer(field: str, op: Op, value: float) -> Clause:
    """As a closed range of whole numbers, which can be neither out of range nor fractional."""
    if isinstance(value, float) and not math.isfinite(value):
        value = math.copysign(2**70, value) if not math.isnan(value) else value
    if math.isnan(value):
        return _NOTHING
    low, high = (-_DATE_LIMIT_MS, _DATE_LIMIT_MS) if field == "timestamp" else _INT64
    match op:
        case Op.EQ:
            if value != int(value):
                return _NOTHING
            low, high = max(low, int(value)), min(high, int(value))
        case Op.LT:
            high = min(high, math.ceil(value) - 1)
        case Op.LE:
            high = min(high, math.floor(value))
        case Op.GT:
            low = max(low, math.floor(value) + 1)
        case Op.GE:
            low = max(low, math.ceil(value))
        case _:
            assert_never(op)
    return _range(field, gte=low, lte=high) if low <= high else _NOTHING


def _compare_number(field: str, op: Op, value: float) -> Clause:
    if not math.isfinite(value):
        below = value < 0
        unbounded = op in ({Op.GT, Op.GE} if below else {Op.LT, Op.LE}) and not math.isnan(value)
        return {"exists": {"field": field}} if unbounded else _NOTHING
    if value == 0:  # the index orders -0.0 before 0.0; as numbers they are equal
        zero = {"gte": -0.0, "lte": 0.0}
        bounds = {
            Op.EQ: zero,
            Op.LT: {"lt": -0.0},
            Op.LE: {"lte": 0.0},
            Op.GT: {"gt": 0.0},
            Op.GE: {"gte": -0.0},
        }[op]
        return _range(field, **bounds)
    return {"term": {field: value}} if op is Op.EQ else _range(field, **{_RANGE_NAMES[op]: value})


def _range(field: str, **bounds: Any) -> Clause:
    if field == "timestamp":
        bounds["format"] = "epoch_millis"
    return {"range": {field: bounds}}


def _wildcard(field: str, pattern: str) -> Clause:
    if columns()[field].kind is not Kind.TEXT:
        return _NOTHING
    if "*" not in pattern:
        return {"term": {field: pattern}}
    if not pattern.strip("*"):
        return {"exists": {"field": field}}
    escaped = pattern.replace("\\", "\\\\").replace("?", "\\?")
    return {"wildcard": {field: {"value": escaped}}}


def _any_character(field: str, ranges: tuple[tuple[int, int], ...]) -> Clause:
    usable = [part for low, high in ranges for part in _without_surrogates(low, min(high, _LAST_CODE_POINT))]
    if columns()[field].kind is not Kind.TEXT or not usable:
        return _NOTHING
    chunks = [usable[i : i + _RANGES_PER_EXPRESSION] for i in range(0, len(usable), _RANGES_PER_EXPRESSION)]
    expressions = [".*[" + "".join(f"{_character(a)}-{_character(b)}" for a, b in chunk) + "].*" for chunk in chunks]
    clauses = [{"regexp": {field: {"value": text, "flags": "NONE"}}} for text in expressions]
    return clauses[0] if len(clauses) == 1 else one_of(clauses)


def _without_surrogates(low: int, high: int) -> Iterator[tuple[int, int]]:
    """The range in pieces that leave out surrogates: they are no characters, and no event holds one."""
    for piece_low, piece_high in ((low, min(high, _SURROGATES[0] - 1)), (max(low, _SURROGATES[1] + 1), high)):
        if piece_low <= piece_high:
            yield piece_low, piece_high


def _character(code_point: int) -> str:
    """A character inside the brackets of a Lucene expression; punctuation must be escaped, others must not be."""
    character = chr(code_point)
    return "\\" + character if character in string.punctuation else character
