"""Figures of the network's input that tell a wrong preprocessing: on its own device, without waiting for it."""

from dataclasses import dataclass

import torch
from torch import Tensor

COLUMNS = 11
"""mean and deviation of each channel, minimum, maximum, values that are no numbers, roughness across and down."""


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """What one input looks like, in the units of the tensor.

    channel_means, channel_deviations   per channel in the network's order
    minimum, maximum                    of all values; NaN when one is NaN
    bad_values                          how many are NaN or infinite
    rough_across, rough_down            mean absolute difference of neighbours, along a row and along a column
    """

    channel_means: tuple[float, float, float]
    channel_deviations: tuple[float, float, float]
    minimum: float
    maximum: float
    bad_values: int
    rough_across: float
    rough_down: float

    @property
    def mean(self) -> float:
        """Of all values; every channel has as many."""
        return sum(self.channel_means) / 3

    @property
    def variance(self) -> float:
        """Of all values: the mean of the channels' variances and the variance of their means."""
        mean = self.mean
        return (
            sum(
                deviation**2 + (one - mean) ** 2
                for one, deviation in zip(self.channel_means, self.channel_deviations, strict=True)
            )
            / 3
        )


def measure(batch: Tensor) -> Tensor:
    """The figures of each input of a batch (inputs, 3, height, width): float32 (inputs, COLUMNS) on the same device.

    Nothing in it waits for a GPU: the result is copied to the host with the answers of the same batch.
    """
    flat = batch.flatten(2).float()
    variances, means = torch.var_mean(flat, dim=2, correction=0)
    low, high = torch.aminmax(flat.flatten(1), dim=1)
    # every fourth row and column is enough, at a quarter of the cost
    across = (batch[:, :, ::4, 1:] - batch[:, :, ::4, :-1]).abs().mean((1, 2, 3))
    down = (batch[:, :, 1:, ::4] - batch[:, :, :-1, ::4]).abs().mean((1, 2, 3))
    bad = _bad_values(flat, low, high)
    return torch.cat([means, variances.sqrt(), torch.stack([low, high, bad, across, down], 1)], dim=1)


def _bad_values(flat: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How many values are NaN or infinite; a CPU need not count them where the extremes are finite."""
    if flat.device.type == "cpu" and bool((low.isfinite() & high.isfinite()).all()):
        return torch.zeros_like(low)
    return (~flat.isfinite()).flatten(1).sum(1, dtype=torch.float32)


def from_row(row: list[float]) -> TensorFacts:
    """One line of `measure`, brought to the host, by name."""
    means, deviations = (row[0], row[1], row[2]), (row[3], row[4], row[5])
    low, high, bad, across, down = row[6:]
    return TensorFacts(means, deviations, low, high, int(bad), across, down)


def facts(tensor: Tensor) -> TensorFacts:
    """The figures of one input (3, height, width), waited for."""
    return from_row(measure(tensor.unsqueeze(0))[0].tolist())
