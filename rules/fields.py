"""The fields a rule may name: those of the contract of an event, and how a mistyped name is answered."""

import difflib
from collections.abc import Iterable, Mapping

from recognizer.mapping import Column, columns
from recognizer.paths import visible

FIELDS: Mapping[str, Column] = columns()
"""Every field of the contract by name. Fields the contract does not name can't be asked for."""


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name a human most likely meant, if one is close."""
    folded = {candidate.casefold(): candidate for candidate in valid}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def unknown_field(name: str) -> tuple[str, str]:
    """What is wrong with a name that is no field's, and what to do. A name far from all is likely a field of one's own,
    which the events do have.
    """
    close = nearest(name, FIELDS)
    if close is not None:
        return f'no event has a field "{visible(name, 60)}"', f"did you mean {close}?"
    return (
        f'"{visible(name, 60)}" is no field that can be asked for',
        "a field of your own is kept in the events but can't be asked for; docs/reference/kql.md lists those that can",
    )


def did_you_mean(name: str, valid: Iterable[str], *, listed: int = 15) -> str | None:
    """A hint for an unknown name: the nearest valid one, else what there is unless that is more than ``listed``."""
    names = list(valid)
    close = nearest(name, names)
    if close is not None:
        return f"did you mean {close}?"
    return f"one of: {', '.join(names)}" if 0 < len(names) <= listed else None
