"""Preprocessing as data: sizes, channels and numbers come out as the model's description says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from torchvision import transforms

from recognizer.decode import read
from recognizer.inspect import Pixels
from recognizer.manifest import ChannelOrder, Interpolation, Preprocessing, Resize
from recognizer.preprocess import channel_conversion, form, images_of, prepare, scaled_in_floats, to_input
from recognizer.tensor_facts import facts
from tests.support.pictures import colours, with_orientation

PLAIN = Preprocessing(height=32, width=48)


def levels(pixels: Pixels, spec: Preprocessing) -> np.ndarray:
    """The prepared picture back in grey levels, height first: what the network sees, in units of the file."""
    tensor = prepare(pixels, spec) * torch.tensor(spec.deviation).reshape(3, 1, 1)
    return ((tensor + torch.tensor(spec.mean).reshape(3, 1, 1)) * 255).permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("height", "width"), [(427, 640), (60, 80), (20, 24), (33, 200)])
def test_resizing_agrees_with_pillow(height: int, width: int) -> None:
    """The reference every training pipeline uses: bilinear with antialiasing, within one grey level."""
    pixels = colours(height, width)
    reference = np.asarray(Image.fromarray(pixels).resize((48, 32), Image.Resampling.BILINEAR), np.float32)
    difference = np.abs(levels(pixels, PLAIN) - reference)
    assert difference.mean() <= 0.5
    assert difference.max() <= 1.01


@pytest.mark.parametrize(("height", "width"), [(120, 201), (201, 120), (99, 160), (64, 64), (50, 333)])
def test_crop_agrees_with_the_reference_of_training(height: int, width: int) -> None:
    """torchvision's Resize and CenterCrop on a Pillow image, whose rounding of sizes and places is its own."""
    pixels = colours(height, width)
    spec = Preprocessing(height=32, width=32, resize=Resize.CROP, short_side=40)
    steps = transforms.Compose([transforms.Resize(40), transforms.CenterCrop(32)])
    reference = np.asarray(steps(Image.fromarray(pixels)), np.float32)
    difference = np.abs(levels(pixels, spec) - reference)
    assert difference.mean() <= 0.5
    assert difference.max() <= 1.01


