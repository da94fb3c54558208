"""The one exception of reading a picture: a closed reason, one line for a human, and what was found on the way."""

from dataclasses import dataclass, field
from typing import Any, Self

from recognizer.reasons import InputReason


@dataclass(slots=True, eq=False)
class InputFault(Exception):
    """A picture that can't be recognised.

    reason                what kind of fault; it names the remedy's page
    message               what happened to this very file, one line, untrusted text already made visible
    path_issues           what is wrong with the path, seen without touching the disk
    path_cleaned          the path without those faults, when it differs
    path_cleaned_exists   whether a file stands there
    path_suggested        the existing file that was probably meant
    """

    reason: InputReason
    message: str
    path_issues: tuple[InputReason, ...] = field(default=(), kw_only=True)
    path_cleaned: str | None = field(default=None, kw_only=True)
    path_cleaned_exists: bool | None = field(default=None, kw_only=True)
    path_suggested: str | None = field(default=None, kw_only=True)

    def __str__(self) -> str:
        return self.message

    def bare(self) -> Self:
        """Itself, without the frames that it came through: they hold the picture, and by their callers this fault.

        Kept, such a ring waits for the collector of cycles, which looks at old objects rarely: megabytes of pictures.
        """
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self

    def fields(self) -> dict[str, Any]:
        """What an ``input_error`` tells of it."""
        known = {
            "error": self.message,
            "reason": self.reason.value,
            "path_issues": [issue.value for issue in self.path_issues] or None,
            "path_cleaned": self.path_cleaned,
            "path_cleaned_exists": self.path_cleaned_exists,
            "path_suggested": self.path_suggested,
        }
        return {name: value for name, value in known.items() if value is not None}
