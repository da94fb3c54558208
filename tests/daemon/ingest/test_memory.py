"""What a fault leaves behind is given back at once."""

import gc
import weakref

from daemon.ingest.memory import give_back


class _Fault:
    """One that holds itself, as a fault does whose frames hold it."""

    def __init__(self) -> None:
        self.frame = self


def test_what_hangs_in_a_cycle_is_freed() -> None:
    gc.disable()
    try:
        fault = _Fault()
        gone = weakref.ref(fault)
        del fault
        assert gone() is not None
        give_back()
        assert gone() is None
    finally:
        gc.enable()
