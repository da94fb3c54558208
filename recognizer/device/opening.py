"""From a loaded model to its lane: which driver, which plan, from the cache or measured now."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from recognizer.device import tune_cache
from recognizer.device.autotune import autotune
from recognizer.device.cuda import CudaDriver
from recognizer.device.driver import CpuDriver, Driver
from recognizer.device.lane import Lane
from recognizer.device.plan import SAFE, Mode, Plan
from recognizer.device.program import variant
from recognizer.device.tune_cache import Key
from recognizer.formats.base import first_line
from recognizer.infer import is_out_of_memory
from recognizer.manifest import ModelError
from recognizer.model import Model, device_refusal
from recognizer.paths import visible
from recognizer.sinks import say

LARGEST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """How a lane is opened.

    largest      pictures of a full batch
    plan         how the network is run; None: `SAFE` on a processor, on a GPU what was chosen by measuring
    compiling    whether torch.compile may be tried, which takes minutes once
    cache        the file that keeps choices; None: below XDG_CACHE_HOME or ~/.cache
    """

    largest: int = LARGEST
    plan: Plan | None = None
    compiling: bool = False
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.largest < 1:
            raise ValueError(f"largest must be at least 1, not {self.largest}")


DEFAULT = LaneSettings()


def open_lane(model: Model, settings: LaneSettings = DEFAULT) -> Lane:
    """The lane of a model on its device, ready for its first picture. On a GPU every size of a batch was run once.

    Where a full batch does not fit into the device's memory, smaller ones are taken; `ModelError` when none fits, and
    for a device that can't run the network at all.
    """
    return opened(model, CudaDriver(model.device) if model.device.type == "cuda" else CpuDriver(), settings)


def opened(model: Model, driver: Driver, settings: LaneSettings) -> Lane:
    """The same on a given driver."""
    largest = settings.largest
    while True:
        try:
            return _opened(model, driver, replace(settings, largest=largest))
        except (RuntimeError, MemoryError) as error:
            what = f"{model.name} in batches of {largest}"
            if largest == 1 or not is_out_of_memory(error):
                if (refusal := device_refusal(error, what, driver.device)) is None:
                    raise
                raise refusal from error
        largest //= 2
        say(f"{visible(what)} does not fit into the memory of {driver.device}: {largest} are asked together")
        driver.settle()


def _opened(model: Model, driver: Driver, settings: LaneSettings) -> Lane:
    plan = settings.plan
    if plan is None:
        plan = tuned(model, driver, settings) if driver.graphs else SAFE
    served, plan = _served(model, plan)
    lane = Lane(served, driver, plan, largest=settings.largest)
    if driver.exact:
        return lane
    try:
        lane.warm()
    except RuntimeError as error:
        if plan.mode is Mode.EAGER or is_out_of_memory(error):
            raise
        say(f"the plan {plan} is run operation by operation: {visible(first_line(error), 200)}")
        driver.settle()
        lane = Lane(served, driver, replace(plan, mode=Mode.EAGER), largest=settings.largest)
        lane.warm()
    return lane


def _served(model: Model, plan: Plan) -> tuple[Model, Plan]:
    """The model as the plan wants it; as it was loaded where its canary does not bear that."""
    served = replace(model, network=variant(model.network, plan))
    if served.network is not model.network:
        try:
            served.check_canary()
        except ModelError as error:
            say(f"the plan {plan} is not used, float32 is: {visible(str(error))}")
            return model, SAFE
    return served, plan


def tuned(model: Model, driver: Driver, settings: LaneSettings) -> Plan:
    """The choice for this model, device, torch and size of input: as it was kept, or measured and kept."""
    spec = model.manifest.preprocessing
    key = Key(
        weights_sha256=model.manifest.weights.sha256,
        device_name=driver.name,
        torch_version=torch.__version__,
        input_shape=(settings.largest, 3, spec.height, spec.width),
        compiled=settings.compiling,
    )
    path = settings.cache or tune_cache.default_path()
    if (known := tune_cache.look_up(path, key)) is not None:
        return known
    plan, measured = autotune(model, driver, settings.largest, compiling=settings.compiling)
    tune_cache.keep(path, key, plan, measured)
    return plan
