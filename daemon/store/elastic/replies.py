"""The answers of an ``_msearch``, typed, and the failures in them."""

import re
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from daemon.errors import StoreError, StoreUnavailable
from daemon.store.elastic.client import Answer, Fault, told
from daemon.store.elastic.searches import Search


class ShardsStarting(StoreUnavailable):
    """An index was made this moment and is not ready: to be asked again in a moment."""


_NO_SUCH_INDEX = 404
_STARTING = "no_shard_available_action_exception"
_LATER = frozenset({401, 403, 429})


class Hit(msgspec.Struct):
    """One event: whole (``source``) or as the fields that were asked for."""

    source: msgspec.Raw = msgspec.field(name="_source", default=msgspec.Raw(b"{}"))
    sort: list[Any] = []
    fields: dict[str, list[Any]] = {}


class _Total(msgspec.Struct):
    value: int = 0


class _Hits(msgspec.Struct):
    hits: list[Hit] = []
    total: _Total = msgspec.field(default_factory=_Total)


class _Shards(msgspec.Struct):
    total: int = 0
    failed: int = 0


class _Reason(msgspec.Struct):
    type: str = ""
    reason: str | None = None


class _Error(_Reason):
    root_cause: list[_Reason] = []


class _Response(msgspec.Struct):
    status: int = 0
    error: _Error | None = None
    timed_out: bool = False
    shards: _Shards = msgspec.field(name="_shards", default_factory=_Shards)
    hits: _Hits = msgspec.field(default_factory=_Hits)
    aggregations: dict[str, Any] = {}


class _Responses(msgspec.Struct):
    responses: list[_Response] = []


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one search. ``complete`` is false when a part of the indices could not be read.

    ``rows`` are the buckets of a composite, ``aggregations`` everything that was aggregated, ``shards`` how many were
    asked, ``total`` the hits where they were counted.
    """

    rows: tuple[dict[str, Any], ...]
    aggregations: dict[str, Any]
    hits: tuple[Hit, ...]
    total: int
    shards: int
    complete: bool

    def next_position(self, search: Search) -> Any:
        """Where the next page begins; None when this is the last."""
        match search.pages:
            case "keys":
                full = len(self.rows) >= search.body["aggs"]["rows"]["composite"]["size"]
                return self.aggregations.get("rows", {}).get("after_key") if full else None
            case "hits":
                return self.hits[-1].sort if len(self.hits) >= search.body["size"] else None
            case _:
                return None

    def joined(self, page: "Reply") -> "Reply":
        """This reply with a further page."""
        return replace(
            self, rows=self.rows + page.rows, hits=self.hits + page.hits, complete=self.complete and page.complete
        )


def read_replies(answer: Answer, expected: int) -> list[Reply]:
    """The replies in the order of the searches. Raises StoreUnavailable or StoreError when one failed whole."""
    if not answer.ok:
        fault = Fault.of(answer.body)
        raise _error(answer.status, fault.type, fault.reason)
    responses = Answer(answer.status, mended(answer.body), answer.node).read(_Responses).responses
    if len(responses) != expected:
        raise StoreUnavailable(
            f"{answer.node} answered {len(responses)} of {expected} searches",
            hint="something between here and Elasticsearch cuts answers; it is asked again",
        )
    return [_reply(response) for response in responses]


def _reply(response: _Response) -> Reply:
    if response.error is not None and response.status != _NO_SUCH_INDEX:
        cause = response.error.root_cause[0] if response.error.root_cause else response.error
        raise _error(response.status, cause.type, told(cause.reason or response.error.reason or ""))
    rows = response.aggregations.get("rows", {}).get("buckets", ())
    return Reply(
        rows=tuple(rows),
        aggregations=response.aggregations,
        hits=tuple(response.hits.hits),
        total=response.hits.total.value,
        shards=response.shards.total,
        complete=not response.timed_out and response.shards.failed == 0,
    )


def _error(status: int, kind: str, reason: str) -> StoreError:
    text = f"Elasticsearch can't answer ({status} {kind}): {reason}"
    if kind == _STARTING:
        return ShardsStarting(text, hint="shards of an index are not assigned; look at the health of the cluster")
    if status >= 500 or status in _LATER:
        return StoreUnavailable(text, hint="it is asked again; if this stays, look at the health of the cluster")
    return StoreError(text, hint="`wumu explain RULE` shows the request; the rule that asks it needs a change")


_SURROGATE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def mended(body: bytes) -> bytes:
    """The JSON text with lone surrogates replaced: Elasticsearch stores and returns them, strict readers choke."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _SURROGATE.sub(lambda found: b"\\ufffd" if found["lone"] else found[0], body)
