"""The HTTP front: requests in, answers out, and one business_output event for each picture, whatever became of it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Response
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from recognizer.adapters.trace_context import trace_fields
from recognizer.decode import Decoder
from recognizer.emit import log_event, together
from recognizer.encode import encode
from recognizer.pipeline import Recognizer
from recognizer.serve.batcher import Asked, Batcher, Outcome
from recognizer.serve.body import Refused, read_pictures
from recognizer.serve.caller import caller_address
from recognizer.serve.metrics import CONTENT_TYPE, Metrics
from recognizer.serve.replies import CLIENT_GONE, Reply, gone, late, recognised, refused, unable
from recognizer.serve.settings import Settings

RECOGNIZE = "/recognize"
_REQUEST_BYTES = 16
_SEVERAL = 200
"""The status of an answer to several pictures: each of them has its own in the list."""
_BODY_LEFT = frozenset({408, 413})
"""Answers to a body that is not taken to its end: the connection is of no further use."""
_LINGER_SECONDS = 2.0
"""How long such a body may go on after its answer: with bytes unread the kernel would throw the answer away too."""


class Service:
    """One recognizer behind HTTP. It is the ASGI application of POST /recognize itself."""

    def __init__(self, recognizer: Recognizer, settings: Settings, metrics: Metrics, decoder: Decoder | None) -> None:
        self._recognizer, self._settings, self._metrics = recognizer, settings, metrics
        self._batcher = Batcher(recognizer, settings, metrics, decoder)

    async def close(self) -> None:
        """Answer what was taken, and end."""
        await self._batcher.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST /recognize: of one picture its answer, of several a list in their order."""
        began = time.perf_counter()
        request = Request(scope, receive)
        told = await self._replies(request, self._carried(request))
        seconds = time.perf_counter() - began
        several = len(told) > 1
        bodies = [_document(reply, carried, with_status=several) for reply, carried in told]
        first, _ = told[0]
        status, retry_after = (_SEVERAL, None) if several else (first.status, first.retry_after)
        body = b"[" + b",".join(bodies) + b"]\n" if several else bodies[0]
        self._metrics.answered(status, seconds, [reply.document.get("reason") for reply, _ in told])
        with together():
            for (reply, carried), own in zip(told, bodies, strict=True):
                _tell(reply, carried, len(own), seconds)
        await _send(send, receive, status, body, retry_after)

    async def health(self) -> Response:
        """GET /healthz: 200 while pictures are taken and asked."""
        alive = self._batcher.alive
        document = {
            "status": "ok" if alive else "failing",
            "model_name": self._recognizer.model_name,
            "waiting": self._batcher.waiting,
        }
        return Response(encode(document), 200 if alive else 503, media_type="application/json")

    async def metrics(self) -> Response:
        """GET /metrics."""
        page = self._metrics.text(self._batcher.waiting, self._batcher.held_bytes)
        return Response(page, media_type=CONTENT_TYPE)

    def _carried(self, request: Request) -> dict[str, Any]:
        """The fields of every event of this request."""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for")) or None
        peer = None if request.client is None else request.client.host
        address = caller_address(peer, forwarded, self._settings.trusted_proxies)
        return {
            "model_name": self._recognizer.model_name,
            **({} if address is None else {"client_ip": address}),
            **trace_fields(request.headers.get("traceparent")),
        }

    async def _replies(self, request: Request, carried: dict[str, Any]) -> list[tuple[Reply, dict[str, Any]]]:
        """What is told of each picture of a request, or of the request itself, and the fields of its events."""
        own = [carried | {"request_id": os.urandom(_REQUEST_BYTES).hex()}]
        try:
            with self._batcher.room() as hold:
                named = await read_pictures(request, self._settings, hold)
            own += [carried | {"request_id": os.urandom(_REQUEST_BYTES).hex()} for _ in named[1:]]
            asked = [Asked(one.path, one.data, fields) for one, fields in zip(named, own, strict=True)]
            # nothing came in between: the room of the body is that of its pictures now
            answers = self._batcher.submit(asked)
        except Refused as fault:
            return [(refused(fault), own[0])]
        except ClientDisconnect:
            return [(gone(), own[0])]
        except Exception as fault:  # noqa: BLE001 - a request must have its answer, and the log its event
            return [(unable(fault), own[0])]
        await asyncio.wait(answers, timeout=self._settings.answer_seconds)
        return [(self._reply(answer), fields) for answer, fields in zip(answers, own, strict=True)]

    def _reply(self, answer: "asyncio.Future[Outcome]") -> Reply:
        if not answer.done():
            answer.cancel()
            return late(self._settings.answer_seconds)
        outcome = answer.result()
        if isinstance(outcome, Exception):
            return unable(outcome)
        return recognised(outcome, withheld=outcome.ok and self._recognizer.is_withheld(outcome))


def _document(reply: Reply, carried: dict[str, Any], *, with_status: bool) -> bytes:
    own = {"http_status": reply.status} if with_status else {}
    return encode({**reply.document, **own, "request_id": carried["request_id"]})


def _tell(reply: Reply, carried: dict[str, Any], size: int, seconds: float) -> None:
    log_event(
        "business_output",
        **carried,
        status="success" if reply.status < 400 else "cancelled" if reply.status == CLIENT_GONE else "error",
        http_status=reply.status,
        response_size=size,
        duration_ms=round(seconds * 1_000, 3),
        **reply.fields,
    )


async def _send(send: Send, receive: Receive, status: int, body: bytes, retry_after: int | None) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % retry_after))
    lingering = status in _BODY_LEFT
    if lingering:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": lingering})
    if lingering:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while (await receive()).get("more_body", False):
                    continue
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _App(FastAPI):
    """Asks the service before FastAPI's layers and Starlette's, which cost as much again as all that it does itself."""

    service: Service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == RECOGNIZE and scope["method"] == "POST":
            await self.service(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(recognizer: Recognizer, settings: Settings, metrics: Metrics, decoder: Decoder | None = None) -> FastAPI:
    """The application; its lifespan ends the service: what was taken is answered first."""
    service = Service(recognizer, settings, metrics, decoder)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = _App(title="wumu", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.service = service
    app.router.routes.append(Route(RECOGNIZE, service, methods=["POST"]))
    app.add_api_route("/healthz", service.health, methods=["GET", "HEAD"], response_model=None)
    app.add_api_route("/metrics", service.metrics, methods=["GET", "HEAD"], response_model=None)
    return app
