"""From upright RGB pixels to the network's input, by the model's own description, with the facts of what was done."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from recognizer.inspect import Pixels
from recognizer.manifest import ChannelOrder, Preprocessing, Resize

_MAX_ASPECT = 8


@dataclass(frozen=True, slots=True)
class Prepared:
    """The input of the network, float32 (3, height, width), and what a preprocess_complete event tells of it.

    ``scale_ratio`` is the shorter output side by the shorter input side; ``mean`` and ``variance`` are those of the
    tensor.
    """

    tensor: Tensor
    output_shape: tuple[int, ...]
    resized: bool
    normalized: bool
    scale_ratio: float
    mean: float
    variance: float


def prepare(pixels: Pixels, spec: Preprocessing) -> Prepared:
    """Resize (bilinear with antialiasing, the only one that agrees with Pillow), scale, normalise."""
    image = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)
    sized, ratio = _RESIZERS[spec.resize](image, spec)
    factor, offset = _affine(spec)
    channels = sized[0].flip(0) if spec.channel_order is ChannelOrder.BGR else sized[0]
    tensor = torch.addcmul(offset, channels, factor)
    variance, mean = torch.var_mean(tensor, correction=0)
    return Prepared(
        tensor=tensor,
        output_shape=tuple(tensor.shape),
        resized=sized is not image,
        normalized=spec.mean != (0.0, 0.0, 0.0) or spec.deviation != (1.0, 1.0, 1.0),
        scale_ratio=ratio,
        mean=mean.item(),
        variance=variance.item(),
    )


def channel_conversion(decoded: str, spec: Preprocessing) -> str:
    """What happened to the channels from the file to the network, for example gray_to_rgb; none when nothing did."""
    source = decoded.removesuffix("_to_rgb")
    return "none" if source == spec.channel_order else f"{source}_to_{spec.channel_order}"


@functools.lru_cache(maxsize=16)
def _affine(spec: Preprocessing) -> tuple[Tensor, Tensor]:
    """(x / 255 − mean) / deviation as one multiplication and one addition per value."""
    mean = torch.tensor(spec.mean).reshape(3, 1, 1)
    deviation = torch.tensor(spec.deviation).reshape(3, 1, 1)
    return 1 / (255 * deviation), -mean / deviation


def _scaled(image: Tensor, height: int, width: int) -> Tensor:
    if image.shape[2:] == (height, width):
        return image
    return functional.interpolate(image, (height, width), mode="bilinear", antialias=True)


def _stretch(image: Tensor, spec: Preprocessing) -> tuple[Tensor, float]:
    ratio = min(spec.height, spec.width) / min(image.shape[2:])
    return _scaled(image, spec.height, spec.width), ratio


def _fit(image: Tensor, spec: Preprocessing) -> tuple[Tensor, float]:
    height, width = image.shape[2:]
    ratio = min(spec.height / height, spec.width / width)
    new_height, new_width = max(1, round(height * ratio)), max(1, round(width * ratio))
    scaled = _scaled(image, new_height, new_width)
    top, left = (spec.height - new_height) // 2, (spec.width - new_width) // 2
    if (new_height, new_width) == (spec.height, spec.width):
        return scaled, ratio
    edges = (left, spec.width - new_width - left, top, spec.height - new_height - top)
    return functional.pad(scaled, edges, value=spec.fill), ratio


def _crop(image: Tensor, spec: Preprocessing) -> tuple[Tensor, float]:
    if spec.short_side is None:
        raise ValueError("resize: crop needs short_side")
    image = _without_far_ends(image)
    height, width = image.shape[2:]
    ratio = spec.short_side / min(height, width)
    scaled = _scaled(image, max(spec.short_side, round(height * ratio)), max(spec.short_side, round(width * ratio)))
    top, left = (scaled.shape[2] - spec.height) // 2, (scaled.shape[3] - spec.width) // 2
    return scaled[:, :, top : top + spec.height, left : left + spec.width], ratio


def _without_far_ends(image: Tensor) -> Tensor:
    """Cuts what lies so far from the middle that the crop never reaches it: 1 × 20,000 would be scaled to gigabytes."""
    height, width = image.shape[2:]
    longest = _MAX_ASPECT * min(height, width)
    for axis, side in ((2, height), (3, width)):
        if side > longest:
            image = image.narrow(axis, (side - longest) // 2, longest)
    return image


_RESIZERS = {Resize.STRETCH: _stretch, Resize.FIT: _fit, Resize.CROP: _crop}
