"""What was found out about one path, and how an event tells it. Standard library only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from recognizer.paths import PathIssue, inspect
from recognizer.reasons import InputReason


@dataclass(frozen=True, slots=True)
class PathFindings:
    """What is known of a path; all of it may be empty.

    issues            what is wrong with it, worst first, each once
    character         the code point of the worst fault that is a single one: ``U+200B``
    position          which character of the path that is, from 1
    cleaned           the path without its faults, None where that is no other
    cleaned_exists    whether a file stands there, None where nobody may look
    suggested         the existing file that was probably meant, or that was read instead
    """

    issues: tuple[InputReason, ...] = ()
    character: str | None = None
    position: int | None = None
    cleaned: str | None = None
    cleaned_exists: bool | None = None
    suggested: str | None = None

    @classmethod
    def of(
        cls,
        issues: Sequence[PathIssue],
        worst: InputReason | None = None,
        *,
        cleaned: str | None = None,
        cleaned_exists: bool | None = None,
        suggested: str | None = None,
    ) -> Self:
        """From what the name shows; ``worst``: what the disk showed, which comes before it."""
        reasons = dict.fromkeys(([] if worst is None else [worst]) + [issue.reason for issue in issues])
        placed = next((issue for issue in issues if issue.code_point), None)
        character, position = (None, None) if placed is None else (placed.code_point, placed.position + 1)
        return cls(tuple(reasons), character, position, cleaned, cleaned_exists, suggested)

    @classmethod
    def seen(cls, path: object) -> Self:
        """What the name alone shows, without a look at the disk."""
        return cls.of(inspect(path))

    def fields(self) -> dict[str, Any]:
        """As events have them; what is not known is left out."""
        known = {
            "path_issues": [issue.value for issue in self.issues] or None,
            "path_character": self.character,
            "path_position": self.position,
            "path_cleaned": self.cleaned,
            "path_cleaned_exists": self.cleaned_exists,
            "path_suggested": self.suggested,
        }
        return {name: value for name, value in known.items() if value is not None}


NOTHING_FOUND = PathFindings()
