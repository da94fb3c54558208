"""A request's pictures: uploaded, bare or as multipart, or one named by path in JSON. All is the caller's claim."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from starlette.requests import Request

from recognizer.serve.form import Broken, Form
from recognizer.serve.settings import MULTIPART_BYTES, Settings

UPLOAD = "upload:"
"""Stands before the name of an uploaded picture: it is no path, and is never looked for on the disk."""
_UNNAMED = "unnamed"
_NAME_CHARACTERS = 255
_MOST_JSON_BYTES = 64 * 1024
_FORM, _JSON, _BARE = "multipart/form-data", "application/json", "application/octet-stream"

Hold = Callable[[int], None]
"""Takes room for so many more bytes; raises when there is none."""


class Refused(Exception):
    """A request that can't be taken: ``status`` and one line for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Named:
    """A picture by its bytes, or by its path alone."""

    path: str
    data: bytes | None


async def read_pictures(request: Request, settings: Settings, hold: Hold) -> list[Named]:
    """The pictures of a request, one at least; `Refused` when it is too large, too slow, or not what is taken."""
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(settings.body_seconds):
            if kind == _FORM:
                return await _from_form(request, content_type, settings, hold)
            if kind == _BARE or kind.startswith("image/"):
                pieces = [piece async for piece in _limited(request, settings.max_upload_bytes, hold)]
                return [_uploaded(_UNNAMED, b"".join(pieces))]
            if kind == _JSON:
                return [await _from_json(request, settings, hold)]
    except TimeoutError:
        raise Refused(408, f"the request took longer than {settings.body_seconds:g} s to arrive") from None
    raise Refused(415, "send multipart/form-data with files, a picture as image/*, or application/json with a path")


async def _from_json(request: Request, settings: Settings, hold: Hold) -> Named:
    if not settings.paths:
        raise Refused(403, "pictures by path are switched off; the operator can allow them with --root DIR")
    body = b"".join([piece async for piece in _limited(request, _MOST_JSON_BYTES, hold)])
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON") from None
    path = document.get("path") if isinstance(document, dict) else None
    if not isinstance(path, str):
        raise Refused(400, 'the body must be an object with the text "path"')
    return Named(path, None)


async def _from_form(request: Request, content_type: str, settings: Settings, hold: Hold) -> list[Named]:
    limit = settings.max_upload_bytes
    try:
        form = Form(content_type, min(settings.max_pictures, settings.max_waiting))
        async for piece in _limited(request, limit + MULTIPART_BYTES, hold):
            form.write(piece)
    except Broken as fault:
        raise Refused(400, f"the multipart body is broken: {fault}") from None
    if not form.files:
        raise Refused(400, "the multipart body must hold a file")
    if sum(len(data) for _, data in form.files) > limit:
        raise _too_large(limit)
    return [_uploaded(name, data) for name, data in form.files]


def _uploaded(name: str, data: bytes) -> Named:
    return Named(f"{UPLOAD}{(name or _UNNAMED).replace('/', '_')[:_NAME_CHARACTERS]}", data)


async def _limited(request: Request, limit: int, hold: Hold) -> AsyncGenerator[bytes, None]:
    """The body as it comes; refused by its announced length before, or by its real one as soon as it is too long."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    total = 0
    async for piece in request.stream():
        total += len(piece)
        if total > limit:
            raise _too_large(limit)
        hold(len(piece))
        yield piece


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the request is larger than the limit of {limit} bytes")
