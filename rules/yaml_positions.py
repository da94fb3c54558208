"""A parsed YAML file that remembers where everything stands, down to a character inside a scalar."""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Half open, in characters of the text."""

    start: int
    end: int


@dataclass(slots=True)
class Node:
    """A value with its place. ``nodes`` counts it and what it holds, aliases expanded."""

    span: Span
    value: "str | int | float | bool | list[Node] | dict[str, Entry] | None"
    style: str | None = None
    nodes: int = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value."""

    key: Span
    node: Node


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: ``root`` and the places in its text."""

    file: str
    text: str
    root: Node
    _line_starts: tuple[int, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, file: str, text: str, root: Node) -> "Document":
        """The document, with its lines found: they end with LF, as editors count."""
        return cls(file, text, root, (0, *(found.end() for found in re.finditer("\n", text))))

    def plain(self, path: Path = ()) -> Any:
        """The value at ``path`` as ordinary Python values."""
        node = self.node(path)
        return None if node is None else _plain(node)

    def node(self, path: Path) -> Node | None:
        node: Node | None = self.root
        for step in path:
            node = _child(node, step)
        return node

    def span(self, path: Path, *, key: bool = False) -> Span:
        """Where ``path`` stands: its value, or its key. Of a path that leads nowhere, the last part that exists."""
        node, place = self.root, _head(self.root)
        for number, step in enumerate(path, start=1):
            entry = node.value.get(str(step)) if isinstance(node.value, dict) else None
            child = _child(node, step)
            if child is None:
                break
            node = child
            place = entry.key if entry is not None and key and number == len(path) else _head(node)
        return place

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1, of a character of the text."""
        line = bisect.bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def source_offset(self, path: Path, position: int) -> int:
        """The character of the file from which character ``position`` of the scalar at ``path`` came."""
        node = self.node(path)
        if node is None or not isinstance(node.value, str):
            return self.span(path).start
        return node.span.start + _offset_in_scalar(self.text[node.span.start : node.span.end], node, position)


def _child(node: Node | None, step: str | int) -> Node | None:
    if node is None:
        return None
    if isinstance(node.value, dict):
        entry = node.value.get(str(step))
        return None if entry is None else entry.node
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def _plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _plain(entry.node) for key, entry in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(item) for item in node.value]
    return node.value


def _head(node: Node) -> Span:
    """What a caret underlines for a node: a scalar, the first key of a mapping, the first character of a list."""
    if isinstance(node.value, dict):
        return next((entry.key for entry in node.value.values()), node.span)
    if isinstance(node.value, list):
        return Span(node.span.start, node.span.start + 1)
    return node.span


_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r?\n|.)", re.DOTALL)


def _offset_in_scalar(raw: str, node: Node, position: int) -> int:
    """Where character ``position`` of a scalar's value stands in its source.

    Folding, indentation and line breaks change blanks only, so the characters that are not blank are counted.
    """
    value = str(node.value)
    wanted = len("".join(value[:position].split()))
    at_blank = position >= len(value) or value[position].isspace()
    end = 0
    for number, (start, stop) in enumerate(_solid(raw, node.style)):
        if number == wanted and not at_blank:
            return start
        if number == wanted:
            break
        end = stop
    blanks = len(value[:position]) - len(value[:position].rstrip())
    return min(end + blanks, max(len(raw.rstrip()) - 1, 0)) if end else 0


def _solid(raw: str, style: str | None) -> Iterator[tuple[int, int]]:
    """The source spans of a scalar's characters that are not blank, in order."""
    at = raw.find("\n") + 1 if style in ("|", ">") else 1 if style in ('"', "'") else 0
    stop = len(raw) - 1 if style in ('"', "'") else len(raw)
    while at < stop:
        length = 1
        blank = raw[at].isspace()
        if style == "'" and raw.startswith("''", at):
            length = 2
        elif style == '"' and raw[at] == "\\":
            found = _ESCAPE.match(raw, at)
            length = len(found[0]) if found else 1
            blank = _escaped(raw[at : at + length]).isspace() or raw[at + 1] in "\r\n"
        if not blank:
            yield at, at + length
        at += length


_ESCAPED_BLANKS = {"t": "\t", "n": "\n", "r": "\r", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029"}


def _escaped(escape: str) -> str:
    letter, digits = escape[1], escape[2:]
    return chr(int(digits, 16)) if letter in "xuU" and digits else _ESCAPED_BLANKS.get(letter, letter)
