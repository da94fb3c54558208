"""What a decode worker and its parent say to each other: frames of a JSON head and raw bytes over a socket.

No pickle: a worker decodes hostile bytes, and what it answers must not be able to run anything in its parent.
"""

import dataclasses
import socket
import struct
import time
from typing import Any, Final, get_type_hints

import msgspec
import numpy as np

from recognizer.decode import Picture
from recognizer.fault import InputFault
from recognizer.inspect import Limits
from recognizer.reasons import InputReason

_SIZES: Final = struct.Struct(">IQ")
MAX_HEAD_BYTES: Final = 1 << 20
MAX_BODY_BYTES: Final = 1 << 33


class Request(msgspec.Struct, frozen=True):
    """What to decode; the bytes follow as the body. ``name`` may hold half characters: it travels as hex bytes."""

    name: str
    limits: dict[str, int]


class Answer(msgspec.Struct, frozen=True):
    """A picture's fields, whose pixels follow as the body, or a fault."""

    picture: dict[str, Any] | None = None
    pixels: tuple[int, int, int] = (0, 0, 0)
    reason: str = ""
    message: str = ""


def send(channel: socket.socket, head: Request | Answer, body: memoryview) -> None:
    """One frame. Raises OSError when the other side is gone, TimeoutError when it does not take it."""
    text = msgspec.json.encode(head)
    channel.sendall(_SIZES.pack(len(text), body.nbytes) + text)
    channel.sendall(body)


def receive(channel: socket.socket, until: float | None = None) -> tuple[bytes, bytearray]:
    """One frame's head and body. Raises EOFError when the other side is gone, TimeoutError at ``until`` (monotonic)."""
    head_size, body_size = _SIZES.unpack(_exactly(channel, _SIZES.size, until))
    if head_size > MAX_HEAD_BYTES or body_size > MAX_BODY_BYTES:
        raise EOFError(f"a frame of {head_size} and {body_size} bytes makes no sense")
    return bytes(_exactly(channel, head_size, until)), _exactly(channel, body_size, until)


def _exactly(channel: socket.socket, size: int, until: float | None) -> bytearray:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        if until is not None:
            channel.settimeout(max(0.001, until - time.monotonic()))
        count = channel.recv_into(view[done:])
        if count == 0:
            raise EOFError("the other side is gone")
        done += count
    return data


def request(name: str, limits: Limits) -> Request:
    return Request(name.encode("utf-8", "surrogatepass").hex(), dataclasses.asdict(limits))


def requested(head: bytes) -> tuple[str, Limits]:
    found = msgspec.json.decode(head, type=Request)
    return bytes.fromhex(found.name).decode("utf-8", "surrogatepass"), Limits(**found.limits)


def answer_of(picture: Picture) -> tuple[Answer, memoryview]:
    """The picture without its path's issues, which the parent knows."""
    fields = {
        one.name: getattr(picture, one.name)
        for one in dataclasses.fields(picture)
        if one.name not in {"pixels", "path_issues", "repaired"}
    }
    pixels = np.ascontiguousarray(picture.pixels)
    height, width, channels = pixels.shape
    return Answer(msgspec.to_builtins(fields), (height, width, channels)), pixels.reshape(-1).data


def picture_of(head: bytes, body: bytearray, path_issues: tuple[InputReason, ...]) -> Picture:
    """The worker's picture, or its fault raised. ValueError and msgspec's errors when the answer makes no sense."""
    found = msgspec.json.decode(head, type=Answer)
    if found.picture is None:
        raise InputFault(InputReason(found.reason), found.message)
    types = get_type_hints(Picture)
    fields = {name: msgspec.convert(value, types[name]) for name, value in found.picture.items()}
    return Picture(pixels=np.frombuffer(body, np.uint8).reshape(found.pixels), path_issues=path_issues, **fields)
