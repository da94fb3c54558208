"""Memory as typed values: every kind declares its layout as a frozen msgspec.Struct with a ``version``."""

import zlib
from typing import Any, TypeVar

import msgspec

Layout = TypeVar("Layout", bound=msgspec.Struct)

_CHECKSUM_DIGITS = 8

_MOST_VOUCHED = 1 << 17
_vouched: set[int] = set()
"""Hashes of texts whose checksum was found to be right: most are read again and again, and Python keeps a text's hash
with it. That spares a tick the time to go over every byte of what has not changed since the last one."""


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A layout with checks of its own, which are made when it is read, and not again whenever a state is built."""

    def check(self) -> None:
        """Raises ValueError for what nothing could have left behind."""


class Packed:
    """Bytes that seldom change: what was read is written again as it stood, and decoded only if it is asked for.

    As text they are a checksum, which is looked at when they are read, and base64; nothing is an empty text.
    """

    __slots__ = ("_data", "_text")

    def __init__(self, data: bytes = b"") -> None:
        self._data: bytes | None = data
        self._text: str | None = None

    @classmethod
    def of(cls, text: str) -> "Packed":
        """What `text` wrote. Raises ValueError if it is damaged."""
        packed = cls()
        if text:
            if hash(text) not in _vouched:
                _vouch(text)
            packed._data, packed._text = None, text
        return packed

    @property
    def data(self) -> bytes:
        if self._data is None:
            self._data = msgspec.convert((self._text or "")[_CHECKSUM_DIGITS:], bytes)  # four times as fast as binascii
        return self._data

    @property
    def text(self) -> str:
        if self._text is None:
            encoded: str = msgspec.to_builtins(self._data)
            self._text = f"{zlib.crc32(encoded.encode('ascii')):08x}{encoded}" if encoded else ""
        return self._text


def _vouch(text: str) -> None:
    """Raises ValueError for a text that is damaged."""
    raw = memoryview(text.encode("ascii"))
    if int(text[:_CHECKSUM_DIGITS], 16) != zlib.crc32(raw[_CHECKSUM_DIGITS:]):
        raise ValueError("damaged bytes")
    if len(_vouched) >= _MOST_VOUCHED:
        _vouched.clear()
    _vouched.add(hash(text))


def recall(memory: object, layout: type[Layout]) -> Layout | None:
    """What ``remember`` made of a layout; None when there is nothing, or nothing that fits (a fresh start).

    A layout that an older or newer version wrote, a damaged one and one that breaks the layout's own checks
    (``check``, or ``__post_init__``, raising ValueError) are all read as nothing.
    """
    if memory is None:
        return None
    try:
        state = msgspec.convert(memory, layout, dec_hook=_read)
        if isinstance(state, Checked):
            state.check()
    except (msgspec.ValidationError, ValueError):
        return None
    return state


def remember(state: msgspec.Struct) -> dict[str, Any]:
    """The state as a JSON object."""
    built: dict[str, Any] = msgspec.to_builtins(state, enc_hook=_written)
    return built


def _read(kind: type, value: object) -> Packed:
    if kind is not Packed or not isinstance(value, str):
        raise ValueError(f"no {kind.__name__} can be made of it")
    return Packed.of(value)


def _written(value: object) -> str:
    if not isinstance(value, Packed):
        raise TypeError(f"a memory holds no {type(value).__name__}")
    return value.text
