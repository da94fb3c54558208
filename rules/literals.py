"""The values in a condition: KQL escapes, wildcards, numbers, booleans and times, read by the field's kind."""

import datetime as dt
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from detectors.condition import Compare, Condition, Exists, Op, Wildcard, all_of, equals
from detectors.duration import duration_ms, format_duration
from recognizer.events import INT64_MAX, MAX_STRING_CHARACTERS
from recognizer.mapping import NUMERIC, Kind
from recognizer.paths import visible
from rules.fields import FIELDS

TIME_FIELD = "timestamp"


class WhereError(ValueError):
    """A condition that can't be used. ``position`` and ``width`` count characters of the condition's text, from 0."""

    def __init__(self, message: str, position: int, width: int = 1, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.width = max(width, 1)
        self.hint = hint


class UnknownFieldError(WhereError):
    """A condition names a field that no event has."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written: ``text`` is what it means, ``raw`` its source, ``star`` whether it holds a wildcard."""

    text: str
    raw: str
    position: int
    star: bool = False

    def fault(self, message: str, hint: str | None = None) -> WhereError:
        return WhereError(message, self.position, len(self.raw), hint)


_WHITESPACE = {"t": "\t", "r": "\r", "n": "\n"}
_SPECIAL = frozenset('\\():<>"*{}')
_KEYWORD = re.compile(r"(?:and|or|not)(?!\w)", re.IGNORECASE)
_UNICODE = re.compile(r"u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?")
_WINDOWS = re.compile(r"[A-Za-z]:\\|\\\\\w")


def _unicode_escape(raw: str, at: int, position: int) -> tuple[str, int] | None:
    """The character that ``uXXXX`` at ``at`` stands for and where it ends; surrogates come in pairs."""
    found = _UNICODE.match(raw, at)
    if found is None:
        return None
    unit = int(found[1], 16)
    if not 0xD800 <= unit <= 0xDFFF:
        return chr(unit), at + 5
    if unit >= 0xDC00 or found[2] is None:
        raise WhereError("half of a surrogate pair is no character", position + at - 1, 6, "write both halves")
    return chr(0x10000 + ((unit - 0xD800) << 10) + int(found[2], 16) - 0xDC00), found.end()


def unquoted(raw: str, position: int) -> Literal:
    """A value or a field without quotes: every special character is escaped or a wildcard."""
    out: list[str] = []
    star = literal_star = False
    at = 0
    while at < len(raw):
        if raw[at] != "\\":
            star = star or raw[at] == "*"
            out.append(raw[at])
            at += 1
            continue
        text, end = _unquoted_escape(raw, at + 1, position)
        literal_star = literal_star or text == "*"
        out.append(text)
        at = end
    if star and literal_star:
        hint = "leave the literal * to another wildcard: *"
        raise WhereError("a pattern can't hold both a wildcard and a literal *", position, len(raw), hint)
    return Literal("".join(out), raw, position, star)


def _unquoted_escape(raw: str, at: int, position: int) -> tuple[str, int]:
    """What the escape whose backslash stands just before ``at`` means, and where it ends."""
    character = raw[at : at + 1]
    if character and character in _SPECIAL:
        return character, at + 1
    if character in _WHITESPACE:
        return _WHITESPACE[character], at + 1
    keyword = _KEYWORD.match(raw, at)
    if keyword is not None:
        return keyword[0], keyword.end()
    decoded = _unicode_escape(raw, at, position)
    if decoded is not None:
        return decoded
    raise WhereError(
        f"\\{character} is no escape", position + at - 1, 2, 'write \\\\ for a backslash, or quote: "C:\\\\data"'
    )


def quoted(raw: str, position: int) -> Literal:
    """A value in double quotes; ``*`` stands for itself and a backslash before an ordinary character too."""
    body = raw[1:-1]
    out: list[str] = []
    at = 0
    while at < len(body):
        if body[at] != "\\":
            out.append(body[at])
            at += 1
            continue
        character = body[at + 1 : at + 2]
        decoded = _unicode_escape(body, at + 1, position + 1)
        if decoded is not None:
            out.append(decoded[0])
            at = decoded[1]
        elif character in ('"', "\\"):
            out.append(character)
            at += 2
        elif character in _WHITESPACE:
            if _WINDOWS.match(body):
                meant = f"\\{character} is a control character in KQL"
                raise WhereError(meant, position + 1 + at, 2, "write \\\\ for each backslash of a Windows path")
            out.append(_WHITESPACE[character])
            at += 2
        else:
            out.append("\\")
            at += 1
    return Literal("".join(out), raw, position)


def is_value(field: str, literal: Literal) -> Condition:
    """``field: value``, read by the field's kind."""
    if literal.star and literal.text == "*":
        return Exists(field)
    kind = FIELDS[field].kind
    if literal.star:
        if kind is not Kind.TEXT:
            hint = "compare it: http_status >= 500 and http_status < 600" if kind in NUMERIC else "write true or false"
            raise literal.fault(f"{field} holds {_A_KIND[kind]}: a wildcard matches text only", hint)
        return Wildcard(field, _bounded(literal))
    if field == TIME_FIELD:
        low, high = _time_span(literal)
        return equals(field, low) if low == high else all_of(Compare(field, Op.GE, low), Compare(field, Op.LE, high))
    return equals(field, _READERS[kind](field, literal))


def in_range(field: str, op: Op, literal: Literal) -> Condition:
    """``field > value``: numbers and times have an order."""
    kind = FIELDS[field].kind
    if kind not in NUMERIC:
        raise literal.fault(
            f"{field} holds {_A_KIND[kind]}: {op} compares numbers", f"write {field}: followed by the value"
        )
    if literal.star:
        raise literal.fault("a wildcard has no order", f"write {field}: * to ask whether it is there")
    if field == TIME_FIELD:
        low, high = _time_span(literal)
        return Compare(field, op, high if op in (Op.GT, Op.LE) else low)
    return Compare(field, op, _number(field, literal))


_A_KIND = {Kind.TEXT: "text", Kind.INTEGER: "a number", Kind.NUMBER: "a number", Kind.BOOLEAN: "true or false"}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?P<fraction>\.[0-9]*)?|(?P<bare>\.[0-9]+))(?P<exponent>[eE][-+]?[0-9]+)?")


