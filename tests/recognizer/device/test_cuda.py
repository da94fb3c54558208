"""The lane on a real GPU. Without one there is nothing to ask: these are skipped, in CI too, which has none."""

import io
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torchvision import transforms

from recognizer.decode import decode
from recognizer.device.autotune import autotune
from recognizer.device.cuda import CudaDriver
from recognizer.device.driver import CpuDriver
from recognizer.device.lane import Judged, Lane
from recognizer.device.opening import LaneSettings, open_lane
from recognizer.device.plan import Layout, Mode, Plan, Precision
from recognizer.device.program import variant
from recognizer.device.staging import pack, stage, unpack
from recognizer.fault import InputFault
from recognizer.formats.modelscope import PREPROCESSING as SPEC
from recognizer.infer import Answer
from recognizer.inspect import Pixels
from recognizer.model import load
from recognizer.reasons import InputReason
from tests.support.model import Trained
from tests.support.networks import model_of
from tests.support.pictures import with_orientation

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
    # torch and cuDNN warn of the hardware and of prototypes; that is no fault of the lane
    pytest.mark.filterwarnings("default::UserWarning"),
]

EAGER, GRAPH = (Plan(Precision.FLOAT32, Layout.CONTIGUOUS, mode) for mode in (Mode.EAGER, Mode.GRAPH))
HALF = Plan(Precision.BFLOAT16, Layout.CHANNELS_LAST, Mode.GRAPH)
PHOTO = np.array(load_sample_images().images[0])


@pytest.fixture(scope="module")
def driver() -> CudaDriver:
    return CudaDriver(torch.device("cuda"))


@pytest.fixture
def strict() -> Iterator[None]:
    """Every wait of the host that torch knows of is an error."""
    before = torch.cuda.get_sync_debug_mode()
    yield
    torch.cuda.set_sync_debug_mode(before)


def network(classes: int = 1_000) -> nn.Module:
    """Large enough that a batch takes the device some time."""
    torch.manual_seed(3)
    layers: list[nn.Module] = []
    for before, after in ((3, 64), (64, 128), (128, 256), (256, 256)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, classes)).eval()


def lane(driver: CudaDriver, plan: Plan, largest: int = 32, made: nn.Module | None = None) -> Lane:
    model = model_of(made or network(), 1_000, SPEC, str(driver.device))
    opened = Lane(replace(model, network=variant(model.network, plan)), driver, plan, largest=largest)
    opened.warm()
    return opened


def photos(count: int, seed: int = 1) -> list[Pixels]:
    """Parts of a photograph, of a few sizes."""
    random = np.random.default_rng(seed)
    sizes = [(427, 640), (300, 400), (224, 224), (260, 500)]
    return [
        np.ascontiguousarray(np.roll(PHOTO, int(random.integers(0, 400)), 1)[: sizes[n % 4][0], : sizes[n % 4][1]])
        for n in range(count)
    ]


def ask(opened: Lane, pictures: list[Pixels]) -> list[Judged]:
    return opened.submit([opened.stage(one) for one in pictures]).result()


