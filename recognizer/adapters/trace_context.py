"""Which distributed trace an event belongs to: that of a request's ``traceparent`` header, or of OpenTelemetry's span.

    r = recognition(path)
    r.carried |= trace_fields(request.headers.get("traceparent"))
    with r: …

Header format: W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header. Standard library only;
OpenTelemetry is asked where the service has loaded it.
"""

import re
import sys
from collections.abc import Mapping
from typing import Final

_HEADER: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.ASCII | re.DOTALL)
_MOST_CHARACTERS: Final = 512
_FORBIDDEN_VERSION: Final = "ff"
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


def trace_fields(traceparent: str | bytes | None = None) -> Mapping[str, str]:
    """``trace_id`` and ``span_id`` for an event: of the header, else of the current span; empty when there is neither.

    A header that breaks the standard counts as none, as the standard demands: it comes from the caller.
    """
    return from_header(traceparent) or from_current_span()


def from_header(traceparent: str | bytes | None) -> Mapping[str, str]:
    """The fields of a ``traceparent`` header; empty when it is missing or invalid."""
    if traceparent is None or len(traceparent) > _MOST_CHARACTERS:
        return {}
    text = traceparent.decode("latin-1") if isinstance(traceparent, bytes) else traceparent
    found = _HEADER.fullmatch(text.strip(" \t"))
    if found is None:
        return {}
    version, trace_id, span_id, more = found.groups()
    # a later version may say more, version 00 may not
    if version == _FORBIDDEN_VERSION or (version == "00" and more) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return {}
    return {"trace_id": trace_id, "span_id": span_id}


def from_current_span() -> Mapping[str, str]:
    """The fields of OpenTelemetry's current span; empty when the service does not use it, or is in no span."""
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is None:
        return {}
    context = opentelemetry.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
