"""Memory as typed values: every kind declares its layout as a frozen msgspec.Struct with a ``version``."""

from typing import Any, TypeVar

import msgspec

Layout = TypeVar("Layout", bound=msgspec.Struct)


def recall(memory: object, layout: type[Layout]) -> Layout | None:
    """What ``remember`` made of a layout; None when there is nothing, or nothing that fits (a fresh start).

    A layout that an older or newer version wrote, a damaged one and one that breaks the layout's own checks
    (``__post_init__`` raising ValueError) are all read as nothing.
    """
    if memory is None:
        return None
    try:
        return msgspec.convert(memory, layout)
    except msgspec.ValidationError:
        return None


def remember(state: msgspec.Struct) -> dict[str, Any]:
    """The state as a JSON object."""
    built: dict[str, Any] = msgspec.to_builtins(state)
    return built
