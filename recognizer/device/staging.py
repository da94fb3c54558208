"""Pictures on their way to a device: what is copied there, and where in the copy each of them lies.

A device scales bytes of any size well, but for very large ones it is the copy that costs, and its antialiasing can
span only so many pixels: those are brought to the network's size by the processor, in the thread that decoded them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from recognizer.inspect import Pixels
from recognizer.manifest import Preprocessing
from recognizer.preprocess import images_of, levels

_WIDEST_FILTER: Final = 32
"""Pixels of the picture for one of the input: beyond, CUDA's antialiasing may not find the shared memory it needs."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A picture as it is copied: uint8 (height, width, 3). ``ready``: it has the network's size already."""

    pixels: Pixels
    ready: bool


def stage(pixels: Pixels, spec: Preprocessing, largest_bytes: int) -> Staged:
    """The picture as it is copied: as it is where it has at most ``largest_bytes``, else in the network's size."""
    height, width = pixels.shape[:2]
    # a crop is scaled by its short side; either way no side shrinks by more than this
    shrink = max(height / spec.height, width / spec.width)
    if pixels.nbytes <= largest_bytes and shrink <= _WIDEST_FILTER:
        return Staged(np.ascontiguousarray(pixels), ready=False)
    sized = levels(images_of(pixels), spec)[0].permute(1, 2, 0).contiguous()
    return Staged(sized.numpy(), ready=True)


@dataclass(frozen=True, slots=True)
class Group:
    """Pictures of one size that lie one behind the other: scaled together, they become ``rows`` of the batch."""

    start: int
    rows: slice
    height: int
    width: int
    ready: bool

    def images(self, slab: Tensor) -> Tensor:
        """Their pixels, (pictures, 3, height, width), without a copy."""
        count = self.rows.stop - self.rows.start
        size = count * self.height * self.width * 3
        return slab[self.start : self.start + size].view(count, self.height, self.width, 3).permute(0, 3, 1, 2)


@dataclass(frozen=True, slots=True)
class Packed:
    """How a batch lies in a slab of ``size`` bytes; ``order[row]`` is the place in the batch of the row's picture."""

    size: int
    order: tuple[int, ...]
    groups: tuple[Group, ...]


def pack(batch: Sequence[Staged], slab: NDArray[np.uint8]) -> Packed:
    """Copies a batch into a slab, pictures of one size together; their sum must fit."""
    order = sorted(range(len(batch)), key=lambda index: _form(batch[index]))
    groups: list[Group] = []
    position = 0
    for (height, width, ready), indices in groupby(order, key=lambda index: _form(batch[index])):
        start, first, size = position, groups[-1].rows.stop if groups else 0, height * width * 3
        for index in indices:
            np.copyto(slab[position : position + size], batch[index].pixels.reshape(-1))
            position += size
        rows = slice(first, first + (position - start) // size)
        groups.append(Group(start, rows, height, width, ready))
    return Packed(position, tuple(order), tuple(groups))


def unpack(packed: Packed, slab: Tensor, target: Tensor, spec: Preprocessing) -> None:
    """Writes the grey levels of a batch into the first rows of ``target``, (pictures, 3, height, width) uint8."""
    for group in packed.groups:
        images = group.images(slab)
        target[group.rows].copy_(images if group.ready else levels(images, spec))


def in_order(packed: Packed, rows: Iterable[list[float]]) -> list[list[float]]:
    """Rows as the pictures of the batch came."""
    return [row for _, row in sorted(zip(packed.order, rows, strict=True), key=lambda pair: pair[0])]


def _form(one: Staged) -> tuple[int, int, bool]:
    return one.pixels.shape[0], one.pixels.shape[1], one.ready
