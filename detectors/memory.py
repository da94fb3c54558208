"""Memory as typed values: every kind declares its layout as a frozen msgspec.Struct with a ``version``."""

from typing import Any, TypeVar

import msgspec

Layout = TypeVar("Layout", bound=msgspec.Struct)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A layout with checks of its own, which are made when it is read, and not again whenever a state is built."""

    def check(self) -> None:
        """Raises ValueError for what nothing could have left behind."""


def recall(memory: object, layout: type[Layout]) -> Layout | None:
    """What ``remember`` made of a layout; None when there is nothing, or nothing that fits (a fresh start).

    A layout that an older or newer version wrote, a damaged one and one that breaks the layout's own checks
    (``check``, or ``__post_init__``, raising ValueError) are all read as nothing.
    """
    if memory is None:
        return None
    try:
        state = msgspec.convert(memory, layout)
        if isinstance(state, Checked):
            state.check()
    except (msgspec.ValidationError, ValueError):
        return None
    return state


def remember(state: msgspec.Struct) -> dict[str, Any]:
    """The state as a JSON object."""
    built: dict[str, Any] = msgspec.to_builtins(state)
    return built
