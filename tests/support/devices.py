"""Devices that are a clock, with what only a GPU does: graphs that know addresses alone, and an end of its own."""

import weakref
from collections.abc import Callable

from torch import Tensor

from benchmarks.simulated_device import SimulatedDriver, SimulatedTimeline
from recognizer.device.driver import Timeline

ILLEGAL = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported later"


class Capturing(SimulatedDriver):
    """Its graphs write into the memory of their capture and keep nothing alive that they read, as those of CUDA.

    ``refusing``: what a capture raises.
    """

    graphs = True

    def __init__(self, refusing: Exception | None = None) -> None:
        super().__init__(0.0)
        self.refusing = refusing

    def capture(self, rows: Callable[[], Tensor]) -> Callable[[], Tensor]:
        if self.refusing is not None:
            raise self.refusing
        answer, read = rows().clone(), weakref.ref(rows)

        def replay() -> Tensor:
            found = read()
            if found is None:
                raise RuntimeError(ILLEGAL)
            return answer.copy_(found())

        return replay


class Mortal(SimulatedDriver):
    """Once ``dead``, waiting for it fails as for a GPU after a fault in one of its programs."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.dead = False

    def timeline(self) -> Timeline:
        return _MortalTimeline(self)

    def settle(self) -> None:
        self.check()

    def check(self) -> None:
        if self.dead:
            raise RuntimeError(ILLEGAL)


class _MortalTimeline(SimulatedTimeline):
    def __init__(self, device: Mortal) -> None:
        super().__init__(device)
        self._mortal = device

    def wait(self) -> None:
        self._mortal.check()
        super().wait()
