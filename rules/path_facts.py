"""What can be said for certain about one picture's path: which character is at fault, and what is on the disk."""

import unicodedata
from collections.abc import Callable, Iterator

from recognizer.events import Event
from recognizer.paths import PathIssue, clean, inspect, visible
from rules.model import Language

MAX_CHARACTERS = 5
"""Faulty characters that are named one by one."""
PATH_LIMIT = 300

_WORDS = {
    Language.EN: {
        "path": "The path is {path}",
        "character": "Character {place} of {total} is {code} {name}",
        "byte": "Character {place} of {total} is the byte 0x{byte:02X}, which is no UTF-8",
        "exists": "A file exists at the cleaned path {cleaned}",
        "missing": "No file exists at the cleaned path {cleaned}",
        "unknown": "The cleaned path is {cleaned}; whether a file is there could not be checked",
        "meant": "The existing file {meant} was probably meant",
        "raw_exists": "A file exists under the faulty name itself: rename it",
    },
    Language.ZH: {
        "path": "路径为 {path}",
        "character": "第 {place} 个字符（共 {total} 个）是 {code} {name}",
        "byte": "第 {place} 个字符（共 {total} 个）是字节 0x{byte:02X}，不是合法的 UTF-8",
        "exists": "清理后的路径 {cleaned} 处有文件",
        "missing": "清理后的路径 {cleaned} 处没有文件",
        "unknown": "清理后的路径为 {cleaned}；无法检查该处是否有文件",
        "meant": "本来想要的很可能是现有文件 {meant}",
        "raw_exists": "带有问题字符的文件名本身存在：请重命名该文件",
    },
}


def path_facts(event: Event, language: Language, exists: Callable[[str], bool | None]) -> tuple[str, ...]:
    """Sentences about the path of ``event``; () where it has no faults and no other file was meant.

    ``exists`` answers whether a file is there, None where it can't be known; it is asked only where the event
    itself does not tell, for the event comes from the machine that has the file.
    """
    path = event.file_path
    issues = inspect(path) if path is not None else ()
    if path is None or not (issues or event.path_suggested):
        return ()
    return tuple(_facts(event, path, issues, _WORDS[language], exists))


def cleaned_exists(event: Event, cleaned: str, exists: Callable[[str], bool | None]) -> bool | None:
    """Whether a file is at the cleaned path, by the event's own word or else by ``exists``."""
    told = event.path_cleaned_exists if event.path_cleaned in (None, cleaned) else None
    return told if told is not None else exists(cleaned)


def _facts(
    event: Event,
    path: str,
    issues: tuple[PathIssue, ...],
    words: dict[str, str],
    exists: Callable[[str], bool | None],
) -> Iterator[str]:
    yield words["path"].format(path=visible(path, PATH_LIMIT))
    named = {issue.position: issue for issue in issues if issue.character}
    for position in sorted(named)[:MAX_CHARACTERS]:
        yield _character(named[position], len(path), words)
    cleaned = clean(path)
    if event.path_suggested and event.path_suggested != cleaned:
        yield words["meant"].format(meant=visible(event.path_suggested, PATH_LIMIT))
    if cleaned == path:
        return
    there = cleaned_exists(event, cleaned, exists)
    word = "unknown" if there is None else "exists" if there else "missing"
    yield words[word].format(cleaned=visible(cleaned, PATH_LIMIT))
    if not there and exists(path):
        yield words["raw_exists"]


def _character(issue: PathIssue, total: int, words: dict[str, str]) -> str:
    place, code = issue.position + 1, ord(issue.character)
    if 0xDC80 <= code <= 0xDCFF:
        return words["byte"].format(place=place, total=total, byte=code - 0xDC00)
    name = unicodedata.name(issue.character, "") or _CONTROL_NAMES.get(code, "CONTROL CHARACTER")
    return words["character"].format(place=place, total=total, code=issue.code_point, name=name)


_CONTROL_NAMES = {0: "NULL", 9: "TAB", 10: "LINE FEED", 13: "CARRIAGE RETURN", 27: "ESCAPE", 127: "DELETE"}