def assert_alike(left: list[Judged], right: list[Judged], share: float) -> None:
    """The best output within a share of itself, the input's means within a thousandth of their range."""
    for one, other in zip(left, right, strict=True):
        assert isinstance(one.answer, Answer), one.answer
        assert isinstance(other.answer, Answer), other.answer
        assert one.answer.logit == pytest.approx(other.answer.logit, rel=share)
        assert one.facts is not None
        assert other.facts is not None
        assert one.facts.channel_means == pytest.approx(other.facts.channel_means, abs=5e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_comes_out_as_in_training(driver: CudaDriver, orientation: int) -> None:
    """Scaled on the GPU, within a grey level of what Pillow and torchvision give, however the camera was held."""
    data = with_orientation(PHOTO, "PNG", orientation)
    steps = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    with Image.open(io.BytesIO(data)) as opened:
        reference = np.asarray(steps(ImageOps.exif_transpose(opened).convert("RGB")), np.float32)
    staged = stage(decode(data, "photo.png").pixels, SPEC, driver.largest_picture_bytes)
    assert not staged.ready
    slab = driver.host(staged.pixels.nbytes, dtype=torch.uint8)
    packed = pack([staged], slab.numpy())
    target = torch.zeros(1, 3, 224, 224, dtype=torch.uint8, device=driver.device)
    unpack(packed, slab.to(driver.device), target, SPEC)
    difference = np.abs(target[0].permute(1, 2, 0).cpu().float().numpy() - reference)
    assert difference.mean() <= 0.5
    assert difference.max() <= 1


@pytest.mark.parametrize("plan", [EAGER, GRAPH, HALF], ids=str)
@pytest.mark.usefixtures("strict")
def test_the_host_waits_for_nothing_in_the_steady_state(driver: CudaDriver, plan: Plan) -> None:
    """Under torch's own watch, with batches of every size; answers are fetched one batch late."""
    opened = lane(driver, plan)
    batches = [[opened.stage(one) for one in photos(count)] for count in (32, 8, 5, 1, 32, 31)]
    for batch in batches:
        opened.submit(batch).result()
    torch.cuda.set_sync_debug_mode("error")
    before = opened.submit(batches[0])
    for batch in batches * 5:
        after = opened.submit(batch)
        assert all(isinstance(one.answer, Answer) for one in before.result())
        before = after
    assert all(isinstance(one.answer, Answer) for one in before.result())


def test_a_graph_answers_as_its_operations_do_one_by_one(driver: CudaDriver) -> None:
    made, pictures = network(), photos(32)
    assert_alike(ask(lane(driver, GRAPH, made=made), pictures), ask(lane(driver, EAGER, made=made), pictures), 0.01)


@pytest.mark.parametrize("plan", [GRAPH, HALF], ids=str)
@pytest.mark.parametrize("count", [1, 3, 9, 31])
def test_padded_batches_answer_as_exact_ones(driver: CudaDriver, plan: Plan, count: int) -> None:
    made, pictures = network(), photos(count)
    padded, exact = lane(driver, plan, made=made), lane(driver, plan, largest=count, made=made)
    assert_alike(ask(padded, pictures), ask(exact, pictures), 0.01 if plan is GRAPH else 0.05)


def test_the_gpu_answers_as_the_processor(driver: CudaDriver) -> None:
    """In float32, whose convolutions a GPU shortens to TF32, and in bfloat16."""
    pictures = photos(16)
    processor = Lane(model_of(network(), 1_000, SPEC), CpuDriver(), largest=32)
    known = ask(processor, pictures)
    assert_alike(ask(lane(driver, GRAPH), pictures), known, 0.02)
    assert_alike(ask(lane(driver, HALF), pictures), known, 0.05)


def test_the_times_of_events_are_those_of_a_clock_that_waits(driver: CudaDriver) -> None:
    """Median of thirty batches within 2 % of the same calculation waited for (a tenth of a millisecond is allowed for
    the copy of the answers); wall times lie between asking and having."""
    opened = lane(driver, GRAPH, largest=64)
    batch = [opened.stage(one) for one in photos(64)]
    told, under_way = [], deque([(time.time() * 1_000, opened.submit(batch))])
    for _ in range(30):
        under_way.append((time.time() * 1_000, opened.submit(batch)))  # so that the device never waits for the host
        asked_ms, handle = under_way.popleft()
        (one, *_) = handle.result()
        told.append(one.moments.infer_ms)
        assert asked_ms - 50 <= one.moments.prepared_at <= one.moments.answered_at <= time.time() * 1_000 + 50
    under_way.popleft()[1].result()
    waited = median(driver.milliseconds(opened._asker(64)) for _ in range(30))
    assert median(told) == pytest.approx(waited, rel=0.02, abs=0.1)


def test_the_digit_model_is_tuned_and_answers(driver: CudaDriver, digits_model: Trained) -> None:
    model = load(digits_model.folder, "cuda")
    plan, measured = autotune(model, driver, 32)
    fastest = min(one.batch_ms for one in measured if not one.fault)
    chosen = next(one for one in measured if one.plan == plan)
    assert chosen.batch_ms <= 1.03 * fastest
    opened = open_lane(model, LaneSettings(largest=32, plan=plan))
    opened.model.check_canary()


class Failing(nn.Module):
    """Raises for dark pictures, and for batches larger than it bears."""

    def __init__(self, largest: int = 1_000) -> None:
        super().__init__()
        self.largest = largest
        self.weight = nn.Parameter(torch.ones(1_000))

    def forward(self, batch: Tensor) -> Tensor:
        if len(batch) > self.largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        means = batch.mean((1, 2, 3))
        if not torch.cuda.is_current_stream_capturing() and bool((means < -1.9).any()):  # black gives -1.99
            raise RuntimeError("this kernel does not like it")
        return means[:, None] * self.weight


def test_a_picture_that_makes_the_network_fail_fails_alone(driver: CudaDriver) -> None:
    opened = Lane(model_of(Failing(), 1_000, SPEC, "cuda"), driver, EAGER, largest=8)
    pictures = photos(7)
    pictures[4] = np.zeros((300, 300, 3), np.uint8)
    judged = ask(opened, pictures)
    faults = [one.answer if isinstance(one.answer, InputFault) else None for one in judged]
    assert [fault.reason if fault else None for fault in faults] == [
        InputReason.MODEL_FAILED if index == 4 else None for index in range(7)
    ]
    assert judged[4].facts is not None


def test_out_of_memory_makes_the_batches_smaller(driver: CudaDriver) -> None:
    """Down to single pictures: two are padded to eight, which do not fit either."""
    opened = Lane(model_of(Failing(largest=1), 1_000, SPEC, "cuda"), driver, EAGER, largest=8)
    judged = ask(opened, photos(9))
    assert all(isinstance(one.answer, Answer) and one.answer.batch_size == 1 for one in judged)


def test_a_real_out_of_memory_is_told_and_survived(driver: CudaDriver) -> None:
    """More than any card has is asked for by batches of more than one."""

    class Greedy(Failing):
        def forward(self, batch: Tensor) -> Tensor:
            if len(batch) > 1:
                torch.empty(1 << 44, dtype=torch.uint8, device=batch.device)
            return super().forward(batch)

    opened = Lane(model_of(Greedy(), 1_000, SPEC, "cuda"), driver, EAGER, largest=8)
    assert all(isinstance(one.answer, Answer) for one in ask(opened, photos(9)))
    assert not opened.lost


def test_a_network_that_waits_is_not_captured_and_the_device_stays_usable(driver: CudaDriver) -> None:
    """It is refused before the capture begins: graphs of others are captured and run after that as before."""

    class Waiting(Failing):
        def forward(self, batch: Tensor) -> Tensor:
            outputs = super().forward(batch)
            return outputs if bool(outputs.isfinite().all()) else outputs.nan_to_num()

    with pytest.raises(RuntimeError, match="synchronizing"):
        lane(driver, GRAPH, largest=8, made=Waiting())
    driver.settle()
    assert all(isinstance(one.answer, Answer) for one in ask(lane(driver, GRAPH, largest=8), photos(8)))


def test_graphs_may_come_and_go(driver: CudaDriver) -> None:
    """All lanes of a device share their graphs' memory, also after the last of them is gone."""
    made, pictures = network(), photos(8)
    first = ask(lane(driver, GRAPH, largest=8, made=made), pictures)
    driver.settle()
    again = ask(lane(driver, GRAPH, largest=8, made=made), pictures)
    assert_alike(first, again, 0.01)


def test_a_compiled_plan_is_captured_and_answers_alike(driver: CudaDriver) -> None:
    """Compiled by torch and started as one graph. Takes a minute."""
    pytest.importorskip("triton")
    made, pictures = network(), photos(32)
    plan = replace(GRAPH, mode=Mode.COMPILED)
    assert_alike(ask(lane(driver, plan, made=made), pictures), ask(lane(driver, EAGER, made=made), pictures), 0.02)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device or none on this machine")
def test_several_gpus_answer_alike() -> None:
    first, second = (lane(CudaDriver(torch.device("cuda", index)), GRAPH) for index in range(2))
    assert_alike(ask(first, photos(16)), ask(second, photos(16)), 0.01)
