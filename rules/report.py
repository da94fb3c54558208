"""Collects the problems of one file, each with its place, and tells pydantic's errors in plain English."""

import json
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from detectors.duration import format_duration
from recognizer.paths import visible
from rules.fields import did_you_mean
from rules.layout import keys_of
from rules.problems import Problem, ProblemCode, Weight
from rules.yaml_positions import Document, Path, Span

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class Report:
    """The problems found so far in ``document``."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def add(
        self,
        code: ProblemCode,
        message: str,
        path: Path,
        *,
        key: bool = False,
        hint: str | None = None,
        weight: Weight = Weight.ERROR,
    ) -> None:
        """A problem with the value (or the key) at ``path``."""
        self._add_at(self.document.span(path, key=key), code, message, hint, weight)

    def add_inside(
        self,
        code: ProblemCode,
        message: str,
        path: Path,
        *,
        position: int,
        width: int = 1,
        hint: str | None = None,
        weight: Weight = Weight.ERROR,
    ) -> None:
        """A problem with ``width`` characters from ``position`` of the text that the scalar at ``path`` holds."""
        start = self.document.source_offset(path, position)
        end = self.document.source_offset(path, position + width - 1) + 1
        self._add_at(Span(start, max(start + 1, end)), code, message, hint, weight)

    def _add_at(self, span: Span, code: ProblemCode, message: str, hint: str | None, weight: Weight) -> None:
        line, column = self.document.place(span.start)
        line_end = self.document.text.find("\n", span.start)
        end = span.end if line_end < 0 else min(span.end, line_end)
        problem = Problem(
            code=code,
            message=message,
            file=self.document.file,
            line=line,
            column=column,
            width=max(end - span.start, 1),
            hint=hint,
            weight=weight,
        )
        known = {(one.code, one.line, one.column) for one in self.problems}
        if (code, line, column) not in known:
            self.problems.append(problem)

    def validated(self, model: type[M], data: Mapping[str, Any], path: Path) -> M | None:
        """``data`` (what stands at ``path``) as the model, or None with every problem added."""
        wrong = _booleans_for_numbers(model, data)
        for name in wrong:
            written = str(data[name]).lower()
            self.add(ProblemCode.WRONG_VALUE, f"{name}: a number is wanted, not {written}", (*path, name))
        try:
            parsed = model.model_validate(data)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                self._add_pydantic(model, one, path)
            return None
        return None if wrong else parsed

    def unknown_key(self, name: str, valid: list[str], path: Path) -> None:
        """``path`` ends in a key that nothing reads."""
        hint = "YAML 1.2 has no merge key; write what is common under defaults:" if name == "<<" else None
        written = self.document.plain(path[:-1])
        free = [one for one in valid if one not in written] if isinstance(written, dict) else valid
        self.add(
            ProblemCode.UNKNOWN_KEY,
            f"unknown key {visible(name, 60)}",
            path,
            key=True,
            hint=hint or did_you_mean(name, free),
        )

    def _add_pydantic(self, model: type[BaseModel], error: ErrorDetails, path: Path) -> None:
        of_key = error["loc"][-1:] == ("[key]",)
        where = (*path, *(error["loc"][:-1] if of_key else error["loc"]))
        if error["type"] == "extra_forbidden":
            parent = _model_at(model, error["loc"][:-1])
            self.unknown_key(str(error["loc"][-1]), keys_of(parent) if parent else [], where)
            return
        if error["type"] == "missing":
            name = error["loc"][-1]
            self.add(ProblemCode.MISSING_KEY, f"{name}: is missing", where[:-1], hint=_description(model, error["loc"]))
            return
        place = where if error["loc"] else _kind_of(self.document, path)
        name = next((str(step) for step in reversed(error["loc"]) if isinstance(step, str) and step != "[key]"), "")
        message, hint = _plain_english(error, hidden=bool(model.model_config.get("hide_input_in_errors")))
        self.add(
            ProblemCode.SECRET_IN_FILE if error["type"] == "secret_in_file" else ProblemCode.WRONG_VALUE,
            f"{name}: {message}" if name else message,
            place,
            key=of_key,
            hint=hint,
        )


def _kind_of(document: Document, path: Path) -> Path:
    kind = (*path, "kind")
    return path if document.node(kind) is None else kind


def _booleans_for_numbers(model: type[BaseModel], data: Mapping[str, Any]) -> list[str]:
    """Keys whose number is written as true or false, which pydantic would take for 1 or 0."""
    return [
        info.alias or name
        for name, info in model.model_fields.items()
        if isinstance(data.get(info.alias or name), bool) and {int, float} & set(_alternatives(info.annotation))
    ]


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model of the mapping that ``loc`` leads to."""
    current: type[BaseModel] | None = model
    for step in loc:
        if current is None:
            return None
        info = next((i for name, i in current.model_fields.items() if step in (name, i.alias)), None)
        candidates = _alternatives(info.annotation) if info is not None else ()
        current = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
    return current


def _description(model: type[BaseModel], loc: tuple[str | int, ...]) -> str | None:
    parent = _model_at(model, loc[:-1])
    fields = parent.model_fields.items() if parent is not None else ()
    return next((info.description for name, info in fields if loc[-1] in (name, info.alias)), None)


_NUMBER_TYPES = frozenset(
    {"int_type", "int_parsing", "int_from_float", "int_parsing_size", "float_type", "float_parsing", "finite_number"}
)
_WANTED = {
    "string_type": ("a text is wanted", "put it in quotes"),
    "bool_type": ("true or false is wanted", None),
    "bool_parsing": ("true or false is wanted", None),
    "tuple_type": ("a list is wanted", "write [a, b] or one - item a line"),
    "list_type": ("a list is wanted", "write [a, b] or one - item a line"),
    "dict_type": ("a mapping is wanted", "write its keys on indented lines below"),
    "model_type": ("a mapping is wanted", "write its keys on indented lines below"),
    "model_attributes_type": ("a mapping is wanted", "write its keys on indented lines below"),
}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def _plain_english(error: ErrorDetails, *, hidden: bool) -> tuple[str, str | None]:
    """What pydantic found, for a human: (message, hint). A value that may hold a secret is not repeated."""
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    shown = "this" if hidden else _shown(given)
    if kind in _WANTED:
        return _WANTED[kind]
    if kind in _NUMBER_TYPES:
        whole = "a whole number" if kind.startswith("int") else "a number"
        return f"{whole} is wanted, not {shown}", None
    if kind in ("enum", "literal_error"):
        words = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
        return f"{shown} is not one of: {', '.join(words)}", did_you_mean(str(given), words, listed=0)
    if kind == "string_pattern_mismatch":
        return (
            f"{shown} is no name",
            "lower-case letters, digits and single hyphens, for example slow-inference",
        )
    if kind in ("too_short", "string_too_short"):
        return f"at least {context.get('min_length')} wanted", None
    if kind in ("too_long", "string_too_long"):
        return f"at most {context.get('max_length')} allowed", None
    for bound, meaning in _BOUNDS.items():
        if bound in context:
            limit = format_duration(context[bound]) if isinstance(given, str) else str(context[bound])
            return f"{shown} is out of range: {meaning} {limit}", None
    message, _, advice = error["msg"].removeprefix("Value error, ").partition("; ")
    return visible(message, 300), visible(advice, 300) or None


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f'"{visible(value, 60)}"'
    return visible(json.dumps(value, default=str), 60)
