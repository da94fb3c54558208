"""What a fault leaves behind goes back to the kernel: an allocator keeps what was freed, and an outage lasts hours."""

import ctypes
import gc


def give_back() -> None:
    """Frees what hangs in cycles (a fault's frames hold the batch), and hands free memory back where glibc can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl gives back by itself
    if trim is not None:
        trim(0)
