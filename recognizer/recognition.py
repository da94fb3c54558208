"""The events of one picture from its path to the answer, with request_id and timings. Standard library only."""

import functools
import math
import os
import time
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

from recognizer.diagnose import NO_PATH, diagnose, of_content
from recognizer.emitter import EMITTER, path_fields
from recognizer.encode import as_text
from recognizer.fault import InputFault
from recognizer.path_findings import PathFindings
from recognizer.paths import issue_names
from recognizer.reasons import EventType, InputReason
from recognizer.search import fields as search_fields

_REQUEST_BYTES: Final = 12
_CHANNEL_COUNTS: Final = (1, 2, 3, 4)
_CARRIED: Final = ("shape", "channels", "dtype")
_NOT_GIVEN: Final = object()
_Method = TypeVar("_Method", bound=Callable[..., None])


def _harmless(method: _Method) -> _Method:
    """A method whose failure is an event lost, never an exception in the service."""

    @functools.wraps(method)
    def guarded(self: "Recognition", *args: Any, **kwargs: Any) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as fault:  # noqa: BLE001 - the caller's objects ran (a shape, a mean): they may raise anything
            EMITTER.lose(1, fault)

    return cast("_Method", guarded)


class Recognition:
    """One picture on its way. Made by `recognition`; each method writes the event of its name.

    Every method takes further fields by name. ``duration_ms`` is the time since the stage before, unless given.
    Events carry what earlier ones found out (path, shape, channels, dtype), so that a slow inference or a bad answer
    can be traced to the pictures it happens to: ``carried`` holds that. With a list in ``later`` they are put there
    instead of being written, for `recognizer.emitter.Emitter.emit_all`: those of many pictures cost less together.
    """

    def __init__(
        self,
        file_path: object,
        model_name: str | None = None,
        request_id: str | None = None,
        *,
        searchable: bool = False,
    ) -> None:
        self.request_id = request_id if request_id is not None else os.urandom(_REQUEST_BYTES).hex()
        self._path = file_path
        self._searchable = searchable
        self.carried: dict[str, Any] = {"request_id": self.request_id}
        if model_name is not None:
            self.carried["model_name"] = model_name
        self.later: list[dict[str, Any]] | None = None
        self._outer: Recognition | None = None
        self._decoded = self._failed = self._answered = False
        self._mark = time.perf_counter()

    def __enter__(self) -> Self:
        self._outer = BLOCK.get()
        BLOCK.set(self)
        self._mark = time.perf_counter()
        self.input_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if fault is not None:
            self._left_by(fault)
        # not reset(token): a generator may be closed in another context than it was entered in, where that raises
        BLOCK.set(self._outer)

    def _left_by(self, fault: BaseException) -> None:
        """Tell of an exception that leaves the block, unless the block has told already how the picture ended."""
        if not isinstance(fault, Exception):
            # cancelled, interrupted or exiting: no fault of the picture, but its request is over
            if not (self._failed or self._answered):
                self.business_output(status="cancelled", error=as_text(fault))
        elif not (self._decoded or self._failed):
            self.input_error(fault)
        elif not (self._failed or self._answered):
            self.business_output(status="error", error=as_text(fault), **_failure_reason(fault))

    def _tell(self, event_type: EventType, derived: dict[str, Any], given: dict[str, Any]) -> None:
        """Hot: five times for a picture. What is given wins, so nothing is measured that is given."""
        event = self.carried.copy()
        now = time.perf_counter()
        if "duration_ms" not in given and event_type is not EventType.INPUT_START:
            event["duration_ms"] = round((now - self._mark) * 1_000, 3)
        self._mark = now
        event.update(derived)
        if self.later is None:
            event.update(given)
            EMITTER.emit(event_type.value, event)
            return
        event["event_type"] = event_type.value
        if "timestamp" not in given:
            event["timestamp"] = time.time_ns() // 1_000_000
        event.update(given)
        self.later.append(event)

    @_harmless
    def input_start(self, **fields: Any) -> None:
        """Written on entry: the path, its faults, the size of the file."""
        self.carried |= path_fields(self._path)
        self._path = self.carried["file_path"]
        derived: dict[str, Any] = {}
        if issues := issue_names(self._path):
            derived["path_issues"] = issues
        if "file_size" not in fields and (size := _size(self._path)) is not None:
            derived["file_size"] = size
        if self._searchable:
            derived |= search_fields(self._path)
        self._tell(EventType.INPUT_START, derived, fields)

    @_harmless
    def input_success(self, image: Any = _NOT_GIVEN, **fields: Any) -> None:
        """The picture is decoded. ``image`` is what the decoder gave: an array, a tensor, a Pillow image.

        ``None`` is what ``cv2.imread`` answers when it can't read: that becomes an ``input_error`` with its reason.
        """
        if image is None:
            self._fail("the decoder returned None", fields, fallback=of_content(self._path))
            return
        form = {} if image is _NOT_GIVEN else _form(image)
        self._decoded = True
        self.carried.update(form)
        for name in _CARRIED:
            if name in fields:
                self.carried[name] = fields[name]
        self._tell(EventType.INPUT_SUCCESS, {}, fields)

    @_harmless
    def input_error(self, error: object, reason: InputReason | str | None = None, **fields: Any) -> None:
        """The picture can't be recognised: an exception or a text, and the reason if the caller knows it."""
        self._fail(error, fields, stated=reason)

    def _fail(
        self,
        error: object,
        fields: dict[str, Any],
        stated: InputReason | str | None = None,
        fallback: InputReason | None = None,
    ) -> None:
        self._failed = True
        if isinstance(error, InputFault) and stated is None:
            # the reader has looked already, and where it may; a decoder knows nothing of the path
            self._tell(EventType.INPUT_ERROR, {**PathFindings.seen(self._path).fields(), **error.fields()}, fields)
            return
        derived = diagnose(error, self._path, stated)
        if fallback is not None and derived["reason"] == InputReason.UNSPECIFIED:
            derived["reason"] = fallback.value
        self._tell(EventType.INPUT_ERROR, {"error": as_text(error), **derived}, fields)

    @_harmless
    def preprocess_complete(self, output: Any = None, *, resized: bool | None = None, **fields: Any) -> None:
        """The input of the model is ready. Of ``output`` the shape, mean and variance are told.

        Mean and variance cost a pass over the tensor (0.1 ms for 3 × 224 × 224); one on a GPU is not waited for.
        """
        derived = _statistics(output, fields)
        if resized is not None:
            derived["resized"] = resized
        self._tell(EventType.PREPROCESS_COMPLETE, derived, fields)

    @_harmless
    def inference_complete(self, labels: Any = None, scores: Any = None, **fields: Any) -> None:
        """The model has answered: labels and their scores, best first (or one label and its score)."""
        derived: dict[str, Any] = {}
        for one, three, values in (("top1_label", "top3_labels", labels), ("top1_score", "top3_scores", scores)):
            if values is None:
                continue
            best = list(values[:3]) if hasattr(values, "__getitem__") and not isinstance(values, str) else [values]
            if best:
                derived |= {one: best[0], three: best}
        self._tell(EventType.INFERENCE_COMPLETE, derived, fields)

    @_harmless
    def business_output(self, http_status: int | None = None, **fields: Any) -> None:
        """The answer is given. ``status`` is ``success`` below HTTP 400 and ``error`` from there on, unless given."""
        self._answered = True
        derived: dict[str, Any] = {"status": "success" if http_status is None or http_status < 400 else "error"}
        if http_status is not None:
            derived["http_status"] = http_status
        self._tell(EventType.BUSINESS_OUTPUT, derived, fields)


