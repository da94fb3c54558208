"""Trying plans on a device: what agrees with float32 and is fast is taken, and kept for the next start."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.simulated_device import SimulatedDriver
from recognizer.device.autotune import autotune, disagreement, plans, trial
from recognizer.device.driver import CpuDriver
from recognizer.device.opening import LaneSettings, open_lane, opened, tuned
from recognizer.device.plan import SAFE, Layout, Measurement, Mode, Plan, Precision, choose
from recognizer.device.program import variant
from recognizer.fault import InputFault
from recognizer.formats.base import Graph
from recognizer.infer import Answer
from recognizer.manifest import ModelError, ModelFault, ScoreKind
from recognizer.model import load
from recognizer.reasons import InputReason
from tests.support.devices import Capturing
from tests.support.model import Trained
from tests.support.networks import Brightness, model_of

CPU = torch.device("cpu")


class HalfBlind(Brightness):
    """Calculates with half precision as if it saw less: its answers move."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, batch: Tensor) -> Tensor:
        moved = 0.0 if batch.dtype is torch.float32 else self.shift
        return super().forward((batch + moved).float())


class NoHalf(Brightness):
    """Raises for anything but float32."""

    def forward(self, batch: Tensor) -> Tensor:
        if batch.dtype is not torch.float32:
            raise RuntimeError("not implemented for 'Half'\nat length")
        return super().forward(batch)


def answer(label: str, score: float, margin: float = 0.9) -> Answer:
    return Answer((label, "other"), (score, score - margin), 1.0, margin, 0.1, 16, 8, 0.0)


LOGIT = answer("a", 20.0)
FAULT = InputFault(InputReason.TENSOR_NOT_FINITE, "the network answered with NaN or infinity")


@pytest.mark.parametrize(
    ("right", "found", "canaries", "said"),
    [
        (answer("a", 0.95), answer("a", 0.94), 0, ""),
        (answer("a", 0.95), answer("a", 0.92), 0, "scores 0.9200, by float32 0.9500"),
        (answer("a", 0.95), answer("b", 0.95), 0, "picture 0 is called 'b', by float32 'a'"),
        (answer("a", 0.50, 0.01), answer("b", 0.50), 0, ""),
        (answer("a", 0.50, 0.01), answer("b", 0.50), 1, "the canary is called 'b'"),
        (answer("a", 0.95), FAULT, 0, "NaN or infinity"),
        (FAULT, answer("a", 0.95), 0, ""),
        (answer("a", 0.95), answer("a", float("nan")), 0, "scores nan"),
        (LOGIT, answer("a", 20.5), 0, ""),
        (LOGIT, answer("a", 21.0), 0, "scores 21.0000"),
    ],
)
def test_agreement_is_the_label_and_the_score(
    right: Answer | InputFault, found: Answer | InputFault, canaries: int, said: str
) -> None:
    """Within .02 of a score, 3 % of an output that is none; a tie of float32 itself may fall either way."""
    told = disagreement([right], [found], canaries, ScoreKind.LOGIT if right is LOGIT else ScoreKind.SOFTMAX)
    assert said in told
    assert bool(told) == bool(said)


def test_what_does_not_agree_is_measured_as_a_fault() -> None:
    """A network that answers otherwise in half precision, however fast it may be so."""
    plan, measured = autotune(model_of(HalfBlind(0.2)), CpuDriver(), 8, seconds=0.1)
    assert plan.precision is Precision.FLOAT32
    halves = [one for one in measured if one.plan.precision is not Precision.FLOAT32]
    assert len(halves) == 4
    assert all("by float32" in one.fault for one in halves)


def test_what_raises_is_measured_as_a_fault_of_one_line() -> None:
    plan, measured = autotune(model_of(NoHalf()), CpuDriver(), 8, seconds=0.1)
    assert plan.precision is Precision.FLOAT32
    assert {one.fault for one in measured if one.fault} == {"RuntimeError: not implemented for 'Half'"}


def test_every_plan_of_a_healthy_network_is_measured(digits_model: Trained) -> None:
    """Six ways of running the digit model; the choice follows from the figures alone."""
    model = load(digits_model.folder, "cpu")
    plan, measured = autotune(model, CpuDriver(), 16, seconds=0.2)
    assert {one.plan for one in measured} == set(plans(model, CpuDriver()))
    assert all(one.batch_ms > 0 or one.fault for one in measured)
    assert plan == choose(measured)


def test_a_finished_graph_is_run_as_it_is() -> None:
    assert plans(model_of(Graph(Brightness())), CpuDriver()) == (SAFE,)


def test_pictures_are_tried_that_look_like_the_canary(digits_model: Trained) -> None:
    """The first is the canary itself; the same at every start; without one there is smooth noise."""
    model = load(digits_model.folder, "cpu")
    first, again = trial(model, 8, CPU), trial(model, 8, CPU)
    assert torch.equal(first.levels, again.levels)
    assert first.canaries == 1
    assert (first.levels.shape, first.levels.dtype) == ((8, 3, 32, 32), torch.uint8)
    assert trial(model_of(Brightness()), 8, CPU).canaries == 0


