"""Escapes that were left in a path, or that were resolved where none was meant. Pure, standard library only.

Left in: ``&#30334;``, ``\\u767e``, ``#U767e`` (unzip), ``\\347\\231\\276`` (git), ``%E7%99%BE``. Resolved by mistake:
the text ``"C:\\test"`` in a program holds a tabulator, for the programmer forgot to make it a raw string.
"""

import html
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from recognizer.characters import CONTROL, character_set, spliced

_CHARACTER_ESCAPE: Final = re.compile(
    r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});"
    r"|(?:\\u[0-9A-Fa-f]{4})+|\\U[0-9A-Fa-f]{8}|(?:\\x[0-9A-Fa-f]{2})+|(?:\\[0-3][0-7]{2})+"
    r"|#U[0-9A-Fa-f]{4}"
)
_CONTROL: Final = re.compile(f"[{character_set(*CONTROL)}]")
_DRIVE: Final = re.compile(r"\s*[\"']?[A-Za-z]:")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_TELLING_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}(?!\d)|%25[0-9A-Fa-f]{2}")
# No encoder escapes letters and digits: such a percent sign is part of the name.
_PERCENT_OF_A_NAME: Final = re.compile(r"%(?:3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa])")

_NAMED: Final = {"\a": "a", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r"}
_NEVER_TYPED: Final = frozenset("\a\b\t\v\f")


def character_escapes(path: str) -> Iterator[tuple[int, int, str]]:
    """Where escapes of characters stand in the path, and what they mean."""
    if "&" not in path and "\\" not in path and "#U" not in path:
        return
    windows = _DRIVE.match(path) is not None
    for found in _CHARACTER_ESCAPE.finditer(path):
        # a Windows path may hold folders like \x86, \uface and \101
        if not (windows and found[0][0] == "\\") and (meant := _meant(found[0])) not in (None, found[0]):
            yield found.start(), found.end(), str(meant)


def _meant(escape: str) -> str | None:
    """The text that an escape stands for; None where it stands for none."""
    if escape.startswith("&"):
        return html.unescape(escape)
    try:
        if escape.startswith(("#U", "\\U")):
            meant = chr(int(escape.lstrip("#\\U"), 16))
        elif escape.startswith("\\u"):
            units = b"".join(bytes.fromhex(unit) for unit in escape.split("\\u")[1:])
            meant = units.decode("utf-16-be")
        elif escape.startswith("\\x"):
            meant = bytes.fromhex(escape.replace("\\x", "")).decode()
        else:
            meant = bytes(int(one, 8) for one in escape.split("\\")[1:]).decode()
    except (UnicodeDecodeError, ValueError, OverflowError):
        return None
    return None if meant.isascii() or "\ud800" <= meant <= "\udfff" else meant


def without_character_escapes(path: str) -> str:
    """The path with the characters that its escapes mean."""
    return spliced(path, character_escapes(path))


def is_resolved_escape(path: str, position: int) -> bool:
    """Whether the control character there came from a backslash and a letter: ``\\t`` of ``C:\\test``.

    A line break is one only in a path of Windows: elsewhere it joins two lines of a list.
    """
    character = path[position]
    if position + 1 >= len(path) or path[position + 1].isspace():
        return False
    if _DRIVE.match(path) or "\\" in path:
        return True
    return character in _NEVER_TYPED and (path[position + 1].isalnum() or path[position + 1] in "_-")


def with_escapes_again(path: str) -> str:
    """The path as it was typed: a tabulator that was ``\\t`` is that again, ``U+0082`` is ``\\202``."""
    return _CONTROL.sub(
        lambda found: _typed(found[0]) if is_resolved_escape(path, found.start()) else found[0],
        path,
    )


def _typed(character: str) -> str:
    return "\\" + _NAMED.get(character, f"{ord(character):o}")


def percent_position(path: str) -> int | None:
    """Where the first percent escape stands, None where the path holds none."""
    position = 0
    for component in path.split("/") if "%" in path else ():
        if _component_decoded(component) != component:
            return position + component.index("%")
        position += len(component) + 1
    return None


def percent_decoded(path: str) -> str:
    """The path with the percent escapes of its components decoded; percent signs of a name are left alone.

    ``100%.png`` and ``5%24h.png`` are names. An encoder leaves no other percent sign, escapes neither letters nor
    digits, and with them every blank and every character beyond ASCII.
    """
    return "/".join(map(_component_decoded, path.split("/"))) if "%" in path else path


def _component_decoded(component: str) -> str:
    if component.count("%") != len(_PERCENT.findall(component)) or _PERCENT_OF_A_NAME.search(component):
        return component
    try:
        decoded = unquote(component, errors="strict")
    except UnicodeDecodeError:
        return component
    if not decoded.isascii() and component.isascii():
        return decoded
    whole = component.isascii() and " " not in component and decoded.isprintable()
    return decoded if whole and _TELLING_PERCENT.search(component) else component
