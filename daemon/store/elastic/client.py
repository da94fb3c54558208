"""Talking to the cluster: addresses, credentials, and which failures are worth another try.

Built on the official transport (`elastic_transport`), which brings connection pooling, TLS and the choice among
nodes; it is imported with the first client, so that an installation without the extra starts. Answers stay bytes:
whoever asked knows their type.
"""

import base64
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from daemon.errors import ConfigError, StoreUnavailable
from daemon.store.elastic.settings import ElasticSettings
from daemon.store.elastic.verdicts import way_out
from recognizer.paths import visible

if TYPE_CHECKING:
    from elastic_transport import BaseNode, HttpHeaders, NodePool

_log = logging.getLogger(__name__)

_JSON = "application/json"
_NDJSON = "application/x-ndjson"
_SPARE_CONNECTIONS = 2
"""For the scheduler and the console, so that their questions never wait behind the bulks."""

_BUSY = frozenset({429, 502, 503, 504})

_MARKUP = re.compile(r"<[/!a-zA-Z][^>]*>")
_MOST_WORDS = 300

Shape = TypeVar("Shape")


class TooDeep(StoreUnavailable):
    """An answer holds a document that somebody nested deeper than can be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node said."""

    status: int
    body: bytes
    node: str

    @property
    def ok(self) -> bool:
        return self.status < 300

    def read(self, shape: type[Shape]) -> Shape:
        """The body as a typed value. Raises StoreUnavailable when it is cut off or no answer of this kind, TooDeep
        when it nests beyond reading."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except RecursionError as error:
            raise TooDeep(
                f"the answer of {self.node} nests too deep to be read",
                hint="some document in the store does; delete it, or have its writer keep events flat",
            ) from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StoreUnavailable(
                f"the answer of {self.node} can't be read: {error}",
                hint="something between here and Elasticsearch cuts or changes answers; it is asked again",
            ) from error


class _Fault(msgspec.Struct):
    type: str = ""
    reason: str | None = None
    caused_by: "_Fault | None" = None
    root_cause: list["_Fault"] = []


class _FaultAnswer(msgspec.Struct):
    error: _Fault | str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """Elasticsearch's own account of an error: its type and the innermost reason."""

    type: str
    reason: str

    @classmethod
    def of(cls, body: bytes) -> "Fault":
        """The fault of an error answer; an empty type when it is no answer of Elasticsearch's."""
        try:
            error = msgspec.json.decode(body, type=_FaultAnswer).error
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return cls("", told(body[:1_000].decode("utf-8", "replace")))
        if isinstance(error, str):
            return cls("", told(error))
        first = error.root_cause[0] if error.root_cause else error
        return cls(first.type or error.type, told(first.reason or error.reason or ""))


def told(text: str) -> str:
    """Foreign words in one line: without a page's markup, with what is invisible shown, not longer than needed."""
    return visible(" ".join(_MARKUP.sub(" ", text).split()), _MOST_WORDS)


