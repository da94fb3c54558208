"""Quoting for commands that people paste into a shell: bash, zsh and ksh; what is quoted can't break out."""

import os
import shlex
import unicodedata

from recognizer.paths import inspect, visible

_PLAIN_CATEGORIES = frozenset("LNPS")


def quote(text: str) -> str | None:
    """The text as one word of a command line; None where it holds a NUL, which no argument can.

    Text that looks like what it is stays readable. Everything else (invisible characters, look-alike and full-width
    letters, combining marks, line breaks, bytes that are no UTF-8) is written as ``$'...\\xe2\\x80\\x8b...'``: bytes,
    because bash reads ``\\u200b`` only in a UTF-8 locale, which a container or a service account often lacks.
    """
    if "\0" in text:
        return None
    misleading = {issue.character for issue in inspect(text) if not issue.character.isascii()}
    if all(_is_plain(character) and character not in misleading for character in text):
        return shlex.quote(text)
    return "$'" + "".join(_ansi_c(one, escaped=one in misleading) for one in text) + "'"


def _is_plain(character: str) -> bool:
    if character.isascii():
        return character.isprintable()
    # a combining mark may be joined with its letter on its way through a mail reader: it must be bytes
    return unicodedata.category(character)[0] in _PLAIN_CATEGORIES and visible(character) == character


def _ansi_c(character: str, *, escaped: bool) -> str:
    if character in "\\'":
        return "\\" + character
    if _is_plain(character) and not escaped:
        return character
    return "".join(f"\\x{byte:02x}" for byte in _bytes(character))


def _bytes(character: str) -> bytes:
    """As the file system has it: a surrogate that stands for a byte is that byte again."""
    try:
        return os.fsencode(character)
    except UnicodeEncodeError:
        return character.encode("utf-8", "surrogatepass")
