"""Mending a line that is not quite an event, by documented rules. Pure; every mend is counted as a `Note`.

The rules, also listed in docs/how-to/instrument.md:

- A byte order mark and NUL bytes around the line are removed; raw control characters in text are accepted.
- Of a key that stands twice the last value counts. ``null`` is an absent field.
- NaN, Infinity and numbers beyond a double are absent; a list that holds one (or a null) is absent as a whole,
  because its other elements would no longer stand at their places.
- ``"12"`` for a number is 12, ``12.0`` for an integer is 12, anything but text for a text is its JSON; 0, 1,
  ``"true"`` and ``"false"`` are truth values where one is expected, a single value for a list is a list of one.
- A timestamp in seconds, microseconds, nanoseconds or ISO 8601 text becomes milliseconds; ``@timestamp`` stands in
  for a missing timestamp.
- Half surrogate pairs and NUL in text are shown as ``‹U+D800›``; text over its limit and deep nests are cut.
- Fields that the contract does not name are kept under their name, or under a changed one where no store takes it.

Anything else raises `Refusal`.
"""

import json
import math
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from recognizer.events import MalformedReason, Note
from recognizer.limits import INT64_MAX, MAX_DEPTH, MAX_STRING_CHARACTERS
from recognizer.mapping import Column, Kind, columns
from recognizer.paths import issue_names, visible

SHOWN_CHARACTERS: Final = 80
MAX_NAME_CHARACTERS: Final = 256
_LONGEST_INTEGER_DIGITS: Final = 400
_BOM: Final = b"\xef\xbb\xbf"


