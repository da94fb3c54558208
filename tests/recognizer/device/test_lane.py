"""The lane: answers in their order, batches under way, padded sizes, networks that fail; on processor and clock."""

import gc
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks.simulated_device import SimulatedDriver
from recognizer.device.driver import CpuDriver, Driver
from recognizer.device.lane import DEPTH, Judged, Lane, asker
from recognizer.device.plan import Layout, Mode, Plan, Precision
from recognizer.device.program import variant
from recognizer.fault import InputFault
from recognizer.infer import Answer
from recognizer.inspect import Pixels
from recognizer.manifest import Preprocessing
from recognizer.reasons import InputReason
from tests.support.devices import Capturing, Mortal
from tests.support.networks import Brightness, model_of

DRIVERS: list[Callable[[], Driver]] = [CpuDriver, lambda: SimulatedDriver(0.001)]
drivers = pytest.mark.parametrize("driver", DRIVERS, ids=["processor", "simulated"])


def shade(step: int, height: int = 8, width: int = 8) -> Pixels:
    """A picture that `Brightness` calls ``step`` of 16."""
    return np.full((height, width, 3), 16 * step + 8, np.uint8)


def label(judged: Judged) -> str:
    assert isinstance(judged.answer, Answer), judged.answer
    return judged.answer.labels[0]


def ask(lane: Lane, pictures: list[Pixels]) -> list[Judged]:
    return lane.submit([lane.stage(one) for one in pictures]).result()


@drivers
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 20])
def test_each_picture_has_its_own_answer(driver: Callable[[], Driver], count: int) -> None:
    """Of several sizes, also more than a full batch."""
    steps = [index * 7 % 16 for index in range(count)]
    lane = Lane(model_of(Brightness()), driver(), largest=8)
    judged = ask(lane, [shade(step, 8 + index % 3, 9) for index, step in enumerate(steps)])
    assert [label(one) for one in judged] == [str(step) for step in steps]
    assert all(one.facts is not None and one.facts.bad_values == 0 for one in judged)
    means = [one.facts.mean for one in judged if one.facts is not None]
    assert means == pytest.approx([(16 * step + 8) / 255 for step in steps], abs=1e-5)


@drivers
def test_no_pictures_are_no_answers(driver: Callable[[], Driver]) -> None:
    assert Lane(model_of(Brightness()), driver(), largest=8).submit([]).result() == []


@drivers
@settings(max_examples=20)
@given(order=st.permutations(range(3 * DEPTH)))
def test_answers_may_be_fetched_late_and_in_any_order(driver: Callable[[], Driver], order: list[int]) -> None:
    """More batches are under way than there is memory for: the oldest is then fetched by the lane itself."""
    lane = Lane(model_of(Brightness()), driver(), largest=4)
    handles = [lane.submit([lane.stage(shade(index)), lane.stage(shade(15 - index))]) for index in range(3 * DEPTH)]
    for index in order:
        assert [label(one) for one in handles[index].result()] == [str(index), str(15 - index)]
    assert handles[0].result() == handles[0].result()


@drivers
def test_threads_may_share_it(driver: Callable[[], Driver]) -> None:
    lane = Lane(model_of(Brightness()), driver(), largest=4)
    wrong: list[object] = []

    def work(step: int) -> None:
        for _ in range(20):
            found = [label(one) for one in ask(lane, [shade(step), shade(15 - step), shade(step)])]
            if found != [str(step), str(15 - step), str(step)]:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(step,)) for step in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []


def test_batches_are_padded_to_known_sizes_where_the_device_wants_that() -> None:
    network = Brightness()
    lane = Lane(model_of(network), SimulatedDriver(0.001), largest=64)
    lane.warm()
    assert sorted(set(network.asked)) == [1, 8, 32, 64]
    network.asked.clear()
    for count in (1, 2, 8, 9, 33, 64):
        ask(lane, [shade(3)] * count)
    assert network.asked == [1, 8, 8, 32, 64, 64]


def test_a_processor_is_asked_about_exactly_what_came() -> None:
    network = Brightness()
    lane = Lane(model_of(network), CpuDriver(), largest=64)
    for count in (1, 5, 33):
        ask(lane, [shade(3)] * count)
    assert network.asked == [1, 5, 33]


