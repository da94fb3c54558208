"""The HTTP front: requests in, answers out, and one business_output event for each, whatever became of it."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from recognizer.adapters.trace_context import trace_fields
from recognizer.decode import Decoder
from recognizer.emit import log_event
from recognizer.encode import encode
from recognizer.pipeline import Recognizer
from recognizer.reasons import InputReason
from recognizer.result import Result
from recognizer.serve.batcher import Batcher, Busy, Unavailable
from recognizer.serve.body import Refused, read_picture
from recognizer.serve.caller import caller_address
from recognizer.serve.metrics import CONTENT_TYPE, Metrics
from recognizer.serve.settings import Settings

_ANSWER = ("top1_label", "top1_score", "top3_labels", "top3_scores")
CLIENT_GONE = 499
"""nginx's status for a caller who did not wait; it is only counted, for nobody is there to read it."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    document: dict[str, Any]
    fields: dict[str, Any]
    retry_after: int | None = None


class Service:
    """One recognizer behind HTTP."""

    def __init__(self, recognizer: Recognizer, settings: Settings, decoder: Decoder | None) -> None:
        self._recognizer, self._settings = recognizer, settings
        self._metrics = Metrics()
        self._batcher = Batcher(recognizer, settings, self._metrics, decoder)

    def close(self) -> None:
        """Answer what was taken, and end."""
        self._batcher.close()

    async def recognize(self, request: Request) -> Response:
        """POST /recognize."""
        began = time.perf_counter()
        carried = self._carried(request)
        reply = await self._reply(request, carried)
        body = encode({**reply.document, "request_id": carried["request_id"]})
        seconds = time.perf_counter() - began
        self._metrics.answered(reply.status, seconds, reply.document.get("reason"))
        log_event(
            "business_output",
            **carried,
            status="success" if reply.status < 400 else "cancelled" if reply.status == CLIENT_GONE else "error",
            http_status=reply.status,
            response_size=len(body),
            duration_ms=round(seconds * 1_000, 3),
            **reply.fields,
        )
        headers = {} if reply.retry_after is None else {"Retry-After": str(reply.retry_after)}
        if reply.status == 413:
            headers["Connection"] = "close"  # the rest of the body is not read
        return Response(body, reply.status, headers, "application/json")

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
        return Response(self._metrics.text(self._batcher.waiting), media_type=CONTENT_TYPE)

    def _carried(self, request: Request) -> dict[str, Any]:
        """The fields of every event of this request."""
        forwarded = ",".join(request.headers.getlist("x-forwarded-for")) or None
        peer = None if request.client is None else request.client.host
        address = caller_address(peer, forwarded, self._settings.trusted_proxies)
        return {
            "request_id": uuid.uuid4().hex,
            "model_name": self._recognizer.model_name,
            **({} if address is None else {"client_ip": address}),
            **trace_fields(request.headers.get("traceparent")),
        }

    async def _reply(self, request: Request, carried: dict[str, Any]) -> _Reply:
        try:
            self._batcher.enter()
        except (Busy, Unavailable) as fault:
            return _unable(fault)
        answer = None
        try:
            named = await read_picture(request, self._settings)
            answer = self._batcher.submit(named.path, named.data, carried)
            async with asyncio.timeout(self._settings.answer_seconds):
                _, result = await asyncio.wrap_future(answer)
        except Refused as fault:
            return _Reply(fault.status, {"status": "error", "error": str(fault)}, {"error": str(fault)})
        except ClientDisconnect:
            return _Reply(CLIENT_GONE, {}, {"error": "the caller went away"})
        except TimeoutError:
            return _unable(Busy(1), f"no answer within {self._settings.answer_seconds:g} s")
        except Exception as fault:  # noqa: BLE001 - a request must have its answer, and the log its event
            return _unable(fault)
        finally:
            if answer is None:
                self._batcher.leave()
        return self._told(result)

    def _told(self, result: Result) -> _Reply:
        document = json.loads(result.to_json())
        withheld = result.ok and self._recognizer.is_withheld(result)
        fields: dict[str, Any] = {"file_path": result.file_path}
        if result.ok:
            document |= {"low_confidence_filtered": withheld}
            fields |= {"low_confidence_filtered": withheld}
        else:
            fields |= {"reason": result.reason, "error": result.message}
        if withheld:
            document = {name: value for name, value in document.items() if name not in _ANSWER}
        return _Reply(status_of(result.reason), document, fields)


def _unable(fault: Exception, message: str | None = None) -> _Reply:
    """429 when it is only a matter of time, 503 when it is not; a fault of the service shows no details to callers."""
    if isinstance(fault, Busy):
        text = message or str(fault)
        status = 503 if message else 429
        return _Reply(status, {"status": "error", "error": text}, {"error": text}, fault.retry_after)
    shown = str(fault) if isinstance(fault, Unavailable) else "the recognizer failed; its log says why"
    return _Reply(503, {"status": "error", "error": shown}, {"error": fault})


def status_of(reason: InputReason | None) -> int:
    """The HTTP status of a picture: 200 recognised, 403 outside the roots, 404 no such file, 500 the model's fault,
    503 no memory just now, 422 every other fault of the picture or its path."""
    if reason is None:
        return 200
    if reason in {InputReason.MODEL_OUT_OF_MEMORY, InputReason.MODEL_DEVICE_LOST}:
        return 503
    if reason.value.startswith("model_"):
        return 500
    return {InputReason.PATH_OUTSIDE_ROOTS: 403, InputReason.FILE_MISSING: 404}.get(reason, 422)


def create_app(recognizer: Recognizer, settings: Settings, decoder: Decoder | None = None) -> FastAPI:
    """The application; its lifespan ends the service: what was taken is answered first."""
    service = Service(recognizer, settings, decoder)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    app = FastAPI(title="wumu", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/recognize", service.recognize, methods=["POST"], response_model=None)
    app.add_api_route("/healthz", service.health, methods=["GET", "HEAD"], response_model=None)
    app.add_api_route("/metrics", service.metrics, methods=["GET", "HEAD"], response_model=None)
    return app
