"""The table of reasons in docs/reference, made from the code: where each is found, told, remedied, asked for, shown."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from daemon.plugins import registry
from detectors.condition import Always, all_of, matches
from recognizer.reasons import EventType, InputReason
from recognizer.taxonomy import TAXONOMY
from rules.load import load_file
from rules.model import Language, Rule
from rules.remedy_pages import page

EXAMPLES: Final = ("picture-rules.yaml", "model-rules.yaml")
TEST: Final = "tests/recognizer/test_reasons.py"
_CONSUMERS: Final = frozenset({"reasons", "taxonomy", "hints", "serve"})
"""Modules of the recognizer that name reasons without ever finding one."""

_HEADINGS: Final = {
    Language.EN: ("reason", "row", "meaning", "found by", "told in", "further fields", "rule", "test"),
    Language.ZH: ("原因", "编号", "含义", "由谁发现", "写入何处", "其他字段", "示例规则", "测试"),
}
_REMEDY: Final = {Language.EN: "remedy", Language.ZH: "处理办法"}
_EVERY: Final = {Language.EN: "any event", Language.ZH: "任何事件"}


@dataclass(frozen=True, slots=True)
class Example:
    """A rule of the docs, and the file that holds it."""

    rule: Rule
    file: str


def table(root: Path, language: Language) -> str:
    """Every reason of the vocabulary, in its order, as Markdown. Raises LookupError where one lacks something."""
    rows = [_HEADINGS[language], ("---",) * len(_HEADINGS[language])]
    rows += [_row(root, reason, language) for reason in InputReason]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(root: Path, reason: InputReason, language: Language) -> tuple[str, ...]:
    entry = TAXONOMY[reason]
    found = finders(root)[reason]
    example = example_of(root, reason)
    if not found or example is None:
        raise LookupError(f"{reason}: {'no rule of the docs asks for it' if found else 'nothing finds it'}")
    anywhere = {one.event_type for one in entry.told} == set(EventType)
    told = (
        [f"{_EVERY[language]}: `{entry.told[0].field}`"]
        if anywhere
        else [f"{one.event_type}: `{one.field}`" for one in entry.told]
    )
    return (
        f"`{reason}`",
        entry.rows or "–",
        f"{page(reason, language).title} ([{_REMEDY[language]}](remedies.md#{reason}))",
        ", ".join(f"`{module}`" for module in found),
        ", ".join(told),
        ", ".join(f"`{name}`" for name in entry.details),
        f"[{example.rule.id}](../how-to/{example.file})",
        f"[\\[{reason}\\]](../../{TEST})",
    )


@cache
def finders(root: Path) -> Mapping[InputReason, tuple[str, ...]]:
    """The modules of the recognizer that give each reason, read from their code."""
    found: dict[InputReason, list[str]] = {reason: [] for reason in InputReason}
    folder = root / "recognizer"
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[1] not in _CONSUMERS:
            for reason in sorted(set(_given(ast.parse(path.read_text(encoding="utf-8"))))):
                found[reason].append(".".join(parts))
    return {reason: tuple(modules) for reason, modules in found.items()}


def _given(tree: ast.AST) -> Iterator[InputReason]:
    """The members of InputReason that code names, but for those it only compares with; a gap is told as a number."""
    if isinstance(tree, ast.Attribute) and isinstance(tree.value, ast.Name) and tree.value.id == "InputReason":
        if tree.attr in InputReason.__members__:
            yield InputReason[tree.attr]
    elif isinstance(tree, ast.Constant) and tree.value == "dropped_before":
        yield InputReason.EVENT_GAP
    elif not isinstance(tree, ast.Compare):
        for child in ast.iter_child_nodes(tree):
            yield from _given(child)


@cache
def examples(root: Path) -> tuple[Example, ...]:
    """The rules of the docs, in their order. Raises ValueError where `wumu check` has something to say of them."""
    found: list[Example] = []
    for name in EXAMPLES:
        loaded = load_file(root / "docs" / "how-to" / name, registry())
        if loaded.config is None or loaded.problems:
            raise ValueError(f"{name} has problems: wumu check docs/how-to/{name}")
        found += [Example(rule, name) for rule in loaded.config.rules]
    return tuple(found)


def example_of(root: Path, reason: InputReason) -> Example | None:
    """The first rule that counts an event which carries the reason."""
    for told in TAXONOMY[reason].told:
        event = {"event_type": told.event_type.value, "status": told.status, told.field: _value(told.field, reason)}
        for example in examples(root):
            detector = example.rule.detector
            condition = all_of(getattr(detector, "where", Always()), getattr(detector, "bad", Always()))
            if matches(condition, event):
                return example
    return None


def _value(field: str, reason: InputReason) -> Any:
    if field == "dropped_before":
        return 1
    return [reason.value] if field.endswith("_issues") else reason.value
