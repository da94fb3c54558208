"""`where:` in KQL → Condition, and back.

Understood: ``field: value``, quoted phrases, unquoted values of several words, wildcards in values, ``field: *``,
``field: (a or b)``, comparisons of numbers and times, ``and`` / ``or`` / ``not``, parentheses and KQL's escapes.
A text matches as a whole and case counts, as on a keyword field. Everything else is refused with its place.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from detectors.condition import Always, Condition, Not, Op, Or, all_of, any_of
from recognizer.paths import visible
from rules import literals
from rules.fields import FIELDS, unknown_field
from rules.kql import to_kql
from rules.literals import Literal, UnknownFieldError, WhereError

__all__ = ["UnknownFieldError", "WhereError", "parse", "to_kql"]

MAX_CHARACTERS = 10_000
MAX_DEPTH = 32

_ALIASES = {"@timestamp": "timestamp"}
"""What the fields are called in Kibana where that differs."""


def parse(text: str) -> Condition:
    """The condition a text in KQL stands for; an empty one and ``*`` match every event. Raises WhereError.

    >>> parse('http_status >= 500 and not host: "gpu-1"')
    And(parts=(Compare(field='http_status', op=<Op.GE: '>='>, value=500), \
Not(part=Compare(field='host', op=<Op.EQ: '='>, value='gpu-1'))))
    """
    if len(text) > MAX_CHARACTERS:
        raise WhereError(
            f"a condition of {len(text)} characters: {MAX_CHARACTERS} are the limit",
            MAX_CHARACTERS,
            hint="split the rule, or match the values with a wildcard",
        )
    if not text.strip():
        return Always()
    try:
        _bound_depth(text)
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _syntax_fault(text, error) from None
    return _Builder(text).condition(tree)


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("kql.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", propagate_positions=True)


def _bound_depth(text: str) -> None:
    """Refuse what nests deeper than any human writes, before anything walks it recursively."""
    open_depths = [0]
    pending = 0
    for token in _parser().lex(text):
        pending = pending + 1 if token.type in ("NOT", "_OPEN") else 0
        if token.type == "_OPEN":
            open_depths.append(open_depths[-1] + pending)
            pending = 0
        elif token.type == "_CLOSE" and len(open_depths) > 1:
            open_depths.pop()
        if open_depths[-1] + pending > MAX_DEPTH:
            raise WhereError(f"nested deeper than {MAX_DEPTH}", _start(token), hint="write the condition flatter")


def _start(token: Token) -> int:
    return token.start_pos or 0


class _Builder:
    """Turns the parse tree of one text into a condition; its depth is bounded before."""

    def __init__(self, text: str) -> None:
        self._text = text

    def condition(self, tree: Tree[Token]) -> Condition:
        match tree.data:
            case "any_of":
                return _either(*map(self.condition, _trees(tree)))
            case "all_of":
                return all_of(*map(self.condition, _trees(tree)))
            case "negation":
                return _negated(self.condition(next(_trees(tree))))
            case "is_value":
                field, value = _trees(tree)
                return self._is(field, value)
            case "is_one_of":
                field, values = _trees(tree)
                return self._one_of(self._field(field), values)
            case "is_in_range":
                field, value = _trees(tree)
                op = next(child for child in tree.children if isinstance(child, Token))
                return literals.in_range(self._field(field), Op(str(op)), self._literal(value))
            case _:
                return self._free_text(tree)

    def _is(self, field: Tree[Token], value: Tree[Token]) -> Condition:
        literal = self._literal(value)
        if self._source(field) == "*" and literal.star and literal.text == "*":
            return Always()
        return literals.is_value(self._field(field), literal)

    def _one_of(self, field: str, tree: Tree[Token]) -> Condition:
        match tree.data:
            case "any_of":
                return _either(*(self._one_of(field, part) for part in _trees(tree)))
            case "all_of":
                return all_of(*(self._one_of(field, part) for part in _trees(tree)))
            case "negation":
                return _negated(self._one_of(field, next(_trees(tree))))
            case _:
                return literals.is_value(field, self._literal(tree))

    def _free_text(self, tree: Tree[Token]) -> Condition:
        source = self._source(tree)
        if source == "*":
            return Always()
        raise WhereError(
            f'"{visible(source, 60)}" stands without a field', tree.meta.start_pos, len(source), _free_text_hint(source)
        )

    def _field(self, tree: Tree[Token]) -> str:
        literal = self._literal(tree)
        name = _ALIASES.get(literal.text, literal.text)
        if literal.star:
            hint = "name each field: file_path: a or file_dir: a"
            raise literal.fault("wildcards are not supported in the name of a field", hint)
        if name not in FIELDS:
            message, hint = unknown_field(name)
            raise UnknownFieldError(message, literal.position, len(literal.raw), hint)
        return name

    def _literal(self, tree: Tree[Token]) -> Literal:
        source = self._source(tree)
        read = literals.quoted if source.startswith('"') else literals.unquoted
        return read(source, tree.meta.start_pos)

    def _source(self, tree: Tree[Token]) -> str:
        return self._text[tree.meta.start_pos : tree.meta.end_pos]


def _trees(tree: Tree[Token]) -> Iterator[Tree[Token]]:
    return (child for child in tree.children if isinstance(child, Tree))


def _negated(part: Condition) -> Condition:
    return part.part if isinstance(part, Not) else Not(part)


def _either(*parts: Condition) -> Condition:
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))]
    return any_of(*flat)


_LOOKALIKES = {"：": ":", "（": "(", "）": ")", "“": '"', "”": '"', "＞": ">", "＜": "<"}


def _free_text_hint(source: str) -> str:
    for lookalike, meant in _LOOKALIKES.items():
        if lookalike in source:
            return f"{lookalike} is a full-width character: write {meant}"
    if "!=" in source:
        return "write not field: value"
    if "=" in source:
        return "write field: value; KQL has no ="
    if "&&" in source or "||" in source:
        return "write and, or"
    field = source.split(maxsplit=1)[0]
    if field in FIELDS:
        return f"write {field}: value, or {field}: * to ask whether it is there"
    return f"name the field, for example error: {source}"


def _syntax_fault(text: str, error: UnexpectedInput) -> WhereError:
    if isinstance(error, UnexpectedCharacters):
        return _character_fault(text, error.pos_in_stream or 0)
    if not isinstance(error, UnexpectedToken):
        return WhereError("the condition ends too early", len(text.rstrip()))
    token = error.token
    if token.type == "$END":
        return _end_fault(text, error.expected)
    at, width = _start(token), len(token)
    match token.type:
        case "_COLON":
            return WhereError(
                "a second : in one comparison",
                at,
                width,
                'quote a value that holds a colon, or put "and" between two comparisons',
            )
        case "COMPARISON":
            hint = "write field > 5 without the colon; join two comparisons with and"
            return WhereError(f"{token} can't stand here", at, width, hint)
        case "_CLOSE":
            empty = text[:at].rstrip().endswith("(")
            return WhereError("nothing between the parentheses" if empty else "this ) closes nothing", at, width)
        case "NOT":
            return WhereError(
                "not can't stand before a value", at, width, "write not field: value, or field: (not value)"
            )
        case _:
            return WhereError(
                f"{visible(str(token), 40)} can't stand here", at, width, "and, or belong between two comparisons"
            )


def _character_fault(text: str, at: int) -> WhereError:
    if text[at] == '"':
        hint = 'a backslash before the last quote escapes it: write \\\\"' if text.rstrip().endswith('\\"') else None
        return WhereError("the quote is never closed", at, len(text.rstrip()) - at, hint)
    if text[at] in "{}":
        hint = "name the field itself, events hold no objects; quote a value that holds a brace"
        return WhereError("nested queries with { } are not supported", at, hint=hint)
    return WhereError("a backslash with nothing after it", at, hint="write \\\\ for a backslash")


def _end_fault(text: str, expected: set[str]) -> WhereError:
    end = len(text.rstrip())
    if "_CLOSE" in expected:
        return WhereError("a ( is never closed", _unclosed(text), hint="add the missing )")
    return WhereError("something is missing at the end", max(end - 1, 0), hint="write field: value")


def _unclosed(text: str) -> int:
    opened: list[int] = []
    for token in _parser().lex(text):
        if token.type == "_OPEN":
            opened.append(_start(token))
        elif token.type == "_CLOSE" and opened:
            opened.pop()
    return opened[-1] if opened else len(text) - 1
