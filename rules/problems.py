"""What is wrong with a file a human wrote, and how it is shown: all problems at once, each with its place."""

import enum
import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any

from recognizer.paths import visible

_SHOWN_CHARACTERS = 160
_SECRET = re.compile(
    r"(?i)(?:password|passwd|secret|token|api_?key|authorization)[\"']?\s*:\s*(?P<value>[^\s{\[,}][^,}]*)"
    r"|://(?P<login>[^\s/@]+)@"
)


class ProblemCode(enum.StrEnum):
    """The kinds of problem `wumu check` reports."""

    UNREADABLE = "unreadable"
    NOT_YAML = "not_yaml"
    TOO_LARGE = "too_large"
    DUPLICATE_KEY = "duplicate_key"
    UNKNOWN_KEY = "unknown_key"
    MISSING_KEY = "missing_key"
    WRONG_VALUE = "wrong_value"
    BAD_CONDITION = "bad_condition"
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_CHANNEL = "unknown_channel"
    NO_CHANNEL = "no_channel"
    DUPLICATE_RULE = "duplicate_rule"
    NEVER_TRUE = "never_true"
    TIMER_TOO_SHORT = "timer_too_short"
    SECRET_IN_FILE = "secret_in_file"  # noqa: S105  # the code's name, not a secret


class Weight(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding about a file. ``line`` and ``column`` count from 1; ``width`` is how much the caret underlines."""

    code: ProblemCode
    message: str
    file: str
    line: int
    column: int
    width: int = 1
    hint: str | None = None
    weight: Weight = Weight.ERROR


def render(problem: Problem, source: str) -> str:
    """The problem as a human reads it: place and message, the line of ``source`` with a caret under it, the hint.

    Whatever is invisible in the line is shown, so that a caret points at what is really there.
    """
    head = (
        f"{visible(problem.file)}:{problem.line}:{problem.column}: {problem.weight}: {problem.message} [{problem.code}]"
    )
    lines = source.split("\n")
    out = [head]
    if problem.line <= len(lines):
        number = f"{problem.line:>5} | "
        line = _SECRET.sub(_masked, lines[problem.line - 1].removesuffix("\r"))
        shown, before, under = _excerpt(line, problem)
        out.append(f"{number}{shown}".rstrip())
        out.append(f"{' ' * (len(number) - 2)}| {' ' * before}{'^' * max(under, 1)}")
    if problem.hint is not None:
        out.append(f"        hint: {problem.hint}")
    return "\n".join(out)


def to_json(problem: Problem) -> dict[str, Any]:
    """The problem as a JSON object, for editors and CI."""
    return asdict(problem)


def _excerpt(line: str, problem: Problem) -> tuple[str, int, int]:
    """The part of a line around the problem, the cells before the caret and the cells it spans."""
    at = min(problem.column - 1, len(line))
    start = 0 if at < _SHOWN_CHARACTERS else at - _SHOWN_CHARACTERS // 2
    before = ("…" if start else "") + _shown(line[start:at])
    marked = _shown(line[at : at + problem.width][: start + _SHOWN_CHARACTERS - at])
    rest = line[at : start + _SHOWN_CHARACTERS]
    cut = "…" if len(line) > start + _SHOWN_CHARACTERS else ""
    return f"{before}{_shown(rest)}{cut}", _cells(before), _cells(marked)


def _masked(found: re.Match[str]) -> str:
    """The match with its secret replaced, as long as before so that the caret stays right."""
    group = "value" if found["value"] is not None else "login"
    start, end = found.start(group) - found.start(), found.end(group) - found.start()
    return f"{found[0][:start]}{'*' * (end - start)}{found[0][end:]}"


def _shown(text: str) -> str:
    return visible(text.replace("\t", " "), len(text) + 1)


def _cells(text: str) -> int:
    """How many terminal cells a text takes: East Asian wide characters take two."""
    return sum(
        2 if unicodedata.east_asian_width(one) in "WF" else 0 if unicodedata.combining(one) else 1 for one in text
    )
