"""The remedy pages: one Markdown file per reason and language, of a fixed small structure.

``python -m rules.remedy_pages`` prints the reference of all of them (docs/reference/remedies.md).
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from detectors.finding import Reason
from recognizer.reasons import InputReason
from rules.model import Language

REASONS: tuple[str, ...] = (*InputReason, *Reason)
"""Every reason that has a page, in the order of the reference."""

HEADINGS = {
    Language.EN: ("Cause", "Steps", "Command", "Verify"),
    Language.ZH: ("原因", "步骤", "命令", "验证"),
}
PLACEHOLDERS = frozenset(
    {
        "path",  # the picture's path as the service was given it
        "cleaned",  # the path that was probably meant
        "found",  # the same, when a file is known to be there: nothing needs a new name
        "misnamed",  # the path, unless a file is known to be where it was probably meant
        "renamed",  # the cleaned path where it is safe to rename to it
        "meant",  # the existing file that the recognizer found to be meant; never the target of a rename
        "dir",  # the folder of the path
        "host",  # the machine that wrote the event
        "model",  # the model's name
        "request",  # the request id of the picture
        "where",  # KQL that finds the bad events
    }
)
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_PARTS = re.compile(
    r"# (?P<title>[^\n]+)\n+"
    r"## (?P<h1>[^\n]+)\n+(?P<cause>.+?)\n+"
    r"## (?P<h2>[^\n]+)\n+(?P<steps>.+?)\n+"
    r"(?:## (?P<h3>[^\n]+)\n+```sh\n(?P<command>.+?)\n```\n+)?"
    r"## (?P<h4>[^\n]+)\n+(?P<verify>.+?)\n*",
    re.DOTALL,
)
_STEP = re.compile(r"^\d+\. ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A remedy before it is filled in. ``command`` holds one shell line each, with placeholders like ``{{path}}``."""

    reason: str
    language: Language
    title: str
    cause: str
    steps: tuple[str, ...]
    command: tuple[str, ...]
    verify: str


def parse(text: str, reason: str, language: Language) -> Page:
    """A page from its Markdown. Raises ValueError where it departs from the structure."""
    found = _PARTS.fullmatch(text)
    if found is None:
        raise ValueError(f"remedy page {language}/{reason}: not of the form title, cause, steps, command, verify")
    given = tuple(found[name] for name in ("h1", "h2", "h3", "h4") if found[name] is not None)
    known = HEADINGS[language] if found["h3"] is not None else (*HEADINGS[language][:2], HEADINGS[language][3])
    if given != known:
        raise ValueError(f"remedy page {language}/{reason}: headings {given}, expected {known}")
    unknown = set(_PLACEHOLDER.findall(text)) - PLACEHOLDERS
    if unknown:
        raise ValueError(f"remedy page {language}/{reason}: unknown placeholders {sorted(unknown)}")
    return Page(
        reason=reason,
        language=language,
        title=found["title"],
        cause=_joined(found["cause"]),
        steps=tuple(_joined(step) for step in _STEP.split(found["steps"])[1:]),
        command=tuple((found["command"] or "").splitlines()),
        verify=_joined(found["verify"]),
    )


def _joined(text: str) -> str:
    """A wrapped paragraph as one line; Chinese lines are joined without a blank."""
    lines = re.sub(r"(?<=[\u2e80-\uffef])\n *(?=[\u2e80-\uffef])", "", text.strip())
    return re.sub(r"\n *", " ", lines)


@cache
def page(reason: str, language: Language) -> Page:
    """The page of a reason. Raises KeyError for a reason that has none."""
    if reason not in REASONS:
        raise KeyError(reason)
    text = files("rules").joinpath("remedies", language, f"{reason}.md").read_text(encoding="utf-8")
    return parse(text, reason, language)


def fill(text: str, values: dict[str, str]) -> str | None:
    """The text with its placeholders replaced; None where a value is not known."""
    if any(name not in values for name in _PLACEHOLDER.findall(text)):
        return None
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


_INTRODUCTION = (
    "One page for every reason that an event or an alert can carry. A mail shows the page of the dominant reason, "
    "with the placeholders filled in and quoted for the shell; a line whose value isn't known is left out."
)


def reference() -> str:
    """All pages as one Markdown document, English and Chinese side by side."""
    parts = [
        "# Remedies",
        "",
        "<!-- Made by `python -m rules.remedy_pages`; change the pages in rules/remedies/ instead. -->",
        "",
        _INTRODUCTION,
        "",
    ]
    for reason in REASONS:
        parts += [f"## `{reason}`", ""]
        for language in Language:
            parts += [*_section(page(reason, language)), ""]
    return "\n".join(parts).rstrip() + "\n"


def _section(one: Page) -> list[str]:
    cause, steps, command, verify = HEADINGS[one.language]
    lines = [f"### {one.title}", "", f"**{cause}.** {one.cause}", "", f"**{steps}.**", ""]
    lines += [f"{number}. {step}" for number, step in enumerate(one.steps, 1)]
    if one.command:
        lines += ["", f"**{command}.**", "", "```sh", *one.command, "```"]
    return [*lines, "", f"**{verify}.** {one.verify}"]


if __name__ == "__main__":
    print(reference(), end="")