class Client:
    """Sends requests to whichever node answers. Safe to use from several threads."""

    def __init__(self, settings: ElasticSettings) -> None:
        self._settings = settings
        self._pool = _node_pool(settings)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        *,
        lines: bool = False,
        zipped: bool = False,
        accept: Iterable[int] = (),
    ) -> Answer:
        """The answer to one request, whatever its status, unless the status says "later" (429, 502, 503, 504),
        "not you" (401, 403) or "elsewhere" (3xx): these raise StoreUnavailable, except those in ``accept``.

        ``lines``: the body is NDJSON; ``zipped``: the answer may come compressed.
        A request that got no answer is tried once more on the next node: everything sent here may be repeated.
        """
        headers = self._headers(has_body=body is not None, lines=lines, zipped=zipped)
        answer = self._send(method, target, body, headers)
        if answer.status not in accept:
            _refuse(answer)
        return answer

    def close(self) -> None:
        for node in self._pool.all():
            node.close()

    def _send(self, method: str, target: str, body: bytes | None, headers: "HttpHeaders") -> Answer:
        from elastic_transport import ConnectionTimeout, TlsError, TransportError  # noqa: PLC0415

        last: TransportError | None = None
        for _ in range(max(2, len(self._pool))):
            node = self._pool.get()
            try:
                response = node.perform_request(method, target, body=body, headers=headers)
            except TransportError as error:
                if len(self._pool) > 1:  # the pool would note a lone node's every failure and never forget one
                    self._pool.mark_dead(node)
                last = error
                if isinstance(error, TlsError) or (isinstance(error, ConnectionTimeout) and len(self._pool) == 1):
                    break
            else:
                self._pool.mark_live(node)
                return self._checked(node, response.meta.status, response.meta.headers, response.body)
        try:
            raise self._unreachable(last) from last
        finally:
            del last  # it holds this frame, and with it the body: held in turn, both would wait for the collector

    def _headers(self, *, has_body: bool, lines: bool, zipped: bool) -> "HttpHeaders":
        from elastic_transport import HttpHeaders  # noqa: PLC0415

        headers = {"accept": _JSON}
        if zipped:
            headers["accept-encoding"] = "gzip"
        if has_body:
            headers["content-type"] = _NDJSON if lines else _JSON
        settings = self._settings
        if settings.api_key is not None:
            headers["authorization"] = f"ApiKey {settings.api_key.read()}"
        elif settings.password is not None:
            pair = f"{settings.username}:{settings.password.read()}".encode()
            headers["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return HttpHeaders(headers)

    @staticmethod
    def _checked(node: "BaseNode", status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        if status < 300 and headers.get("x-elastic-product") != "Elasticsearch":
            raise StoreUnavailable(
                f"{node.base_url} answers, but is no Elasticsearch (the header X-Elastic-Product is missing)",
                hint="correct the address of the store, or let the proxy in front pass this header on",
            )
        return Answer(status, body, node.base_url)

    def _unreachable(self, error: Exception | None) -> StoreUnavailable:
        from elastic_transport import ConnectionTimeout, TlsError  # noqa: PLC0415

        where = ", ".join(self._settings.urls)
        if isinstance(error, TlsError):
            return StoreUnavailable(
                f"the certificate of {where} is not trusted: {error}",
                hint="set ca_certs to the PEM file of the authority that signed it",
            )
        if isinstance(error, ConnectionTimeout):
            return StoreUnavailable(
                f"Elasticsearch at {where} gave no answer within {self._settings.timeout_s:g} s",
                hint="see whether the cluster is overloaded; timeout allows a longer wait",
            )
        return StoreUnavailable(
            f"Elasticsearch at {where} can't be reached: {error}",
            hint="see that it runs and that the address is right; wumu goes on by itself when it is back",
        )


def _refuse(answer: Answer) -> None:
    """Raises StoreUnavailable for the statuses that say "later", "not you" or "elsewhere"."""
    fault = f"{answer.node} answers {answer.status}"
    if answer.status in _BUSY:
        raise StoreUnavailable(
            f"{fault}: {Fault.of(answer.body).reason or 'it is overloaded or starting'}",
            hint="it is asked again; if this stays, look at the health of the cluster",
        )
    if answer.status in {401, 403, 407}:
        told_fault = Fault.of(answer.body)
        blocked = told_fault.type == "cluster_block_exception"
        raise StoreUnavailable(
            f"{fault}: {told_fault.reason or 'not allowed'}",
            hint=way_out(told_fault.type, told_fault.reason)
            if blocked
            else "see that the credentials are right and may read, write and manage the store's indices",
        )
    if 300 <= answer.status < 400:
        raise StoreUnavailable(
            f"{fault}: it sends us elsewhere, and credentials do not follow redirects",
            hint="set the address of the store to where it redirects",
        )


def _node_pool(settings: ElasticSettings) -> "NodePool":
    try:
        from elastic_transport import NodePool, Urllib3HttpNode  # noqa: PLC0415
        from elastic_transport.client_utils import url_to_node_config  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(
            "the store is Elasticsearch, but its client is not installed", hint="pip install 'wumu[elasticsearch]'"
        ) from error
    if settings.ca_certs is not None and not settings.ca_certs.is_file():
        raise ConfigError(f"ca_certs: there is no file {settings.ca_certs}", hint="give the authority's PEM file")
    configs = []
    for url in settings.urls:
        options: dict[str, Any] = {
            "connections_per_node": settings.connections + _SPARE_CONNECTIONS,
            "request_timeout": settings.timeout_s,
        }
        if url.startswith("https:"):
            options |= {"verify_certs": settings.verify_certs, "ssl_show_warn": False}
            if settings.ca_certs is not None:
                options["ca_certs"] = str(settings.ca_certs)
            if not settings.verify_certs:
                options["ssl_assert_hostname"] = False
                _log.warning("%s: its certificate is not verified (verify_certs: false)", url)
        configs.append(url_to_node_config(url, use_default_ports_for_scheme=True).replace(**options))
    return NodePool(configs, node_class=Urllib3HttpNode)
