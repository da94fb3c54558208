"""The canary: a picture whose answer is known. It tells which fault it is, where the recorded figures allow it.

`diagnose` takes the input as any service prepared it, so that a service with a preprocessing of its own can ask too.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from recognizer.decode import read
from recognizer.fault import InputFault
from recognizer.inspect import Pixels
from recognizer.manifest import Canary, Manifest, ModelError, ModelFault, Preprocessing, ScoreKind
from recognizer.preprocess import prepare
from recognizer.scores import scores

SAMPLES = 96
BEST = 5
_SPREAD = 2_654_435_761
"""Knuth's multiplier: places that are multiples of it, modulo the size, lie in no column and no row."""
_GREY_LEVELS = 2.0
"""Farther from what was recorded, in grey levels, is another preprocessing, not another processor."""
_SCALE_BITS = 5
"""A gain beyond 2 to the power of this is a lost or doubled division by 255, no other deviation."""
_LOGIT_TOLERANCE, _LOGIT_SHARE = 0.1, 0.03
"""Half precision stays within; another input does not."""

_WORDS = {
    ModelFault.SIGNATURE_DIFFERS: "has another shape or type",
    ModelFault.LAYOUT_DIFFERS: "is laid out height, width, channels where channels come first",
    ModelFault.CHANNEL_ORDER_DIFFERS: "has red and blue swapped",
    ModelFault.ORIENTATION_DIFFERS: "is turned or mirrored",
    ModelFault.SCALE_DIFFERS: "is 255 times too large or too small",
    ModelFault.NORMALIZATION_DIFFERS: "has another mean or deviation",
    ModelFault.RESIZE_DIFFERS: "was resized or cropped in another way",
    ModelFault.CANARY_FAILED: "differs in no way that has a name",
}


def record(file: str, pixels: Pixels, manifest: Manifest, labels: tuple[str, ...], module: nn.Module) -> Canary:
    """The canary of a picture as this model, known to be right, answers it. ``module`` is on the CPU.

    Raises ValueError for a picture that could not tell swapped channels or a turned picture.
    """
    spec = manifest.preprocessing
    tensor = prepare(pixels, spec)
    samples = _samples(tensor)
    for name, axis in (("a picture upside down", 0), ("a mirrored picture", 1), ("swapped channels", 2)):
        turned = prepare(np.ascontiguousarray(np.flip(pixels, axis)), spec)
        if _near(_samples(turned), samples, spec):
            raise ValueError(f"the picture can't tell {name}: take one with colours and without symmetry")
    with torch.inference_mode():
        logits = module(tensor.unsqueeze(0))[0].float()
    best = logits.topk(min(BEST, len(logits)))
    score = float(scores(logits.unsqueeze(0), manifest.score)[0, best.indices[0]])
    return Canary(
        file=file,
        label=labels[int(best.indices[0])],
        score=round(min(max(score, 0.0), 1.0), 4),
        outputs=tuple(best.indices.tolist()),
        logits=tuple(round(value, 4) for value in best.values.tolist()),
        samples=tuple(round(value, 5) for value in samples.tolist()),
    )


def check(folder: Path, manifest: Manifest, labels: tuple[str, ...], module: nn.Module, device: torch.device) -> None:
    """Prepares the canary and asks the network; `ModelError` with the fault's own code unless all is as recorded."""
    canary = manifest.canary
    if canary is None:
        return
    path = folder / canary.file
    try:
        picture = read(path)
    except InputFault as fault:
        message = f"the canary {path} can't be read: {fault}"
        raise ModelError(ModelFault.FILE_UNREADABLE, message, hint="copy the whole model folder again") from fault
    tensor = prepare(picture.pixels, manifest.preprocessing)
    if (wrong := diagnose(tensor, canary, manifest.preprocessing)) is not None:
        message = f"the input made of the canary {_WORDS[wrong]}"
        raise ModelError(wrong, message, hint="set preprocessing in model.json as the network was trained")
    _check_mode(module, tensor.to(device))
    with torch.inference_mode():
        logits = module(tensor.unsqueeze(0).to(device))[0].float().cpu()
    _check_answer(logits, canary, labels, manifest.score)


# ---------------------------------------------------------------- the network's input


def diagnose(tensor: Tensor, canary: Canary, spec: Preprocessing) -> ModelFault | None:
    """What is wrong with the network's input that was made of the canary; None when nothing is, or nothing is known.

    An input that fits what was recorded but for a gain and an offset a channel was normalised differently; one that
    fits after swapping, turning or another layout had that done to it; one of the same colours at other places was
    resized differently.
    """
    if tensor.shape == (spec.height, spec.width, 3):
        return ModelFault.LAYOUT_DIFFERS
    if tensor.shape != (3, spec.height, spec.width) or not tensor.is_floating_point():
        return ModelFault.SIGNATURE_DIFFERS
    if not canary.samples:
        return None
    expected = torch.tensor(canary.samples)
    found = _samples(tensor)
    if not bool(found.isfinite().all()):
        return ModelFault.NORMALIZATION_DIFFERS
    if _near(found, expected, spec):
        return None
    channels = _channels(tensor)
    for fault, undone in _REPAIRS:
        gains = _gains(_samples(undone(tensor)), expected, channels, spec)
        if gains is None:
            continue
        if fault is not None:
            return fault
        scaled = bool((gains.log2().abs() > _SCALE_BITS).all())
        return ModelFault.SCALE_DIFFERS if scaled else ModelFault.NORMALIZATION_DIFFERS
    return ModelFault.RESIZE_DIFFERS if _alike(found, expected, channels) else ModelFault.CANARY_FAILED


