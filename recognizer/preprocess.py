"""From upright RGB pixels to the network's input, by the model's own description, with the facts of what was done."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from recognizer.inspect import Pixels
from recognizer.manifest import ChannelOrder, Interpolation, Preprocessing, Resize

_MAX_ASPECT = 8


@dataclass(frozen=True, slots=True)
class Form:
    """What a preprocess_complete event tells of how a picture of one size becomes an input: it follows from the sizes.

    ``scale_ratio`` is the shorter output side by the shorter input side, ``kept_share`` how much of the picture's area
    the network sees, 0 to 1.
    """

    output_shape: tuple[int, int, int]
    resized: bool
    normalized: bool
    scale_ratio: float
    kept_share: float


@functools.lru_cache(maxsize=1024)
def form(height: int, width: int, spec: Preprocessing) -> Form:
    """Of a picture with these sides."""
    ratio = _RATIOS[spec.resize](height, width, spec)
    cut_or_scaled = (height, width) != (spec.height, spec.width) or ratio != 1
    return Form(
        output_shape=(3, spec.height, spec.width),
        resized=cut_or_scaled,
        normalized=spec.mean != (0.0, 0.0, 0.0) or spec.deviation != (1.0, 1.0, 1.0),
        scale_ratio=ratio,
        kept_share=_kept_share(height, width, spec),
    )


def prepare(pixels: Pixels, spec: Preprocessing) -> Tensor:
    """The network's input for one picture, float32 (3, height, width), on the CPU."""
    return to_input(images_of(pixels), spec)[0]


def images_of(pixels: Pixels) -> Tensor:
    """One decoded picture (height, width, 3) as pictures (1, 3, height, width), without a copy."""
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)


def to_input(images: Tensor, spec: Preprocessing) -> Tensor:
    """Pictures of one size, uint8 (pictures, 3, height, width), to the network's input, on whatever device they are."""
    return _normalization(spec, images.device)(levels(images, spec))


def levels(images: Tensor, spec: Preprocessing) -> Tensor:
    """Pictures of one size in the network's size: whole grey levels, as uint8 on a CPU and as float32 elsewhere."""
    return _RESIZERS[spec.resize](images, spec)


class Normalization:
    """(x / 255 − mean) / deviation in the network's order of channels; one multiplication and addition a value.

    Its constants lie on one device and are its own: a CUDA graph reads them at the place where they lay at its capture,
    and a compiled program must not bring them there anew for each batch.
    """

    def __init__(self, spec: Preprocessing, device: torch.device) -> None:
        mean = torch.tensor(spec.mean).reshape(3, 1, 1)
        deviation = torch.tensor(spec.deviation).reshape(3, 1, 1)
        self._factor = (1 / (255 * deviation)).to(device)
        self._offset = (-mean / deviation).to(device)
        self._reversed = spec.channel_order is ChannelOrder.BGR

    def __call__(self, sized: Tensor) -> Tensor:
        """Grey levels (pictures, 3, height, width) on its device to the network's input, float32."""
        return torch.addcmul(self._offset, sized.flip(1) if self._reversed else sized, self._factor)


def channel_conversion(decoded: str, spec: Preprocessing) -> str:
    """What happened to the channels from the file to the network, for example gray_to_rgb; none when nothing did."""
    source = decoded.removesuffix("_to_rgb")
    return "none" if source == spec.channel_order else f"{source}_to_{spec.channel_order}"


_normalization = functools.lru_cache(maxsize=16)(Normalization)


def _scaled(image: Tensor, height: int, width: int, spec: Preprocessing) -> Tensor:
    """Another size, in whole grey levels as Pillow gives it: bilinear with antialiasing agrees with it within one."""
    if image.shape[2:] == (height, width):
        return image
    if spec.interpolation is Interpolation.NEAREST:
        return functional.interpolate(image, (height, width), mode="nearest-exact")
    if image.device.type != "cpu":
        return scaled_in_floats(image, height, width, spec)
    return functional.interpolate(image, (height, width), mode=spec.interpolation, antialias=spec.antialias)


def scaled_in_floats(image: Tensor, height: int, width: int, spec: Preprocessing) -> Tensor:
    """As a GPU does it, which scales no bytes: the same arithmetic in floats, rounded to whole levels."""
    # bytes to floats channel after channel in one go: scaling wants them so and would copy them once more
    source = image.to(torch.float32, memory_format=torch.contiguous_format)
    scaled = functional.interpolate(source, (height, width), mode=spec.interpolation, antialias=spec.antialias)
    return scaled.round().clamp(0, 255)


def _stretch(image: Tensor, spec: Preprocessing) -> Tensor:
    return _scaled(image, spec.height, spec.width, spec)


def _fit(image: Tensor, spec: Preprocessing) -> Tensor:
    height, width = image.shape[2:]
    ratio = _fit_ratio(height, width, spec)
    new_height, new_width = max(1, round(height * ratio)), max(1, round(width * ratio))
    scaled = _scaled(image, new_height, new_width, spec)
    top, left = (spec.height - new_height) // 2, (spec.width - new_width) // 2
    if (new_height, new_width) == (spec.height, spec.width):
        return scaled
    edges = (left, spec.width - new_width - left, top, spec.height - new_height - top)
    return functional.pad(scaled, edges, value=spec.fill)


def _crop(image: Tensor, spec: Preprocessing) -> Tensor:
    """The short side to size, the middle cut out; sizes and places are rounded as torchvision rounds them."""
    short = _short_side(spec)
    image = _without_far_ends(image)
    height, width = image.shape[2:]
    if height <= width:
        new_height, new_width = short, short * width // height
    else:
        new_height, new_width = short * height // width, short
    scaled = _scaled(image, new_height, new_width, spec)
    top, left = round((new_height - spec.height) / 2), round((new_width - spec.width) / 2)
    return scaled[:, :, top : top + spec.height, left : left + spec.width]


def _stretch_ratio(height: int, width: int, spec: Preprocessing) -> float:
    return min(spec.height, spec.width) / min(height, width)


def _fit_ratio(height: int, width: int, spec: Preprocessing) -> float:
    return min(spec.height / height, spec.width / width)


def _crop_ratio(height: int, width: int, spec: Preprocessing) -> float:
    return _short_side(spec) / min(height, width)


def _short_side(spec: Preprocessing) -> int:
    if spec.short_side is None:
        raise ValueError("resize: crop needs short_side")
    return spec.short_side


def _without_far_ends(image: Tensor) -> Tensor:
    """Cuts what lies so far from the middle that the crop never reaches it: 1 × 20,000 would be scaled to gigabytes."""
    height, width = image.shape[2:]
    longest = _MAX_ASPECT * min(height, width)
    for axis, side in ((2, height), (3, width)):
        if side > longest:
            image = image.narrow(axis, (side - longest) // 2, longest)
    return image


def _kept_share(height: int, width: int, spec: Preprocessing) -> float:
    """How much of the picture's area lies in the crop."""
    if spec.resize is not Resize.CROP:
        return 1.0
    scale = _crop_ratio(height, width, spec)
    return round(min(1.0, spec.height / (height * scale)) * min(1.0, spec.width / (width * scale)), 4)


_RESIZERS = {Resize.STRETCH: _stretch, Resize.FIT: _fit, Resize.CROP: _crop}
_RATIOS = {Resize.STRETCH: _stretch_ratio, Resize.FIT: _fit_ratio, Resize.CROP: _crop_ratio}
