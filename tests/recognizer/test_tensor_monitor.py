"""The monitor of running traffic: impossible inputs one by one, the others in windows, healthy traffic in peace."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from recognizer.manifest import ChannelOrder, Preprocessing
from recognizer.reasons import InputReason
from recognizer.tensor_facts import TensorFacts, facts, measure
from recognizer.tensor_monitor import Shift, TensorMonitor

SPEC = Preprocessing(height=16, width=16, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225))
MEAN, DEVIATION = (torch.tensor(one).reshape(3, 1, 1) for one in (SPEC.mean, SPEC.deviation))
WINDOW, LEARNING = 64, 40


def pictures(count: int, seed: int) -> Tensor:
    """Smooth pictures, 0 … 1, more red than blue."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, 16, mode="bicubic").clamp(0, 1)
    return smooth * torch.tensor([0.9, 0.7, 0.4]).reshape(3, 1, 1)


def normal(values: Tensor) -> Tensor:
    return (values - MEAN) / DEVIATION


def taught(spec: Preprocessing = SPEC) -> TensorMonitor:
    """A monitor that has seen enough healthy pictures."""
    monitor = TensorMonitor(spec, window=WINDOW, learning_windows=LEARNING)
    for one in normal(pictures(WINDOW * LEARNING, 1)):
        assert monitor.observe(facts(one), 0.9, 0.3, 5.0) is None
    assert monitor.learned
    return monitor


def shifts(monitor: TensorMonitor, inputs: Tensor) -> list[Shift]:
    told = [monitor.observe(facts(one), 0.9, 0.3, 5.0) for one in inputs]
    return [one for one in told if one is not None]


def test_healthy_traffic_is_left_in_peace() -> None:
    """100 windows of pictures it never saw."""
    assert shifts(taught(), normal(pictures(100 * WINDOW, 2))) == []


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda values: normal(values.flip(1)), InputReason.TENSOR_CHANNEL_ORDER),
        (lambda values: values, InputReason.TENSOR_NORMALIZATION),
        (lambda values: (values - 0.5) / 0.5, InputReason.TENSOR_NORMALIZATION),
        (lambda values: normal(values / 255), InputReason.TENSOR_NOT_SCALED),
        (
            lambda values: normal(values).permute(0, 2, 3, 1).reshape(len(values), 3, 16, 16),
            InputReason.TENSOR_LAYOUT,
        ),
        (lambda values: normal((values * 2) % 1), InputReason.TENSOR_OVERFLOW),
        (lambda values: normal((values * 3).clamp(max=1)), InputReason.TENSOR_OVERFLOW),
    ],
)
def test_each_window_of_a_wrong_preprocessing_is_told(wrong: Callable[[Tensor], Tensor], reason: InputReason) -> None:
    told = shifts(taught(), wrong(pictures(4 * WINDOW, 3)))
    assert [one.reason for one in told] == [reason] * 4
    assert all(one.signal in str(one) and one.pictures == WINDOW for one in told)


def test_what_befalls_few_of_the_pictures_is_told_by_many_windows_together() -> None:
    values = pictures(64 * WINDOW, 4)
    values[::40] = values[::40].flip(1)
    told = shifts(taught(), normal(values))
    assert [one.pictures for one in told] == [64 * WINDOW]


def test_red_is_red_in_whatever_order_the_network_takes_it() -> None:
    """A network trained with BGR gets blue first; the monitor still compares red with blue."""
    swapped = Preprocessing(
        height=16, width=16, mean=SPEC.mean[::-1], deviation=SPEC.deviation[::-1], channel_order=ChannelOrder.BGR
    )
    monitor = TensorMonitor(swapped, window=WINDOW, learning_windows=LEARNING)
    assert shifts(monitor, normal(pictures(WINDOW * LEARNING, 1)).flip(1)) == []
    told = shifts(monitor, normal(pictures(WINDOW, 3).flip(1)).flip(1))
    assert [one.reason for one in told] == [InputReason.TENSOR_CHANNEL_ORDER]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda right: right, None),
        (lambda right: normal((right * DEVIATION + MEAN) * 255), InputReason.TENSOR_NOT_SCALED),
        (normal, InputReason.TENSOR_NORMALIZATION),
        (torch.zeros_like, InputReason.TENSOR_CONSTANT),
        (lambda right: right.index_fill(2, torch.tensor([3]), math.nan), InputReason.TENSOR_NOT_FINITE),
        (lambda right: right.index_fill(2, torch.tensor([3]), math.inf), InputReason.TENSOR_NOT_FINITE),
    ],
)
def test_an_impossible_input_is_known_by_itself(wrong: Callable[[Tensor], Tensor], reason: InputReason | None) -> None:
    """Without anything learned."""
    right = normal(pictures(1, 5)[0])
    assert TensorMonitor(SPEC).impossible(facts(wrong(right))) == reason


def test_an_input_that_is_no_number_does_not_spoil_what_is_learned() -> None:
    monitor = taught()
    healthy = facts(normal(pictures(1, 6)[0]))
    assert monitor.observe(replace(healthy, minimum=math.nan), 0.9, 0.3, 5.0) is None
    assert shifts(monitor, normal(pictures(3 * WINDOW, 7))) == []


def test_the_figures_are_those_of_the_tensor() -> None:
    """Against torch, one at a time; a batch gives the same as its pictures alone."""
    inputs = normal(pictures(3, 8))
    rows = measure(inputs)
    for one, row in zip(inputs, rows, strict=True):
        found: TensorFacts = facts(one)
        assert found.channel_means == pytest.approx(one.mean((1, 2)).tolist(), abs=1e-5)
        assert found.channel_deviations == pytest.approx(one.std((1, 2), correction=0).tolist(), abs=1e-5)
        assert (found.minimum, found.maximum) == pytest.approx((float(one.min()), float(one.max())))
        assert (found.mean, found.variance) == pytest.approx(
            (float(one.mean()), float(one.var(correction=0))), abs=1e-4
        )
        assert row.tolist() == pytest.approx(measure(one.unsqueeze(0))[0].tolist(), abs=1e-6)


@pytest.mark.parametrize(("bad", "count"), [(math.nan, 7), (math.inf, 2), (-math.inf, 1), (0.0, 0)])
def test_values_that_are_no_numbers_are_counted(bad: float, count: int) -> None:
    tensor = torch.zeros(3, 8, 8)
    tensor.view(-1)[:count] = bad
    assert facts(tensor).bad_values == count