class Refusal(ValueError):
    """Why a line can't be an event: becomes a `Malformed`."""

    def __init__(self, reason: MalformedReason, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.hint = hint


class _Doubled(dict[str, Any]):
    """An object in which a key stood twice."""


class _NotFinite:
    """Stands for NaN, Infinity and numbers beyond a double."""


_NOT_FINITE: Final = _NotFinite()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    return unique if len(unique) == len(pairs) else _Doubled(unique)


def _float(digits: str) -> float | _NotFinite:
    number = float(digits)
    return number if math.isfinite(number) else _NOT_FINITE


def _int(digits: str) -> int | str:
    """Python refuses to read thousands of digits (they cost quadratic time): those stay text."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER_DIGITS else digits


_DECODER: Final = json.JSONDecoder(
    strict=False,
    object_pairs_hook=_object,
    parse_float=_float,
    parse_int=_int,
    parse_constant=lambda _: _NOT_FINITE,
)


def shown(value: Any) -> str:
    """A value for a message: short, one line, nothing invisible."""
    if value is _NOT_FINITE:
        return "a number that is not finite"
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        text = f"a nested {type(value).__name__}"
    return f"‘{visible(text, SHOWN_CHARACTERS)}’"


def parse(line: bytes, notes: Counter[Note]) -> dict[str, Any]:
    """The JSON object of a line, as forgiving as can be without guessing."""
    stripped = line.strip(b"\0")
    if len(stripped) != len(line):
        notes[Note.NUL_CHARACTER] += 1
    if stripped.startswith(_BOM):
        notes[Note.BYTE_ORDER_MARK] += 1
        stripped = stripped[len(_BOM) :]
    try:
        text = stripped.decode("utf-8").strip()
    except UnicodeDecodeError as fault:
        near = stripped[max(0, fault.start - 20) : fault.start + 20].decode("utf-8", "backslashreplace")
        raise Refusal(
            MalformedReason.NOT_UTF8,
            f"byte {fault.start} (0x{stripped[fault.start]:02X}) is not UTF-8, near {shown(near)}",
            "write the log as UTF-8; a service on GBK or Latin-1 must encode its lines as UTF-8",
        ) from fault
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as fault:
        raise _not_json(text, fault) from fault
    except RecursionError as fault:
        detail = f"the line nests too deep to be read, it begins {shown(text)}"
        raise Refusal(MalformedReason.NOT_JSON, detail, "an event is flat: one object of plain fields") from fault
    if not isinstance(value, dict):
        detail = f"the line is {shown(value)}, not an object"
        raise Refusal(MalformedReason.NOT_AN_OBJECT, detail, "write one JSON object a line: {…}")
    return value


def _not_json(text: str, fault: json.JSONDecodeError) -> Refusal:
    if not text:
        detail, hint = "the line holds nothing but NUL", "a crash or copytruncate left a hole; the rest is unharmed"
    else:
        near = text[max(0, fault.pos - 20) : fault.pos + 20]
        detail = f"{fault.msg} at character {fault.pos + 1}, near {shown(near)}"
        hint = "write one JSON object a line"
        if fault.msg == "Extra data":
            hint = "two records stand on one line: end each with a newline"
        elif text.startswith("{'"):
            hint = "this is Python's repr: write json.dumps(event)"
        elif text.startswith("{") and not text.endswith("}"):
            hint = "the line was cut: its writer stopped, or wrote it in several pieces"
    return Refusal(MalformedReason.NOT_JSON, detail, hint)


def coerce(raw: dict[str, Any], notes: Counter[Note]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The known and the unknown fields of an object, each value of the type that the contract states."""
    if isinstance(raw, _Doubled):
        notes[Note.DUPLICATE_KEY] += 1
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    cut: list[str] = []
    contract = columns()
    path = raw.get("file_path")
    if isinstance(path, str) and raw.get("path_issues") is None and (issues := issue_names(path)):
        # before the text is mended: an undecodable character must be named as what it is
        known["path_issues"] = issues
    stamp = raw["timestamp"] if raw.get("timestamp") is not None else raw.pop("@timestamp", None)
    raw.pop("@timestamp", None)
    for name, value in (raw | {"timestamp": stamp}).items():
        if value is None:
            continue
        if (column := contract.get(name)) is None:
            notes[Note.UNKNOWN_FIELD] += 1
            key = _storable_name(name, notes)
            extra[key] = _unknown(key, value, notes, cut, depth=1)
        elif name == "timestamp":
            known[name] = timestamp_ms(value, notes)
        elif (mended := _value(name, column, value, notes, cut)) is not None:
            known[name] = mended
    if cut:
        known["truncated_fields"] = sorted({*known.get("truncated_fields", ()), *cut})
    return known, extra


def _value(name: str, column: Column, value: Any, notes: Counter[Note], cut: list[str]) -> Any:
    if not column.is_list:
        return _scalar(name, column.kind, value, notes, cut)
    if not isinstance(value, list):
        notes[Note.SCALAR_AS_LIST] += 1
        value = [value]
    elements = [None if one is None else _scalar(name, column.kind, one, notes, cut) for one in value]
    if None in elements:
        notes[Note.NOT_FINITE] += 1
        return None
    return elements


def _scalar(name: str, kind: Kind, value: Any, notes: Counter[Note], cut: list[str]) -> Any:
    """One value of the kind, None where it is not finite."""
    if kind is Kind.TEXT:
        return _text(name, value, notes, cut)
    if value is _NOT_FINITE:
        notes[Note.NOT_FINITE] += 1
        return None
    if kind is Kind.BOOLEAN:
        return _boolean(name, value, notes)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _wrong_type(name, kind, value)
    if isinstance(value, str):
        value = _number_in(name, kind, value, notes)
        if value is None:
            return None
    return _integer(name, value, notes) if kind is Kind.INTEGER else _number(value, notes)


def _number_in(name: str, kind: Kind, text: str, notes: Counter[Note]) -> int | float | None:
    """The number that a text spells; None for one that is not finite."""
    try:
        number: int | float = float(text)
        if math.isfinite(number) and re.fullmatch(r"\s*[+-]?\d+\s*", text, re.ASCII):
            number = int(text)
    except ValueError:
        raise _wrong_type(name, kind, text) from None
    if not math.isfinite(number):
        if kind is Kind.INTEGER and text.strip("+-").isdigit():
            raise _wrong_type(name, kind, text)
        notes[Note.NOT_FINITE] += 1
        return None
    notes[Note.NUMBER_AS_TEXT] += 1
    return number


def _integer(name: str, value: int | float, notes: Counter[Note]) -> int:
    if isinstance(value, float):
        if not value.is_integer():
            raise _wrong_type(name, Kind.INTEGER, value)
        notes[Note.INTEGER_AS_FLOAT] += 1
        value = int(value)
    if abs(value) > INT64_MAX:
        raise _wrong_type(name, Kind.INTEGER, value)
    return value


def _number(value: int | float, notes: Counter[Note]) -> float | None:
    try:
        return float(value)
    except OverflowError:
        notes[Note.NOT_FINITE] += 1
        return None


def _boolean(name: str, value: Any, notes: Counter[Note]) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else value
    for meaning, words in ((True, (1, "1", "true", "yes")), (False, (0, "0", "false", "no"))):
        if word in words:
            notes[Note.BOOLEAN_AS_NUMBER] += 1
            return meaning
    raise _wrong_type(name, Kind.BOOLEAN, value)


def _text(name: str, value: Any, notes: Counter[Note], cut: list[str]) -> str:
    if not isinstance(value, str):
        notes[Note.TEXT_AS_OBJECT if isinstance(value, (dict, list)) else Note.TEXT_AS_NUMBER] += 1
        value = json.dumps(_unknown(name, value, notes, cut, depth=1), ensure_ascii=False)
    return clean_text(name, value, notes, cut)


_UNSTORABLE: Final = re.compile(r"[\0\ud800-\udfff]")


def clean_text(name: str, text: str, notes: Counter[Note], cut: list[str]) -> str:
    """Text that every store takes: no NUL, no half surrogate pair, not over the limit."""
    if _UNSTORABLE.search(text):
        notes[Note.NUL_CHARACTER if "\0" in text else Note.LONE_SURROGATE] += 1
        text = _UNSTORABLE.sub(lambda match: visible(match[0]), text)
    if len(text) > MAX_STRING_CHARACTERS:
        notes[Note.TEXT_CUT] += 1
        cut.append(name)
        text = text[:MAX_STRING_CHARACTERS]
    return text


def _wrong_type(name: str, kind: Kind, value: Any) -> Refusal:
    wanted = {
        Kind.TEXT: "text",
        Kind.INTEGER: "an integer of 64 bits",
        Kind.NUMBER: "a number",
        Kind.BOOLEAN: "true or false",
    }[kind]
    return Refusal(
        MalformedReason.WRONG_TYPE,
        f"{name} is {shown(value)}, but must be {wanted}",
        f"change the writer of {name}, or give the value a field name of its own: unknown fields are kept",
    )


_METADATA_NAMES: Final = re.compile(r"_[a-z_]+")


def _storable_name(name: str, notes: Counter[Note], *, top: bool = True) -> str:
    """Elasticsearch refuses blank names, empty parts between dots and, at the top, its own names (_id) and dots below
    a plain field."""
    wanted = visible(name, MAX_NAME_CHARACTERS)
    parts = wanted.split(".")
    if len(parts) > 1 and ((top and parts[0] in columns()) or not all(part.strip() for part in parts)):
        wanted = "_".join(parts)
    if not wanted.strip() or (top and (wanted == "extra" or _METADATA_NAMES.fullmatch(wanted))):
        wanted = f"extra_{wanted.strip().lstrip('_')}"
    if wanted != name:
        notes[Note.RENAMED_FIELD] += 1
    return wanted


def _unknown(name: str, value: Any, notes: Counter[Note], cut: list[str], depth: int) -> Any:
    """A value of a field that the contract does not name, in a form that every JSON reader takes."""
    match value:
        case str():
            return clean_text(name, value, notes, cut)
        case bool() | float() | None:
            return value
        case int():
            return value if abs(value) <= INT64_MAX else str(value)
        case dict() | list() if depth == MAX_DEPTH:
            notes[Note.NESTED_TOO_DEEP] += 1
            cut.append(name)
            return "…"
        case dict():
            if isinstance(value, _Doubled):
                notes[Note.DUPLICATE_KEY] += 1
            inner = ((_storable_name(key, notes, top=False), one) for key, one in value.items())
            return {key: _unknown(name, one, notes, cut, depth + 1) for key, one in inner}
        case list():
            return [_unknown(name, one, notes, cut, depth + 1) for one in value]
        case _:
            notes[Note.NOT_FINITE] += 1
            return None


# A unit is told by the magnitude: each range covers the years 1973 to 5138 in its unit.
_UNITS: Final = (
    (10**9, 10**11, 1_000, 1, Note.TIMESTAMP_SECONDS),
    (10**14, 10**17, 1, 1_000, Note.TIMESTAMP_MICROSECONDS),
    (10**17, 10**20, 1, 1_000_000, Note.TIMESTAMP_NANOSECONDS),
)


def timestamp_ms(value: Any, notes: Counter[Note]) -> int:
    """A moment in any usual notation as milliseconds since 1970 UTC."""
    number = value
    if isinstance(value, str):
        number = _moment(value, notes)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise _wrong_type("timestamp", Kind.INTEGER, value)
    for low, high, factor, divisor, note in _UNITS:
        if low <= abs(number) < high:
            notes[note] += 1
            return round(number * factor) if divisor == 1 else int(number) // divisor
    if abs(number) > INT64_MAX:
        raise _wrong_type("timestamp", Kind.INTEGER, value)
    if isinstance(number, float):
        notes[Note.INTEGER_AS_FLOAT] += 1
    return round(number)


def _moment(text: str, notes: Counter[Note]) -> int | float:
    if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text, re.ASCII) and len(text) <= 40:
        notes[Note.NUMBER_AS_TEXT] += 1
        return float(text) if "." in text else int(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _wrong_type("timestamp", Kind.INTEGER, text) from None
    notes[Note.TIMESTAMP_TEXT] += 1
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(zoned.timestamp() * 1_000)
