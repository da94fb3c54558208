"""A request's picture: from a multipart upload, or named by path in JSON. Everything in it is the caller's claim."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from recognizer.paths import visible
from recognizer.serve.settings import MULTIPART_BYTES, Settings

UPLOAD = "upload:"
"""Stands before the name of an uploaded picture: it is no path, and is never looked for on the disk."""
_NAME_CHARACTERS = 255
_MOST_JSON_BYTES = 64 * 1024


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


async def read_picture(request: Request, settings: Settings) -> Named:
    """The picture of a request; `Refused` when it is too large, too slow, or not what the service takes."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in {"multipart/form-data", "application/json"}:
        raise Refused(415, "send multipart/form-data with one file, or application/json with a path")
    try:
        async with asyncio.timeout(settings.body_seconds):
            if kind == "application/json":
                return await _from_json(request, settings)
            return await _from_upload(request, settings)
    except TimeoutError:
        raise Refused(408, f"the request took longer than {settings.body_seconds:g} s to arrive") from None


async def _from_json(request: Request, settings: Settings) -> Named:
    if not settings.paths:
        raise Refused(403, "pictures by path are switched off; the operator can allow them with --root DIR")
    body = b"".join([chunk async for chunk in _limited(request, _MOST_JSON_BYTES)])
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON") from None
    path = document.get("path") if isinstance(document, dict) else None
    if not isinstance(path, str):
        raise Refused(400, 'the body must be an object with the text "path"')
    return Named(path, None)


async def _from_upload(request: Request, settings: Settings) -> Named:
    limit = settings.max_upload_bytes
    parser = MultiPartParser(
        request.headers, _limited(request, limit + MULTIPART_BYTES), max_files=1, max_fields=8, max_part_size=4_096
    )
    try:
        form = await parser.parse()
    except MultiPartException as fault:
        raise Refused(400, f"the multipart body is broken: {visible(fault.message, 200)}") from None
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if len(files) != 1:
            raise Refused(400, "the multipart body must hold one file")
        data = await files[0].read(limit + 1)
        if len(data) > limit:
            raise _too_large(limit)
        name = (files[0].filename or "unnamed").replace("/", "_")[:_NAME_CHARACTERS]
        return Named(f"{UPLOAD}{name}", data)
    finally:
        await form.close()


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes; refused by its announced length before, or by its real one as soon as it is too long."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > limit:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the request is larger than the limit of {limit} bytes")
