"""How pictures are laid into a batch, and that what comes out is what Pillow would give."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import transforms

from recognizer.device.staging import Staged, in_order, pack, stage, unpack
from recognizer.inspect import Pixels
from recognizer.manifest import ChannelOrder, Preprocessing, Resize
from tests.support.pictures import colours

SPEC = Preprocessing(height=24, width=24, resize=Resize.CROP, short_side=28)
PHOTO = np.array(load_sample_images().images[1])
ANY_SIZE = 1 << 30


def through(pictures: list[Pixels], spec: Preprocessing, largest_bytes: int) -> np.ndarray:
    """Grey levels (pictures, height, width, 3) after staging, packing and unpacking, in the order of the batch."""
    batch = [stage(one, spec, largest_bytes) for one in pictures]
    slab = torch.zeros(sum(one.pixels.nbytes for one in batch), dtype=torch.uint8)
    target = torch.zeros(len(batch), 3, spec.height, spec.width, dtype=torch.uint8)
    packed = pack(batch, slab.numpy())
    unpack(packed, slab, target, spec)
    return np.stack(in_order(packed, target.permute(0, 2, 3, 1).float().tolist()))  # type: ignore[arg-type]


@pytest.mark.parametrize("largest_bytes", [0, 30_000, ANY_SIZE])
def test_every_picture_comes_out_at_its_place_whoever_scales_it(largest_bytes: int) -> None:
    """Of mixed sizes, some of them twice, some in the network's size; scaled alone each gives the same."""
    sizes = [(60, 80), (24, 24), (120, 90), (60, 80), (33, 200), (24, 24), (60, 80)]
    pictures = [colours(*size, seed=index) for index, size in enumerate(sizes)]
    together = through(pictures, SPEC, largest_bytes)
    for found, picture in zip(together, pictures, strict=True):
        assert np.array_equal(found, through([picture], SPEC, largest_bytes)[0])


@pytest.mark.parametrize("largest_bytes", [0, ANY_SIZE])
def test_a_photograph_comes_out_as_in_training(largest_bytes: int) -> None:
    spec = Preprocessing(height=224, width=224, resize=Resize.CROP, short_side=256)
    steps = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    reference = np.asarray(steps(Image.fromarray(PHOTO)), np.float32)
    difference = np.abs(through([PHOTO], spec, largest_bytes)[0] - reference)
    assert difference.mean() <= 0.5
    assert difference.max() <= 1


@pytest.mark.parametrize(
    ("picture", "largest_bytes", "ready"),
    [
        (colours(60, 80), 14_400, False),
        (colours(60, 80), 14_399, True),
        (colours(60, 80), 0, True),
        (colours(24 * 33, 24), ANY_SIZE, True),
    ],
)
def test_large_and_thin_pictures_are_scaled_by_who_decodes_them(
    picture: Pixels, largest_bytes: int, ready: bool
) -> None:
    staged = stage(picture, Preprocessing(height=24, width=24), largest_bytes)
    assert staged.ready is ready
    assert staged.pixels.shape == ((24, 24, 3) if ready else picture.shape)
    assert staged.pixels.flags.c_contiguous


def test_pictures_that_are_a_view_of_others_are_taken_as_they_look() -> None:
    """Turned by the decoder, for example."""
    picture = np.flip(colours(60, 80), 1)
    assert np.array_equal(stage(picture, SPEC, ANY_SIZE).pixels, picture)


@given(st.lists(st.sampled_from([(2, 3), (3, 2), (2, 2), (1, 6)]), min_size=1, max_size=12))
def test_rows_go_back_to_where_their_pictures_came_from(sizes: list[tuple[int, int]]) -> None:
    batch = [Staged(np.full((*size, 3), index, np.uint8), ready=False) for index, size in enumerate(sizes)]
    slab = np.zeros(sum(one.pixels.nbytes for one in batch), np.uint8)
    packed = pack(batch, slab)
    assert packed.size == len(slab)
    assert len(packed.groups) == len(set(sizes))
    first_values = [float(image[0, 0, 0]) for group in packed.groups for image in group.images(torch.from_numpy(slab))]
    assert in_order(packed, [[value] for value in first_values]) == [[float(index)] for index in range(len(sizes))]


def test_the_order_of_the_channels_is_the_network_s_affair() -> None:
    spec = Preprocessing(height=24, width=24, channel_order=ChannelOrder.BGR)
    picture = np.full((24, 24, 3), (10, 20, 30), np.uint8)
    assert through([picture], spec, ANY_SIZE)[0][0, 0].tolist() == [10, 20, 30]
