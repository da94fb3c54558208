"""YAML 1.2 → `rules.yaml_positions.Document`. Bounded in size, depth and alias expansion; never recursive."""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.reader import ReaderError

from recognizer.paths import visible
from rules.problems import Problem, ProblemCode
from rules.yaml_positions import Document, Entry, Node, Span

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20
MAX_ALIASED_NODES = 1_000

_TAG = "tag:yaml.org,2002:"
_CONSTRUCTED = frozenset(f"{_TAG}{kind}" for kind in ("int", "float", "bool", "null"))


@dataclass(frozen=True, slots=True)
class Read:
    """``document`` is None when the text is not YAML at all; problems like a doubled key leave it usable."""

    document: Document | None
    problems: tuple[Problem, ...] = ()


def read(text: str, file: str) -> Read:
    """The tree of one YAML document, and everything that is wrong with it as YAML."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        fault = _Fault(ProblemCode.TOO_LARGE, "the file is larger than 1 MiB", 0, hint="split the rules into files")
        return Read(None, (_problem(fault, text, file),))
    builder = _Builder(text)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except _Stop as stop:
        builder.faults.append(stop.fault)
        builder.root = None
    except (YAMLError, ValueError, OverflowError) as error:
        builder.faults.append(_yaml_fault(text, error))
        builder.root = None
    problems = tuple(_problem(fault, text, file) for fault in builder.faults)
    root = builder.root
    return Read(None if root is None else Document.of(file, text, root), problems)


@dataclass(frozen=True, slots=True)
class _Fault:
    code: ProblemCode
    message: str
    offset: int
    width: int = 1
    hint: str | None = None


class _Stop(Exception):
    """Ends the reading; never leaves this module."""

    def __init__(self, fault: _Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    node: Node
    anchor: str | None
    key: tuple[str, Span] | None = None


@dataclass(slots=True)
class _Builder:
    """Puts the tree together from the parser's events."""

    text: str
    root: Node | None = None
    faults: list[_Fault] = field(default_factory=list)
    _stack: list[_Open] = field(default_factory=list)
    _anchors: dict[str, Node] = field(default_factory=dict)
    _aliased: int = 0
    _documents: int = 0

    def take(self, event: Event) -> None:
        match event:
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    fault = _Fault(
                        ProblemCode.NOT_YAML, "a second document", _span(event).start, 3, "remove the line ---"
                    )
                    raise _Stop(fault)
            case AliasEvent():
                self._place(self._alias(event), None)
            case ScalarEvent():
                self._place(self._scalar(event), event.anchor)
            case CollectionStartEvent():
                self._open(event)
            case CollectionEndEvent():
                done = self._stack.pop()
                done.node.span = Span(done.node.span.start, _span(event).end)
                self._place(done.node, done.anchor)
            case _:
                pass

    def _open(self, event: Any) -> None:
        self._refuse_tag(event)
        span = _span(event)
        if len(self._stack) >= MAX_DEPTH:
            raise _Stop(_Fault(ProblemCode.TOO_LARGE, f"nested deeper than {MAX_DEPTH}", span.start))
        self._stack.append(_Open(Node(span, {} if isinstance(event, MappingStartEvent) else []), event.anchor))

    def _scalar(self, event: ScalarEvent) -> Node:
        self._refuse_tag(event)
        value = event.value if event.style is not None else _scalar_value(event)
        return Node(_span(event), value, event.style)

    def _alias(self, event: AliasEvent) -> Node:
        span = _span(event)
        target = self._anchors.get(event.anchor)
        name = visible(event.anchor, 60)
        if target is None:
            hint = "a & anchor of this name must stand before it, complete"
            raise _Stop(_Fault(ProblemCode.NOT_YAML, f"nothing is anchored as {name}", span.start, len(name) + 1, hint))
        self._aliased += target.nodes
        if self._aliased > MAX_ALIASED_NODES:
            message = f"aliases expand to more than {MAX_ALIASED_NODES} values"
            raise _Stop(_Fault(ProblemCode.TOO_LARGE, message, span.start, len(name) + 1))
        return target

    def _refuse_tag(self, event: ScalarEvent | CollectionStartEvent) -> None:
        tag = str(event.tag) if event.tag is not None else ""
        if tag and tag != "!":
            span = _span(event)
            shown = visible(tag.replace(_TAG, "!!"), 60)
            self.faults.append(
                _Fault(ProblemCode.WRONG_VALUE, f"the tag {shown} is not supported", span.start, 1, "remove it")
            )

    def _place(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
            parent.node.nodes += node.nodes
        elif parent.key is None:
            parent.key = self._key(node)
        else:
            self._put(parent, parent.key, node)
            parent.key = None

    def _key(self, node: Node) -> tuple[str, Span]:
        if isinstance(node.value, list | dict):
            self.faults.append(
                _Fault(ProblemCode.WRONG_VALUE, "a key is a word, not a list or mapping", node.span.start)
            )
            return "", node.span
        return ("" if node.value is None else str(node.value)), node.span

    def _put(self, parent: _Open, key: tuple[str, Span], node: Node) -> None:
        name, span = key
        if not isinstance(parent.node.value, dict):
            raise TypeError("only a mapping has keys")
        if name in parent.node.value:
            line = self.text.count("\n", 0, parent.node.value[name].key.start) + 1
            self.faults.append(
                _Fault(
                    ProblemCode.DUPLICATE_KEY,
                    f"the key {visible(name, 60)} stands here twice",
                    span.start,
                    max(span.end - span.start, 1),
                    f"the first stands in line {line}; keep one",
                )
            )
            return
        parent.node.value[name] = Entry(span, node)
        parent.node.nodes += node.nodes


def _span(event: Event) -> Span:
    return Span(event.start_mark.index, event.end_mark.index)


@cache
def _scalars() -> tuple[Any, SafeConstructor]:
    yaml = YAML(typ="safe", pure=True)
    return yaml.resolver, yaml.constructor


def _scalar_value(event: ScalarEvent) -> str | int | float | bool | None:
    """What a plain scalar means in YAML 1.2; dates stay text."""
    resolver, constructor = _scalars()
    tag = resolver.resolve(ScalarNode, event.value, (True, False))
    if str(tag) not in _CONSTRUCTED:
        return str(event.value)
    try:
        value: str | int | float | bool | None = constructor.construct_object(ScalarNode(tag, event.value))
    except ValueError:
        return str(event.value)
    return value


def _problem(fault: _Fault, text: str, file: str) -> Problem:
    before = text[: fault.offset]
    line, column = before.count("\n") + 1, fault.offset - (before.rfind("\n") + 1) + 1
    return Problem(
        code=fault.code, message=fault.message, file=file, line=line, column=column, width=fault.width, hint=fault.hint
    )


_TRANSLATED = (
    ("character '\\t' that cannot start", "a tab can't indent", "indent with spaces"),
    ("that cannot start any token", "this character can't begin a value", "put the value in single quotes"),
    (
        "mapping values are not allowed",
        "a colon where no key can stand",
        "align the key with those above, or quote a value that holds a colon: where: 'host: a'",
    ),
    ("expected alphabetic or numeric", "* and & begin an alias or an anchor", "put the value in single quotes"),
    ("found unexpected end of stream", "the quote is never closed", "add the closing quote"),
    ("found unknown escape character", "no escape of YAML", "use single quotes: they keep a backslash as it is"),
    ("expected <block end>", "the indentation fits nothing above", "align it with the line it belongs to"),
    ("could not find expected ':'", "a key without a colon", "write key: value"),
    ("but got '<stream end>'", "a [ or { is never closed", "add the closing bracket"),
    ("expected ',' or", "this can't stand inside [ ] or { }", "close the bracket before it, or add the comma"),
)
"""What the parser says, what a human is told, what to do."""


_BEYOND_UNICODE = re.compile(r"\\U(?!000|0010)[0-9A-Fa-f]{8}")


def _yaml_fault(text: str, error: Exception) -> _Fault:
    if isinstance(error, ReaderError):
        character = text[error.position]
        message = f"{visible(character, 1)} can't stand in YAML"
        return _Fault(
            ProblemCode.NOT_YAML, message, error.position, hint="remove it, or write it as an escape in quotes"
        )
    if not isinstance(error, MarkedYAMLError):
        found = _BEYOND_UNICODE.search(text)  # ruamel checks the digits of an escape but not their value
        at, width = (found.start(), 10) if found else (0, 1)
        return _Fault(
            ProblemCode.NOT_YAML, "an escape that YAML can't read", at, width, "U+10FFFF is the last character"
        )
    said = str(error.problem)
    unclosed = error.context_mark is not None and ("end of stream" in said or "stream end" in said)
    mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
    offset = 0 if mark is None else min(mark.index, max(len(text) - 1, 0))
    for phrase, message, hint in _TRANSLATED:
        if phrase in said:
            return _Fault(ProblemCode.NOT_YAML, message, offset, hint=hint)
    return _Fault(ProblemCode.NOT_YAML, visible(said, 200), offset)
