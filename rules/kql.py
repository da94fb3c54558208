"""Condition → KQL, for `wumu explain`, mails and the console: what rules.where.parse reads back."""

import unicodedata

from detectors.condition import Always, And, AnyCharacter, Compare, Condition, Exists, Not, Op, Or, Scalar, Wildcard
from recognizer.mapping import NUMERIC, Kind
from rules.fields import FIELDS

_NOTHING = "not *"
_KEYWORDS = frozenset({"and", "or", "not"})
_SPECIAL = frozenset('\\():<>"{}')
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cn", "Zl", "Zp", "Zs"})
_QUOTES = frozenset("'“”‘’„「」")


def to_kql(condition: Condition) -> str:
    """The condition in KQL: ``parse(to_kql(c))`` matches the same events as ``c``.

    Invisible characters come out as escapes. `AnyCharacter` has no form in KQL; it is described in brackets,
    which `parse` refuses.
    """
    match condition:
        case Always():
            return "*"
        case And(parts):
            return " and ".join(_grouped(part) for part in parts) or "*"
        case Or(parts):
            return " or ".join(map(_grouped, _well_typed(parts))) or _NOTHING
        case Not(part):
            return f"not {_grouped(part)}"
        case Exists(field):
            return f"{field}: *"
        case Wildcard(field, pattern):
            return f"{field}: {_pattern(pattern)}"
        case Compare() if _mistyped(condition):
            return _NOTHING
        case Compare(field, Op.EQ, value):
            return f"{field}: {_scalar(value)}"
        case Compare(field, op, value):
            return f"{field} {op} {_scalar(value)}"
        case AnyCharacter(field, ranges):
            spans = (f"U+{low:04X}" if low == high else f"U+{low:04X}–U+{high:04X}" for low, high in ranges)
            return f"{field}: [any of {', '.join(spans)}]"


def _mistyped(part: Condition) -> bool:
    """Whether a field is compared with a value of another type, which matches nothing and has no form in KQL.

    Conditions made of a series' key hold such comparisons: a key tells every value as text (see detectors.keys).
    """
    if not isinstance(part, Compare) or part.field not in FIELDS:
        return False
    kind = FIELDS[part.field].kind
    if isinstance(part.value, bool):
        return kind is not Kind.BOOLEAN
    return kind is not Kind.TEXT if isinstance(part.value, str) else kind not in NUMERIC


def _well_typed(parts: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(part for part in parts if not _mistyped(part))


def _grouped(part: Condition) -> str:
    """The part as an operand: in parentheses where it joins several others."""
    if isinstance(part, And | Or):
        members = part.parts if isinstance(part, And) else _well_typed(part.parts)
        if len(members) == 1:
            return _grouped(members[0])
        return f"({to_kql(part)})" if members else to_kql(part)
    return to_kql(part)


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    return '"' + "".join(_quoted_character(character) for character in value) + '"'


def _quoted_character(character: str) -> str:
    if character in ('"', "\\"):
        return "\\" + character
    return _escape(character) if _is_hidden(character) else character


def _pattern(pattern: str) -> str:
    words = pattern.split(" ")
    plain = all(words)
    escaped = [_word(word) for word in words]
    return (" " if plain else "\\u0020").join(escaped)


def _word(word: str) -> str:
    if word.casefold() in _KEYWORDS:
        return "\\" + word
    return "".join(
        "\\" + one if one in _SPECIAL else _escape(one) if _is_hidden(one) or one in _QUOTES else one for one in word
    )


def _is_hidden(character: str) -> bool:
    return character != " " and unicodedata.category(character) in _HIDDEN


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