@pytest.mark.parametrize(("height", "width"), [(427, 640), (60, 80), (20, 24), (33, 200)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_arithmetic_of_a_gpu_gives_the_same_levels(height: int, width: int, layout: torch.memory_format) -> None:
    """A GPU scales floats: rounded, they are Pillow's levels within one too, however the picture lies in memory."""
    pixels = colours(height, width)
    reference = np.asarray(Image.fromarray(pixels).resize((48, 32), Image.Resampling.BILINEAR), np.float32)
    image = images_of(pixels).contiguous(memory_format=layout)
    found = scaled_in_floats(image, 32, 48, PLAIN)
    difference = np.abs(found[0].permute(1, 2, 0).numpy() - reference)
    assert difference.mean() <= 0.5
    assert difference.max() <= 1


def test_fit_keeps_the_proportions_and_fills_the_rest() -> None:
    spec = Preprocessing(height=32, width=32, resize=Resize.FIT, fill=7)
    seen = levels(np.full((50, 100, 3), 200, np.uint8), spec)
    assert np.allclose(seen[8:24], 200)
    assert np.allclose(seen[:8], 7)
    assert np.allclose(seen[24:], 7)


def test_a_line_of_pixels_is_not_blown_up() -> None:
    """1 × 20,000 pixels with the short side scaled to 64 would be 1.3 million pixels wide."""
    spec = Preprocessing(height=32, width=32, resize=Resize.CROP, short_side=64)
    assert prepare(np.full((1, 20_000, 3), 9, np.uint8), spec).shape == (3, 32, 32)


def test_numbers_are_normalised_per_channel() -> None:
    spec = Preprocessing(height=2, width=2, mean=(0.5, 0.0, 1.0), deviation=(0.5, 1.0, 0.25))
    prepared = prepare(np.full((2, 2, 3), (255, 51, 0), np.uint8), spec)
    assert torch.allclose(prepared[:, 0, 0], torch.tensor([1.0, 0.2, -4.0]))
    told = form(2, 2, spec)
    assert (told.normalized, told.resized, told.scale_ratio) == (True, False, 1.0)
    found = facts(prepared)
    assert found.mean == pytest.approx((1.0 + 0.2 - 4.0) / 3)
    assert found.variance == pytest.approx(np.var([1.0, 0.2, -4.0]))


def test_the_network_s_channel_order_is_kept() -> None:
    pixels = np.full((4, 4, 3), (255, 0, 51), np.uint8)
    spec = Preprocessing(height=4, width=4, channel_order=ChannelOrder.BGR)
    assert torch.allclose(prepare(pixels, spec)[:, 0, 0], torch.tensor([0.2, 0.0, 1.0]))


def test_what_was_done_is_told() -> None:
    prepared, told = prepare(colours(64, 96), PLAIN), form(64, 96, PLAIN)
    assert prepared.dtype == torch.float32
    assert (told.output_shape, told.resized, told.normalized) == (tuple(prepared.shape), True, False)
    assert told.scale_ratio == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("decoded", "order", "said"),
    [
        ("bgr_to_rgb", ChannelOrder.RGB, "bgr_to_rgb"),
        ("bgr_to_rgb", ChannelOrder.BGR, "none"),
        ("gray_to_rgb", ChannelOrder.BGR, "gray_to_bgr"),
        ("bgra_to_rgb", ChannelOrder.RGB, "bgra_to_rgb"),
    ],
)
def test_the_conversion_is_told_from_file_to_network(decoded: str, order: ChannelOrder, said: str) -> None:
    assert channel_conversion(decoded, Preprocessing(height=4, width=4, channel_order=order)) == said


PHOTO = np.array(load_sample_images().images[0])
IMAGENET = Preprocessing(
    height=224,
    width=224,
    resize=Resize.CROP,
    short_side=256,
    mean=(0.485, 0.456, 0.406),
    deviation=(0.229, 0.224, 0.225),
)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_comes_out_as_in_training_however_the_camera_was_held(tmp_path: Path, orientation: int) -> None:
    """Pillow's exif_transpose and torchvision's steps on a real photograph, all eight orientations."""
    path = tmp_path / "photo.png"
    path.write_bytes(with_orientation(PHOTO, "PNG", orientation))
    steps = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    with Image.open(path) as opened:
        reference = np.asarray(steps(ImageOps.exif_transpose(opened).convert("RGB")), np.float32)
    difference = np.abs(levels(read(path).pixels, IMAGENET) - reference)
    assert difference.mean() <= 0.5
    assert difference.max() <= 1.01


@pytest.mark.parametrize("resize", Resize)
def test_another_device_gives_the_same_levels(resize: Resize) -> None:
    """Where bytes can't be scaled, floats are, and rounded: the same arithmetic that runs on a GPU."""
    spec = Preprocessing(height=96, width=128, resize=resize, short_side=140 if resize is Resize.CROP else None)
    image = torch.from_numpy(PHOTO).permute(2, 0, 1).unsqueeze(0)
    assert float((to_input(image, spec) - to_input(image.float(), spec)).abs().max()) * 255 <= 1.01


@pytest.mark.parametrize(
    ("interpolation", "filter_"),
    [(Interpolation.BILINEAR, Image.Resampling.BILINEAR), (Interpolation.BICUBIC, Image.Resampling.BICUBIC)],
)
def test_each_interpolation_is_pillow_s(interpolation: Interpolation, filter_: Image.Resampling) -> None:
    spec = Preprocessing(height=100, width=150, interpolation=interpolation)
    reference = np.asarray(Image.fromarray(PHOTO).resize((150, 100), filter_), np.float32)
    difference = np.abs(levels(PHOTO, spec) - reference)
    assert difference.mean() <= 0.5
    assert difference.max() <= 1.01


def test_how_much_the_crop_kept_is_told() -> None:
    spec = Preprocessing(height=32, width=32, resize=Resize.CROP, short_side=32)
    assert form(40, 40, spec).kept_share == 1
    assert form(40, 160, spec).kept_share == pytest.approx(0.25)
    assert form(40, 160, Preprocessing(height=32, width=32)).kept_share == 1


@pytest.mark.parametrize(
    ("resize", "height", "width", "ratio", "resized"),
    [
        (Resize.STRETCH, 64, 128, 0.5, True),
        (Resize.STRETCH, 32, 32, 1.0, False),
        (Resize.FIT, 64, 128, 0.25, True),
        (Resize.FIT, 32, 16, 1.0, True),
        (Resize.CROP, 80, 200, 0.5, True),
        (Resize.CROP, 32, 32, 1.25, True),
    ],
)
def test_by_how_much_it_was_scaled_follows_from_the_sizes(
    resize: Resize, height: int, width: int, ratio: float, resized: bool
) -> None:
    spec = Preprocessing(height=32, width=32, resize=resize, short_side=40 if resize is Resize.CROP else None)
    told = form(height, width, spec)
    assert (told.scale_ratio, told.resized) == (ratio, resized)