def _number(field: str, literal: Literal) -> int | float:
    text = literal.text.strip()
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise literal.fault(f"{field} is a number, {_quote(text)} is none", _number_hint(field, text))
    if len(text) > 40:
        raise literal.fault("a number of more than 40 characters", "no event holds such a number")
    if found["fraction"] is None and found["bare"] is None and found["exponent"] is None:
        number: int | float = int(text)
    else:
        number = float(text)
    if not math.isfinite(number) or abs(number) > (INT64_MAX if isinstance(number, int) else math.inf):
        raise literal.fault(f"{_quote(text)} is out of range", "numbers lie within 64 bits")
    return number


def _number_hint(field: str, text: str) -> str | None:
    if field.endswith("_ms"):
        try:
            return f"write the milliseconds: {duration_ms(text)} for {format_duration(duration_ms(text))}"
        except ValueError:
            return "write milliseconds as a plain number, for example 250"
    if text.casefold() in ("null", "none"):
        return f"write not {field}: * for events without it"
    return None


def _boolean(field: str, literal: Literal) -> bool:
    word = literal.text.strip().casefold()
    if word not in ("true", "false"):
        raise literal.fault(f"{field} is true or false, {_quote(literal.text)} is neither", "write true or false")
    return word == "true"


def _text(field: str, literal: Literal) -> str:
    for opening, closing in ("''", "“”", "‘’", "„“", "「」"):
        text = literal.text
        if not literal.raw.startswith('"') and len(text) > 1 and text[0] == opening and text[-1] == closing:
            raise literal.fault(
                f"{opening}{closing} are no quotes in KQL, they would be part of the value",
                f'write {field}: "{text[1:-1]}"',
            )
    return _bounded(literal)


def _bounded(literal: Literal) -> str:
    if len(literal.text) > MAX_STRING_CHARACTERS:
        raise literal.fault(f"no event holds a text of more than {MAX_STRING_CHARACTERS} characters")
    return literal.text


_READERS: dict[Kind, Callable[[str, Literal], str | int | float | bool]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _number,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
}

_TIME = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})(?:[T ](?P<minute>\d{2}:\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|[+-]\d{2}:?\d{2})?)?"
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _time_span(literal: Literal) -> tuple[int, int]:
    """First and last millisecond of what was written, as Elasticsearch rounds: a date is the whole day (UTC)."""
    text = literal.text.strip()
    if _NUMBER.fullmatch(text):
        number = _number(TIME_FIELD, literal)
        if isinstance(number, float):
            raise literal.fault("timestamp counts whole milliseconds", "write it without a fraction")
        return number, number
    found = _TIME.fullmatch(text)
    if found is None:
        relative = "a rule looks at the events of its own window: leave times like now-15m out"
        plain = 'write milliseconds since 1970, or "2026-01-31T08:00:00Z" in quotes'
        raise literal.fault(f"{_quote(text)} is no time", relative if text.startswith("now") else plain)
    try:
        start = dt.datetime.fromisoformat(
            f"{found['day']}T{found['minute'] or '00:00'}:{found['second'] or '00'}{found['zone'] or 'Z'}"
        )
    except ValueError as error:
        raise literal.fault(f"{_quote(text)} is no time", str(error)) from error
    low = (start - _EPOCH) // dt.timedelta(milliseconds=1)
    if found["fraction"]:
        low += int(found["fraction"][:3].ljust(3, "0"))
        return low, low
    length = 1_000 if found["second"] else 60_000 if found["minute"] else 86_400_000
    return low, low + length - 1


def _quote(text: str) -> str:
    return f'"{visible(text, 60)}"'
