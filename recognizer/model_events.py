"""What is told of the model itself: that it was loaded or refused, and that a later check passed or failed."""

import time
from pathlib import Path
from typing import Final

import torch

from recognizer.device.lane import Lane
from recognizer.emit import log_event
from recognizer.formats.base import Graph
from recognizer.manifest import ModelError, ModelFault
from recognizer.model import Model
from recognizer.reasons import EventType, InputReason
from recognizer.tensor_monitor import Shift

REASONS: Final[dict[ModelFault, InputReason]] = {
    ModelFault.LABELS_INVALID: InputReason.MODEL_LABELS_MISMATCH,
    ModelFault.LABELS_COUNT: InputReason.MODEL_LABELS_MISMATCH,
    ModelFault.LABELS_SHIFTED: InputReason.MODEL_LABELS_MISMATCH,
    ModelFault.WEIGHTS_EMPTY: InputReason.MODEL_PARTIAL_LOAD,
    ModelFault.WEIGHTS_PARTIAL: InputReason.MODEL_PARTIAL_LOAD,
    ModelFault.WEIGHTS_UNRELATED: InputReason.MODEL_PARTIAL_LOAD,
    ModelFault.WEIGHTS_DIFFER: InputReason.MODEL_PARTIAL_LOAD,
    ModelFault.SIGNATURE_DIFFERS: InputReason.TENSOR_SIGNATURE,
    ModelFault.TRAIN_MODE: InputReason.MODEL_TRAIN_MODE,
    ModelFault.SCORE_KIND_DIFFERS: InputReason.MODEL_SCORE_IS_LOGIT,
    ModelFault.CHANNEL_ORDER_DIFFERS: InputReason.TENSOR_CHANNEL_ORDER,
    ModelFault.SCALE_DIFFERS: InputReason.TENSOR_NOT_SCALED,
    ModelFault.NORMALIZATION_DIFFERS: InputReason.TENSOR_NORMALIZATION,
    ModelFault.LAYOUT_DIFFERS: InputReason.TENSOR_LAYOUT,
    ModelFault.RESIZE_DIFFERS: InputReason.TENSOR_RESIZE,
    ModelFault.ORIENTATION_DIFFERS: InputReason.MODEL_CANARY_FAILED,
    ModelFault.CANARY_FAILED: InputReason.MODEL_CANARY_FAILED,
    ModelFault.DEVICE_UNAVAILABLE: InputReason.MODEL_DEVICE_FALLBACK,
}
"""The reason, and so the remedy, of a fault; every other one is MODEL_REFUSED."""


def reason_of(fault: ModelFault) -> InputReason:
    """The reason that the event of a fault carries."""
    return REASONS.get(fault, InputReason.MODEL_REFUSED)


def tell_loaded(lane: Lane, duration_ms: float, *, auto: bool) -> None:
    """A model_loaded event with what was loaded and how it is run; with a reason where ``auto`` passed over a GPU."""
    model = lane.model
    facts, plan = model.facts, lane.plan
    # the numbers of a finished graph are its own
    numbers = {} if isinstance(model.network, Graph) else {"precision": plan.precision, "memory_format": plan.layout}
    fell_back = {"reason": InputReason.MODEL_DEVICE_FALLBACK.value} if auto and _passed_over(model.device) else {}
    log_event(
        EventType.MODEL_LOADED.value,
        model_name=model.name,
        status="success",
        duration_ms=round(duration_ms, 3),
        device=str(model.device),
        model_format=facts.format,
        weights_sha256=model.manifest.weights.sha256,
        labels_sha256=model.manifest.labels.sha256,
        keys_expected=facts.keys_expected,
        keys_loaded=facts.keys_loaded,
        logits_dim=len(model.labels),
        duplicate_labels=len(facts.duplicate_labels),
        device_name=lane.device_name,
        batch_buckets=lane.sizes,
        execution_mode=plan.mode,
        **numbers,
        **fell_back,
    )


def _passed_over(device: torch.device) -> bool:
    """Whether the machine has a GPU of NVIDIA's that torch could not use."""
    return device.type == "cpu" and any(Path("/dev").glob("nvidia[0-9]*"))


def tell_refused(path: str | Path, error: ModelError) -> None:
    """A model_loaded event of a model that is not served: its fault, its reason, and what happened."""
    log_event(
        EventType.MODEL_LOADED.value,
        status="error",
        file_path=str(path),
        error=str(error),
        model_fault=error.code.value,
        reason=reason_of(error.code).value,
    )


def check_canary(model: Model) -> None:
    """Asks the canary again and tells how it went; `ModelError` when the answer is no longer the recorded one."""
    started = time.perf_counter()
    try:
        model.check_canary()
    except ModelError as error:
        log_event(
            EventType.MODEL_CHECKED.value,
            model_name=model.name,
            status="error",
            error=str(error),
            model_fault=error.code.value,
            reason=reason_of(error.code).value,
        )
        raise
    log_event(
        EventType.MODEL_CHECKED.value,
        model_name=model.name,
        status="success",
        device=str(model.device),
        duration_ms=round((time.perf_counter() - started) * 1_000, 3),
    )


def tell_shift(model: Model, shift: Shift) -> None:
    """A model_checked event of inputs or answers that left their usual range."""
    log_event(
        EventType.MODEL_CHECKED.value,
        model_name=model.name,
        status="error",
        reason=shift.reason.value,
        signal=shift.signal,
        error=str(shift),
    )
