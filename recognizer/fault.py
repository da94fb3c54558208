"""The one exception of reading a picture: a closed reason, one line for a human, and what was found on the way."""

from dataclasses import dataclass, field
from typing import Any, Self

from recognizer.path_findings import NOTHING_FOUND, PathFindings
from recognizer.reasons import InputReason


@dataclass(slots=True, eq=False)
class InputFault(Exception):
    """A picture that can't be recognised.

    reason     what kind of fault; it names the remedy's page
    message    what happened to this very file, one line, untrusted text already made visible
    path       what was found out about the path
    """

    reason: InputReason
    message: str
    path: PathFindings = field(default=NOTHING_FOUND, kw_only=True)

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
        return {"error": self.message, "reason": self.reason.value, **self.path.fields()}