def test_padding_changes_no_answer() -> None:
    """What a batch left behind in the padding does not reach the next."""
    torch.manual_seed(4)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16))
    random = np.random.default_rng(4)
    pictures = [random.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(21)]
    padded, exact = (Lane(model_of(network), one(), largest=32) for one in (lambda: SimulatedDriver(0.0), CpuDriver))
    for count in (21, 3, 9):
        for left, right in zip(ask(padded, pictures[:count]), ask(exact, pictures[:count]), strict=True):
            assert isinstance(left.answer, Answer)
            assert isinstance(right.answer, Answer)
            assert left.answer.labels == right.answer.labels
            assert left.answer.scores == pytest.approx(right.answer.scores, abs=1e-6)
            assert left.answer.batch_size == count


def test_the_next_batch_is_submitted_while_the_device_works() -> None:
    """A clock of 50 ms a batch: three are on their way before anybody has waited."""
    driver = SimulatedDriver(0.05)
    lane = Lane(model_of(Brightness()), driver, largest=4)
    handles = [lane.submit([lane.stage(shade(index))]) for index in range(DEPTH)]
    assert driver.late == 0
    assert [label(handle.result()[0]) for handle in handles] == ["0", "1", "2"]


@drivers
def test_times_are_those_of_the_batch(driver: Callable[[], Driver]) -> None:
    (one,) = ask(Lane(model_of(Brightness()), driver(), largest=4), [shade(1)])
    assert isinstance(one.answer, Answer)
    assert one.answer.duration_ms == one.moments.infer_ms >= 0
    assert one.moments.prepare_ms >= 0
    assert one.moments.answered_at - one.moments.prepared_at == pytest.approx(one.moments.infer_ms, abs=5)


# ---------------------------------------------------------------- networks that fail


class Picky(Brightness):
    """Raises for the batches in which a picture is darker than a tenth, or which are larger than it bears."""

    def __init__(self, largest: int = 1_000, message: str = "this kernel does not like it\nand says so") -> None:
        super().__init__()
        self.largest, self.message = largest, message

    def forward(self, batch: Tensor) -> Tensor:
        if len(batch) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if bool((batch.mean((1, 2, 3)) < 0.1).any()):
            raise RuntimeError(self.message)
        return super().forward(batch)


def test_a_picture_that_makes_the_network_fail_fails_alone_and_its_figures_are_told() -> None:
    steps = [5, 9, 0, 7, 15, 0, 3]
    judged = ask(Lane(model_of(Picky()), CpuDriver(), largest=16), [shade(step) for step in steps])
    for step, one in zip(steps, judged, strict=True):
        assert one.facts is not None
        assert one.facts.mean == pytest.approx((16 * step + 8) / 255, abs=1e-5)
        if step:
            assert label(one) == str(step)
        else:
            assert isinstance(one.answer, InputFault)
            assert one.answer.reason is InputReason.MODEL_FAILED
            assert "\n" not in one.answer.message


def test_a_lost_device_is_said_of_every_picture() -> None:
    network = Picky(message="CUDA error: device-side assert triggered")
    judged = ask(Lane(model_of(network), CpuDriver(), largest=16), [shade(0), shade(0)])
    assert [one.answer.reason for one in judged if isinstance(one.answer, InputFault)] == [
        InputReason.MODEL_DEVICE_LOST
    ] * 2
    assert [one.facts for one in judged] == [None, None]


def test_a_device_that_dies_is_asked_nothing_more() -> None:
    """What was under way is lost, what comes later is answered at once, and whoever runs the service can see it."""
    network, driver = Brightness(), Mortal()
    lane = Lane(model_of(network), driver, largest=4)
    under_way = lane.submit([lane.stage(shade(3))] * 2)
    assert not lane.lost
    driver.dead = True
    asked = len(network.asked)
    for judged in (under_way.result(), ask(lane, [shade(3)] * 9)):
        faults = [one.answer for one in judged]
        assert all(isinstance(one, InputFault) and one.reason is InputReason.MODEL_DEVICE_LOST for one in faults)
        assert "illegal memory access" in str(faults[0])
    assert lane.lost
    assert len(network.asked) == asked