BLOCK: ContextVar[Recognition | None] = ContextVar("wumu_recognition", default=None)
"""The innermost `recognition` block of this task or thread."""


def current() -> Recognition | None:
    """The `recognition` block that this task or thread is in, if any."""
    return BLOCK.get()


def recognition(
    file_path: object, model_name: str | None = None, request_id: str | None = None, *, searchable: bool = False
) -> Recognition:
    """The block in which one picture is recognised: ``with recognition(path) as r: …``.

    Writes ``input_start`` on entry. An exception that leaves the block is told as ``input_error`` (before decoding)
    or as ``business_output`` with status ``error``, and goes on unchanged. Blocks may nest, also across ``await``.
    ``searchable`` adds the words of the path and their sound, for `wumu search` (see `recognizer.search`).
    """
    return Recognition(file_path, model_name, request_id, searchable=searchable)


def _failure_reason(fault: Exception) -> dict[str, Any]:
    """The reason of a failure after decoding: what the exception tells, else that the model failed."""
    reason = diagnose(fault, NO_PATH)["reason"]
    return {"reason": InputReason.MODEL_FAILED.value if reason == InputReason.UNSPECIFIED else reason}


def _size(path: object) -> int | None:
    if not isinstance(path, str):
        return None
    try:
        return os.stat(path).st_size  # noqa: PTH116 - a Path object costs as much as the call
    except (OSError, ValueError):
        return None


def _form(image: Any) -> dict[str, Any]:
    """Shape, channels and element type of an array (height, width, channels), a tensor or a Pillow image."""
    if hasattr(image, "getbands"):
        width, height = image.size
        bands = len(image.getbands())
        return {"shape": [height, width, bands], "channels": bands, "dtype": str(image.mode)}
    shape = [int(side) for side in image.shape]
    form: dict[str, Any] = {"shape": shape, "dtype": str(image.dtype)}
    if len(shape) == 2:
        form["channels"] = 1
    elif len(shape) == 3:
        form["channels"] = shape[2] if shape[2] in _CHANNEL_COUNTS or shape[0] not in _CHANNEL_COUNTS else shape[0]
    return form


def _statistics(output: Any, given: dict[str, Any]) -> dict[str, Any]:
    if not hasattr(output, "shape"):
        return {}
    derived: dict[str, Any] = {"output_shape": [int(side) for side in output.shape]}
    if {"mean", "variance"} <= given.keys() or getattr(output, "is_cuda", False):
        return derived
    if math.prod(derived["output_shape"]) and hasattr(output, "mean") and hasattr(output, "var"):
        mean, variance = float(output.mean()), float(output.var())
        derived |= {"mean": mean, "variance": variance}
        if not math.isfinite(mean):
            derived["tensor_issues"] = [InputReason.TENSOR_NOT_FINITE.value]
    return derived
