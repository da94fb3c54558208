"""Why nothing stands at a path: from its faults and from what stands beside it. Standard library only."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from recognizer.doctor import Meant, Written, is_inside, what_was_meant
from recognizer.path_findings import PathFindings
from recognizer.paths import PathIssue
from recognizer.reasons import DISK_REASONS, InputReason


@dataclass(frozen=True, slots=True)
class Missing:
    """What is known of a path at which nothing stands.

    reason           the likely cause: the worst fault of the name, else what it differs by from an existing file
    issues           the faults of the name, worst first
    cleaned          the path without them, None where that is no other
    cleaned_exists   whether a file stands there, None where nobody may look
    meant            the existing file that was probably meant
    """

    reason: InputReason
    issues: tuple[PathIssue, ...] = ()
    cleaned: str | None = None
    cleaned_exists: bool | None = None
    meant: Meant | None = None

    @property
    def findings(self) -> PathFindings:
        """The same as events and results tell it."""
        return PathFindings.of(
            self.issues,
            self.reason if self.reason in DISK_REASONS else None,
            cleaned=self.cleaned,
            cleaned_exists=self.cleaned_exists,
            suggested=None if self.meant is None else self.meant.path,
        )


def explain(path: str, otherwise: InputReason, roots: Sequence[str] | None = None, *, search: bool = True) -> Missing:
    """Why there is nothing at ``path``; ``otherwise`` where neither the name nor its neighbours tell.

    ``roots``: the folders that may be looked at; without any configured (None) that is the path's own folder.
    ``search``: whether they are; a file that exists is none that is missing.
    """
    written = Written.of(path)
    issues, cleaned = written.issues, written.cleaned
    meant = what_was_meant(written, roots) if search else None
    reason = written.worst(otherwise)
    if not issues and meant is not None and meant.reason is not InputReason.FILE_MISSING:
        reason = meant.reason
    if cleaned == path or not cleaned:
        return Missing(reason, issues, meant=meant)
    may_look = roots is None or is_inside(cleaned, roots)
    exists = os.path.isfile(cleaned) if may_look else None  # noqa: PTH113 - never raises
    return Missing(reason, issues, cleaned, exists, meant)