def test_a_fault_after_which_the_device_does_not_settle_is_its_end() -> None:
    """The call that failed says less than the device does when it is waited for."""
    driver = Mortal()

    class Last(Brightness):
        def forward(self, batch: Tensor) -> Tensor:
            driver.dead = True
            raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")

    lane = Lane(model_of(Last()), driver, largest=4)
    (judged, *_) = ask(lane, [shade(3)] * 4)
    assert isinstance(judged.answer, InputFault)
    assert judged.answer.reason is InputReason.MODEL_DEVICE_LOST
    assert lane.lost


@pytest.mark.parametrize(
    "message", ["CUDA error: out of memory", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"]
)
def test_memory_that_no_class_of_its_own_tells_of_is_memory(message: str) -> None:
    """Nothing is lost then: pinned memory and the libraries' own just ran out."""
    lane = Lane(model_of(Picky(message=message)), CpuDriver(), largest=4)
    judged = ask(lane, [shade(0), shade(5)])
    assert isinstance(judged[0].answer, InputFault)
    assert judged[0].answer.reason is InputReason.MODEL_OUT_OF_MEMORY
    assert label(judged[1]) == "5"
    assert not lane.lost


def test_a_call_that_a_sound_device_refuses_loses_nothing() -> None:
    lane = Lane(model_of(Picky(message="CUDA error: invalid configuration argument")), CpuDriver(), largest=4)
    judged = ask(lane, [shade(0), shade(5)])
    assert isinstance(judged[0].answer, InputFault)
    assert judged[0].answer.reason is InputReason.MODEL_FAILED
    assert label(judged[1]) == "5"


def test_out_of_memory_makes_the_batches_smaller_for_good() -> None:
    network = Picky(largest=3)
    lane = Lane(model_of(network), CpuDriver(), largest=16)
    assert [label(one) for one in ask(lane, [shade(step) for step in range(2, 12)])] == [str(n) for n in range(2, 12)]
    network.asked.clear()
    ask(lane, [shade(4)] * 16)
    assert max(network.asked) <= 3


def test_answers_of_another_shape_are_said_without_asking_again() -> None:
    network = Brightness(7)
    judged = ask(Lane(model_of(network), CpuDriver(), largest=16), [shade(3)] * 8)
    faults = [one.answer for one in judged]
    assert all(isinstance(one, InputFault) and one.reason is InputReason.MODEL_OUTPUT_INVALID for one in faults)
    assert "[8, 7]" in str(faults[0])
    assert network.asked == [8]


# ---------------------------------------------------------------- plans


def test_a_graph_keeps_the_weights_that_it_reads() -> None:
    """It knows where they lie, not that they are needed: given back, their place would be another tensor's."""
    rows = asker(lambda: torch.ones(2), Capturing(), Plan(mode=Mode.GRAPH))
    gc.collect()
    assert rows().tolist() == [1, 1]
    lane = Lane(model_of(Brightness()), Capturing(), Plan(mode=Mode.GRAPH), largest=8)
    lane.warm()
    gc.collect()
    assert [label(one) for one in ask(lane, [shade(3), shade(9), shade(1)])] == ["3", "9", "1"]
    assert [label(one) for one in ask(lane, [shade(7)])] == ["7"]


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("mode", [Mode.EAGER, Mode.GRAPH])
def test_every_plan_gives_the_same_answers(precision: Precision, layout: Layout, mode: Mode) -> None:
    """A convolution with batch normalisation, whose statistics stay float32."""
    torch.manual_seed(6)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16)
    ).eval()
    spec = Preprocessing(height=16, width=16, mean=(0.5, 0.5, 0.5), deviation=(0.25, 0.25, 0.25))
    plan = Plan(precision, layout, mode)
    random = np.random.default_rng(7)
    pictures = [random.integers(0, 256, (20, 24, 3), np.uint8) for _ in range(8)]
    right = ask(Lane(model_of(network, spec=spec), CpuDriver(), largest=8), pictures)
    lane = Lane(model_of(variant(network, plan), spec=spec), CpuDriver(), plan, largest=8)
    for known, found in zip(right, ask(lane, pictures), strict=True):
        assert isinstance(known.answer, Answer)
        assert isinstance(found.answer, Answer)
        assert found.answer.scores[0] == pytest.approx(known.answer.scores[0], abs=0.02)
        assert found.facts == known.facts
    assert all(one.dtype is torch.float32 for one in network.parameters())