def _as_layout(tensor: Tensor) -> Tensor:
    """Values that were read as channels first although they lay height, width, channels."""
    return tensor.reshape(tensor.shape[1], tensor.shape[2], 3).permute(2, 0, 1)


def _turn(times: int) -> Callable[[Tensor], Tensor]:
    return lambda tensor: torch.rot90(tensor, times, (1, 2)) if tensor.shape[1] == tensor.shape[2] else tensor


_REPAIRS: tuple[tuple[ModelFault | None, Callable[[Tensor], Tensor]], ...] = (
    (None, lambda tensor: tensor),
    (ModelFault.CHANNEL_ORDER_DIFFERS, lambda tensor: tensor.flip(0)),
    (ModelFault.LAYOUT_DIFFERS, _as_layout),
    (ModelFault.ORIENTATION_DIFFERS, lambda tensor: tensor.flip(2)),
    (ModelFault.ORIENTATION_DIFFERS, lambda tensor: tensor.flip(1)),
    (ModelFault.ORIENTATION_DIFFERS, _turn(1)),
    (ModelFault.ORIENTATION_DIFFERS, _turn(2)),
    (ModelFault.ORIENTATION_DIFFERS, _turn(3)),
)


def _places(tensor: Tensor) -> Tensor:
    return torch.arange(SAMPLES) * _SPREAD % tensor.numel()


def _samples(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1)[_places(tensor)].float().cpu()


def _channels(tensor: Tensor) -> Tensor:
    return _places(tensor) // (tensor.shape[1] * tensor.shape[2])


def _near(found: Tensor, expected: Tensor, spec: Preprocessing) -> bool:
    return len(found) == len(expected) and bool(((found - expected).abs() <= _tolerance(spec)).all())


def _tolerance(spec: Preprocessing) -> float:
    return _GREY_LEVELS / (255 * min(spec.deviation))


def _gains(found: Tensor, expected: Tensor, channels: Tensor, spec: Preprocessing) -> Tensor | None:
    """The gain of each channel, where one gain and one offset explain every sample; None where they do not."""
    if len(found) != len(expected):
        return None
    gains = []
    for channel in range(3):
        of_it = channels == channel
        x, y = expected[of_it].double(), found[of_it].double()
        centred = x - x.mean()
        gain = float((centred * (y - y.mean())).sum() / (centred**2).sum().clamp_min(1e-12))
        residual = (y - y.mean() - gain * centred).abs().max()
        if gain <= 0 or float(residual) > _tolerance(spec) * gain:
            return None
        gains.append(gain)
    return torch.tensor(gains)


def _alike(found: Tensor, expected: Tensor, channels: Tensor) -> bool:
    """Whether each channel has about the mean and the spread that was recorded."""
    for channel in range(3):
        x, y = expected[channels == channel], found[channels == channel]
        spread = float(x.std())
        if abs(float(y.mean() - x.mean())) > 0.5 * spread or not 0.6 < float(y.std()) / max(spread, 1e-9) < 1.6:
            return False
    return True


# ---------------------------------------------------------------- the network's answer


def _check_mode(module: nn.Module, tensor: Tensor) -> None:
    """An answer that depends on the pictures asked beside it, or on chance, comes from a network in training mode."""
    with torch.inference_mode():
        alone = module(tensor.unsqueeze(0))[0]
        others = torch.stack([tensor, -tensor, tensor.flip(2)])
        beside, again = module(others)[0], module(others)[0]
    left_on = any(one.training for one in module.modules())
    tolerance = _LOGIT_TOLERANCE + _LOGIT_SHARE * alone.abs().max()
    if left_on or bool(((alone - beside).abs() > tolerance).any() | ((beside - again).abs() > tolerance).any()):
        raise ModelError(
            ModelFault.TRAIN_MODE,
            "the network is in training mode: its answer to the canary depends on what else is in the batch",
            hint="call model.eval() before it is exported or served",
        )


def _check_answer(logits: Tensor, canary: Canary, labels: tuple[str, ...], kind: ScoreKind) -> None:
    best = int(logits.argmax())
    if canary.outputs and best == canary.outputs[0] and labels[best] != canary.label:
        raise ModelError(
            ModelFault.LABELS_SHIFTED,
            f"the canary's best output, {best}, is right, but it is called {labels[best]!r}, not {canary.label!r}",
            hint="the labels are in another order than the outputs: use the file the network was trained with",
        )
    score = float(scores(logits.unsqueeze(0), kind)[0, best])
    known = torch.tensor(canary.logits)
    here = logits[list(canary.outputs)] if canary.outputs and max(canary.outputs) < len(logits) else known
    moved = bool(((here - known).abs() > _LOGIT_TOLERANCE + _LOGIT_SHARE * known.abs()).any())
    off = kind is not ScoreKind.LOGIT and not abs(score - canary.score) <= canary.tolerance
    if labels[best] != canary.label or off or moved:
        answer, expected = f"{labels[best]} with {score:.3f}", f"{canary.label} with {canary.score:.3f}"
        raise ModelError(
            ModelFault.CANARY_FAILED,
            f"the canary answers {answer}, expected {expected}",
            hint="preprocessing, labels order or weights are not those the canary was recorded with",
        )
