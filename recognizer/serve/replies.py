"""What is told of a picture, to its caller and in its event, by what became of it."""

from dataclasses import dataclass
from typing import Any

from recognizer.reasons import InputReason
from recognizer.result import Result
from recognizer.serve.batcher import Busy, Unavailable
from recognizer.serve.body import Refused

CLIENT_GONE = 499
"""nginx's status for a caller who did not wait; it is only counted, for nobody is there to read it."""
_ANSWER = frozenset({"top1_label", "top1_score", "top3_labels", "top3_scores"})


@dataclass(frozen=True, slots=True)
class Reply:
    """Of a picture, or of a request that brought none: ``document`` to the caller, ``fields`` in the event."""

    status: int
    document: dict[str, Any]
    fields: dict[str, Any]
    retry_after: int | None = None


def recognised(result: Result, *, withheld: bool) -> Reply:
    """Of what the pipeline came to. ``withheld``: the answer is not confident enough to be given out."""
    document, fields = result.fields(), {"file_path": result.file_path}
    if not result.ok:
        return Reply(status_of(result.reason), document, fields | {"reason": result.reason, "error": result.message})
    if withheld:
        document = {name: value for name, value in document.items() if name not in _ANSWER}
    filtered = {"low_confidence_filtered": withheld}
    return Reply(200, document | filtered, fields | filtered)


def refused(fault: Refused) -> Reply:
    """Of a request that can't be taken."""
    return _error(fault.status, str(fault))


def gone() -> Reply:
    """Of a caller who did not wait."""
    return Reply(CLIENT_GONE, {}, {"error": "the caller went away"})


def late(seconds: float) -> Reply:
    """Of a picture that had no answer in time."""
    return _error(503, f"no answer within {seconds:g} s", retry_after=1)


def unable(fault: Exception) -> Reply:
    """429 when it is only a matter of time, 503 when it is not; a fault of the service shows no details to callers."""
    if isinstance(fault, Busy):
        return _error(429, str(fault), fault.retry_after)
    shown = str(fault) if isinstance(fault, Unavailable) else "the recognizer failed; its log says why"
    return Reply(503, {"status": "error", "error": shown}, {"error": fault})


def _error(status: int, text: str, retry_after: int | None = None) -> Reply:
    return Reply(status, {"status": "error", "error": text}, {"error": text}, retry_after)


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