def test_a_choice_is_kept_and_taken_up_again(digits_model: Trained, tmp_path: Path) -> None:
    """The second start measures nothing: it takes what the file says, whatever that is."""
    model, path = load(digits_model.folder, "cpu"), tmp_path / "plans.json"
    settings = LaneSettings(largest=8, cache=path)
    plan = tuned(model, CpuDriver(), settings)
    changed = path.read_text().replace(f'"precision": "{plan.precision}"', '"precision": "float16"')
    path.write_text(changed)
    assert tuned(model, CpuDriver(), settings).precision is Precision.FLOAT16


def test_a_plan_under_which_the_canary_fails_is_not_served(
    digits_model: Trained, capfd: pytest.CaptureFixture[str]
) -> None:
    """A kept plan may be older than a driver. Here the network itself cannot bear half precision."""
    model = load(digits_model.folder, "cpu")
    network = model.network

    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, batch: Tensor) -> Tensor:
            outputs: Tensor = self.inner(batch)
            return outputs if batch.dtype is torch.float32 else outputs.flip(1)

    half = Plan(Precision.BFLOAT16, Layout.CONTIGUOUS, Mode.EAGER)
    broken = type(model)(model.manifest, model.labels, Broken().eval(), model.device, model.folder, model.facts)
    assert open_lane(broken, LaneSettings(plan=half)).plan == SAFE
    assert "float32 is" in capfd.readouterr().err
    assert open_lane(model, LaneSettings(plan=half)).plan == half


def test_a_processor_is_not_measured_unless_asked(digits_model: Trained, tmp_path: Path) -> None:
    lane = open_lane(load(digits_model.folder, "cpu"), LaneSettings(cache=tmp_path / "plans.json"))
    assert lane.plan == SAFE
    assert list(tmp_path.iterdir()) == []


def test_the_network_of_the_safe_plan_is_the_very_same() -> None:
    """No second copy of the weights lies in memory."""
    network = Brightness()
    assert variant(network, SAFE) is network
    with pytest.raises(ValueError, match="largest"):
        LaneSettings(largest=0)


def test_measurements_are_kept_beside_the_choice(digits_model: Trained, tmp_path: Path) -> None:
    """For whoever wonders why."""
    path = tmp_path / "plans.json"
    tuned(load(digits_model.folder, "cpu"), CpuDriver(), LaneSettings(largest=4, cache=path))
    assert path.read_text().count('"batch_ms"') == len(Precision) * len(Layout)
    assert Measurement(SAFE, 1.0).fault == ""


def test_graphs_are_measured_and_served() -> None:
    """Each plan's own weights live as long as its graph: the copies of the others come and go meanwhile."""
    plan, measured = autotune(model_of(Brightness()), Capturing(), 8, seconds=0.1)
    assert plan.mode is Mode.GRAPH
    assert {one.plan.mode for one in measured if not one.fault} == {Mode.GRAPH}
    assert all(one.batch_ms > 0 for one in measured if not one.fault)


def test_what_no_graph_can_hold_is_run_operation_by_operation(capfd: pytest.CaptureFixture[str]) -> None:
    """A kept plan may be of another driver's time; autotuning finds the same."""
    refusing = Capturing(RuntimeError("called a synchronizing CUDA operation"))
    plan, measured = autotune(model_of(Brightness()), refusing, 8, seconds=0.1)
    assert plan.mode is Mode.EAGER
    assert {one.plan.mode for one in measured if one.fault} == {Mode.GRAPH}
    lane = opened(model_of(Brightness()), refusing, LaneSettings(largest=8, plan=Plan(mode=Mode.GRAPH)))
    assert lane.plan == SAFE
    assert "called a synchronizing CUDA operation" in capfd.readouterr().err


def test_a_device_that_can_not_run_the_network_is_said_so() -> None:
    class TooNew(Brightness):
        def forward(self, batch: Tensor) -> Tensor:
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with")

    with pytest.raises(
        ModelError, match=r"cpu can't run test in batches of 4: RuntimeError: CUDA error: no kernel image is"
    ) as told:
        opened(model_of(TooNew()), SimulatedDriver(0.0), LaneSettings(largest=4))
    assert told.value.code is ModelFault.DEVICE_UNAVAILABLE


class Bears(Brightness):
    """Has no memory for more than so many pictures."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, batch: Tensor) -> Tensor:
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(batch)


def test_batches_that_do_not_fit_are_halved_at_the_start(capfd: pytest.CaptureFixture[str]) -> None:
    """Said once for each size; a model that does not fit at all is refused."""
    network = Bears(10)
    opened(model_of(network), SimulatedDriver(0.0), LaneSettings(largest=32))
    assert max(network.asked) == 8
    assert capfd.readouterr().err.count("asked together") == 2
    with pytest.raises(ModelError, match="does not fit into the memory of cpu") as caught:
        opened(model_of(Bears(0)), SimulatedDriver(0.0), LaneSettings(largest=2))
    assert caught.value.code is ModelFault.DEVICE_UNAVAILABLE
