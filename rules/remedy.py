"""Which remedy page belongs to a finding, filled in with the events' own values."""

from dataclasses import dataclass

from rules.model import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """A filled-in remedy: text that is safe to show and a command that is safe to paste (values shell-quoted).

    ``reason`` names the page (an InputReason or a Reason). ``checked`` says what was verified about the concrete
    case, for example that a file exists at the cleaned path; empty when nothing could be checked.
    """

    reason: str
    language: Language
    title: str
    cause: str
    steps: tuple[str, ...]
    command: str | None
    verify: str | None
    checked: tuple[str, ...] = ()
